/* SPDX-License-Identifier: Apache-2.0 */
/* survey.h — a question that the operator puts to all workers: who is connected, how far behind.
 *
 * Place:   asked by protocols/operator/; answered by the workers, which walk what they own.
 * Thread:  the calls and on_answered: the asker's, whose mailbox `reply_to` is. The walks: each
 *          worker's.
 * Bounds:  SURVEYS_MAX at a time; SURVEY_BYTES_MAX of rows each. A worker does SURVEY_STEPS_MAX of
 *          work a turn, about half a millisecond, and goes on in its next turn: a survey of 100,000
 *          connections delays no message by more than that.
 *
 *     survey_ask -> a letter to each worker -> slices -> the last one that is done -> on_answered
 *
 * Who has to read the log before there is something to ask takes the place of a survey before
 * that: else slow reads would have any number of them wait among the pages of readers, and the
 * workers would be asked one after the other.
 *
 * A walk sees each connection that is there from its beginning to its end once; one that comes or
 * goes meanwhile may be in the answer or not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/connection.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/message.h"
#include "storage/storage.h"

struct broker;
struct survey;

#define SURVEYS_MAX 8               /* at a time; further ones are told to come back */
#define SURVEY_STEPS_MAX 256        /* a turn: connections, readers, channels looked at */
#define SURVEY_ROWS_MAX 1000        /* of one answer */
#define SURVEY_BYTES_MAX 33554432   /* of the rows that the workers keep for one answer */
#define SURVEY_ROW_BYTES_MAX 262144 /* readers that do not fit are counted and left out */
#define SURVEY_PEER_BYTES 64        /* "[IPv6 address]:port" and a NUL */
#define SURVEY_TENANT_BYTES (TENANT_BYTES_MAX + 1)

enum survey_kind {
    SURVEY_CONNECTIONS, /* the first `limit` of them behind `after`, in an order */
    SURVEY_READERS,     /* how many readers each of `channels` has */
    SURVEY_DISMISS,     /* says goodbye to connection `id` */
};

enum survey_order {
    SURVEY_BY_LAG,   /* the reader that is furthest behind first; key: positions of the log */
    SURVEY_BY_AGE,   /* the oldest first; key: 0 */
    SURVEY_BY_BYTES, /* the one that was sent most first; key: bytes */
};

/* Where a connection stands in an order: greater keys first, then smaller ids. */
struct survey_rank {
    uint64_t key;
    uint64_t id;
};

struct survey_question {
    enum survey_kind kind;
    enum survey_order order;
    size_t limit; /* 1 to SURVEY_ROWS_MAX */
    bool has_after;
    struct survey_rank after;
    struct span channel; /* only its readers, and the connections that have one; empty: all */
    const struct span *channels;
    size_t channel_count;
    uint64_t id;     /* of SURVEY_CONNECTIONS: only this one; 0: all */
    bool has_place;  /* survey_reserve() took it, and who did gives it back */
    bool has_tenant; /* only those of this tenant; "": only those of none */
    char tenant[SURVEY_TENANT_BYTES];
};

/* One reader of a connection. */
struct survey_reader {
    uint64_t subscription; /* 0: the connection's only one */
    enum on_lag on_lag;
    struct place place;     /* position 0: its start is not resolved yet */
    bool is_live;           /* its lag is exact; else storage_measure() knows */
    uint64_t lag_positions; /* how far the log has gone on without it, whatever is in there */
    uint64_t lag_messages;  /* of a live reader */
    uint64_t lag_bytes;     /* likewise */
    uint64_t skipped;       /* left out by conflation, ever */
    size_t selector_count;  /* those that fit into the row */
    size_t selectors_left_out;
    struct storage_selector *selectors;
};

/* One connection; all of it in one allocation. */
struct survey_row {
    struct survey_rank rank;
    size_t size;
    char peer[SURVEY_PEER_BYTES];
    char identity[IDENTITY_LABEL_BYTES]; /* "token alice"; empty: it may be anybody */
    char tenant[SURVEY_TENANT_BYTES];
    struct connection_client client; /* its client id is in this allocation */
    const char *protocol;
    uint64_t opened_ms; /* wall clock */
    uint64_t bytes_sent;
    uint64_t bytes_unsent; /* kept here or in the kernel, and not acknowledged */
    bool is_blocked;
    size_t reader_count; /* those that fit into the row */
    size_t readers_left_out;
    struct survey_reader readers[];
};

/* What came back; lives until survey_destroy(). */
struct survey_answer {
    enum error_code result;   /* ERR_MEMORY, ERR_BUSY: a worker could not answer */
    struct survey_row **rows; /* in order */
    size_t row_count;
    bool has_more;          /* behind the last row */
    const uint64_t *counts; /* of SURVEY_READERS: one for each channel */
    bool was_found;         /* of SURVEY_DISMISS */
};

/* `left` stands before `right`. */
bool survey_rank_is_before(const struct survey_rank *left, const struct survey_rank *right);

/* Takes the place of a survey that is asked later. ERR_BUSY: SURVEYS_MAX are under way. */
MUST_USE enum error_code survey_reserve(struct broker *broker);

/* Gives it back. */
void survey_release(struct broker *broker);

/* Asks. The question is copied; on_answered follows through `reply_to`, exactly once. ERR_BUSY:
 * SURVEYS_MAX are under way; ERR_DRAINING; ERR_MEMORY: on_answered will not be called. */
typedef void survey_on_answered(void *context, struct survey *survey);
MUST_USE enum error_code survey_ask(struct broker *broker, const struct survey_question *question,
                                    struct mailbox *reply_to, survey_on_answered *on_answered,
                                    void *context);

/* From on_answered on. */
const struct survey_answer *survey_answer(const struct survey *survey);

/* Frees the answer. From on_answered on; accepts NULL. */
void survey_destroy(struct survey *survey);
