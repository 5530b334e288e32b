/* SPDX-License-Identifier: Apache-2.0 */
/* post.h — the requests of all webhooks under way, on libcurl and the loop.
 *
 * Place:   webhook.c hands over easy handles and gets them back with what became of them.
 * Thread:  the sinks thread's.
 * Bounds:  what webhooks have under way; POST_CONNECTIONS_KEPT_MAX connections of which some are
 *          idle; none is opened above POST_DESCRIPTORS_PERCENT of what the process may open.
 *
 * There is one for all webhooks of a loop, made by the first and gone with the last, because what
 * it takes (tables of sockets and hosts) is more than a sink whose endpoint is down may cost. No
 * limit of connections is common to all, so that one endpoint cannot use up what others need.
 *
 * A request whose name libcurl does not know by heart goes through libcurl twice: once until it
 * asks for the name, and once with the addresses (resolving.h).
 *
 * Whether an address may be connected to is asked of guard.h at each connect(2), and a connection
 * that is kept was allowed when it began: so all that are kept are closed when the configuration
 * was read again. What is under way then comes to its end.
 */
#pragma once

#include <curl/curl.h>

#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "protocols/sinks/guard.h"
#include "protocols/sinks/resolving.h"

struct broker;
struct loop;
struct office;
struct post;

/* One request: its owner's memory from post_send() to on_done or post_take_back(). */
struct posting {
    struct list in_office;
    struct office *office; /* the post's; NULL: not under way */
    CURL *handle;          /* the owner's */
    struct resolving resolving;
    uint64_t resolve_ms; /* the owner's: how long its name may take */

    /* Exactly once; the handle may be used again. */
    void (*on_done)(struct posting *posting, CURLcode result);

    /* The last address that was not allowed; GUARD_PUBLIC: none was met. */
    enum guard_kind refused_kind;
    char refused[INET6_ADDRSTRLEN];
    bool is_crowded; /* the process has too many descriptors open for one more of these */
};

/* That of the loop; to be given back. NULL: no memory. */
struct post *post_borrow(struct broker *broker, struct loop *loop);
void post_give_back(struct post *post);

/* Once a handle: where it may go, and whom it believes there: `ca` is a file of PEM, NULL the
 * system's. False: no memory. */
MUST_USE bool post_prepare(struct posting *posting, const char *ca);

/* ERR_MEMORY: on_done will not be called. */
MUST_USE enum error_code post_send(struct post *post, struct posting *posting);

/* Ends it without on_done. Harmless for one that is not under way. */
void post_take_back(struct posting *posting);
