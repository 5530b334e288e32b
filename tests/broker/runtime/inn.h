/* SPDX-License-Identifier: Apache-2.0 */
/* inn.h — a worker with connections whose sockets, limits and protocol are the test's.
 *
 * Place:   tests of connection.h. The source is linked before the runtime, whose own sockets.c,
 *          throttle.c, tenure.c and walks stay out; with --wrap for memory.
 * Thread:  the test's.
 * Bounds:  GUESTS_MAX connections ever; SENT_MAX bytes of the first.
 */
#pragma once

#include "broker/config/config.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/worker_private.h"
#include "tests/unit.h"

#define GUESTS_MAX 100
#define NOW_MS 5000000
#define SENT_MAX 400000

/* Who a test connects: what its socket took, and what its protocol was called. */
struct guest {
    struct connection *connection;
    struct socket *socket;
    size_t room; /* bytes that the socket still takes … */
    size_t kept; /* … and of a record of TLS that it has not sent */
    bool is_broken;
    bool is_shut;
    bool is_wanted;
    size_t sent;
    size_t bytes_count;
    size_t writable_count;
    size_t deadline_count;
    size_t drain_count;
    size_t dismissed_count;
    size_t closed_count;
    enum close_reason reason; /* of the last of those two */
};

struct inn {
    struct broker broker;
    struct config config;
    struct budget budget;
    struct worker worker;
    struct guest guests[GUESTS_MAX];
    size_t guest_count;
    size_t entered_count;   /* and have not left: see throttle.h */
    uint8_t sent[SENT_MAX]; /* by guest 0 */
    size_t socket_count;    /* that are open */
    bool is_memory_short;
    bool is_socket_refused;
    bool is_guest_refused;
    enum error_code entering;
    bool must_go;
    size_t gone_count; /* told to each of the three walks */
    enum metrics_limit limit;
    size_t limit_count;
};

extern struct inn inn;

/* The protocol of a guest has words for a goodbye; this one has none. */
extern const struct protocol guest_wordless;

int inn_begin(void **state);
/* Whatever happened, all of it is over, once, and nothing is left. */
int inn_end(void **state);

/* ERR_…: nobody came, and the descriptor is closed. */
enum error_code inn_try(void);

/* Its socket takes nothing yet. */
struct guest *inn_come(void);

void inn_pass(uint64_t ms);

/* The socket takes so many bytes more, and says so. */
void guest_make_room(struct guest *guest, size_t room);

void guest_say(struct guest *guest, const char *text);

/* It ends in the end of this turn, for that reason, and not before; or it does not. */
void guest_expect_closed(const struct guest *guest, enum close_reason reason);
void guest_expect_open(const struct guest *guest);
