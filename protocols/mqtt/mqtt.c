/* SPDX-License-Identifier: Apache-2.0 */
/* Packets are taken until the bytes are used up or reading has to pause: too many publishes are
 * under way, an answer must come first (mqtt_hold), or the peer does not read what it is answered.
 * What one read from the socket brought beyond that is kept, and reading stops, so that a client
 * which talks without listening is held back by TCP.
 *
 * The end has two steps. mqtt_close() says the last word and closes the socket; a letter to
 * ourselves (or on_closed) then ends the streams and gives the session back, when no call of theirs
 * is on the stack and the log owes nothing. Closing may take the peer seconds; a takeover does not
 * wait for that. */
#include "protocols/mqtt/mqtt.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "protocols/mqtt/aliases.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/intake.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/mqtt/outbound.h"
#include "protocols/mqtt/session.h"
#include "protocols/mqtt/transport.h"
#include "protocols/mqtt/will.h"

static_assert((int)MQTT_CONNECT == METRICS_PACKET_CONNECT, "a packet's type is its label's index");
static_assert((int)MQTT_SUBSCRIBE == METRICS_PACKET_SUBSCRIBE, "same order");
static_assert((int)MQTT_AUTH == METRICS_PACKET_AUTH, "same order");
static_assert((int)MQTT_TYPE_COUNT == METRICS_PACKET_COUNT, "no other");

#define READ_BYTES_EXTRA 1048576 /* what one read may bring behind a packet, several times over */

/* Closes that a client of 5.0 is told by another reason than "unspecified error". */
static const uint8_t reasons[CLOSE_REASON_COUNT] = {
    [CLOSE_DRAINING] = MQTT_REASON_SERVER_SHUTTING_DOWN,
    [CLOSE_KEEP_ALIVE] = MQTT_REASON_KEEP_ALIVE_TIMEOUT,
    [CLOSE_MEMORY] = MQTT_REASON_QUOTA_EXCEEDED,
    [CLOSE_OPERATOR] = MQTT_REASON_ADMINISTRATIVE_ACTION,
    [CLOSE_STALLED] = MQTT_REASON_QUOTA_EXCEEDED,
    [CLOSE_TAKEN_OVER] = MQTT_REASON_SESSION_TAKEN_OVER,
    [CLOSE_TOO_SLOW] = MQTT_REASON_QUOTA_EXCEEDED,
};

struct broker *mqtt_broker(const struct mqtt *mqtt) {
    return worker_broker(mqtt->worker);
}

uint64_t mqtt_now_ms(const struct mqtt *mqtt) {
    return worker_now_ms(mqtt->worker);
}

struct span mqtt_client_id(const struct mqtt *mqtt) {
    INVARIANT(mqtt->claim != NULL);
    return span_of(mqtt->claim->client_id, mqtt->claim->client_id_length);
}

/* Memory for input is the worker's room for bodies. */
static bool account(struct mqtt *mqtt, size_t capacity) {
    if (capacity > mqtt->input_room_bytes) {
        if (!worker_take_body_room(mqtt->worker, capacity - mqtt->input_room_bytes)) {
            return false;
        }
    } else {
        worker_give_body_room(mqtt->worker, mqtt->input_room_bytes - capacity);
    }
    mqtt->input_room_bytes = capacity;
    return true;
}

static void let_input_go(struct mqtt *mqtt) {
    buffer_finish(&mqtt->input);
    IGNORE_RESULT(!account(mqtt, 0)); /* less is always there */
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop(struct mqtt *mqtt) {
    if (mqtt->is_stopped) {
        return;
    }
    mqtt->is_stopped = true;
    let_input_go(mqtt);
    intake_abandon(mqtt);
    if (mqtt->session != NULL) {
        outbound_stop(mqtt);
        will_publish(mqtt);
    }
}

/* A struct whose claim was not granted yet waits for that. */
void mqtt_settle(struct mqtt *mqtt) {
    if (!mqtt->is_stopped || mqtt->answer_count > 0) {
        return;
    }
    if (mqtt->is_granted && mqtt->claim != NULL) {
        connect_release(mqtt);
    }
    if (mqtt->connection == NULL && mqtt->claim == NULL) {
        INVARIANT(list_is_empty(&mqtt->publications));
        message_unref(mqtt->will);
        buffer_finish(&mqtt->left_as);
        free(mqtt);
    }
}

static void on_flush(struct letter *letter, void *consumer) {
    (void)consumer;
    struct mqtt *mqtt = CONTAINER_OF(letter, struct mqtt, flush);
    mqtt->is_flush_asked = false;
    mqtt->answer_count--;
    if (mqtt->phase == MQTT_PHASE_LEFT) {
        stop(mqtt);
        mqtt_settle(mqtt);
    } else {
        mqtt_flush(mqtt);
    }
}

static void send_letter(struct mqtt *mqtt) {
    if (!mqtt->is_flush_asked) {
        mqtt->is_flush_asked = true;
        mqtt->answer_count++;
        mqtt->flush.on_delivered = on_flush;
        mailbox_put_answer(worker_mailbox(mqtt->worker), &mqtt->flush);
    }
}

void mqtt_close(struct mqtt *mqtt, enum close_reason close_reason) {
    if (mqtt->is_closed) {
        return;
    }
    mqtt->is_closed = true;
    mqtt->phase = MQTT_PHASE_LEFT;
    IGNORE_RESULT(transport_put_close(mqtt, &mqtt->output, close_reason) !=
                  OK); /* it ends anyway */
    connection_write(mqtt->connection, buffer_borrow(&mqtt->output));
    buffer_finish(&mqtt->output);
    connection_close(mqtt->connection, close_reason);
    send_letter(mqtt);
}

static void put_disconnect(struct mqtt *mqtt, enum mqtt_reason reason, const char *text) {
    struct mqtt_notice notice = {.reason = reason};
    struct buffer *scratch = worker_borrow_scratch(mqtt->worker);
    if (!mqtt_reason_is_legal((uint8_t)reason, MQTT_DISCONNECT, &mqtt->out)) {
        notice.reason = MQTT_REASON_UNSPECIFIED_ERROR;
    }
    if (text != NULL && text[0] != '\0') {
        mqtt_set_reason_string(&notice.properties, span_of_string(text));
    }
    if (mqtt_encode_notice(scratch, &mqtt->out, MQTT_DISCONNECT, &notice) == OK) {
        mqtt_write(mqtt, buffer_borrow(scratch));
    }
}

void mqtt_end(struct mqtt *mqtt, enum mqtt_reason reason, enum close_reason close_reason,
              const char *text) {
    if (mqtt->is_closed) {
        mqtt->is_leaving = true; /* goodbye.c takes nothing behind what is refused */
        return;
    }
    if (mqtt->phase == MQTT_PHASE_CLAIMING) {
        connect_refuse(mqtt, mqtt_version(mqtt), reason, close_reason, text);
        return;
    }
    if (mqtt->phase == MQTT_PHASE_OPEN && mqtt_version(mqtt) == MQTT_VERSION_5) {
        put_disconnect(mqtt, reason, text);
    }
    mqtt_close(mqtt, close_reason);
}

static void end_because(struct mqtt *mqtt, enum close_reason close_reason) {
    uint8_t reason = reasons[close_reason];
    mqtt_end(mqtt, reason == 0 ? MQTT_REASON_UNSPECIFIED_ERROR : reason, close_reason,
             close_row(close_reason)->text);
}

void mqtt_end_failed(struct mqtt *mqtt, enum error_code code) {
    enum close_reason reason = code == ERR_SLOW     ? CLOSE_TOO_SLOW
                               : code == ERR_MEMORY ? CLOSE_MEMORY
                                                    : CLOSE_INTERNAL;
    mqtt_end(mqtt, error_row(code)->mqtt_reason, reason, error_row(code)->title);
}

void mqtt_refuse(struct mqtt *mqtt, const struct mqtt_refusal *refusal, enum error_code code,
                 const struct error *why) {
    enum close_reason reason = code == ERR_TOO_LARGE  ? CLOSE_TOO_BIG
                               : code == ERR_BAD_UTF8 ? CLOSE_BAD_UTF8
                                                      : CLOSE_PROTOCOL_ERROR;
    metrics_add_at(worker_metrics(mqtt->worker), METRIC_MQTT_REFUSED, code, 1);
    log_event(MQTT_REFUSED, .peer = connection_peer(mqtt->connection),
              .client_id = connect_known_id(mqtt), .statement = refusal->statement,
              .detail = why->detail);
    if (mqtt->phase == MQTT_PHASE_OPENING) {
        connect_refuse(mqtt, refusal->answer, refusal->reason, reason, why->detail);
    } else {
        mqtt_end(mqtt, refusal->reason, reason, why->detail);
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

void mqtt_ask_flush(struct mqtt *mqtt) {
    if (!mqtt->is_taking) {
        send_letter(mqtt);
    }
}

void mqtt_flush(struct mqtt *mqtt) {
    if (mqtt->output.length == 0 || mqtt->is_closed) {
        return;
    }
    connection_write(mqtt->connection, buffer_borrow(&mqtt->output));
    buffer_finish(&mqtt->output);
    mqtt->is_choked = connection_is_blocked(mqtt->connection);
}

void mqtt_write(struct mqtt *mqtt, struct span packet) {
    if (mqtt->is_closed) {
        return;
    }
    metrics_add_at(worker_metrics(mqtt->worker), METRIC_MQTT_SENT, packet.bytes[0] >> 4, 1);
    if (transport_put(mqtt, &mqtt->output, packet) != OK) {
        buffer_finish(&mqtt->output);
        mqtt_close(mqtt, CLOSE_MEMORY);
        return;
    }
    mqtt_ask_flush(mqtt);
}

/* --- packets ---------------------------------------------------------------------------------- */

static void on_ack(struct mqtt *mqtt, const struct mqtt_frame *frame) {
    struct mqtt_ack ack;
    struct mqtt_refusal refusal;
    struct error why = {0};
    enum error_code code = mqtt_decode_ack(frame, &mqtt->in, &ack, &refusal, &why);
    if (code != OK) {
        mqtt_refuse(mqtt, &refusal, code, &why);
        return;
    }
    enum mqtt_reason reason =
        frame->type == MQTT_PUBACK   ? outbound_on_puback(mqtt, ack.packet_id, ack.reason)
        : frame->type == MQTT_PUBREC ? outbound_on_pubrec(mqtt, ack.packet_id, ack.reason)
                                     : outbound_on_pubcomp(mqtt, ack.packet_id, ack.reason);
    if (reason != MQTT_REASON_SUCCESS) {
        mqtt_end(mqtt, reason, CLOSE_PROTOCOL_ERROR, NULL);
    }
}

static void on_request(struct mqtt *mqtt, const struct mqtt_frame *frame) {
    struct mqtt_request request;
    struct mqtt_refusal refusal;
    struct error why = {0};
    enum error_code code = mqtt_decode_request(frame, &mqtt->in, &request, &refusal, &why);
    if (code != OK) {
        mqtt_refuse(mqtt, &refusal, code, &why);
    } else if (frame->type == MQTT_SUBSCRIBE) {
        outbound_on_subscribe(mqtt, &request);
    } else {
        outbound_on_unsubscribe(mqtt, &request);
    }
}

static void on_pingreq(struct mqtt *mqtt, const struct mqtt_frame *frame) {
    (void)frame;
    struct buffer *scratch = worker_borrow_scratch(mqtt->worker);
    if (mqtt_encode_ping(scratch, MQTT_PINGRESP) == OK) {
        mqtt_write(mqtt, buffer_borrow(scratch));
    }
}

/* Without a method in the CONNECT there is nothing to go on with [MQTT-4.12.0-6]. */
static void on_auth(struct mqtt *mqtt, const struct mqtt_frame *frame) {
    (void)frame;
    mqtt_end(mqtt, MQTT_REASON_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR,
             "The CONNECT named no method of authentication");
}

/* What the other side alone may send is refused by mqtt_frame_read(). */
static void (*const handlers[MQTT_TYPE_COUNT])(struct mqtt *mqtt,
                                               const struct mqtt_frame *frame) = {
    [MQTT_CONNECT] = connect_on_packet,
    [MQTT_PUBLISH] = intake_on_publish,
    [MQTT_PUBACK] = on_ack,
    [MQTT_PUBREC] = on_ack,
    [MQTT_PUBREL] = intake_on_pubrel,
    [MQTT_PUBCOMP] = on_ack,
    [MQTT_SUBSCRIBE] = on_request,
    [MQTT_UNSUBSCRIBE] = on_request,
    [MQTT_PINGREQ] = on_pingreq,
    [MQTT_DISCONNECT] = goodbye_on_disconnect,
    [MQTT_AUTH] = on_auth,
};

/* --- bytes ------------------------------------------------------------------------------------ */

static bool must_pause(const struct mqtt *mqtt) {
    bool must_wait = (mqtt->is_waiting || mqtt->is_leaving) && !list_is_empty(&mqtt->publications);
    return mqtt->hold_count > 0 || mqtt->is_choked || must_wait || intake_is_full(mqtt);
}

/* What asks for something waits for what was published before it: a SUBSCRIBE finds the retained
 * message, a PINGRESP comes behind the PUBACK. A DISCONNECT waits too, in goodbye.c. */
static bool waits_for_publications(const struct mqtt *mqtt, enum mqtt_type type) {
    const unsigned passing = MQTT_BIT(MQTT_PUBLISH) | MQTT_BIT(MQTT_PUBACK) |
                             MQTT_BIT(MQTT_PUBREC) | MQTT_BIT(MQTT_PUBREL) |
                             MQTT_BIT(MQTT_PUBCOMP) | MQTT_BIT(MQTT_DISCONNECT);
    return (MQTT_BIT(type) & passing) == 0 && !list_is_empty(&mqtt->publications);
}

/* True: a packet was taken off the front, and the next may be tried. */
static bool take_packet(struct mqtt *mqtt, struct span *rest) {
    struct mqtt_frame frame;
    struct mqtt_refusal refusal;
    struct error why = {0};
    if (mqtt->is_closed || mqtt->is_leaving || mqtt->is_paused || rest->length == 0) {
        return false;
    }
    enum error_code code = mqtt_frame_read(*rest, &mqtt->in, &frame, &refusal, &why);
    if (code != OK) {
        mqtt_refuse(mqtt, &refusal, code, &why);
        return false;
    }
    if (!frame.is_whole) {
        return false;
    }
    mqtt->is_waiting = waits_for_publications(mqtt, frame.type);
    if (mqtt->is_waiting) {
        mqtt->is_paused = true;
        return false;
    }
    INVARIANT(handlers[frame.type] != NULL);
    metrics_add_at(worker_metrics(mqtt->worker), METRIC_MQTT_RECEIVED, frame.type, 1);
    handlers[frame.type](mqtt, &frame);
    *rest = span_of(rest->bytes + frame.packet_length, rest->length - frame.packet_length);
    mqtt->is_paused = must_pause(mqtt);
    return true;
}

static void put_input(struct mqtt *mqtt, struct span bytes) {
    mqtt->input.ceiling = (size_t)mqtt->in.packet_bytes_max + READ_BYTES_EXTRA;
    if (buffer_put(&mqtt->input, bytes) != OK || !account(mqtt, mqtt->input.capacity)) {
        mqtt_end(mqtt, MQTT_REASON_SERVER_BUSY, CLOSE_MEMORY, NULL);
    }
}

/* A packet that has begun has to go on: a byte now and then does not hold its memory for ever. The
 * first one has its time from the beginning. */
static void mind_packet(struct mqtt *mqtt, size_t begun_bytes) {
    if (mqtt->phase == MQTT_PHASE_OPENING || mqtt->is_closed) {
        return;
    }
    if (begun_bytes == 0 || mqtt->is_paused) {
        mqtt->packet_due_ms = 0;
    } else if (mqtt->packet_due_ms == 0 || begun_bytes < mqtt->packet_seen_bytes ||
               begun_bytes - mqtt->packet_seen_bytes >= MQTT_PROGRESS_BYTES) {
        mqtt->packet_due_ms = mqtt_now_ms(mqtt) + BODY_TIMEOUT_MS;
        mqtt->packet_seen_bytes = (uint32_t)begun_bytes;
        deadlines_arm(mqtt);
    }
}

/* What is kept comes first; what no packet took is kept. */
static void take_packets(struct mqtt *mqtt, struct span fresh) {
    if (mqtt->input.length > 0) {
        put_input(mqtt, fresh);
    }
    struct buffer held = mqtt->input;
    struct span rest = held.length > 0 ? buffer_borrow(&held) : fresh;
    buffer_init(&mqtt->input, 0);
    while (take_packet(mqtt, &rest)) {
    }
    if (mqtt->is_closed || mqtt->is_leaving) { /* nothing behind a DISCONNECT is done */
        let_input_go(mqtt);
    } else if (rest.length > 0 && rest.length == held.length) {
        mqtt->input = held;
        buffer_init(&held, 0);
    } else if (rest.length > 0) {
        put_input(mqtt, rest);
    } else {
        let_input_go(mqtt);
    }
    mind_packet(mqtt, rest.length);
    buffer_finish(&held);
}

/* A packet that has begun has its time anew when reading goes on: here the client is not late. */
static void pause(struct mqtt *mqtt) {
    if (mqtt->is_paused && !mqtt->is_closed) {
        connection_pause_reading(mqtt->connection);
        mqtt->packet_due_ms = mqtt->phase == MQTT_PHASE_OPEN ? 0 : mqtt->packet_due_ms;
        if (mqtt->is_choked) {
            connection_want_writable(mqtt->connection);
        }
    }
}

void mqtt_resume(struct mqtt *mqtt) {
    if (!mqtt->is_paused || mqtt->is_taking || mqtt->is_closed || must_pause(mqtt)) {
        return;
    }
    mqtt->is_paused = false;
    mqtt->is_taking = true;
    take_packets(mqtt, (struct span){0});
    mqtt->is_taking = false;
    goodbye_close(mqtt);
    if (mqtt->is_closed) {
        return;
    }
    if (mqtt->output.length > 0) {
        mqtt_ask_flush(mqtt);
    }
    if (!mqtt->is_paused) {
        connection_resume_reading(mqtt->connection);
    }
}

void mqtt_hold(struct mqtt *mqtt) {
    mqtt->hold_count++;
    INVARIANT(mqtt->hold_count > 0);
    mqtt->is_paused = true;
    if (!mqtt->is_taking) {
        pause(mqtt);
    }
}

void mqtt_unhold(struct mqtt *mqtt) {
    INVARIANT(mqtt->hold_count > 0);
    mqtt->hold_count--;
    mqtt_resume(mqtt);
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_bytes(struct connection *connection, void *state, struct span bytes) {
    struct mqtt *mqtt = state;
    struct span piece;
    (void)connection;
    if (mqtt->is_closed) {
        return;
    }
    mqtt->received_ms = mqtt_now_ms(mqtt);
    mqtt->is_taking = true;
    while (transport_next(mqtt, &bytes, &piece) && !mqtt->is_closed && !mqtt->is_leaving) {
        if (mqtt->is_paused) {
            put_input(mqtt, piece);
        } else {
            take_packets(mqtt, piece);
        }
    }
    mqtt->is_taking = false;
    mqtt_flush(mqtt);
    mqtt->is_paused = mqtt->is_paused || must_pause(mqtt);
    goodbye_close(mqtt);
    pause(mqtt);
}

static void on_writable(struct connection *connection, void *state) {
    struct mqtt *mqtt = state;
    if (mqtt->is_closed) {
        return;
    }
    mqtt->is_choked = mqtt->is_choked && connection_is_blocked(connection);
    mqtt_resume(mqtt);
    if (mqtt->phase == MQTT_PHASE_OPEN) {
        outbound_on_writable(mqtt);
    }
}

static void on_deadline(struct connection *connection, void *state) {
    struct mqtt *mqtt = state;
    (void)connection;
    mqtt->armed_ms = 0;
    if (!mqtt->is_closed) {
        deadlines_on_deadline(mqtt);
    }
}

static void on_drain(struct connection *connection, void *state) {
    (void)connection;
    end_because(state, CLOSE_DRAINING);
}

static void on_dismissed(struct connection *connection, void *state, enum close_reason reason) {
    (void)connection;
    end_because(state, reason);
}

static void on_closed(struct connection *connection, void *state, enum close_reason reason) {
    struct mqtt *mqtt = state;
    (void)connection;
    (void)reason;
    if (mqtt == NULL) {
        return;
    }
    bool is_lost = mqtt->phase == MQTT_PHASE_OPEN;
    mqtt->is_closed = true;
    mqtt->phase = MQTT_PHASE_LEFT;
    if (is_lost) {
        goodbye_take_left(mqtt);
    }
    stop(mqtt);
    let_input_go(mqtt);
    mqtt->connection = NULL;
    buffer_finish(&mqtt->output);
    aliases_destroy(mqtt->aliases);
    transport_finish(mqtt);
    mqtt_settle(mqtt);
}

const struct protocol mqtt_protocol = {
    .name = "mqtt",
    .on_bytes = on_bytes,
    .on_writable = on_writable,
    .on_deadline = on_deadline,
    .on_drain = on_drain,
    .on_dismissed = on_dismissed,
    .get_client = connect_get_client,
    .on_closed = on_closed,
};

static struct mqtt *create(struct connection *connection) {
    struct mqtt *mqtt = calloc(1, sizeof(*mqtt));
    if (mqtt == NULL) {
        return NULL;
    }
    mqtt->connection = connection;
    mqtt->worker = connection_worker(connection);
    mqtt->in = (struct mqtt_dialect){MQTT_VERSION_NONE, MQTT_CLIENT, MQTT_CONNECT_BYTES_MAX};
    mqtt->out = (struct mqtt_dialect){MQTT_VERSION_NONE, MQTT_SERVER, MQTT_LENGTH_MAX};
    list_init(&mqtt->publications);
    buffer_init(&mqtt->output, FRAME_BYTES_MAX);
    buffer_init(&mqtt->left_as, CLIENT_ID_BYTES_MAX);
    return mqtt;
}

void mqtt_start(struct mqtt *mqtt) {
    mqtt->received_ms = mqtt->free_ms = mqtt_now_ms(mqtt);
    mqtt->packet_due_ms = mqtt->received_ms + HANDSHAKE_TIMEOUT_MS;
    deadlines_arm(mqtt);
}

void *mqtt_on_accepted(struct connection *connection) {
    struct mqtt *mqtt = create(connection);
    if (mqtt != NULL) {
        mqtt_start(mqtt);
    }
    return mqtt;
}

enum error_code mqtt_create_websocket(struct connection *connection, struct mqtt **ret_mqtt) {
    struct mqtt *mqtt = create(connection);
    if (mqtt == NULL || transport_use_frames(mqtt) != OK) {
        free(mqtt);
        return ERR_MEMORY;
    }
    *ret_mqtt = mqtt;
    return OK;
}
