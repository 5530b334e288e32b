/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h — a log in a directory of its own, driven as the threads of the broker would.
 *
 * Place:   linked into each test of storage/ that needs a whole log.
 * Thread:  the test's.
 * Bounds:  FIXTURE_CHANNELS_MAX channels; ids are given out as the log thread would.
 */
#pragma once

#include "storage/storage.h"
#include "tests/scratch.h"
#include "tests/unit.h"

#define FIXTURE_CHANNELS_MAX 1100
#define FIXTURE_TEXT_BYTES 512 /* of a page in words */

struct fixture_channel {
    char name[64];
    uint64_t id;
    uint64_t offset_last;
};

struct fixture {
    char directory[SCRATCH_PATH_BYTES];
    struct storage_options options;
    struct retention retention; /* of every channel but those named "keep/…", which keep all */
    struct storage *storage;
    uint32_t generation;
    uint64_t log_id;
    uint64_t position_next;
    uint64_t channel_id_next;
    uint64_t time_ms; /* of the next message */
    size_t channel_count;
    struct fixture_channel channels[FIXTURE_CHANNELS_MAX];
};

/* An empty log that keeps everything. */
void fixture_init(struct fixture *fixture);

/* Closes the log and removes the directory. */
void fixture_finish(struct fixture *fixture);

/* Opens the directory and goes on from what it says. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* Leaves the directory as a killed process would, and goes on in a copy of it; not yet open. */
void fixture_kill(struct fixture *fixture);

/* A message with the next offset of its channel; the caller holds the reference. */
struct message *fixture_make(struct fixture *fixture, const char *channel, struct span payload);

/* Appends and admits one message; returns its place. */
struct place fixture_publish_bytes(struct fixture *fixture, const char *channel,
                                   struct span payload);
struct place fixture_publish(struct fixture *fixture, const char *channel, const char *payload);

/* `count` messages "channel:offset". */
void fixture_publish_many(struct fixture *fixture, const char *channel, size_t count);

/* Deletes offsets of a channel that has had a message; returns the place of the record. */
struct place fixture_delete(struct fixture *fixture, const char *channel, uint64_t from,
                            uint64_t to);

/* Puts all of `fields` but the channel's name in order, in the channel; appended and admitted. */
struct place fixture_publish_fields(struct fixture *fixture, const char *channel,
                                    struct message_fields fields);

/* Nothing but time. */
void fixture_tick(struct fixture *fixture);

void fixture_fold(struct fixture *fixture);

/* Retention, step by step, until nothing more is due. */
void fixture_retain(struct fixture *fixture);

/* Reads a page; finished by the caller. */
struct storage_page fixture_read(struct fixture *fixture, const struct storage_query *query);

/* The whole channel from the earliest, page by page, each payload as fixture_publish_many() writes
 * it; returns how many messages there were. */
size_t fixture_check_all(struct fixture *fixture, const char *channel, uint32_t limit);

/* "expired 3-7 then 8,9,10 end 10 head": a page in words. */
const char *fixture_describe(const struct storage_page *page, char *text);

/* Reads and describes; the text lives until the next call. */
void fixture_expect(struct fixture *fixture, struct storage_query query, const char *expected);

/* Runs a shell command with the directory's name in place of %s. */
void fixture_shell(const char *format, const char *directory);
