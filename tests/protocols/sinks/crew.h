/* SPDX-License-Identifier: Apache-2.0 */
/* crew.h — the thread of the sinks without a thread, and sinks that do nothing.
 *
 * Place:   tests of sinks.h. The source is linked before the library, whose own sink.c stays out;
 *          with --wrap for what is stored, and for the log.
 * Thread:  the test's.
 * Bounds:  SINKS_MADE_MAX sinks, CONFIGS_MAX configurations.
 */
#pragma once

#include "broker/metrics/metrics.h"
#include "protocols/sinks/declaration.h"
#include "protocols/sinks/sink.h"
#include "protocols/sinks/sinks_private.h"
#include "storage/storage.h"
#include "tests/unit.h"

#define HEAD 100
#define SINKS_MADE_MAX 16
#define CONFIGS_MAX 8
#define RECORD_BYTES_MAX 32
#define SINK(name, more) "- {name: " name ", channels: [" more "], webhook: {url: \"https://a\"}}\n"

/* A sink as the thread sees it: it reads the first of its channels. */
struct sink {
    struct sinks *sinks;
    struct sink_row *owned; /* NULL: the row is the file's */
    const struct sink_row *row;
    struct interest interest;
    char record[RECORD_BYTES_MAX]; /* what it was made of */
    void (*on_ended)(struct sink *sink);
    bool is_started;
    bool is_ledger_wanted;
    size_t message_count;
    size_t delete_count;
    size_t missed_count;
    bool is_gone;
};

struct crew {
    struct broker broker;
    struct config *configs[CONFIGS_MAX];
    size_t config_count;
    struct sink made[SINKS_MADE_MAX];
    size_t made_count;
    enum error_code making;
    struct publish *publish;    /* that the log was asked; NULL: none … */
    enum error_code submitting; /* … or why it takes none */
    uint64_t readable;
    uint64_t position;       /* of the next message of a test */
    const char *stored_name; /* NULL: nothing is stored … */
    const char *stored_row;
    const char *stored_ledger;
};

extern struct crew crew;

int crew_begin(void **state);
int crew_begin_empty(void **state); /* with crew_create(), of nothing that is stored */
int crew_end(void **state);

/* Learns what is stored. */
void crew_create(void);

/* A reload: the rows of the file are those now. Texts of SINK(). */
void crew_follow(const char *rows);

/* A commit of a message for each letter of `channels`, a delete for each capital one; it comes. */
void crew_commit(const char *channels);

/* It ends, as it was told to. */
void crew_finish(struct sink *sink);
