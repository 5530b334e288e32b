/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/reading.h"

#include <stdlib.h>

#include "broker/config/value.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "protocols/http/query.h"
#include "protocols/starting.h"

/* What one row has to know. */
struct parameter {
    struct span text; /* decoded */
    uint64_t now_ms;
    struct reading *reading;
};

/* Offsets count in one channel: several have no common one. */
static bool has_offsets(const struct reading *reading) {
    return reading->selector_count == 1 && !reading->selectors[0].is_pattern;
}

/* --- where it starts -------------------------------------------------------------------------- */

unsigned reading_rights(enum reading_kind kind, enum storage_start start) {
    bool goes_on = start == STORAGE_NOW || start == STORAGE_AFTER_PLACE;
    if (kind == READING_PAGE) {
        return 1u << ACTION_HISTORY;
    }
    return 1u << ACTION_SUBSCRIBE | (goes_on ? 0 : 1u << ACTION_HISTORY);
}

static enum error_code on_since(const struct parameter *parameter, struct error *why) {
    struct reading *reading = parameter->reading;
    struct since since = {0};
    enum error_code code = since_parse(parameter->text, &since, why);
    if (code != OK) {
        return code;
    }
    if (reading->selector_count == 0) {
        return error_set(why, ERR_BAD_SINCE,
                         "without `channel` there is nothing to start in; "
                         "say it in `subscribe`");
    }
    if (since.kind == SINCE_OFFSET && !has_offsets(reading)) {
        return error_set(why, ERR_BAD_SINCE,
                         "an offset counts in one channel; start at an id or a time");
    }
    reading->has_start = true;
    starting_set_query(&reading->query, &since, parameter->now_ms);
    return OK;
}

/* --- how far and how -------------------------------------------------------------------------- */

static enum error_code on_before(const struct parameter *parameter, struct error *why) {
    struct storage_query *query = &parameter->reading->query;
    enum error_code code = before_parse(parameter->text, &query->before, why);
    if (code != OK) {
        return code;
    }
    if (query->before.position == 0 && !has_offsets(parameter->reading)) {
        return error_set(why, ERR_BAD_SINCE, "an offset counts in one channel; end at an id");
    }
    query->has_before = true;
    return OK;
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
    uint64_t wait_ms = 0;
    uint64_t seconds = 0;
    bool is_duration = value_parse_duration_ms(parameter->text, &wait_ms, NULL) == OK;
    if (!is_duration && span_parse_u64(parameter->text, &seconds)) {
        is_duration = seconds <= WAIT_MS_MAX / 1000;
        wait_ms = is_duration ? seconds * 1000 : 0;
    }
    if (!is_duration || wait_ms > WAIT_MS_MAX) {
        return error_set(why, ERR_BAD_REQUEST,
                         "wait is a time up to %ds, as 30s or 500ms; a number is seconds",
                         WAIT_MS_MAX / 1000);
    }
    parameter->reading->wait_ms = wait_ms;
    return OK;
}

static enum error_code on_envelope(const struct parameter *parameter, struct error *why) {
    if (parameter->reading->kind != READING_EVENTS ||
        !span_is_equal(parameter->text, SPAN("none"))) {
        return error_set(why, ERR_BAD_REQUEST, "envelope can be `none`, on event streams only");
    }
    parameter->reading->is_bare = true;
    return OK;
}

bool reading_parse_on_lag(struct span text, enum on_lag *ret_on_lag) {
    static const struct {
        const char *name;
        enum on_lag on_lag;
    } policies[] = {
        {"catch_up", ON_LAG_CATCH_UP},
        {"conflate", ON_LAG_CONFLATE},
        {"drop", ON_LAG_DROP},
        {"disconnect", ON_LAG_DISCONNECT},
    };
    for (size_t i = 0; i < ARRAY_COUNT(policies); i++) {
        if (span_is_equal(text, span_of_string(policies[i].name))) {
            *ret_on_lag = policies[i].on_lag;
            return true;
        }
    }
    return false;
}

static enum error_code on_on_lag(const struct parameter *parameter, struct error *why) {
    if (!reading_parse_on_lag(parameter->text, &parameter->reading->on_lag)) {
        return error_set(why, ERR_BAD_REQUEST,
                         "on_lag is `catch_up`, `conflate`, `drop` or `disconnect`");
    }
    return OK;
}

/* --- the table -------------------------------------------------------------------------------- */

enum readers { OF_ALL, OF_PAGES };

static const struct {
    const char *name;
    enum readers readers;
    enum error_code (*on_value)(const struct parameter *parameter, struct error *why);
} rows[] = {
    {"since", OF_ALL, on_since}, {"before", OF_PAGES, on_before},   {"limit", OF_PAGES, on_limit},
    {"wait", OF_PAGES, on_wait}, {"envelope", OF_ALL, on_envelope}, {"on_lag", OF_ALL, on_on_lag},
};

static enum error_code parse_row(size_t row, struct span query, struct buffer *text,
                                 struct parameter *parameter, struct error *why) {
    bool is_found = false;
    buffer_clear(text);
    enum error_code code = query_find(query, rows[row].name, text, &is_found, why);
    if (code != OK || !is_found) {
        return code;
    }
    if (rows[row].readers == OF_PAGES && parameter->reading->kind != READING_PAGE) {
        return error_set_field(why, ERR_BAD_REQUEST, rows[row].name,
                               "%s is for pages, not for streams", rows[row].name);
    }
    if (query_count(query, rows[row].name) > 1) {
        return error_set_field(why, ERR_BAD_REQUEST, rows[row].name, "%s is said more than once",
                               rows[row].name);
    }
    parameter->text = buffer_borrow(text);
    return error_blame(why, rows[row].on_value(parameter, why), rows[row].name);
}

static enum error_code parse_last_event_id(struct span text, struct parameter *parameter,
                                           struct error *why) {
    parameter->text = text;
    return error_blame(why, on_since(parameter, why), "Last-Event-ID");
}

enum error_code reading_parse(struct reading *reading, struct span query, struct span last_event_id,
                              uint64_t now_ms, struct error *why) {
    struct parameter parameter = {.now_ms = now_ms, .reading = reading};
    struct buffer text;
    enum error_code code = OK;
    reading->query = (struct storage_query){.limit = PAGE_MESSAGES_DEFAULT};
    reading->on_lag = ON_LAG_AUTO;
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
    if (reading->wait_ms > 0 && reading->query.has_before) {
        return error_set_field(why, ERR_BAD_REQUEST, "wait",
                               "nothing new comes before `before`; wait goes with `since`");
    }
    if (!reading->has_start) {
        reading->query.start = reading->kind == READING_PAGE ? STORAGE_NEWEST : STORAGE_NOW;
    }
    INVARIANT(reading->query.limit > 0);
    return OK;
}

void reading_destroy(struct reading *reading) {
    if (reading != NULL) {
        free(reading->selectors);
        free(reading);
    }
}

void reading_get_query(const struct reading *reading, struct storage_query *ret_query) {
    *ret_query = reading->query;
    if (has_offsets(reading)) {
        ret_query->channel = reading->selectors[0].text;
    } else {
        ret_query->selectors = reading->selectors;
        ret_query->selector_count = reading->selector_count;
    }
}

enum on_lag reading_choose_on_lag(enum on_lag asked, const struct storage_selector *selectors,
                                  size_t selector_count, const struct rules *rules) {
    if (asked != ON_LAG_AUTO) {
        return asked;
    }
    if (selector_count != 1 || selectors[0].is_pattern) {
        return ON_LAG_CATCH_UP;
    }
    enum on_lag on_lag = rules_find(rules, selectors[0].text)->on_lag;
    INVARIANT(on_lag != ON_LAG_AUTO);
    return on_lag;
}
