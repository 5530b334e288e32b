/* SPDX-License-Identifier: Apache-2.0 */
/* crowd.h — workers with connections and readers, as a survey sees them, and who asks.
 *
 * Place:   tests of survey.h. The source is linked before the runtime, whose own connection.c and
 *          stream.c stay out; with --wrap for memory.
 * Thread:  the test's, which plays all of them.
 * Bounds:  CROWD_MAX connections a worker, each with STREAMS_MAX streams.
 */
#pragma once

#include "broker/runtime/stream.h"
#include "broker/runtime/survey.h"
#include "broker/runtime/worker_private.h"
#include "tests/unit.h"

#define WORKERS 2
#define CROWD_MAX 600
#define STREAMS_MAX 2
#define HEAD 1000000

struct stream {
    const struct storage_selector *selectors;
    size_t selector_count;
    struct storage_selector own; /* of one that reads a channel */
    uint64_t subscription;
    uint64_t behind;
    bool is_live;
};

struct connection {
    struct worker *worker;
    uint64_t id;
    const struct identity *identity; /* NULL: nobody has said who it is */
    struct span client_id;
    uint64_t bytes_sent;
    bool is_closing;
    bool is_gone;
    enum close_reason dismissed; /* CLOSE_NORMAL: it was not */
    struct stream streams[STREAMS_MAX];
    size_t stream_count;
};

struct crowd {
    struct broker broker;
    struct worker workers[WORKERS];
    struct worker *pointers[WORKERS];
    struct connection connections[WORKERS][CROWD_MAX];
    struct mailbox mailbox;    /* the asker's */
    size_t allocation_failing; /* so many find memory before it */
    size_t answered_count;     /* ever … */
    struct survey *survey;     /* … and the newest; the test destroys it */
};

extern struct crowd crowd;

int crowd_begin(void **state);
int crowd_end(void **state);

/* One more, with no reader. */
struct connection *crowd_come(size_t worker);

/* One that ends, as connection.c does it. */
void crowd_go(struct connection *connection);

/* One more reader of it. Selectors are borrowed. */
struct stream *connection_read(struct connection *connection,
                               const struct storage_selector *selectors, size_t selector_count,
                               uint64_t behind);

/* The same of one channel. */
struct stream *connection_read_channel(struct connection *connection, const char *channel,
                                       uint64_t behind);

/* Asks; the answer comes with crowd_turn_all(). */
enum error_code crowd_begin_asking(const struct survey_question *question);

/* One turn of a worker; turns of all until nothing is left to do, and the answer is heard. */
void crowd_turn(size_t worker);
void crowd_turn_all(void);

/* Asks and waits. The answer lives until it is asked again. */
const struct survey_answer *crowd_ask(const struct survey_question *question);

/* What feeds_count_readers() finds there: the sum of the channel's bytes and the worker's index. */
size_t crowd_count_readers(size_t worker, struct span channel);
