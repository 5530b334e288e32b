/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/reading.h"

#include <stdio.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "protocols/http/query.h"

/* What one row has to know. */
struct parameter {
    struct span text; /* decoded */
    enum reading_kind kind;
    uint64_t now_ms;
    struct reading *reading;
};

/* --- where it starts -------------------------------------------------------------------------- */

static void set_start(struct reading *reading, const struct since *since, uint64_t now_ms) {
    struct storage_query *query = &reading->query;
    reading->has_start = true;
    switch (since->kind) {
    case SINCE_EARLIEST:
        query->start = STORAGE_EARLIEST;
        break;
    case SINCE_OFFSET:
        query->start = STORAGE_AFTER_OFFSET;
        query->place.offset = since->offset;
        break;
    case SINCE_PLACE:
        query->start = STORAGE_AFTER_PLACE;
        query->place = since->place;
        break;
    case SINCE_LAST:
        query->start = STORAGE_NEWEST;
        query->newest = since->count;
        break;
    case SINCE_TIME:
        query->start = STORAGE_AFTER_TIME;
        query->time_ms = since->time_ms;
        break;
    case SINCE_AGO:
        query->start = STORAGE_AFTER_TIME;
        query->time_ms = since->ago_ms < now_ms ? now_ms - since->ago_ms : 0;
        break;
    case SINCE_NOT_GIVEN:
    case SINCE_NOW:
        query->start = STORAGE_NOW;
        break;
    }
}

static enum error_code on_since(const struct parameter *parameter, struct error *why) {
    struct since since = {0};
    enum error_code code = since_parse(parameter->text, &since, why);
    if (code == OK) {
        set_start(parameter->reading, &since, parameter->now_ms);
    }
    return code;
}

/* --- how far and how -------------------------------------------------------------------------- */

static enum error_code on_before(const struct parameter *parameter, struct error *why) {
    parameter->reading->query.has_before = true;
    return before_parse(parameter->text, &parameter->reading->query.before, why);
}

static enum error_code on_limit(const struct parameter *parameter, struct error *why) {
    uint64_t limit = 0;
    if (!span_parse_u64(parameter->text, &limit) || limit == 0 || limit > PAGE_MESSAGES_MAX) {
        return error_set(why, ERR_BAD_REQUEST, "limit is a number from 1 to %d", PAGE_MESSAGES_MAX);
    }
    parameter->reading->query.limit = (uint32_t)limit;
    return OK;
}

static enum error_code on_wait(const struct parameter *parameter, struct error *why) {
    struct span text = parameter->text;
    uint64_t seconds = 0;
    if (text.length < 2 || text.bytes[text.length - 1] != 's' ||
        !span_parse_u64(span_of(text.bytes, text.length - 1), &seconds) ||
        seconds > WAIT_MS_MAX / 1000) {
        return error_set(why, ERR_BAD_REQUEST, "wait is a number of seconds up to %ds",
                         WAIT_MS_MAX / 1000);
    }
    return error_set(why, ERR_NOT_IMPLEMENTED,
                     "waiting for a page is not in this version; read a stream instead");
}

static enum error_code on_envelope(const struct parameter *parameter, struct error *why) {
    if (parameter->kind != READING_EVENTS || !span_is_equal(parameter->text, SPAN("none"))) {
        return error_set(why, ERR_BAD_REQUEST, "envelope can be `none`, on event streams only");
    }
    parameter->reading->is_bare = true;
    return OK;
}

static enum error_code on_on_lag(const struct parameter *parameter, struct error *why) {
    if (!span_is_equal(parameter->text, SPAN("catch_up"))) {
        return error_set(why, ERR_BAD_REQUEST, "on_lag can only be `catch_up` in this version");
    }
    return OK;
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool is_of_pages_only;
    enum error_code (*on_value)(const struct parameter *parameter, struct error *why);
} rows[] = {
    {"since", false, on_since}, {"before", true, on_before},      {"limit", true, on_limit},
    {"wait", true, on_wait},    {"envelope", false, on_envelope}, {"on_lag", false, on_on_lag},
};

static enum error_code parse_row(size_t row, struct span query, struct buffer *text,
                                 struct parameter *parameter, struct error *why) {
    bool is_found = false;
    buffer_clear(text);
    enum error_code code = query_find(query, rows[row].name, text, &is_found, why);
    if (code != OK || !is_found) {
        return code;
    }
    if (rows[row].is_of_pages_only && parameter->kind != READING_PAGE) {
        return error_set_field(why, ERR_BAD_REQUEST, rows[row].name,
                               "%s is for pages, not for streams", rows[row].name);
    }
    parameter->text = buffer_borrow(text);
    code = rows[row].on_value(parameter, why);
    if (code != OK && why != NULL) {
        snprintf(why->field, sizeof(why->field), "%s", rows[row].name);
    }
    return code;
}

static enum error_code parse_last_event_id(struct span text, struct parameter *parameter,
                                           struct error *why) {
    parameter->text = text;
    enum error_code code = on_since(parameter, why);
    if (code != OK && why != NULL) {
        snprintf(why->field, sizeof(why->field), "Last-Event-ID");
    }
    return code;
}

enum error_code reading_parse(struct span query, struct span last_event_id, enum reading_kind kind,
                              uint64_t now_ms, struct reading *ret_reading, struct error *why) {
    struct reading reading = {.kind = kind, .query.limit = PAGE_MESSAGES_DEFAULT};
    struct parameter parameter = {.kind = kind, .now_ms = now_ms, .reading = &reading};
    struct buffer text;
    enum error_code code = OK;
    buffer_init(&text, HTTP_TARGET_BYTES_MAX);
    for (size_t i = 0; code == OK && i < ARRAY_COUNT(rows); i++) {
        code = parse_row(i, query, &text, &parameter, why);
    }
    if (code == OK && last_event_id.length > 0) {
        code = parse_last_event_id(last_event_id, &parameter, why);
    }
    buffer_finish(&text);
    if (code != OK) {
        return code;
    }
    if (!reading.has_start) {
        reading.query.start = kind == READING_PAGE ? STORAGE_NEWEST : STORAGE_NOW;
    }
    INVARIANT(reading.query.limit > 0);
    *ret_reading = reading;
    return OK;
}
