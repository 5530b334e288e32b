/* SPDX-License-Identifier: Apache-2.0 */
/* Who connects, and with what rights, in the order in which it is asked:
 *
 *     credentials  those of the CONNECT; where it has none, who the HTTP request of the WebSocket
 *                  was, or the client's certificate; else nobody's: anonymous, if there is such a
 *                  rule
 *     tenant       from here on the client id is called as its tenant calls it (scope.h)
 *     will         it is published with the rights of now, whenever that is
 *
 * Then the session is claimed. When it is granted its filters are asked for, each: what its owner
 * may not read any more is taken off before the CONNACK, and where nobody can say the CONNECT is
 * refused. */
#include <stdlib.h>
#include <string.h>

#include "broker/admission/identity.h"
#include "broker/channels/scope.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/access.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/sharing.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/mqtt/permission.h"
#include "protocols/mqtt/session.h"
#include "protocols/mqtt/topic.h"
#include "protocols/mqtt/will.h"

/* --- refusing --------------------------------------------------------------------------------- */

/* `with_password`: what a client is told that gave one. */
static const struct refusal {
    enum error_code code;
    enum mqtt_reason reason;
    enum mqtt_reason with_password;
    enum close_reason close_reason;
} REFUSALS[] = {
    {ERR_UNAUTHORIZED, MQTT_REASON_NOT_AUTHORIZED, MQTT_REASON_BAD_USER_NAME_OR_PASSWORD,
     CLOSE_UNAUTHORIZED},
    {ERR_TOKEN_EXPIRED, MQTT_REASON_NOT_AUTHORIZED, MQTT_REASON_BAD_USER_NAME_OR_PASSWORD,
     CLOSE_TOKEN_EXPIRED},
    {ERR_REVOKED, MQTT_REASON_NOT_AUTHORIZED, MQTT_REASON_NOT_AUTHORIZED, CLOSE_REVOKED},
    {ERR_FORBIDDEN, MQTT_REASON_NOT_AUTHORIZED, MQTT_REASON_NOT_AUTHORIZED, CLOSE_NOT_ALLOWED},
    {ERR_RATE, MQTT_REASON_CONNECTION_RATE_EXCEEDED, MQTT_REASON_CONNECTION_RATE_EXCEEDED,
     CLOSE_TOO_MANY},
    {ERR_BUSY, MQTT_REASON_SERVER_BUSY, MQTT_REASON_SERVER_BUSY, CLOSE_TOO_MANY},
    {ERR_FULL, MQTT_REASON_QUOTA_EXCEEDED, MQTT_REASON_QUOTA_EXCEEDED, CLOSE_TOO_MANY},
    {ERR_MEMORY, MQTT_REASON_QUOTA_EXCEEDED, MQTT_REASON_QUOTA_EXCEEDED, CLOSE_MEMORY},
};

static void refuse(struct mqtt *mqtt, enum error_code code, const struct error *why) {
    struct refusal refusal = {.code = code,
                              .reason = MQTT_REASON_UNSPECIFIED_ERROR,
                              .with_password = MQTT_REASON_UNSPECIFIED_ERROR,
                              .close_reason = CLOSE_INTERNAL};
    for (size_t i = 0; i < ARRAY_COUNT(REFUSALS); i++) {
        refusal = REFUSALS[i].code == code ? REFUSALS[i] : refusal;
    }
    const char *text = why->detail[0] == '\0' ? error_row(code)->title : why->detail;
    metrics_add_at(worker_metrics(mqtt->worker), METRIC_MQTT_REFUSED, code, 1);
    log_event(MQTT_REFUSED, .peer = connection_peer(mqtt->connection),
              .client_id = connect_known_id(mqtt), .statement = "", .detail = text);
    mqtt_end(mqtt, mqtt->has_password ? refusal.with_password : refusal.reason,
             refusal.close_reason, text);
}

/* --- the will --------------------------------------------------------------------------------- */

static void on_will_allowed(struct mqtt *mqtt, void *context, enum error_code code,
                            const struct error *why) {
    struct error none = {0};
    (void)context;
    if (mqtt->is_closed) {
        return;
    }
    if (code == OK) {
        code = will_scope(mqtt);
        why = &none;
    }
    if (code != OK) {
        mqtt->has_password = false; /* that is not what is wrong */
        refuse(mqtt, code, why);
    } else {
        connect_claim(mqtt);
    }
}

static void ask_for_will(struct mqtt *mqtt) {
    struct error why = {0};
    enum error_code code = OK;
    if (mqtt->will != NULL) {
        code = permission_ask(mqtt, ACTION_PUBLISH, mqtt->will->fields.channel, on_will_allowed,
                              NULL, &why);
    }
    if (code != ERR_AGAIN) {
        on_will_allowed(mqtt, NULL, code, &why);
    }
}

/* --- credentials ------------------------------------------------------------------------------ */

/* The client id as its tenant calls it. */
static enum error_code scope_id(struct mqtt *mqtt) {
    const struct identity *identity = connection_identity(mqtt->connection);
    struct span tenant = identity == NULL ? (struct span){0} : identity->facts.tenant;
    struct buffer scoped;
    if (tenant.length == 0) {
        return OK;
    }
    buffer_init(&scoped, SCOPED_CLIENT_ID_BYTES_MAX);
    enum error_code code = scope_put(&scoped, tenant, span_of(mqtt->own_id, mqtt->own_id_length));
    if (code != OK) {
        buffer_finish(&scoped);
        return code;
    }
    free(mqtt->own_id);
    mqtt->own_id = scoped.bytes;
    mqtt->own_id_length = (uint16_t)scoped.length;
    return OK;
}

static void on_identified(struct mqtt *mqtt, void *context, enum error_code code,
                          const struct error *why) {
    struct error none = {0};
    (void)context;
    if (mqtt->is_closed) {
        return;
    }
    if (code == OK) {
        mqtt->is_identified = true; /* perhaps by HTTP */
        code = scope_id(mqtt);
        why = &none;
    }
    if (mqtt->has_password) {
        throttle_note_login(mqtt->connection, code);
    }
    if (code != OK) {
        refuse(mqtt, code, why);
    } else {
        ask_for_will(mqtt);
    }
}

/* Three parts, of which the first is a JSON object in base64: some devices can give a user name and
 * no password. Any other user name alone proves nothing, and is none. */
static bool is_token(struct span text) {
    size_t dots = 0;
    for (size_t i = 0; i < text.length; i++) {
        dots += text.bytes[i] == '.';
    }
    return span_has_prefix(text, SPAN("eyJ")) && dots == 2;
}

static struct credentials gather(struct mqtt *mqtt, const struct mqtt_connect *connect) {
    struct credentials credentials = {.peer = connection_peer(mqtt->connection),
                                      .protocol = "mqtt",
                                      .client_id = connect_known_id(mqtt)};
    credentials.certificate =
        connection_certificate(mqtt->connection, &credentials.certificate_ends_s);
    if (connect->password.length > 0) {
        credentials.bearer = connect->password;
        credentials.user = connect->user_name;
    } else if (is_token(connect->user_name)) {
        credentials.bearer = connect->user_name;
    }
    return credentials;
}

void identify_begin(struct mqtt *mqtt, const struct mqtt_connect *connect) {
    struct error why = {0};
    struct credentials credentials = gather(mqtt, connect);
    mqtt->has_password = credentials.bearer.length > 0;
    bool is_known = !mqtt->has_password && connection_identity(mqtt->connection) != NULL;
    enum error_code code = mqtt->has_password ? throttle_may_log_in(mqtt->connection, &why) : OK;
    if (code == OK && !is_known) {
        code = permission_identify(mqtt, &credentials, on_identified, NULL, &why);
    }
    if (code != ERR_AGAIN) {
        on_identified(mqtt, NULL, code, &why);
    }
}

/* --- the filters of a session that is there --------------------------------------------------- */

static bool is_asked_for(const struct filter *filter) {
    return filter->options.kind != FILTER_GAP; /* told of what the others read */
}

/* The group waits for it no longer. */
static void leave_group(struct mqtt *mqtt, const struct filter *filter) {
    struct span group = {0};
    struct span rest = {0};
    mqtt_filter_split(filter_text(filter), &group, &rest);
    IGNORE_RESULT(sharing_forget(mqtt_broker(mqtt), group, filter_pattern(filter),
                                 mqtt_client_id(mqtt))); /* without memory its time ends it */
}

static void drop(struct mqtt *mqtt, const struct filter *filter, const struct error *why) {
    mqtt->has_lost_filters = true;
    metrics_add(worker_metrics(mqtt->worker), METRIC_MQTT_FILTERS_DROPPED, 1);
    log_event(MQTT_FILTER_DROPPED, .client_id = connect_known_id(mqtt),
              .filter = filter_text(filter), .tenant = mqtt_tenant(mqtt), .detail = why->detail);
    if (filter->options.kind == FILTER_SHARED) {
        leave_group(mqtt, filter);
    }
    bool was_there = filters_drop(&mqtt->session->filters, filter_text(filter));
    INVARIANT(was_there);
}

static void check_from(struct mqtt *mqtt, uint32_t index);

/* One that is not allowed is taken off. Where that cannot be known now, because the application
 * that is asked is down or the credentials have just ended, the client is to come again: its
 * session would lose for good what it may read. */
static uint32_t settle_filter(struct mqtt *mqtt, uint32_t index, enum error_code code,
                              const struct error *why) {
    if (code == OK) {
        return index + 1;
    }
    if (code == ERR_FORBIDDEN || code == ERR_UNAUTHORIZED) {
        drop(mqtt, filters_list(&mqtt->session->filters)[index], why);
    } else {
        refuse(mqtt, code, why);
    }
    return index;
}

static void on_filter_allowed(struct mqtt *mqtt, void *context, enum error_code code,
                              const struct error *why) {
    if (!mqtt->is_closed) {
        check_from(mqtt, settle_filter(mqtt, (uint32_t)(uintptr_t)context, code, why));
    }
}

static void check_from(struct mqtt *mqtt, uint32_t index) {
    const struct filters *filters = &mqtt->session->filters;
    while (!mqtt->is_closed && index < filters->count) {
        struct error why = {0};
        const struct filter *filter = filters_list(filters)[index];
        enum error_code code = OK;
        if (is_asked_for(filter)) {
            code = permission_ask(mqtt, ACTION_SUBSCRIBE, scope_visible(filter_pattern(filter)),
                                  on_filter_allowed, (void *)(uintptr_t)index, &why);
        }
        if (code == ERR_AGAIN) {
            return;
        }
        index = settle_filter(mqtt, index, code, &why);
    }
    if (!mqtt->is_closed) {
        connect_open(mqtt);
    }
}

void identify_check_filters(struct mqtt *mqtt) {
    check_from(mqtt, 0);
}
