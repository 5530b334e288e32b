/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/status.h"

#include <unistd.h>

#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/clock.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/pages.h"
#include "protocols/rest/request.h"

static enum error_code put_address(struct buffer *body, const char *name,
                                   const struct config_address *address, uint16_t port) {
    struct config_address real = *address;
    char text[EXPOSURE_ADDRESS_BYTES];
    exposure_set_port(&real, port);
    exposure_format_address(&real, text);
    return buffer_printf(body, ",\"%s\":\"%s\"", name, text);
}

static enum error_code put_service(struct buffer *body, const struct broker *broker) {
    char started[CLOCK_RFC3339_BYTES];
    bool is_draining = atomic_load(&broker->is_draining);
    bool is_ready = pages_check_ready(broker, NULL) == OK;
    clock_format_rfc3339(broker->started_ms, started);
    return buffer_printf(
        body,
        "{\"version\":\"" TIDINGS_VERSION "\",\"started\":\"%s\",\"uptime_s\":%llu,\"pid\":%d,"
        "\"ready\":%s,\"draining\":%s",
        started, (unsigned long long)((clock_monotonic_ms() - broker->started_monotonic_ms) / 1000),
        (int)getpid(), is_ready ? "true" : "false", is_draining ? "true" : "false");
}

static enum error_code put_status(struct buffer *body, const struct broker *broker) {
    const struct config *config = broker->config;
    TRY(put_service(body, broker));
    TRY(put_address(body, "public", &config->public_listen, broker->public_port));
    TRY(put_address(body, "operator", &config->operator_listen, broker->operator_port));
    TRY(put_address(body, "mqtt", &config->mqtt_listen, broker->mqtt_port));
    TRY(answer_put_text(body, SPAN(",\"data\":"), config->data));
    TRY(answer_put_text(body, SPAN(",\"file\":"), config->file));
    return buffer_printf(body, ",\"workers\":%zu,\"connections\":%llu,\"position\":%llu}",
                         broker->worker_count,
                         (unsigned long long)atomic_load(&broker->connection_count),
                         (unsigned long long)log_position_readable(broker->log));
}

enum error_code status_show(struct request *request, struct error *why) {
    return answer_as_json(request, 200, put_status(&request->reply.body, request->broker), why);
}
