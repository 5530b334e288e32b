/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/sink_listing.h"

#include "broker/channels/id.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/operator/answer.h"

static enum error_code put_time(struct buffer *body, const char *name, uint64_t time_ms) {
    char text[CLOCK_RFC3339_BYTES];
    if (time_ms == 0) {
        return buffer_printf(body, ",\"%s\":null", name);
    }
    clock_format_rfc3339(time_ms, text);
    return buffer_printf(body, ",\"%s\":\"%s\"", name, text);
}

static enum error_code put_detail(struct buffer *body, const char *detail) {
    return answer_put_text(body, SPAN(",\"detail\":"), detail[0] == '\0' ? NULL : detail);
}

static enum error_code put_place(struct buffer *body, const struct place *place) {
    char text[ID_TEXT_BYTES_MAX];
    if (place->log_id == 0) {
        return buffer_put(body, SPAN(",\"place\":null"));
    }
    size_t length = id_format(place, text);
    return buffer_printf(body, ",\"place\":\"%.*s\"", (int)length, text);
}

static const char *breaker_name(enum ledger_breaker breaker) {
    static const char *const names[] = {
        [LEDGER_CLOSED] = "closed", [LEDGER_OPEN] = "open", [LEDGER_HALF_OPEN] = "half_open"};
    INVARIANT((size_t)breaker < ARRAY_COUNT(names));
    return names[breaker];
}

static enum error_code put_attempts(struct buffer *body, const uint64_t attempts[OUTCOME_COUNT]) {
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        TRY(buffer_printf(body, "%s\"%s\":%llu", outcome == 0 ? ",\"attempts\":{" : ",",
                          outcome_name((enum outcome)outcome),
                          (unsigned long long)attempts[outcome]));
    }
    return buffer_put_byte(body, '}');
}

static enum error_code put_latency(struct buffer *body, const struct sink_figures *figures) {
    static const unsigned percents[] = {50, 95, 99};
    for (size_t i = 0; i < ARRAY_COUNT(percents); i++) {
        uint64_t us = sink_listing_percentile_us(figures->latency_us, percents[i]);
        TRY(buffer_printf(body, "%s\"p%u\":%.1f", i == 0 ? ",\"latency_ms\":{" : ",", percents[i],
                          (double)us / 1000));
    }
    return buffer_put_byte(body, '}');
}

static enum error_code put_flow(struct buffer *body, const struct sink_figures *figures) {
    TRY(put_place(body, &figures->floor));
    TRY(answer_put_number(body, "lag_messages", figures->lag_messages));
    TRY(buffer_printf(body, ",\"lag_exact\":%s", figures->is_lag_exact ? "true" : "false"));
    TRY(answer_put_number(body, "lag_ms", figures->lag_ms));
    TRY(answer_put_number(body, "in_flight", figures->in_flight));
    TRY(answer_put_number(body, "waiting", figures->waiting));
    TRY(answer_put_number(body, "window", figures->window));
    TRY(answer_put_number(body, "memory_bytes", figures->memory_bytes));
    TRY(answer_put_number(body, "messages", figures->messages));
    TRY(answer_put_number(body, "bytes", figures->bytes));
    return answer_put_number(body, "rate", figures->rate);
}

enum error_code sink_listing_put(struct buffer *body, const struct sink_figures *figures) {
    TRY(buffer_printf(body, "{\"name\":\"%s\",\"kind\":\"%s\",\"origin\":\"%s\"", figures->name,
                      figures->kind, figures->is_configured ? "configuration" : "operator"));
    TRY(buffer_printf(body, ",\"state\":\"%s\",\"breaker\":\"%s\"", sink_state_name(figures->state),
                      breaker_name(figures->breaker)));
    TRY(put_detail(body, figures->detail));
    TRY(answer_put_number(body, "status", figures->status_last));
    TRY(put_flow(body, figures));
    TRY(put_attempts(body, figures->attempts));
    TRY(put_latency(body, figures));
    TRY(answer_put_number(body, "dead_letters", figures->dead));
    TRY(answer_put_number(body, "gaps", figures->gaps));
    TRY(put_time(body, "failing_since", figures->failing_since_ms));
    TRY(put_time(body, "next_attempt", figures->next_attempt_ms));
    if (figures->row_json != NULL) {
        TRY(buffer_put(body, SPAN(",\"sink\":")));
        TRY(buffer_put(body, span_of_string(figures->row_json)));
    }
    return buffer_put_byte(body, '}');
}

enum error_code sink_listing_put_source(struct buffer *body, const struct source_figures *figures) {
    TRY(buffer_printf(body, "{\"name\":\"%s\",\"kind\":\"%s\",\"state\":\"%s\"", figures->name,
                      figures->kind, sink_state_name(figures->state)));
    TRY(put_detail(body, figures->detail));
    TRY(answer_put_number(body, "messages", figures->messages));
    TRY(answer_put_number(body, "bytes", figures->bytes));
    TRY(answer_put_number(body, "refused", figures->refused));
    TRY(answer_put_number(body, "own", figures->own));
    TRY(answer_put_number(body, "gaps", figures->gaps));
    TRY(figures->lag_messages == UINT64_MAX
            ? buffer_put(body, SPAN(",\"lag_messages\":null"))
            : answer_put_number(body, "lag_messages", figures->lag_messages));
    return buffer_put_byte(body, '}');
}

enum error_code sink_listing_put_verdict(struct buffer *body, const struct verdict *verdict,
                                         uint64_t took_us) {
    TRY(buffer_printf(body, "{\"outcome\":\"%s\",\"status\":%u", outcome_name(verdict->outcome),
                      verdict->status));
    TRY(put_detail(body, verdict->detail));
    return buffer_printf(body, ",\"took_ms\":%.1f}", (double)took_us / 1000);
}

uint64_t sink_listing_percentile_us(const uint64_t counts[SINK_LATENCY_BUCKETS + 1],
                                    unsigned percent) {
    uint64_t total = 0;
    for (size_t i = 0; i <= SINK_LATENCY_BUCKETS; i++) {
        total += counts[i];
    }
    uint64_t wanted = total / 100 * percent + (total % 100 * percent + 99) / 100; /* rounded up */
    uint64_t below = 0;
    for (size_t i = 0; i < SINK_LATENCY_BUCKETS && total > 0; i++) {
        uint64_t lower = i == 0 ? 0 : sink_latency_bounds_us[i - 1];
        uint64_t width = sink_latency_bounds_us[i] - lower;
        if (below + counts[i] >= wanted) {
            return lower + (uint64_t)((double)width * (double)(wanted - below) / (double)counts[i]);
        }
        below += counts[i];
    }
    return total == 0 ? 0 : sink_latency_bounds_us[SINK_LATENCY_BUCKETS - 1];
}
