/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/draining.h"

#include "broker/config/value.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/drain.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"
#include "protocols/http/query.h"
#include "protocols/operator/answer.h"
#include "protocols/rest/request.h"

static enum error_code put_status(struct buffer *body, const struct broker *broker) {
    struct drain_status status;
    drain_get_status(broker, &status);
    TRY(buffer_printf(body, "{\"draining\":%s,\"connections\":%llu",
                      status.is_draining ? "true" : "false",
                      (unsigned long long)status.connection_count));
    if (status.has_time) {
        char begun[CLOCK_RFC3339_BYTES];
        clock_format_rfc3339(status.begun_ms, begun);
        TRY(buffer_printf(body, ",\"connections_at_begin\":%llu,\"begun\":\"%s\",\"over_ms\":%llu",
                          (unsigned long long)status.connection_count_first, begun,
                          (unsigned long long)status.over_ms));
    }
    return buffer_put_byte(body, '}');
}

static enum error_code answer(struct request *request, uint16_t http_status, struct error *why) {
    return answer_as_json(request, http_status, put_status(&request->reply.body, request->broker),
                          why);
}

static enum error_code find_over(struct span query, uint64_t *ret_over_ms, struct error *why) {
    struct buffer text;
    bool is_found = false;
    struct error reason = {0};
    buffer_init(&text, HTTP_TARGET_BYTES_MAX);
    *ret_over_ms = DRAIN_OVER_MS_DEFAULT;
    enum error_code code = query_find(query, "over", &text, &is_found, why);
    if (code == OK && is_found) {
        code = value_parse_duration_ms(buffer_borrow(&text), ret_over_ms, &reason);
    }
    buffer_finish(&text);
    if (code == ERR_CONFIG) {
        return error_set_field(why, ERR_BAD_REQUEST, "over", "%s", reason.detail);
    }
    if (code == OK && *ret_over_ms > DRAIN_OVER_MS_MAX) {
        return error_set_field(why, ERR_BAD_REQUEST, "over", "an hour at most");
    }
    return code;
}

static enum error_code check_runs(const struct request *request, struct error *why) {
    return atomic_load(&request->broker->is_stopping)
               ? error_set(why, ERR_DRAINING, "the process ends already")
               : OK;
}

enum error_code draining_begin(struct request *request, struct error *why) {
    uint64_t over_ms;
    enum error_code code = find_over(request->query, &over_ms, why);
    code = code != OK ? code : check_runs(request, why);
    if (code != OK) {
        return code;
    }
    drain_begin(request->broker, over_ms);
    log_event(DRAINING, .over_ms = over_ms,
              .connections = atomic_load(&request->broker->connection_count));
    return answer(request, 202, why);
}

enum error_code draining_show(struct request *request, struct error *why) {
    return answer(request, 200, why);
}

enum error_code draining_end(struct request *request, struct error *why) {
    enum error_code code = check_runs(request, why);
    if (code != OK) {
        return code;
    }
    drain_end(request->broker);
    log_event(DRAIN_ENDED, .connections = atomic_load(&request->broker->connection_count));
    return answer(request, 200, why);
}
