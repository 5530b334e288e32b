/* SPDX-License-Identifier: Apache-2.0 */
/* One list holds all that is under way, in the order in which it came; what is answered waits there
 * for what came before it, and then its acknowledgement is written. A packet id of QoS 2 counts as
 * received from the moment at which its PUBREC is written until PUBREL is acknowledged; while it is
 * in the list it is found there. */
#include "protocols/mqtt/intake.h"

#include <stdlib.h>
#include <string.h>

#include "broker/channels/name.h"
#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "protocols/message_admission.h"
#include "protocols/mqtt/aliases.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/mapping.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/mqtt/outbound.h"
#include "protocols/mqtt/permission.h"
#include "protocols/mqtt/session.h"

#define ACK_BYTES_MAX 256 /* an acknowledgement with `offset` and `id` */

struct publication {
    struct list in_publications;
    struct message *messages[2]; /* what is to be submitted, or is: the message, the step */
    uint8_t message_count;
    uint8_t qos; /* of a PUBLISH; 0: nothing is written */
    bool is_release;
    bool is_paid_for; /* out of what may be published */
    bool is_submitted;
    bool is_answered;
    bool is_repeated; /* of QoS 2, and in the log already */
    bool is_refused;
    bool is_foretold; /* a snapshot says that it is in the log */
    uint8_t reason;
    uint16_t packet_id;
    uint32_t bytes;
    struct place place; /* in the log; position 0: it was not stored now */
    char *detail;       /* why it was refused; NULL: it was not, or nobody wants to know */
};

static bool is_persistent(const struct mqtt *mqtt) {
    return mqtt->session_expiry_ms > 0;
}

bool intake_is_full(const struct mqtt *mqtt) {
    /* Half of it has to be answered before reading goes on: a pause costs two system calls. */
    uint32_t share = mqtt->is_paused ? 2 : 1;
    return mqtt->publication_count > MQTT_PUBLICATIONS_MAX / share ||
           mqtt->publication_bytes > MQTT_PUBLICATIONS_BYTES_MAX / share;
}

static void destroy(struct mqtt *mqtt, struct publication *publication) {
    list_remove(&publication->in_publications);
    mqtt->publication_count--;
    mqtt->publication_bytes -= publication->bytes;
    mqtt->received_count -= publication->qos > 0 && !publication->is_repeated;
    for (size_t i = 0; i < publication->message_count; i++) {
        message_unref(publication->messages[i]);
    }
    free(publication->detail);
    free(publication);
}

/* --- acknowledgements ------------------------------------------------------------------------- */

static enum mqtt_type type_of(const struct publication *publication) {
    return publication->is_release ? MQTT_PUBCOMP
           : publication->qos == 1 ? MQTT_PUBACK
                                   : MQTT_PUBREC;
}

/* More than a reason code may stand in its acknowledgements. */
static bool takes_properties(const struct mqtt *mqtt) {
    return mqtt_version(mqtt) == MQTT_VERSION_5 && mqtt->wants_problem_information &&
           mqtt_broker(mqtt)->config->mqtt_acknowledge_offsets;
}

/* The properties stand before the packet in the same buffer, which does not move. */
static void write_ack(struct mqtt *mqtt, const struct publication *publication) {
    struct buffer *scratch = worker_borrow_scratch(mqtt->worker);
    struct mqtt_ack ack = {.packet_id = publication->packet_id, .reason = publication->reason};
    bool has_place = takes_properties(mqtt) && publication->place.position > 0;
    enum error_code code = buffer_reserve(scratch, ACK_BYTES_MAX);
    if (code == OK && has_place) {
        code = mapping_put_place(scratch, &publication->place);
        mqtt_set_user_properties(&ack.properties, buffer_borrow(scratch));
    }
    if (publication->detail != NULL) {
        mqtt_set_reason_string(&ack.properties, span_of_string(publication->detail));
    }
    size_t start = scratch->length;
    if (code == OK) {
        code = mqtt_encode_ack(scratch, &mqtt->out, type_of(publication), &ack);
    }
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
        return;
    }
    mqtt_write(mqtt, span_of(scratch->bytes + start, scratch->length - start));
}

/* What the session has to know, whether or not the client is still there to be told. */
static void note(struct mqtt *mqtt, struct publication *publication) {
    uint16_t packet_id = publication->packet_id;
    if (publication->is_release) {
        if (!publication->is_refused) {
            session_note_released(mqtt->session, packet_id);
        }
    } else if (publication->is_repeated && !session_has_received(mqtt->session, packet_id)) {
        publication->is_refused = true; /* the first was, or the id is used again too early */
        publication->reason = MQTT_REASON_PACKET_IDENTIFIER_IN_USE;
    } else if (publication->qos == 2 && !publication->is_refused &&
               session_note_received(mqtt->session, packet_id) != OK) {
        mqtt_end_failed(mqtt, ERR_MEMORY);
    }
    if (publication->is_release || publication->qos == 2) {
        outbound_note_step(mqtt);
    }
}

static void acknowledge(struct mqtt *mqtt) {
    while (!list_is_empty(&mqtt->publications)) {
        struct publication *publication =
            CONTAINER_OF(mqtt->publications.next, struct publication, in_publications);
        if (!publication->is_answered) {
            return;
        }
        note(mqtt, publication);
        if (publication->is_release || publication->qos > 0) {
            write_ack(mqtt, publication);
        }
        destroy(mqtt, publication);
    }
}

/* --- to the log and back ---------------------------------------------------------------------- */

static struct publication *create(struct mqtt *mqtt, uint16_t packet_id, uint8_t qos) {
    struct publication *publication = calloc(1, sizeof(*publication));
    if (publication == NULL) {
        mqtt_end_failed(mqtt, ERR_MEMORY);
        return NULL;
    }
    publication->packet_id = packet_id;
    publication->qos = qos;
    list_put_tail(&mqtt->publications, &publication->in_publications);
    mqtt->publication_count++;
    return publication;
}

/* The reason that an acknowledgement can carry. */
static uint8_t reason_of(const struct mqtt *mqtt, enum error_code code) {
    uint8_t reason = error_row(code)->mqtt_reason;
    if (mqtt_reason_is_legal(reason, MQTT_PUBACK, &mqtt->out)) {
        return reason;
    }
    bool is_quota = code == ERR_TOO_LARGE || code == ERR_HEADERS_TOO_LARGE || code == ERR_BUSY ||
                    code == ERR_RATE;
    return is_quota ? MQTT_REASON_QUOTA_EXCEEDED : MQTT_REASON_IMPLEMENTATION_SPECIFIC_ERROR;
}

/* 3.1.1 cannot be told: a name that may not be published to counts as done; what is too large, or
 * the broker could not do, must not, so the connection ends. */
static void end_untold(struct mqtt *mqtt, const struct publication *publication,
                       enum error_code code, const struct error *why) {
    bool is_ours = error_row(code)->http_status >= 500;
    bool is_release_lost = publication->is_release; /* PUBCOMP has no word for it in 5.0 either */
    bool is_untold = mqtt_version(mqtt) == MQTT_VERSION_3_1_1 && publication->qos > 0;
    if (is_ours && (is_untold || is_release_lost)) {
        mqtt_end_failed(mqtt, code);
    } else if (code == ERR_TOO_LARGE && is_untold) {
        mqtt_end(mqtt, MQTT_REASON_PACKET_TOO_LARGE, CLOSE_TOO_BIG, why->detail);
    }
}

/* The first that a client is not told of stands out: its operator has to. */
static void log_refused(struct mqtt *mqtt, bool is_told, enum error_code code, struct span channel,
                        const struct error *why) {
    const char *peer = connection_peer(mqtt->connection);
    const char *slug = error_row(code)->slug;
    if (error_row(code)->http_status >= 500) {
        log_event(PUBLISH_FAILED, .peer = peer, .channel = channel, .tenant = mqtt_tenant(mqtt),
                  .code = slug, .detail = why->detail);
    } else if (!is_told && !mqtt->is_drop_logged) {
        mqtt->is_drop_logged = true;
        log_event(MQTT_PUBLISH_DROPPED, .peer = peer, .client_id = connect_known_id(mqtt),
                  .channel = channel, .tenant = mqtt_tenant(mqtt), .code = slug,
                  .detail = why->detail);
    } else {
        log_event(MQTT_PUBLISH_REFUSED, .peer = peer, .client_id = connect_known_id(mqtt),
                  .channel = channel, .tenant = mqtt_tenant(mqtt), .code = slug,
                  .detail = why->detail);
    }
}

static void settle_refused(struct mqtt *mqtt, struct publication *publication, enum error_code code,
                           struct span channel, const struct error *why) {
    publication->is_refused = true;
    publication->is_answered = true;
    publication->reason = reason_of(mqtt, code);
    if (takes_properties(mqtt) && publication->qos > 0 && why->detail[0] != '\0') {
        publication->detail = strdup(why->detail); /* without memory it stays unsaid */
    }
    metrics_add_at(worker_metrics(mqtt->worker), METRIC_MQTT_REFUSED, code, 1);
    log_refused(mqtt, mqtt_version(mqtt) == MQTT_VERSION_5 && publication->qos > 0, code, channel,
                why);
    end_untold(mqtt, publication, code, why);
}

static void on_done(struct mqtt *mqtt, void *context, enum error_code code, const struct error *why,
                    struct message *const *messages, size_t count) {
    struct publication *publication = context;
    (void)count;
    if (code == OK) {
        publication->is_answered = true;
        publication->place = publication->is_release ? (struct place){0} : messages[0]->place;
    } else if (mqtt->connection != NULL) {
        settle_refused(mqtt, publication, code, scope_visible(messages[0]->fields.channel), why);
    } else {
        publication->is_refused = publication->is_answered = true;
    }
    if (code != OK && publication->is_foretold) {
        outbound_store(mqtt);
    }
    acknowledge(mqtt);
    mqtt_resume(mqtt);
}

/* Reading stops, and the last publication is tried again then. */
static void wait_ms(struct mqtt *mqtt, uint64_t ms) {
    mqtt_hold(mqtt);
    mqtt->retry_due_ms = mqtt_now_ms(mqtt) + ms;
    deadlines_arm(mqtt);
}

/* A client that is told goes on all the same: for each publish that passed, several did not. */
static void mind_refused(struct mqtt *mqtt, enum error_code code) {
    mqtt->over_rate_count += code == ERR_RATE;
    if (mqtt->over_rate_count > MQTT_OVER_RATE_MAX) {
        mqtt_end(mqtt, MQTT_REASON_MESSAGE_RATE_TOO_HIGH, CLOSE_NOT_ALLOWED,
                 "The client goes on publishing beyond its limit");
    }
}

/* Who can be told in words that it was too much is told; who cannot be is read more slowly. False:
 * it is not to be submitted now. */
static bool pay_for(struct mqtt *mqtt, struct publication *publication) {
    struct error why = {0};
    if (publication->is_paid_for || publication->is_release) {
        return true;
    }
    const struct message_fields *fields = &publication->messages[0]->fields;
    const struct throttle_offer offer = {
        .count = 1, .bytes = fields->payload.length, .messages = publication->messages};
    enum error_code code = throttle_publish(mqtt->connection, connection_identity(mqtt->connection),
                                            &offer, NULL, &why);
    if (code == OK) {
        publication->is_paid_for = true;
        mqtt->over_rate_count -= mqtt->over_rate_count > 0;
        return true;
    }
    bool is_told = mqtt_version(mqtt) == MQTT_VERSION_5 && publication->qos > 0;
    if (why.retry_after_ms > 0 && !is_told) {
        wait_ms(mqtt, why.retry_after_ms < THROTTLE_WAIT_MS_MAX ? why.retry_after_ms
                                                                : THROTTLE_WAIT_MS_MAX);
        return false;
    }
    settle_refused(mqtt, publication, code, scope_visible(fields->channel), &why);
    acknowledge(mqtt);
    mind_refused(mqtt, code);
    return false;
}

/* Hands the messages over, or waits until the log has room for them: nothing else is read then, so
 * there is one at most that waits. */
static void submit(struct mqtt *mqtt, struct publication *publication) {
    if (!pay_for(mqtt, publication)) {
        return;
    }
    enum error_code code =
        mqtt_submit(mqtt, publication->messages, publication->message_count, on_done, publication);
    if (code == ERR_BUSY) {
        wait_ms(mqtt, WHEEL_TICK_MS);
        return;
    }
    if (code != OK) {
        struct error why = {0};
        error_set(&why, code, "the log takes nothing more at the moment");
        settle_refused(mqtt, publication, code,
                       scope_visible(publication->messages[0]->fields.channel), &why);
        acknowledge(mqtt);
        return;
    }
    publication->is_submitted = true;
    publication->message_count = 0; /* the references went along */
}

void intake_retry(struct mqtt *mqtt) {
    INVARIANT(!list_is_empty(&mqtt->publications));
    struct publication *last =
        CONTAINER_OF(mqtt->publications.previous, struct publication, in_publications);
    INVARIANT(!last->is_submitted);
    submit(mqtt, last);
    mqtt_unhold(mqtt); /* after a further hold, if it is still busy */
}

void intake_abandon(struct mqtt *mqtt) {
    LIST_EACH(&mqtt->publications, node) {
        struct publication *publication = CONTAINER_OF(node, struct publication, in_publications);
        if (!publication->is_submitted && !publication->is_answered) {
            destroy(mqtt, publication);
        }
    }
    if (mqtt->session != NULL) {
        acknowledge(mqtt); /* what was answered behind it */
    }
}

void intake_each_pending(struct mqtt *mqtt, intake_on_pending *on_pending, void *context) {
    LIST_EACH(&mqtt->publications, node) {
        struct publication *publication = CONTAINER_OF(node, struct publication, in_publications);
        bool is_in_doubt = publication->is_release || publication->qos == 2;
        if (is_in_doubt && publication->is_submitted && !publication->is_refused &&
            !publication->is_repeated) {
            publication->is_foretold = true;
            on_pending(context, publication->packet_id, publication->is_release);
        }
    }
}

/* The application has said whether that one may be published. */
static void on_permitted(struct mqtt *mqtt, void *context, enum error_code code,
                         const struct error *why) {
    struct publication *publication = context;
    if (code == OK) {
        submit(mqtt, publication);
    } else {
        settle_refused(mqtt, publication, code,
                       scope_visible(publication->messages[0]->fields.channel), why);
        acknowledge(mqtt);
    }
    mqtt_unhold(mqtt); /* after a further hold, if the log is busy */
}

/* --- PUBLISH ---------------------------------------------------------------------------------- */

static bool is_under_way(const struct mqtt *mqtt, uint16_t packet_id) {
    LIST_EACH(&mqtt->publications, node) {
        const struct publication *publication =
            CONTAINER_OF(node, const struct publication, in_publications);
        if (publication->qos == 2 && publication->packet_id == packet_id &&
            !publication->is_refused) {
            return true;
        }
    }
    return false;
}

/* What 5.0 calls the Receive Maximum [MQTT-3.3.4-7]. 3.1.1 does not know it, but ids of QoS 2 that
 * are in doubt are bounded there too: reading less would not bring the PUBREL that stands behind
 * what is not read. */
static bool is_beyond_receive_max(const struct mqtt *mqtt, uint8_t qos) {
    bool is_counted = qos == 2 || (qos == 1 && mqtt_version(mqtt) == MQTT_VERSION_5);
    return is_counted && session_received_count(mqtt->session) + mqtt->received_count >=
                             mqtt_broker(mqtt)->config->mqtt_receive_max;
}

/* The topic that is meant: the packet's own, or what its alias stands for. False: the end. */
static bool find_topic(struct mqtt *mqtt, const struct mqtt_publish *publish,
                       struct span *ret_topic) {
    uint16_t alias = publish->properties.topic_alias;
    *ret_topic = publish->topic;
    if (!mqtt_has(&publish->properties, MQTT_PROPERTY_TOPIC_ALIAS)) {
        return true;
    }
    if (alias > mqtt_broker(mqtt)->config->mqtt_topic_aliases) { /* [MQTT-3.3.2-9] */
        mqtt_end(mqtt, MQTT_REASON_TOPIC_ALIAS_INVALID, CLOSE_PROTOCOL_ERROR,
                 "A topic alias above what was agreed on");
        return false;
    }
    if (publish->topic.length > 0) {
        if (aliases_set(&mqtt->aliases, alias, publish->topic) != OK) {
            mqtt_end_failed(mqtt, ERR_MEMORY);
            return false;
        }
    } else if (!aliases_find(mqtt->aliases, alias, ret_topic)) {
        mqtt_end(mqtt, MQTT_REASON_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR,
                 "A topic alias that was not set");
        return false;
    }
    return true;
}

/* What is to be submitted. `scoped` has room for the channel as its tenant calls it. */
static enum error_code make_messages(struct mqtt *mqtt, struct publication *publication,
                                     struct message_fields *fields, struct buffer *scoped) {
    struct span tenant = mqtt_tenant(mqtt);
    enum error_code code = OK;
    if (tenant.length > 0) {
        code = scope_put(scoped, tenant, fields->channel);
        fields->channel = buffer_borrow(scoped);
    }
    if (code != OK) {
        return code;
    }
    fields->publisher = mqtt_client_id(mqtt);
    publication->messages[0] = message_create(fields);
    publication->message_count = publication->messages[0] != NULL;
    if (publication->messages[0] != NULL && publication->qos == 2 && is_persistent(mqtt)) {
        publication->messages[1] =
            session_step_received(mqtt_client_id(mqtt), publication->packet_id);
        publication->message_count += publication->messages[1] != NULL;
        code = publication->messages[1] != NULL ? OK : ERR_MEMORY;
    }
    return publication->messages[0] != NULL ? code : ERR_MEMORY;
}

/* ERR_AGAIN: made, and it may be submitted if on_permitted says so. */
static enum error_code make_of(struct mqtt *mqtt, struct publication *publication,
                               struct message_fields *fields, struct span idempotency_key,
                               struct buffer *scoped, struct error *why) {
    uint8_t hash[IDEMPOTENCY_HASH_BYTES];
    enum error_code allowed =
        permission_ask(mqtt, ACTION_PUBLISH, fields->channel, on_permitted, publication, why);
    enum error_code code = allowed == ERR_AGAIN ? OK : allowed;
    if (code == OK && idempotency_key.length > 0) {
        code = message_hash(connection_identity(mqtt->connection), fields, idempotency_key, hash);
        fields->idempotency_hash = span_of(hash, sizeof(hash));
    }
    if (code == OK) {
        code = make_messages(mqtt, publication, fields, scoped);
    }
    if (code != OK) {
        permission_cancel(mqtt);
    }
    return code == OK ? allowed : code;
}

/* Makes what is to be submitted. */
static enum error_code make(struct mqtt *mqtt, struct publication *publication,
                            const struct mqtt_publish *publish, struct span topic,
                            struct error *why) {
    struct message_fields fields;
    struct span idempotency_key = {0};
    struct buffer headers;
    struct buffer scoped;
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    buffer_init(&scoped, SCOPED_BYTES_MAX);
    enum error_code code = mapping_take(publish, topic, &headers, &fields, &idempotency_key, why);
    if (channel_name_is_reserved(topic)) { /* to MQTT a matter of the name, not of rights */
        code = error_set(why, ERR_BAD_CHANNEL, "topics that begin with $ are the broker's own");
    }
    if (code == OK) {
        code = message_admit(mqtt_broker(mqtt)->rules, &fields, why);
        if (code == ERR_TOO_LARGE) {
            throttle_note(mqtt->connection, METRICS_LIMIT_MESSAGE_BYTES,
                          rules_find(mqtt_broker(mqtt)->rules, topic)->message_bytes_max);
        }
    }
    if (code == OK) {
        code = make_of(mqtt, publication, &fields, idempotency_key, &scoped, why);
    }
    buffer_finish(&scoped);
    buffer_finish(&headers);
    return code;
}

static void take(struct mqtt *mqtt, const struct mqtt_publish *publish, struct span topic) {
    struct error why = {0};
    bool is_repeated =
        publish->qos == 2 && (session_has_received(mqtt->session, publish->packet_id) ||
                              is_under_way(mqtt, publish->packet_id));
    if (!is_repeated && is_beyond_receive_max(mqtt, publish->qos)) {
        mqtt_end(mqtt, MQTT_REASON_RECEIVE_MAXIMUM_EXCEEDED, CLOSE_PROTOCOL_ERROR, NULL);
        return;
    }
    struct publication *publication = create(mqtt, publish->packet_id, publish->qos);
    if (publication == NULL) {
        return;
    }
    if (is_repeated) {
        publication->is_repeated = true;
        publication->is_answered = true;
        acknowledge(mqtt);
        return;
    }
    mqtt->received_count += publish->qos > 0;
    enum error_code code = make(mqtt, publication, publish, topic, &why);
    if (code != OK && code != ERR_AGAIN) {
        settle_refused(mqtt, publication, code, topic, &why);
        acknowledge(mqtt);
        return;
    }
    publication->bytes = (uint32_t)message_size(publication->messages[0]);
    mqtt->publication_bytes += publication->bytes;
    if (code == ERR_AGAIN) {
        mqtt_hold(mqtt);
    } else {
        submit(mqtt, publication);
    }
}

void intake_on_publish(struct mqtt *mqtt, const struct mqtt_frame *frame) {
    struct mqtt_publish publish;
    struct mqtt_refusal refusal;
    struct error why = {0};
    struct span topic;
    enum error_code code = mqtt_decode_publish(frame, &mqtt->in, &publish, &refusal, &why);
    if (code != OK) {
        mqtt_refuse(mqtt, &refusal, code, &why);
        return;
    }
    if (find_topic(mqtt, &publish, &topic)) {
        take(mqtt, &publish, topic);
    }
}

/* --- PUBREL ----------------------------------------------------------------------------------- */

static void release(struct mqtt *mqtt, struct publication *publication, bool is_known) {
    if (!is_known || !is_persistent(mqtt)) {
        publication->is_answered = true;
        publication->reason = is_known || mqtt_version(mqtt) == MQTT_VERSION_3_1_1
                                  ? MQTT_REASON_SUCCESS
                                  : MQTT_REASON_PACKET_IDENTIFIER_NOT_FOUND;
        acknowledge(mqtt);
        return;
    }
    publication->messages[0] = session_step_released(mqtt_client_id(mqtt), publication->packet_id);
    if (publication->messages[0] == NULL) {
        mqtt_end_failed(mqtt, ERR_MEMORY);
        return;
    }
    publication->message_count = 1;
    submit(mqtt, publication);
}

void intake_on_pubrel(struct mqtt *mqtt, const struct mqtt_frame *frame) {
    struct mqtt_ack ack;
    struct mqtt_refusal refusal;
    struct error why = {0};
    enum error_code code = mqtt_decode_ack(frame, &mqtt->in, &ack, &refusal, &why);
    if (code != OK) {
        mqtt_refuse(mqtt, &refusal, code, &why);
        return;
    }
    struct publication *publication = create(mqtt, ack.packet_id, 0);
    if (publication != NULL) {
        publication->is_release = true;
        release(mqtt, publication, session_has_received(mqtt->session, ack.packet_id));
    }
}
