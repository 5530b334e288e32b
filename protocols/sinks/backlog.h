/* SPDX-License-Identifier: Apache-2.0 */
/* backlog.h — the messages of one sink between the log and what takes them: which may go now, and
 * what is done without a hole.
 *
 * Place:   of sink.c, which fills it from pages, takes shipments from it, and settles them.
 * Thread:  pure; no clock. Times are of the wall clock, as those of ledger.h.
 * Bounds:  `messages_max` and `bytes_max` (one larger message passes alone) of what is not done;
 *          about 250 bytes a message beside the message itself, of which it holds a reference. What
 *          is done takes nothing. An empty one is the struct alone.
 *
 * Messages stand in order of position, each in a **lane**: what must stay in order among itself (a
 * channel, a key of a channel, all; or in parallel mode the message alone). A lane whose first
 * message is under way or waits for its time holds back those behind it, unless the driver
 * pipelines. A shipment takes what is free in order of position, at most one part of each lane: a
 * lane's messages leave together and in order, or not. A message costs the same however many wait
 * (but for a step of a heap).
 *
 * Messages that left together and came back are **bound**: they leave together again, those and no
 * others, so that what the endpoint may have got already is sent as it was; so is one that left
 * alone where others could have left with it. So are those that the ledger has as a batch, also
 * behind a restart, unless one of them is no longer in the log, or they are more than may leave
 * together now. In a pipeline the order of the log comes first, and nothing is bound.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/heap.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "protocols/sinks/ledger.h"

/* Lanes may wait for their time, with two messages of each in memory, and the others go on, however
 * much comes; with more of them nothing is read until one of those is done. */
#define BACKLOG_LANES_WAITING_MAX 400

struct backlog;
struct backlog_bond;
struct backlog_lane;

struct backlog_options {
    enum sink_mode mode;
    enum sink_order order;
    bool is_pipelined;
    size_t messages_max;
    size_t bytes_max; /* of message_size() */
};

/* One message that is not done; the backlog's, to be read by whoever took it. */
struct backlog_item {
    struct message *message;
    uint32_t attempts; /* that failed */
    uint64_t due_ms;   /* not before; 0: at once */
    /* What follows is backlog.c's. */
    struct heap_node in_heap; /* of those that are free, or of those that wait for their time */
    struct list in_order;
    struct list in_lane;
    struct list in_bond;
    struct backlog_lane *lane; /* NULL: a lane of its own */
    struct backlog_bond *bond; /* NULL: it leaves with any */
    struct place passed;       /* behind it all is done up to there; position 0: nothing yet */
    uint64_t last;             /* of the last message behind it that has no item; 0: none */
    bool is_free;              /* in the heap of those, not of those that wait */
    bool is_under_way;
    bool is_detached; /* cleared while it was under way */
    bool is_cut;      /* it, and what stands behind it in its lane, is to be read again */
};

/* ERR_MEMORY. */
MUST_USE enum error_code backlog_create(const struct backlog_options *options,
                                        struct backlog **ret_backlog);
void backlog_destroy(struct backlog *backlog); /* nothing is under way. Accepts NULL */

/* From now on; what is there stays. */
void backlog_set_messages_max(struct backlog *backlog, size_t messages_max);

/* There is room for one more. Never while something that backlog_clear() left is under way. From
 * half of its bounds on a backlog lets go of most of what stands behind messages that wait for
 * long, so that other lanes go on, whatever comes for those: BACKLOG_LANES_WAITING_MAX of them. */
bool backlog_has_room(const struct backlog *backlog);

/* The turn of something that was let go of has come: backlog_clear(), and read again. */
bool backlog_wants_again(const struct backlog *backlog);

size_t backlog_count(const struct backlog *backlog); /* not done, with those under way */
size_t backlog_under_way(const struct backlog *backlog);
size_t backlog_waiting(const struct backlog *backlog); /* what begins with one that waits: lanes */
size_t backlog_memory_bytes(const struct backlog *backlog); /* about, with the messages */

/* The oldest that is not done: its place and time say how far the sink is behind. NULL: none. */
const struct message *backlog_first(const struct backlog *backlog);

/* Behind all others: positions ascend. Takes a reference of its own. `failure`: what the ledger
 * knows of it, or NULL; `batch`: the ledger's batch that it is of, or NULL. backlog_has_room() is
 * asked before, but for a page that was read already. ERR_MEMORY: nothing was put. */
MUST_USE enum error_code backlog_put(struct backlog *backlog, struct message *message,
                                     const struct ledger_failure *failure,
                                     const struct ledger_batch *batch);

/* One that is done already, as the ledger says: the floor will pass it. */
void backlog_put_done(struct backlog *backlog, const struct place *place);

/* Up to there nothing more will be put: the end of a page, a gap, the ledger's floor before the
 * first page. Harmless if it does not lie behind all others. */
void backlog_pass(struct backlog *backlog, const struct place *place);

/* Fills `items` (room for `messages_max`) with what goes together now, marked as under way; 0:
 * nothing may. `ret_is_again`: they left together before, so `bytes_max` does not count. What waits
 * for more (`age_ms_max` is not over since the message was published or first waited, and neither
 * limit is reached) is left. `ret_due_ms`, where nothing may: when to ask again if nothing else
 * happens; UINT64_MAX: never. */
size_t backlog_take(struct backlog *backlog, uint64_t now_ms, size_t messages_max, size_t bytes_max,
                    uint64_t age_ms_max, struct backlog_item **items, bool *ret_is_again,
                    uint64_t *ret_due_ms);

/* One that was under way is done, and gone: its memory is the backlog's again. `ret_previous`: as
 * ledger_put_done() wants it. */
void backlog_settle(struct backlog *backlog, struct backlog_item *item, uint64_t *ret_previous);

/* One that was under way waits until `due_ms`, with `attempts` that failed. Of those that left
 * together all come back (or are settled) before the next backlog_take(). */
void backlog_put_back(struct backlog *backlog, struct backlog_item *item, uint32_t attempts,
                      uint64_t due_ms);

/* Those that left together leave with any from now on: their batch is not sent again as it was. */
void backlog_unbind(struct backlog *backlog, struct backlog_item *item);

/* Those that left together, and are under way, leave alone from now on, each for itself. */
void backlog_set_apart(struct backlog *backlog, struct backlog_item *const *items, size_t count);

/* How far all is done, where that is further than the last call said. */
bool backlog_advance(struct backlog *backlog, struct place *ret_floor);

/* Of which lanes something is not done, and from where on: of all that was put up to `ret_reach`
 * everything else is. 0: nothing is known so, as there are no lanes, or nothing was put since it
 * was cleared. `ret_holds` is of malloc(). ERR_MEMORY. */
MUST_USE enum error_code backlog_list_holds(const struct backlog *backlog,
                                            struct stratum_hold **ret_holds, size_t *ret_count,
                                            uint64_t *ret_reach);

/* Lets go of all: it is read again from the ledger's floor, when all that is under way has settled
 * (backlog_has_room() says so). What was read before and is put now would be lost or sent twice:
 * pages that were asked for before are dropped. The floor does not move until then. */
void backlog_clear(struct backlog *backlog);
