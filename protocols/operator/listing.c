/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/listing.h"

#include "broker/channels/id.h"
#include "broker/channels/scope.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "protocols/http/query.h"
#include "protocols/operator/answer.h"

static const char *const on_lag_names[] = {
    [ON_LAG_CATCH_UP] = "catch_up",
    [ON_LAG_CONFLATE] = "conflate",
    [ON_LAG_DROP] = "drop",
    [ON_LAG_DISCONNECT] = "disconnect",
};

/* --- queries --------------------------------------------------------------------------------- */

enum error_code listing_parse_limit(struct span text, size_t *ret_limit, struct error *why) {
    uint64_t limit = LISTING_ROWS_DEFAULT;
    if (text.length > 0 &&
        (!span_parse_u64(text, &limit) || limit == 0 || limit > LISTING_ROWS_MAX)) {
        return error_set_field(why, ERR_BAD_REQUEST, "limit", "`limit` is a number from 1 to %d",
                               LISTING_ROWS_MAX);
    }
    *ret_limit = (size_t)limit;
    return OK;
}

enum error_code listing_parse_order(struct span text, enum survey_order *ret_order,
                                    struct error *why) {
    static const struct {
        const char *word;
        enum survey_order order;
    } rows[] = {{"", SURVEY_BY_LAG},
                {"lag", SURVEY_BY_LAG},
                {"age", SURVEY_BY_AGE},
                {"bytes", SURVEY_BY_BYTES}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (span_is_equal(text, span_of_string(rows[i].word))) {
            *ret_order = rows[i].order;
            return OK;
        }
    }
    return error_set_field(why, ERR_BAD_REQUEST, "sort", "`sort` is one of: lag, age, bytes");
}

enum error_code listing_parse_rank(struct span text, struct survey_rank *ret_rank,
                                   struct error *why) {
    struct span rest = text;
    struct span key = span_split(&rest, '.');
    struct survey_rank rank;
    if (!span_parse_u64(key, &rank.key) || !span_parse_u64(rest, &rank.id)) {
        return error_set_field(why, ERR_BAD_REQUEST, "after", "`after` is the `next` of a page");
    }
    *ret_rank = rank;
    return OK;
}

/* --- rows ------------------------------------------------------------------------------------ */

static enum error_code put_number(struct buffer *buffer, const char *name, uint64_t number) {
    return buffer_printf(buffer, ",\"%s\":%llu", name, (unsigned long long)number);
}

static enum error_code put_number_or_null(struct buffer *buffer, const char *name, bool is_known,
                                          uint64_t number) {
    return is_known ? put_number(buffer, name, number)
                    : buffer_printf(buffer, ",\"%s\":null", name);
}

static enum error_code put_switch(struct buffer *buffer, const char *name, bool is_true) {
    return buffer_printf(buffer, ",\"%s\":%s", name, is_true ? "true" : "false");
}

static enum error_code put_time(struct buffer *buffer, const char *name, uint64_t time_ms) {
    char text[CLOCK_RFC3339_BYTES];
    if (time_ms == 0) {
        return put_number_or_null(buffer, name, false, 0);
    }
    clock_format_rfc3339(time_ms, text);
    return buffer_printf(buffer, ",\"%s\":\"%s\"", name, text);
}

enum error_code listing_find_tenant(struct span query, const char *name, struct buffer *tenant,
                                    bool *ret_is_given, struct error *why) {
    buffer_clear(tenant);
    TRY(query_find(query, name, tenant, ret_is_given, why));
    struct span text = buffer_borrow(tenant);
    return text.length == 0 || scope_is_tenant(text)
               ? OK
               : error_set_field(why, ERR_BAD_REQUEST, name, "no tenant is called so");
}

enum error_code listing_find_scoped(struct span query, const char *name, struct span tenant,
                                    struct buffer *scoped, struct error *why) {
    struct buffer text;
    bool is_found = false;
    buffer_clear(scoped);
    buffer_init(&text, HTTP_TARGET_BYTES_MAX);
    enum error_code code = query_find(query, name, &text, &is_found, why);
    if (code == OK && text.length > 0 && text.bytes[0] == SCOPE_MARK) {
        code = error_set_field(why, ERR_BAD_REQUEST, name, "nothing begins like that");
    } else if (code == OK && text.length > 0) {
        code = scope_put(scoped, tenant, buffer_borrow(&text));
    }
    buffer_finish(&text);
    return code == ERR_TOO_LARGE ? error_set_field(why, ERR_BAD_REQUEST, name, "it is too long")
                                 : code;
}

enum error_code listing_put_tenant(struct buffer *buffer, struct span scoped) {
    struct span tenant = scope_tenant(scoped);
    if (tenant.length == 0) {
        return OK;
    }
    TRY(buffer_put(buffer, SPAN(",\"tenant\":")));
    return json_escape_put(buffer, tenant);
}

enum error_code listing_put_channel(struct buffer *buffer, const struct storage_channel *channel,
                                    uint64_t reader_count) {
    bool has_messages = channel->last > 0;
    uint64_t messages = has_messages ? channel->last - channel->first + 1 : 0;
    /* Of a second, in thousandths: numbers in C's own locale, whatever the process has. */
    uint64_t rate = channel->messages_last_minute * 1000 / 60;
    TRY(buffer_put(buffer, SPAN("{\"channel\":")));
    TRY(json_escape_put(buffer, scope_visible(channel->name)));
    TRY(listing_put_tenant(buffer, channel->name));
    TRY(put_number_or_null(buffer, "first", has_messages, channel->first));
    TRY(put_number_or_null(buffer, "last", has_messages, channel->last));
    TRY(put_number(buffer, "messages", messages));
    TRY(put_number(buffer, "bytes", channel->bytes));
    TRY(buffer_printf(buffer, ",\"rate\":%llu.%03llu", (unsigned long long)(rate / 1000),
                      (unsigned long long)(rate % 1000)));
    TRY(put_number(buffer, "readers", reader_count));
    TRY(put_time(buffer, "time_last", channel->time_last_ms));
    return buffer_put_byte(buffer, '}');
}

static enum error_code put_selectors(struct buffer *buffer, const struct survey_reader *reader) {
    TRY(buffer_put(buffer, SPAN("\"channels\":[")));
    for (size_t i = 0; i < reader->selector_count; i++) {
        if (i > 0) {
            TRY(buffer_put_byte(buffer, ','));
        }
        TRY(json_escape_put(buffer, scope_visible(reader->selectors[i].text)));
    }
    TRY(buffer_put_byte(buffer, ']'));
    return reader->selectors_left_out == 0
               ? OK
               : put_number(buffer, "channels_left_out", reader->selectors_left_out);
}

static enum error_code put_reader(struct buffer *buffer, const struct survey_reader *reader,
                                  const struct listing_lag *lag, uint64_t budget_bytes) {
    INVARIANT(reader->on_lag < ARRAY_COUNT(on_lag_names));
    TRY(buffer_put_byte(buffer, '{'));
    if (reader->subscription > 0) {
        TRY(buffer_printf(buffer, "\"sub\":%llu,", (unsigned long long)reader->subscription));
    }
    TRY(put_selectors(buffer, reader));
    if (reader->place.position == 0) {
        TRY(buffer_put(buffer, SPAN(",\"id\":null,\"position\":null")));
    } else {
        char id[ID_TEXT_BYTES_MAX];
        size_t length = id_format(&reader->place, id);
        TRY(buffer_printf(buffer, ",\"id\":\"%.*s\"", (int)length, id));
        TRY(put_number(buffer, "position", reader->place.position));
    }
    TRY(put_number_or_null(buffer, "lag_messages", lag->is_known, lag->messages));
    TRY(put_number_or_null(buffer, "lag_bytes", lag->is_known, lag->bytes));
    TRY(put_switch(buffer, "lag_exact", lag->is_known && lag->is_exact));
    TRY(put_number(buffer, "lag_positions", reader->lag_positions));
    TRY(buffer_printf(buffer, ",\"on_lag\":\"%s\"", on_lag_names[reader->on_lag]));
    TRY(put_number(buffer, "budget", budget_bytes));
    TRY(put_number(buffer, "skipped", reader->skipped));
    TRY(put_switch(buffer, "live", reader->is_live));
    return buffer_put_byte(buffer, '}');
}

enum error_code listing_put_connection(struct buffer *buffer, const struct survey_row *row,
                                       const struct listing_lag *lags, uint64_t budget_bytes) {
    TRY(buffer_printf(buffer, "{\"id\":%llu,\"peer\":", (unsigned long long)row->rank.id));
    TRY(json_escape_put(buffer, span_of_string(row->peer)));
    TRY(buffer_printf(buffer, ",\"protocol\":\"%s\"", row->protocol));
    if (row->identity[0] != '\0') {
        TRY(answer_put_text(buffer, SPAN(",\"identity\":"), row->identity));
    }
    if (row->tenant[0] != '\0') {
        TRY(answer_put_text(buffer, SPAN(",\"tenant\":"), row->tenant));
    }
    TRY(buffer_put(buffer, SPAN(",\"client_id\":")));
    TRY(row->client.client_id.length == 0 ? buffer_put(buffer, SPAN("null"))
                                          : json_escape_put(buffer, row->client.client_id));
    TRY(put_time(buffer, "opened", row->opened_ms));
    TRY(put_number(buffer, "bytes_sent", row->bytes_sent));
    TRY(put_number(buffer, "bytes_unsent", row->bytes_unsent));
    TRY(put_number(buffer, "budget", budget_bytes));
    TRY(put_switch(buffer, "blocked", row->is_blocked));
    TRY(put_number(buffer, "unacknowledged", row->client.unacknowledged));
    TRY(put_number(buffer, "unacknowledged_ms", row->client.unacknowledged_ms));
    TRY(put_switch(buffer, "window_full", row->client.is_window_full));
    TRY(buffer_put(buffer, SPAN(",\"readers\":[")));
    for (size_t i = 0; i < row->reader_count; i++) {
        if (i > 0) {
            TRY(buffer_put_byte(buffer, ','));
        }
        TRY(put_reader(buffer, &row->readers[i], &lags[i], budget_bytes));
    }
    TRY(buffer_put_byte(buffer, ']'));
    if (row->readers_left_out > 0) {
        TRY(put_number(buffer, "readers_left_out", row->readers_left_out));
    }
    return buffer_put_byte(buffer, '}');
}

enum error_code listing_put_end_names(struct buffer *buffer, const struct span *next) {
    if (next == NULL) {
        return buffer_put(buffer, SPAN("],\"next\":null}"));
    }
    TRY(buffer_put(buffer, SPAN("],\"next\":")));
    TRY(json_escape_put(buffer, scope_visible(*next)));
    if (scope_length(*next) > 0) {
        TRY(buffer_put(buffer, SPAN(",\"next_tenant\":")));
        TRY(json_escape_put(buffer, scope_tenant(*next)));
    }
    return buffer_put_byte(buffer, '}');
}

enum error_code listing_put_end_connections(struct buffer *buffer, const struct survey_rank *next) {
    if (next == NULL) {
        return buffer_put(buffer, SPAN("],\"next\":null}"));
    }
    return buffer_printf(buffer, "],\"next\":\"%llu.%llu\"}", (unsigned long long)next->key,
                         (unsigned long long)next->id);
}
