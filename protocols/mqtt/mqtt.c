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

#include "broker/admission/accounts.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "protocols/mqtt/aliases.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/intake.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/mqtt/outbound.h"
#include "protocols/mqtt/permission.h"
#include "protocols/mqtt/session.h"
#include "protocols/mqtt/transport.h"
#include "protocols/mqtt/will.h"

static_assert((int)MQTT_CONNECT == METRICS_PACKET_CONNECT, "a packet's type is its label's index");
static_assert((int)MQTT_SUBSCRIBE == METRICS_PACKET_SUBSCRIBE, "same order");
static_assert((int)MQTT_AUTH == METRICS_PACKET_AUTH, "same order");
static_assert((int)MQTT_TYPE_COUNT == METRICS_PACKET_COUNT, "no other");

#define READ_BYTES_EXTRA 1048576 /* what one read may bring behind a packet, several times over */

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

struct span mqtt_tenant(const struct mqtt *mqtt) {
    return scope_tenant(mqtt_client_id(mqtt));
}

/* Memory for input is the worker's room for bodies. */
static bool account(struct mqtt *mqtt, struct input *input, size_t capacity) {
    if (capacity > input->room_bytes) {
        if (!worker_take_body_room(mqtt->worker, capacity - input->room_bytes)) {
            return false;
        }
    } else {
        worker_give_body_room(mqtt->worker, input->room_bytes - capacity);
    }
    input->room_bytes = capacity;
    return true;
}

/* Accepts NULL. */
static void destroy_input(struct mqtt *mqtt, struct input *input) {
    if (input != NULL) {
        IGNORE_RESULT(!account(mqtt, input, 0)); /* less is always there */
        buffer_finish(&input->buffer);
        free(input);
    }
}

static void let_input_go(struct mqtt *mqtt) {
    destroy_input(mqtt, mqtt->input);
    mqtt->input = NULL;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop(struct mqtt *mqtt) {
    if (mqtt->is_stopped) {
        return;
    }
    mqtt->is_stopped = true;
    let_input_go(mqtt);
    permission_cancel(mqtt);
    intake_abandon(mqtt);
    if (mqtt->session != NULL) {
        outbound_stop(mqtt);
    }
    if (mqtt->is_accepted) {
        will_publish(mqtt);
    } else {
        will_drop(mqtt); /* it was never there to leave one */
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
        free(mqtt->own_id);
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
    if (close_reason == CLOSE_REVOKED) {
        will_drop(mqtt); /* a will is a publish, which it may not any more */
    }
    IGNORE_RESULT(transport_put_close(mqtt, close_reason) != OK); /* it ends anyway */
    transport_flush(mqtt);
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
    if (mqtt->phase == MQTT_PHASE_IDENTIFYING || mqtt->phase == MQTT_PHASE_CLAIMING) {
        connect_refuse(mqtt, mqtt_version(mqtt), reason, close_reason, text);
        return;
    }
    if (mqtt->phase == MQTT_PHASE_OPEN && mqtt_version(mqtt) == MQTT_VERSION_5) {
        put_disconnect(mqtt, reason, text);
    }
    mqtt_close(mqtt, close_reason);
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
    if (code == ERR_TOO_LARGE) {
        throttle_note(mqtt->connection, METRICS_LIMIT_MESSAGE_BYTES, mqtt->in.packet_bytes_max);
    }
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
    if (!transport_has_output(mqtt) || mqtt->is_closed) {
        return;
    }
    transport_flush(mqtt);
    mqtt->is_choked = connection_is_blocked(mqtt->connection);
}

void mqtt_write(struct mqtt *mqtt, struct span packet) {
    if (mqtt->is_closed) {
        return;
    }
    metrics_add_at(worker_metrics(mqtt->worker), METRIC_MQTT_SENT, packet.bytes[0] >> 4, 1);
    if (transport_put(mqtt, packet) != OK) {
        transport_drop(mqtt);
        mqtt_close(mqtt, CLOSE_MEMORY);
        return;
    }
    if (packet.bytes[0] >> 4 == MQTT_PUBLISH) { /* what its stream hands on is counted there */
        accounts_note_delivered(connection_identity(mqtt->connection), 1, packet.length);
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

static enum error_code append_input(struct mqtt *mqtt, struct span bytes) {
    if (mqtt->input == NULL) {
        mqtt->input = calloc(1, sizeof(*mqtt->input));
        if (mqtt->input == NULL) {
            return ERR_MEMORY;
        }
    }
    struct buffer *buffer = &mqtt->input->buffer;
    buffer->ceiling = (size_t)mqtt->in.packet_bytes_max + READ_BYTES_EXTRA;
    enum error_code code = buffer_put(buffer, bytes);
    return code != OK || account(mqtt, mqtt->input, buffer->capacity) ? code : ERR_MEMORY;
}

static void put_input(struct mqtt *mqtt, struct span bytes) {
    if (append_input(mqtt, bytes) != OK) {
        mqtt_end(mqtt, MQTT_REASON_SERVER_BUSY, CLOSE_MEMORY, NULL);
    }
}

/* A packet that has begun has to go on: a byte now and then does not hold its memory for ever. The
 * first one has its time from the beginning. */
static void mind_packet(struct mqtt *mqtt) {
    struct input *input = mqtt->input;
    if (mqtt->phase == MQTT_PHASE_OPENING || mqtt->is_closed) {
        return;
    }
    if (input == NULL || mqtt->is_paused) {
        mqtt->packet_due_ms = 0;
        return;
    }
    uint32_t begun_bytes = (uint32_t)input->buffer.length;
    if (mqtt->packet_due_ms == 0 || begun_bytes - input->packet_seen_bytes >= MQTT_PROGRESS_BYTES) {
        mqtt->packet_due_ms = mqtt_now_ms(mqtt) + mqtt_broker(mqtt)->config->body_timeout_ms;
        input->packet_seen_bytes = begun_bytes;
        deadlines_arm(mqtt);
    }
}

/* Behind packets that were taken: memory of the right size for the rest, which is of another packet
 * with a time of its own. */
static void keep_rest(struct mqtt *mqtt, struct input *held, struct span rest) {
    if (held != NULL) {
        IGNORE_RESULT(!account(mqtt, held, 0)); /* less is always there */
        mqtt->packet_due_ms = 0;
    }
    put_input(mqtt, rest);
}

/* What is kept comes first; what no packet took is kept. Nothing behind a DISCONNECT is done. */
static void take_packets(struct mqtt *mqtt, struct span fresh) {
    if (mqtt->input != NULL) {
        put_input(mqtt, fresh);
    }
    struct input *held = mqtt->input;
    struct span rest = held != NULL ? buffer_borrow(&held->buffer) : fresh;
    mqtt->input = NULL;
    while (take_packet(mqtt, &rest)) {
    }
    bool is_over = mqtt->is_closed || mqtt->is_leaving;
    if (!is_over && held != NULL && rest.length == held->buffer.length) {
        mqtt->input = held;
        held = NULL;
    } else if (!is_over && rest.length > 0) {
        keep_rest(mqtt, held, rest);
    }
    destroy_input(mqtt, held);
    mind_packet(mqtt);
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
    if (transport_has_output(mqtt)) {
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
    if (!mqtt->is_closed) {
        deadlines_on_deadline(mqtt);
    }
}

static void on_drain(struct connection *connection, void *state) {
    (void)connection;
    goodbye_end(state, CLOSE_DRAINING);
}

static void on_dismissed(struct connection *connection, void *state, enum close_reason reason) {
    (void)connection;
    goodbye_end(state, reason);
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
    return mqtt;
}

void mqtt_start(struct mqtt *mqtt) {
    mqtt->received_ms = mqtt->free_ms = mqtt_now_ms(mqtt);
    mqtt->packet_due_ms = mqtt->received_ms + mqtt_broker(mqtt)->config->handshake_timeout_ms;
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
