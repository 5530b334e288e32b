/* SPDX-License-Identifier: Apache-2.0 */
/* world.h — the log thread, the sync thread, the store thread and a real data directory.
 *
 * Place:   tests of the log; linked with --wrap for what `faults` can do to storage.
 * Thread:  the test's own.
 * Bounds:  ASKED_MAX messages a publish.
 */
#pragma once

#include <semaphore.h>
#include <stdatomic.h>

#include "broker/runtime/log.h"
#include "broker/runtime/store.h"
#include "storage/storage.h"
#include "tests/scratch.h"
#include "tests/unit.h"

#define CHANNELS 3

/* A disk that fails, is slow, or holds more when it is told to; a post that is slow; and clocks. */
struct faults {
    atomic_int appends_to_fail;
    atomic_bool are_channels_full; /* no message of data is ordered */
    atomic_bool is_sync_held;      /* each sync waits for a post of the gate */
    sem_t sync_gate;
    atomic_bool is_sync_instant; /* no sync asks the disk */
    atomic_bool is_sync_failing;
    atomic_int syncs_by_log;       /* by the thread that appends */
    struct storage_repeat stored;  /* what it has besides; of no messages: nothing */
    unsigned put_delay_ms;         /* of letters that the test's thread sends */
    atomic_uint_fast64_t ahead_ms; /* of both clocks, which stand still but for this */
};
extern struct faults faults;

/* A log on a directory of its own, and one listener that keeps every commit. */
struct world {
    char directory[SCRATCH_PATH_BYTES];
    struct storage *storage;
    struct metrics *metrics;
    struct store *store;
    struct log *log;
    struct log_listener listener;
    struct log_listener *listeners[1];
    struct mailbox mailbox; /* the listener's; nothing is ever put there */
    struct mailbox answers; /* of all that world_ask() asked */
    uint64_t position;
    uint64_t offsets[CHANNELS + 1]; /* the last that the listener saw */
    size_t sessions_max;
    size_t sessions_bytes_max;
    atomic_size_t over_count; /* sessions that were told to be over */
    atomic_bool is_over_busy;
    uint32_t group_rest; /* of the message before */
    bool is_ordered;
};

/* With a directory of its own; what is submitted before world_start() is taken in one turn. */
void world_make_waiting(struct world *world);
void world_make(struct world *world);

void world_start(struct world *world);
void world_close(struct world *world);

/* Opens the directory of a closed world again. */
void world_open(struct world *world);

/* Closes it and removes the directory. */
void world_remove(struct world *world);

/* Removes the directory alone, of a world whose process is gone. */
void world_wipe(const struct world *world);

/* Until `appends_to_fail` have failed; time goes on meanwhile. */
void world_await_failures(struct world *world);

/* Messages that are kept in a channel, each with the offset that it must have. */
uint64_t world_count_stored(struct world *world, const char *channel);

/* A publish of several messages. */
#define ASKED_MAX 4

struct asked {
    struct publish publish;
    struct message *messages[ASKED_MAX];
    bool is_answered;
};

/* Submits a message for each letter of `channels`; D is a delete of channel a, S puts the
 * body behind the state of the session `me`. Key may be NULL. */
void world_ask(struct world *world, struct asked *asked, const char *channels, const char *key,
               const char *body, uint32_t flags);

/* Submits as many as there are to channel a. */
void world_ask_many(struct world *world, struct asked *asked, struct message **messages,
                    size_t count);

/* Waits for the answer. */
enum error_code asked_await(struct asked *asked);
void asked_finish(struct asked *asked);
