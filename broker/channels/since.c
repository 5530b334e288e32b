/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/since.h"

#include "broker/channels/id.h"
#include "broker/limits.h"
#include "broker/support/clock.h"

static bool unit_ms_of(uint8_t letter, uint64_t *ret_ms) {
    static const struct {
        uint8_t letter;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (units[i].letter == letter) {
            *ret_ms = units[i].ms;
            return true;
        }
    }
    return false;
}

/* What follows the minus sign: a count, or a time with its unit. */
static bool parse_back(struct span text, struct since *ret_since) {
    if (span_parse_u64(text, &ret_since->count)) {
        ret_since->kind = SINCE_LAST;
        return ret_since->count > 0;
    }
    uint64_t number, unit_ms;
    if (text.length < 2 || !unit_ms_of(text.bytes[text.length - 1], &unit_ms) ||
        !span_parse_u64(span_of(text.bytes, text.length - 1), &number)) {
        return false;
    }
    ret_since->kind = SINCE_AGO;
    return !__builtin_mul_overflow(number, unit_ms, &ret_since->ago_ms);
}

static bool parse(struct span text, struct since *ret_since) {
    *ret_since = (struct since){0};
    if (text.length == 0 || text.length > SINCE_TEXT_BYTES_MAX) {
        return false;
    }
    if (text.bytes[0] == '-') {
        return parse_back(span_of(text.bytes + 1, text.length - 1), ret_since);
    }
    if (span_is_equal(text, SPAN("earliest"))) {
        ret_since->kind = SINCE_EARLIEST;
        return true;
    }
    if (span_is_equal(text, SPAN("now"))) {
        ret_since->kind = SINCE_NOW;
        return true;
    }
    if (span_parse_u64(text, &ret_since->offset)) {
        ret_since->kind = SINCE_OFFSET;
        return true;
    }
    if (id_parse(text, &ret_since->place)) {
        ret_since->kind = SINCE_PLACE;
        return true;
    }
    ret_since->kind = SINCE_TIME;
    return clock_parse_rfc3339(text, &ret_since->time_ms);
}

enum error_code since_parse(struct span text, struct since *ret_since, struct error *why) {
    struct since since;
    if (!parse(text, &since)) {
        return error_set_field(why, ERR_BAD_SINCE, "since",
                               "`since` is earliest, now, an offset, an id (t1…), -N for the last "
                               "N, an RFC 3339 time, or a time ago such as -30s, -5m, -2h, -1d");
    }
    *ret_since = since;
    return OK;
}

enum error_code before_parse(struct span text, struct place *ret_before, struct error *why) {
    struct place before = {0};
    if (text.length > SINCE_TEXT_BYTES_MAX ||
        (!(span_parse_u64(text, &before.offset) && before.offset > 0) &&
         !id_parse(text, &before))) {
        return error_set_field(why, ERR_BAD_SINCE, "before",
                               "`before` is an offset from 1 on, or an id (t1…)");
    }
    *ret_before = before;
    return OK;
}
