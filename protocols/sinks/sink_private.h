/* SPDX-License-Identifier: Apache-2.0 */
/* sink_private.h — the body of a sink, for the files that are its parts.
 *
 * Place:   sink.c (its course), reading.c, shipping.c, settling.c, storing.c, dead_letters.c,
 *          reviving.c (dead letters again), events.c, lag.c, errands.c (what the operator asks).
 * Thread:  the sinks thread's.
 * Bounds:  sink.h's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/runtime/reads.h"
#include "broker/support/list.h"
#include "broker/support/logger.h"
#include "protocols/sinks/backlog.h"
#include "protocols/sinks/breaker.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/ledger.h"
#include "protocols/sinks/loop.h"
#include "protocols/sinks/retries.h"
#include "protocols/sinks/sink.h"
#include "protocols/sinks/sinks_private.h"
#include "protocols/sinks/tempo.h"

enum driving { DRIVING_DOWN, DRIVING_STARTING, DRIVING_UP, DRIVING_STOPPING };

/* Whose a shipment is: of the course through the log, of dead letters, or the operator's. */
enum parcel_kind { PARCEL_COURSE, PARCEL_REVIVED, PARCEL_TEST };

/* A shipment and what the sink has to know of it. */
struct parcel {
    struct shipment shipment;
    struct list in_sink; /* waiting, shipped or dying */
    enum parcel_kind kind;
    bool is_batch; /* the ledger has it, so that it is sent again as it was */
    bool is_probe;
    bool is_early;               /* a probe, before the time of its message: no attempt */
    uint64_t store;              /* waiting: until that one is done */
    size_t index;                /* of dead letters: in their page */
    struct verdict *verdict;     /* dying: the last one; NULL: no memory */
    struct backlog_item **items; /* of the course: `count` … */
    struct message **messages;   /* … likewise */
};

/* What is known of the dead letters that are sent again: see reviving.c. */
struct revival;

struct sink {
    struct sinks *sinks;
    const struct sink_row *row;
    bool owns_row;
    bool is_started;
    bool is_paused_by_row;

    const struct driver *driver;
    void *driver_state; /* NULL: not open */
    struct terms terms;
    enum driving driving;
    uint32_t down_count; /* in a row */
    uint64_t restart_ms; /* monotonic: not before */
    uint64_t rest_ms;    /* monotonic: what is under way at a stop is given up then; 0: no stop */

    struct ledger ledger;
    struct retries retries;
    struct breaker breaker;
    struct tempo tempo;
    size_t room;             /* the breaker's, in this turn */
    struct backlog *backlog; /* NULL: nothing is read */
    size_t backlog_bytes;    /* as counted in sinks->bytes */

    /* Reading. */
    struct interest *interests;
    struct storage_selector *selectors; /* their texts */
    size_t selector_count;
    struct sink_page *page;  /* under way */
    struct list in_readers;  /* waits until it may ask for one */
    bool has_turn;           /* it waited, and may now */
    struct since start;      /* where has_floor is false, or is_beginning … */
    uint64_t course_next;    /* … and the course that it is of */
    struct place read_place; /* all up to there is in the backlog or was */
    uint64_t news_position;  /* the newest message that it gets; 0: not known */
    uint64_t gap_position;   /* gaps up to there were told */
    uint64_t read_after_ms;  /* monotonic */
    uint64_t rest_until_ms;  /* wall clock: nothing is read, and nothing is in memory; 0: no rest */
    bool is_at_head;
    bool is_proven;    /* the endpoint took the last that it was sent */
    uint64_t taken_us; /* when the youngest was shipped that it took; monotonic; 0: none yet */
    bool is_starved;   /* more could go, and nothing that is there may */
    bool is_rereading; /* the backlog was cleared: when nothing is under way it is read anew */
    bool is_turning;   /* a replay: the floor is set anew when nothing is under way */
    bool is_beginning; /* the next page says where the floor is to be */

    /* Shipping. */
    struct list waiting; /* parcels, until the ledger that names them is stored */
    struct list shipped; /* parcels that the driver has */
    struct list dying;   /* parcels that become dead letters */
    size_t under_way;    /* waiting and shipped, but for a test */
    struct revival *revival;
    struct parcel *test;
    struct sinks_question *test_question;

    /* Storing. */
    bool is_dirty;
    bool is_storing;
    bool is_ledger_wanted;
    uint64_t stores; /* begun */
    uint64_t stored_ms;
    uint64_t store_after_ms;
    uint64_t floor_stored;
    struct message **letters; /* that go with the next store */
    size_t letter_count;
    struct list askers; /* questions that a store answers: `store` is its number */
    struct sinks_question *turn_question;

    /* Its life. */
    struct loop_timer timer;
    struct loop_chore chore;
    uint64_t due_ms;    /* of sink_go_on(): when to come again */
    size_t letters_out; /* letters of others: reads, publishes */
    void (*on_ended)(struct sink *sink);

    /* What others see. */
    enum sink_state state_told;
    char detail[SINK_DETAIL_BYTES];
    unsigned status_last;
    uint64_t messages;
    uint64_t bytes;
    uint64_t rate;          /* messages a second, between the last two looks … */
    uint64_t rate_ms;       /* … of which the last one was then … */
    uint64_t rate_messages; /* … with so many */
    uint64_t attempts[OUTCOME_COUNT];
    uint64_t dead;
    uint64_t gaps;
    uint64_t latency_us[SINK_LATENCY_BUCKETS + 1];
    uint64_t latency_us_sum;
    uint64_t next_attempt_ms; /* wall clock */
    uint64_t lag_messages;
    uint64_t lag_oldest_ms; /* wall clock: of the oldest that is not done; 0: none */
    bool is_lag_exact;
    bool is_measuring;
    size_t events_out;
};

/* --- sink.c ---------------------------------------------------------------------------------- */

/* In this turn of the loop. */
void sink_wake(struct sink *sink);

/* Within sink_go_on(): come again at that time (monotonic). */
void sink_expect(struct sink *sink, uint64_t due_ms);
void sink_expect_wall(struct sink *sink, uint64_t wall_ms); /* the same by the other clock */

/* It is neither paused, disabled nor ending. */
bool sink_runs(const struct sink *sink);

/* It may take messages of its course: it runs, the driver is up, nothing else comes first. */
bool sink_is_on_course(const struct sink *sink);
enum sink_state sink_find_state(const struct sink *sink);

/* Lets go of what is in memory: it is read anew from the floor, when all that is under way has
 * settled. The other one takes back what waits for a store, too. */
void sink_read_anew(struct sink *sink);
void sink_clear(struct sink *sink);
void sink_disable(struct sink *sink, const char *reason);
void sink_on_gone(struct sink *sink, const struct verdict *verdict); /* says the endpoint */
void sink_set_detail(struct sink *sink, const struct verdict *verdict);

/* An attempt has just failed, and the detail says why: the sink is disabled if that has lasted. */
void sink_note_failing(struct sink *sink);

/* Keeps count of what all backlogs hold. */
void sink_count_backlog(struct sink *sink);

/* --- reading.c ------------------------------------------------------------------------------- */

void reading_go_on(struct sink *sink);
void reading_mind_rest(struct sink *sink);

/* True: the message is in the backlog, and the sink stands at the head as before. */
bool reading_put_live(struct sink *sink, struct message *message);

/* --- shipping.c ------------------------------------------------------------------------------ */

void shipping_go_on(struct sink *sink);

/* `count` messages, room for as many items. NULL: out of memory. */
struct parcel *parcel_create(struct sink *sink, enum parcel_kind kind, size_t count);
void parcel_destroy(struct parcel *parcel);

/* The id of one message, which is the same for all attempts. */
void parcel_name(struct parcel *parcel);

/* To the driver. It may have settled when this returns. */
void parcel_ship(struct parcel *parcel);

/* May one more begin, of those that may begin in this turn? */
bool shipping_has_room(struct sink *sink, size_t begun);

/* Those whose ledger is stored now. */
void shipping_on_stored(struct sink *sink, uint64_t store);

/* Those that wait go back into the backlog. */
void shipping_give_up_waiting(struct sink *sink);

/* --- settling.c ------------------------------------------------------------------------------ */

/* Back to the backlog, with nothing said of it. */
void settling_put_back(struct parcel *parcel);

/* All messages of a dying parcel are done: it is freed. */
void settling_bury(struct parcel *parcel);

/* The floor goes up to what is done. */
void settling_advance(struct sink *sink);

/* --- storing.c ------------------------------------------------------------------------------- */

void storing_go_on(struct sink *sink);

/* A store that begins from now on answers it. */
void storing_ask(struct sink *sink, struct sinks_question *question);
bool storing_is_quiet(const struct sink *sink); /* nothing is to be stored */

/* --- dead_letters.c -------------------------------------------------------------------------- */

/* Appends the channel "$dlq/NAME". */
#define DEAD_LETTERS_CHANNEL_BYTES (5 + SINK_NAME_BYTES_MAX + 1)
struct span dead_letters_channel(const struct sink *sink, char text[DEAD_LETTERS_CHANNEL_BYTES]);

/* The letter of a message. NULL: out of memory. */
struct message *dead_letters_create(const struct sink *sink, const struct message *message,
                                    uint32_t attempts, const struct verdict *verdict);

/* The message that a letter is of, with its place. NULL: it is none. ERR_MEMORY. */
MUST_USE enum error_code dead_letters_open(const struct message *letter,
                                           struct message **ret_message);

/* --- reviving.c ------------------------------------------------------------------------------ */

void reviving_begin(struct sink *sink, struct sinks_question *question);
void reviving_go_on(struct sink *sink);
void reviving_on_settled(struct parcel *parcel, const struct verdict *verdict);
void reviving_on_stored(struct sink *sink, bool is_stored);
bool reviving_is_waiting(const struct sink *sink); /* for a store */
void reviving_end(struct sink *sink);              /* with nothing of it under way */

/* --- events.c -------------------------------------------------------------------------------- */

void events_note_state(struct sink *sink);
void events_tell_dead_letter(struct sink *sink, const struct message *message, uint32_t attempts,
                             const struct verdict *verdict);
void events_tell_gap(struct sink *sink, const struct storage_gap *gap);

/* --- errands.c ------------------------------------------------------------------------------- */

void errands_on_test_settled(struct sink *sink, const struct verdict *verdict);
void errands_go_on(struct sink *sink);
