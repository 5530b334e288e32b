/* SPDX-License-Identifier: Apache-2.0 */
/* resolving.h — a transfer of libcurl's that gets its addresses from lookup.h.
 *
 * Place:   one in each posting of post.h and each connection of dial.h.
 * Thread:  the sinks thread's.
 * Bounds:  the list of addresses of one name, while the transfer is under way.
 *
 * Where libcurl would resolve a name (it has no connection that is kept, and no address that is
 * younger than a minute) the transfer ends: resolving_is_due(). Its owner takes the handle out of
 * the multi handle, begins, and puts it in again with the addresses. An address in the URL, and
 * localhost, libcurl knows by itself.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "protocols/sinks/lookup.h"

/* The owner's memory, zeroed. */
struct resolving {
    struct lookup_wait wait;
    CURL *handle;
    struct curl_slist *addresses; /* in the form that libcurl takes */
    bool is_wanted;               /* libcurl asked for a name, and was told no */
    bool is_answered;             /* what it wants now was not to be had */

    /* The owner's; it may begin again, or end. */
    void (*on_resolved)(struct resolving *resolving, bool is_found);
};

/* Once a handle. False: no memory. */
MUST_USE bool resolving_prepare(struct resolving *resolving, CURL *handle);

/* The transfer ended for want of a name, and one can be asked for. */
bool resolving_is_due(const struct resolving *resolving);

/* on_resolved follows, later. ERR_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum error_code resolving_begin(struct resolving *resolving, struct lookup *lookup,
                                         uint64_t timeout_ms);

/* The transfer is over, or is given up: on_resolved does not follow. The next one begins anew. */
void resolving_end(struct resolving *resolving);
