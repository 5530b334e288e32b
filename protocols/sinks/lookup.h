/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.h — names of hosts to addresses, by at most LOOKUP_THREADS_MAX threads.
 *
 * Place:   of resolving.h, which answers libcurl with it.
 * Thread:  the sinks thread's; getaddrinfo(), which blocks, runs on threads that live as long as it
 *          does.
 * Bounds:  LOOKUP_THREADS_MAX threads; a name is asked for once, however many wait for it; who
 *          waits brings the memory, but for 8 bytes, and all have one timer of the loop's.
 *          LOOKUP_NAMES_MAX names are remembered as found.
 *
 * libcurl's own resolver (Debian builds it without c-ares) begins a thread a question, and leaves
 * it behind when the question is given up: a thousand endpoints whose name server hangs are a
 * thousand threads. Here they wait in a queue, and no longer than they said. Names that were found
 * before come first, and have LOOKUP_THREADS_KNOWN threads of their own: those that hang hold up
 * no other.
 */
#pragma once

#include "broker/limits.h"
#include "broker/support/error.h"
#include "broker/support/heap.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "protocols/sinks/loop.h"

#define LOOKUP_HOST_BYTES 256
#define LOOKUP_ADDRESSES_MAX 16
#define LOOKUP_ADDRESSES_BYTES (LOOKUP_ADDRESSES_MAX * 48)

struct lookup;
struct lookup_name;

/* Who waits: zeroed before the first use, but for on_found. */
struct lookup_wait {
    struct list in_name;
    struct lookup *lookup;
    struct lookup_name *name; /* NULL: it does not wait */
    struct heap_node in_lookup;

    /* Once; "192.0.2.1,[2001:db8::1]", or NULL: none, or not in time. Never before lookup_ask()
     * has returned. */
    void (*on_found)(struct lookup_wait *wait, const char *addresses);
};

/* That of the loop; to be given back, when nobody waits. NULL: no memory. */
struct lookup *lookup_borrow(struct loop *loop);
void lookup_give_back(struct lookup *lookup);

/* ERR_TOO_LARGE: no name is so long. ERR_MEMORY. on_found follows else. */
MUST_USE enum error_code lookup_ask(struct lookup *lookup, struct lookup_wait *wait,
                                    const char *host, uint64_t timeout_ms);

/* on_found does not follow. Harmless for one that does not wait. */
void lookup_take_back(struct lookup_wait *wait);
