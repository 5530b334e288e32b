/* SPDX-License-Identifier: Apache-2.0 */
/* filters.h — the topic filters of a session, each with its options, and what they choose.
 *
 * Place:   a part of a session (session.h); changed by subscribe.c, asked for messages by own.c.
 * Thread:  its session's; pure but for memory.
 * Bounds:  SELECTORS_MAX filters; of each its text twice (as it was sent, and as a pattern).
 *
 * MQTT's `+` is a pattern's `*`, and `#` is `**`. No filter has a `*` of its own: it could not be
 * told from a wildcard, and no channel has one in its name. The text is the client's; the pattern
 * is that of its tenant (scope.h), but for `$SYS` and `$gap`, which are nobody's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

enum filter_kind {
    FILTER_LOG = 1,    /* channels of the log: the session's own stream */
    FILTER_SHARED = 2, /* `$share/…`: a group hands out the messages */
    FILTER_SYS = 3,    /* `$SYS/…`: made up by the worker */
    FILTER_GAP = 4,    /* `$gap/…`: told without being asked, so it chooses nothing */
};

/* What a subscription was made with. */
struct filter_options {
    uint64_t start;      /* messages behind this position are for it */
    uint32_t identifier; /* 0: none */
    uint8_t kind;        /* enum filter_kind */
    uint8_t qos;         /* as granted */
    uint8_t on_lag;      /* enum on_lag; ON_LAG_AUTO: it did not say */
    bool is_no_local;
    bool is_retained_as_published;
    bool asks_offset;           /* each message is to carry its offset and id */
    uint64_t retained_boundary; /* retained messages up to this position are due; 0: none are … */
    uint64_t retained_after;    /* … on channels behind this one */
};

struct filter {
    struct filter_options options;
    uint16_t text_length;
    uint16_t pattern_start; /* 0: the text is the pattern */
    uint16_t pattern_length;
    uint8_t bytes[]; /* the text, then the pattern if it is another */
};

/* Zeroed, there are none. */
struct filters {
    union {
        struct filter *one;   /* most clients have one … */
        struct filter **list; /* … and where capacity is above 1, an array */
    };
    uint32_t count;
    uint32_t capacity;
};

/* `count`, in the order in which they were put. */
static inline struct filter *const *filters_list(const struct filters *filters) {
    return filters->capacity > 1 ? filters->list : &filters->one;
}

void filters_finish(struct filters *filters);

static inline struct span filter_text(const struct filter *filter) {
    return span_of(filter->bytes, filter->text_length);
}

/* The channel or pattern that it stands for, as it is called inside; of `$share/…` without the
 * share. */
static inline struct span filter_pattern(const struct filter *filter) {
    return span_of(filter->bytes + filter->pattern_start, filter->pattern_length);
}

/* A filter whose syntax is checked, of a client of that tenant (empty: of none). ERR_BAD_CHANNEL:
 * it stands for nothing here. ERR_MEMORY. */
MUST_USE enum error_code filter_create(struct span text, struct span tenant,
                                       const struct filter_options *options,
                                       struct filter **ret_filter, struct error *why);

/* NULL: there is none of that text. */
struct filter *filters_find(const struct filters *filters, struct span text);

/* Takes the filter, in the place of one of the same text. ERR_FULL: SELECTORS_MAX; ERR_MEMORY: it
 * is still the caller's. */
MUST_USE enum error_code filters_put(struct filters *filters, struct filter *filter);

/* How many stand for more than one channel. */
size_t filters_count_patterns(const struct filters *filters);

/* Ends the filter of that text. False: there was none. */
MUST_USE bool filters_drop(struct filters *filters, struct span text);

/* Does one of the session's own filters stand for that channel, wherever it begins? */
bool filters_read(const struct filters *filters, struct span channel);

size_t filters_count(const struct filters *filters, enum filter_kind kind);

/* What the session's own filters together say of one message. */
struct filters_choice {
    uint8_t qos; /* the highest of those that match */
    bool is_retained_as_published;
    bool asks_offset;
    size_t match_count; /* 0: it is not for this client */
};

/* `client_id`: for no-local. `ret_matching`, of SELECTORS_MAX: the filters that match; NULL: nobody
 * asks. */
void filters_choose(const struct filters *filters, const struct message *message,
                    struct span client_id, struct filters_choice *ret_choice,
                    const struct filter **ret_matching);
