/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h — all that a sink remembers: its place, what is done beyond it, what failed and when it
 * is due again. ledger_record.h has its bytes, from which a restart goes on.
 *
 * Place:   of sink.c; backlog.h asks it what is known of a message that is read (again).
 * Thread:  pure.
 * Bounds:  a stratum and LEDGER_PAST_MAX older ones, LEDGER_FAILURES_MAX failures,
 *          LEDGER_BATCHES_MAX batches of LEDGER_BATCHED_MAX messages together. An empty one is the
 *          struct and the texts of its view.
 *
 * Everything the sink gets up to `floor` is done. Beyond it: strata, which say what is done
 * (stratum.h); failures, of one message each; and the batches that were sent and of which nothing
 * is known, so that they are sent again as they were, with the same id. Times are of the wall
 * clock, milliseconds.
 *
 * A sink whose channels, mode or order are changed keeps its floor, and what is done beyond it: the
 * stratum that grew until then is of the past, and says what it says of the channels that it was
 * made for, until the floor has passed it. So a channel that is newly named is sent from the floor
 * on, without a hole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "protocols/sinks/stratum.h"

#define LEDGER_PAST_MAX 8          /* strata of the past; then the oldest is forgotten … */
#define LEDGER_PAST_HOLDS_MAX 2048 /* … and so it is for the holds of all of them … */
#define LEDGER_PAST_TEXTS_BYTES_MAX 131072 /* … and their texts */
#define LEDGER_FAILURES_MAX 1024           /* of one window, and some */
#define LEDGER_BATCHES_MAX 256             /* `concurrency`, at most */
#define LEDGER_BATCH_MESSAGES_MAX 1000
#define LEDGER_BATCHED_MAX 4096 /* messages of all batches */
#define LEDGER_REASON_BYTES SINK_DETAIL_BYTES

/* One message that was not taken. */
struct ledger_failure {
    uint64_t position;
    uint32_t attempts;
    uint64_t due_ms;
};

/* Messages that were sent together. */
struct ledger_batch {
    size_t count;
    uint64_t *positions; /* ascending */
};

enum ledger_breaker { LEDGER_CLOSED, LEDGER_OPEN, LEDGER_HALF_OPEN };
enum ledger_halt { LEDGER_RUNS, LEDGER_PAUSED, LEDGER_DISABLED };

/* The rest of what it knows is plain; whoever has it reads and writes it. */
struct ledger {
    struct place floor;
    bool has_floor; /* false: the sink is new, and `start` of its row counts */
    enum ledger_halt halt;
    char reason[LEDGER_REASON_BYTES]; /* of a sink that is disabled */
    enum ledger_breaker breaker;      /* half open is stored as open */
    uint32_t breaker_trips;           /* in a row */
    uint64_t breaker_until_ms;
    uint64_t failing_since_ms; /* 0: it took something since it last failed */
    uint64_t delivered_count;  /* messages, ever */
    uint64_t dead_count;       /* dead letters, ever */
    uint64_t dead_offset;      /* of $dlq/<sink>: replayed up to here */
    uint64_t course;           /* through the log: each replay begins another */

    /* Changed by the calls below alone. */
    struct stratum now;   /* what it speaks of is all above floor.position; so is what … */
    struct stratum *past; /* … of how the sink read before says, oldest first; none is empty */
    size_t past_count;
    struct ledger_failure *failures; /* by position, all above floor.position */
    size_t failure_count;
    struct ledger_batch *batches; /* by first position; no position is of two */
    size_t batch_count;
    size_t batched_count; /* messages of all batches */
    size_t failure_capacity, batch_capacity;
};

/* A new sink's. */
void ledger_init(struct ledger *ledger);
void ledger_finish(struct ledger *ledger);

/* What is known of a message that the sink gets. Failures do not hide what is done. */
enum ledger_mark { LEDGER_UNKNOWN, LEDGER_DONE, LEDGER_FAILED };
enum ledger_mark ledger_find(const struct ledger *ledger, const struct message *message,
                             struct ledger_failure *ret_failure);

/* Is there room for all that a window may do beyond the floor, once the message at `position` is of
 * it? Always for one that does not lie behind all that is done: it may join that. */
bool ledger_has_room(const struct ledger *ledger, uint64_t position);

/* The batch that the position is of; NULL: none. Valid until batches change. */
const struct ledger_batch *ledger_find_batch(const struct ledger *ledger, uint64_t position);

/* Behind all others of the past: of a record. Takes what `stratum` has, if it is OK. ERR_FULL,
 * ERR_MEMORY. */
MUST_USE enum error_code ledger_put_past(struct ledger *ledger, const struct stratum *stratum);

/* The sink reads like this from now on. What is done beyond the floor is of the past if it was made
 * in another way, which `ret_is_changed` says. ERR_MEMORY, ERR_TOO_LARGE: nothing was changed. */
MUST_USE enum error_code ledger_take_view(struct ledger *ledger, const struct stratum_view *view,
                                          bool *ret_is_changed);

/* The message at `position` is done; `previous`: of the message that the sink gets before it (0:
 * not known), with which its range is joined if that is done too. Takes its failure away. Nothing
 * to do at or below the floor. ERR_FULL: so much is done beyond the floor that no more is
 * remembered: it may be sent once more behind a restart (but see ledger_has_room()). ERR_MEMORY. */
MUST_USE enum error_code ledger_put_done(struct ledger *ledger, uint64_t position,
                                         uint64_t previous);

/* Instead of what was known of that position. Nothing to do at or below the floor. ERR_FULL,
 * ERR_MEMORY: nothing was put. */
MUST_USE enum error_code ledger_put_failure(struct ledger *ledger,
                                            const struct ledger_failure *failure);

/* Takes away batches that share a message with it. `count` is 1 to LEDGER_BATCH_MESSAGES_MAX, the
 * positions ascend. ERR_FULL, ERR_MEMORY: nothing was put. */
MUST_USE enum error_code ledger_put_batch(struct ledger *ledger, const uint64_t *positions,
                                          size_t count);
void ledger_remove_batch(struct ledger *ledger, uint64_t position_first);

/* Everything up to there is done: what lies below goes. Never back. */
void ledger_move_floor(struct ledger *ledger, const struct place *floor);

/* Goes back, or ahead: forgets ranges, failures and batches. */
void ledger_rewind(struct ledger *ledger, const struct place *floor);

/* All attempts count anew; what is done stays. */
void ledger_forgive(struct ledger *ledger);

/* Beside the struct. */
size_t ledger_memory_bytes(const struct ledger *ledger);
