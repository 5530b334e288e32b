/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be sent is put behind `queue` and leaves once a turn. What is being sent stands in
 * `sending` and does not move: TLS wants the same bytes at the same address until they are gone.
 *
 * Every event may stop, restart or destroy the link. So an event is the last thing that a function
 * does, or it asks is_same() behind it; `depth` keeps the memory while somebody may still ask. */
#include "protocols/sinks/mqtt_link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/sinks/answer.h"
#include "protocols/sinks/dial.h"
#include "protocols/sinks/loop.h"

#define READ_BYTES 65536
#define SUBSCRIBE_PACKET_ID 65535 /* publishes have lower ones */
#define MS_PER_SECOND 1000

enum link_state { LINK_DOWN, LINK_DIALING, LINK_GREETING, LINK_UP };

struct mqtt_link {
    struct loop *loop;
    struct mqtt_link_options options;
    enum link_state state;
    uint32_t life;  /* one more each time that it starts or ends */
    uint32_t depth; /* events under way */
    bool is_dead;   /* destroyed while one was */
    struct dial *dial;
    struct loop_timer timer;
    struct loop_chore chore;
    struct mqtt_dialect in, out;
    uint32_t silence_count; /* MQTT 5 was answered by nothing, so many times in a row */
    uint16_t receive_maximum;
    bool has_retain;
    bool is_held;  /* the owner did not take a publish */
    bool has_more; /* a turn ended before all was read */
    bool is_pinged;
    uint64_t keep_alive_ms;
    uint64_t begun_ms, received_ms, sent_ms;
    struct buffer incoming;
    struct buffer queue, sending;
    size_t sent; /* of `sending` */
};

static bool is_same(const struct mqtt_link *link, uint32_t life) {
    return link->life == life && !link->is_dead;
}

static void enter(struct mqtt_link *link) {
    link->depth++;
}

static void leave(struct mqtt_link *link) {
    if (--link->depth == 0 && link->is_dead) {
        free(link);
    }
}

/* --- the end --------------------------------------------------------------------------------- */

static void close_down(struct mqtt_link *link) {
    link->state = LINK_DOWN;
    link->life++;
    dial_destroy(link->dial);
    link->dial = NULL;
    loop_disarm(link->loop, &link->timer);
    loop_take_chore_back(&link->chore);
    buffer_finish(&link->incoming);
    buffer_finish(&link->queue);
    buffer_finish(&link->sending);
    link->sent = 0;
    link->is_held = link->has_more = false;
}

/* The last thing that a function does. */
static void lose(struct mqtt_link *link, enum outcome outcome, unsigned status, const char *format,
                 ...) PRINTF_LIKE(4, 5);

static void lose(struct mqtt_link *link, enum outcome outcome, unsigned status, const char *format,
                 ...) {
    char text[2 * SINK_DETAIL_BYTES];
    struct verdict verdict = {.outcome = outcome, .status = status};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    answer_put_detail(verdict.detail, span_of_string(text));
    close_down(link);
    link->options.events->on_down(link->options.context, &verdict);
}

static void lose_by_reason(struct mqtt_link *link, const char *what, uint8_t reason,
                           const struct mqtt_properties *properties) {
    static const uint8_t of_the_moment[] = {
        MQTT_REASON_SERVER_UNAVAILABLE,   MQTT_REASON_SERVER_BUSY,
        MQTT_REASON_SERVER_SHUTTING_DOWN, MQTT_REASON_CONNECTION_RATE_EXCEEDED,
        MQTT_REASON_KEEP_ALIVE_TIMEOUT,   MQTT_REASON_MAXIMUM_CONNECT_TIME,
    };
    const struct mqtt_reason_row *row = mqtt_reason_row(reason);
    struct span text = properties != NULL && mqtt_has(properties, MQTT_PROPERTY_REASON_STRING)
                           ? properties->reason_string
                           : (struct span){0};
    bool is_passing = memchr(of_the_moment, reason, sizeof(of_the_moment)) != NULL;
    lose(link, is_passing ? OUTCOME_UNREACHED : OUTCOME_FAILED, reason, "%s: 0x%02X (%s)%s%.*s",
         what, reason, row == NULL ? "unknown" : row->text, text.length == 0 ? "" : ": ",
         (int)(text.length < SINK_DETAIL_BYTES ? text.length : SINK_DETAIL_BYTES),
         text.length == 0 ? "" : (const char *)text.bytes);
}

/* --- sending --------------------------------------------------------------------------------- */

static bool is_all_sent(const struct mqtt_link *link) {
    return link->queue.length == 0 && link->sending.length == 0;
}

static void want(struct mqtt_link *link) {
    dial_want(link->dial, !link->is_held, !is_all_sent(link));
}

/* OK: all is sent; ERR_AGAIN: the socket is full; ERR_IO. */
static enum error_code send_all(struct mqtt_link *link) {
    while (!is_all_sent(link)) {
        if (link->sending.length == 0) {
            struct buffer empty = link->sending;
            link->sending = link->queue;
            link->queue = empty;
        }
        size_t sent;
        struct span rest =
            span_of(link->sending.bytes + link->sent, link->sending.length - link->sent);
        enum error_code code = dial_send(link->dial, rest, &sent);
        if (code != OK) {
            return code;
        }
        link->sent_ms = loop_now_ms(link->loop);
        link->sent += sent;
        if (link->sent == link->sending.length) {
            link->sent = 0;
            buffer_clear(&link->sending);
        }
    }
    return OK;
}

/* The last thing that a function does. */
static void flush(struct mqtt_link *link) {
    enum error_code code = send_all(link);
    if (code == ERR_IO) {
        lose(link, OUTCOME_UNREACHED, 0, "the connection was lost while sending");
        return;
    }
    want(link);
    if (code == OK && link->state == LINK_UP && link->options.events->on_sent != NULL) {
        link->options.events->on_sent(link->options.context);
    }
}

static enum error_code put(struct mqtt_link *link, enum error_code code) {
    if (code == OK) {
        loop_put_chore(link->loop, &link->chore);
    }
    return code;
}

/* --- what comes ------------------------------------------------------------------------------ */

static void begin(struct mqtt_link *link, enum mqtt_version version);

/* What a broker of 3.1.1 alone says to a CONNECT of 5, in its own form. */
static bool is_old_refusal(const struct mqtt_link *link, const struct mqtt_frame *frame) {
    return link->in.version == MQTT_VERSION_5 && frame->body.length == 2 &&
           frame->body.bytes[1] != 0;
}

static void take_terms(struct mqtt_link *link, const struct mqtt_properties *properties) {
    link->receive_maximum = mqtt_has(properties, MQTT_PROPERTY_RECEIVE_MAXIMUM)
                                ? properties->receive_maximum
                                : UINT16_MAX;
    link->out.packet_bytes_max = mqtt_has(properties, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE)
                                     ? properties->maximum_packet_size
                                     : UINT32_MAX;
    link->has_retain =
        !mqtt_has(properties, MQTT_PROPERTY_RETAIN_AVAILABLE) || properties->retain_available != 0;
    /* 0: it hangs up on nobody who is silent. A longer one than ours says nothing against ours. */
    uint64_t theirs_ms = mqtt_has(properties, MQTT_PROPERTY_SERVER_KEEP_ALIVE)
                             ? (uint64_t)properties->server_keep_alive * MS_PER_SECOND
                             : 0;
    if (theirs_ms > 0 && theirs_ms < link->keep_alive_ms) {
        link->keep_alive_ms = theirs_ms;
    }
}

static void arm(struct mqtt_link *link) {
    uint64_t wait_ms = link->state == LINK_UP ? link->keep_alive_ms / 2 : MQTT_LINK_CONNECT_MS;
    loop_arm(link->loop, &link->timer, loop_now_ms(link->loop) + wait_ms);
}

static void take_connack(struct mqtt_link *link, const struct mqtt_frame *frame) {
    struct mqtt_connack connack;
    struct error why = {0};
    if (is_old_refusal(link, frame)) {
        enum mqtt_reason reason = MQTT_REASON_UNSPECIFIED_ERROR;
        bool is_known = mqtt_reason_from_connack_311(frame->body.bytes[1], &reason);
        if (is_known && reason == MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION) {
            close_down(link);
            begin(link, MQTT_VERSION_3_1_1);
        } else {
            lose_by_reason(link, "the broker there refused", reason, NULL);
        }
        return;
    }
    if (mqtt_decode_connack(frame, &link->in, &connack, NULL, &why) != OK) {
        lose(link, OUTCOME_FAILED, 0, "not MQTT, or not understood: %s", why.detail);
        return;
    }
    link->silence_count = 0;
    if (connack.reason == MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION &&
        link->in.version == MQTT_VERSION_5) {
        close_down(link);
        begin(link, MQTT_VERSION_3_1_1);
    } else if (connack.reason >= MQTT_REASON_FAILURE) {
        lose_by_reason(link, "the broker there refused", connack.reason, &connack.properties);
    } else {
        take_terms(link, &connack.properties);
        link->state = LINK_UP;
        arm(link);
        link->options.events->on_up(link->options.context, connack.is_session_present);
    }
}

static void take_publish(struct mqtt_link *link, const struct mqtt_frame *frame) {
    struct mqtt_publish publish;
    struct error why = {0};
    enum error_code code = mqtt_decode_publish(frame, &link->in, &publish, NULL, &why);
    if (code != OK || publish.qos > 1 || publish.topic.length == 0) {
        lose(link, OUTCOME_FAILED, 0, "a PUBLISH that is not understood: %s", why.detail);
        return;
    }
    uint32_t life = link->life;
    bool is_taken = link->options.events->on_publish == NULL ||
                    link->options.events->on_publish(link->options.context, &publish);
    if (is_same(link, life) && !is_taken) {
        link->is_held = true;
    }
}

/* By hand: some brokers say reasons here that the specification has elsewhere (Mosquitto: 0x95),
 * and it is enough to know what they are about. */
static void take_puback(struct mqtt_link *link, const struct mqtt_frame *frame) {
    struct mqtt_reader reader = mqtt_reader_of(frame->body);
    struct mqtt_properties properties = {0};
    uint16_t packet_id;
    uint8_t reason = MQTT_REASON_SUCCESS;
    if (!mqtt_take_u16(&reader, &packet_id)) {
        lose(link, OUTCOME_FAILED, 0, "a PUBACK that is not understood");
        return;
    }
    if (mqtt_take_u8(&reader, &reason) && mqtt_left(&reader) > 0 &&
        mqtt_properties_decode(&reader, MQTT_BIT(MQTT_PUBACK), MQTT_SERVER, &properties) !=
            MQTT_FAULT_NONE) {
        properties = (struct mqtt_properties){0};
    }
    if (link->options.events->on_acknowledged != NULL) {
        link->options.events->on_acknowledged(link->options.context, packet_id, reason,
                                              mqtt_has(&properties, MQTT_PROPERTY_REASON_STRING)
                                                  ? properties.reason_string
                                                  : (struct span){0});
    }
}

static void take_suback(struct mqtt_link *link, const struct mqtt_frame *frame) {
    struct mqtt_grants grants;
    struct error why = {0};
    if (mqtt_decode_grants(frame, &link->in, &grants, NULL, &why) != OK) {
        lose(link, OUTCOME_FAILED, 0, "a SUBACK that is not understood: %s", why.detail);
    } else if (link->options.events->on_granted != NULL) {
        link->options.events->on_granted(link->options.context, grants.reasons);
    }
}

static void take_pingresp(struct mqtt_link *link, const struct mqtt_frame *frame) {
    (void)frame;
    link->is_pinged = false;
}

static void take_disconnect(struct mqtt_link *link, const struct mqtt_frame *frame) {
    struct mqtt_notice notice;
    if (mqtt_decode_notice(frame, &link->in, &notice, NULL, NULL) != OK) {
        notice = (struct mqtt_notice){.reason = MQTT_REASON_UNSPECIFIED_ERROR};
    }
    lose_by_reason(link, "the broker there hung up", notice.reason, &notice.properties);
}

static void take_frame(struct mqtt_link *link, const struct mqtt_frame *frame) {
    static void (*const takers[MQTT_TYPE_COUNT])(struct mqtt_link *, const struct mqtt_frame *) = {
        [MQTT_PUBLISH] = take_publish,       [MQTT_PUBACK] = take_puback,
        [MQTT_SUBACK] = take_suback,         [MQTT_PINGRESP] = take_pingresp,
        [MQTT_DISCONNECT] = take_disconnect,
    };
    if (link->state == LINK_GREETING && frame->type == MQTT_CONNACK) {
        take_connack(link, frame);
    } else if (link->state == LINK_UP && takers[frame->type] != NULL) {
        takers[frame->type](link, frame);
    } else {
        const struct mqtt_type_row *row = mqtt_type_row((uint8_t)frame->type);
        lose(link, OUTCOME_FAILED, 0, "a %s out of turn", row == NULL ? "packet" : row->text);
    }
}

/* False: the link is not what it was. */
static bool take_frames(struct mqtt_link *link) {
    uint32_t life = link->life;
    size_t taken = 0;
    while (!link->is_held && taken < link->incoming.length) {
        struct span rest = span_of(link->incoming.bytes + taken, link->incoming.length - taken);
        struct mqtt_frame frame;
        struct error why = {0};
        if (mqtt_frame_read(rest, &link->in, &frame, NULL, &why) != OK) {
            lose(link, OUTCOME_FAILED, 0, "not MQTT, or not understood: %s", why.detail);
            return false;
        }
        if (!frame.is_whole) {
            break;
        }
        take_frame(link, &frame);
        if (!is_same(link, life)) {
            return false;
        }
        taken += link->is_held ? 0 : frame.packet_length;
    }
    buffer_drop_front(&link->incoming, taken);
    return true;
}

static void lose_connection(struct mqtt_link *link) {
    bool is_silent = link->state == LINK_GREETING && link->in.version == MQTT_VERSION_5;
    link->silence_count = is_silent ? link->silence_count + 1 : 0;
    lose(link, OUTCOME_UNREACHED, 0, "%s",
         link->state == LINK_GREETING ? "the broker there hung up on CONNECT"
                                      : "the connection was lost");
}

/* All that is there, for TLS may have more than the socket tells of; or what one turn may take. */
static void read_all(struct mqtt_link *link) {
    size_t left = MQTT_LINK_READS_A_TURN;
    link->has_more = false;
    while (take_frames(link) && !link->is_held) {
        size_t received;
        if (left-- == 0) {
            link->has_more = true;
            loop_put_chore(link->loop, &link->chore);
            return;
        }
        if (buffer_reserve(&link->incoming, READ_BYTES) != OK) {
            lose(link, OUTCOME_UNREACHED, 0, "out of memory");
            return;
        }
        enum error_code code = dial_receive(
            link->dial, link->incoming.bytes + link->incoming.length, READ_BYTES, &received);
        if (code == ERR_AGAIN) {
            want(link);
            return;
        }
        if (code != OK) {
            lose_connection(link);
            return;
        }
        link->incoming.length += received;
        link->received_ms = loop_now_ms(link->loop);
    }
    if (link->state != LINK_DOWN && link->dial != NULL && !link->is_dead && link->is_held) {
        want(link);
    }
}

/* --- coming up ------------------------------------------------------------------------------- */

static enum error_code put_connect(struct mqtt_link *link) {
    const struct mqtt_link_options *options = &link->options;
    bool is_kept = options->session_expiry_s > 0;
    struct mqtt_connect connect = {
        .version = link->out.version,
        .is_clean = !is_kept,
        .has_user_name = options->username != NULL || options->password != NULL,
        .has_password = options->password != NULL,
        .keep_alive_s = MQTT_LINK_KEEP_ALIVE_S,
        .client_id = span_of_string(options->client_id),
        .user_name = span_of_string(options->username),
        .password = span_of_string(options->password),
    };
    if (link->out.version == MQTT_VERSION_5) {
        if (is_kept) {
            mqtt_set_session_expiry_interval(&connect.properties, options->session_expiry_s);
        }
        mqtt_set_receive_maximum(&connect.properties, options->receive_maximum);
        mqtt_set_maximum_packet_size(&connect.properties, MQTT_LINK_PACKET_BYTES_MAX);
    }
    return mqtt_encode_connect(&link->queue, &link->out, &connect);
}

static void on_connected(void *context) {
    struct mqtt_link *link = context;
    link->state = LINK_GREETING;
    link->received_ms = link->sent_ms = loop_now_ms(link->loop);
    arm(link);
    if (put_connect(link) != OK) {
        lose(link, OUTCOME_UNREACHED, 0, "out of memory");
        return;
    }
    flush(link);
}

static void on_failed(void *context, const char *detail) {
    lose(context, OUTCOME_UNREACHED, 0, "%s", detail);
}

static void on_ready(void *context) {
    struct mqtt_link *link = context;
    uint32_t life = link->life;
    enter(link);
    if (!link->is_held) {
        read_all(link);
    }
    if (is_same(link, life)) {
        flush(link);
    }
    leave(link);
}

/* At the end of a turn: what was put in it, and what it left. */
static void on_turn(struct loop_chore *chore) {
    struct mqtt_link *link = CONTAINER_OF(chore, struct mqtt_link, chore);
    if (link->has_more) {
        on_ready(link);
    } else {
        flush(link);
    }
}

/* Nothing is heard while nothing is read: then silence says nothing. */
static void mind_silence(struct mqtt_link *link) {
    uint64_t now_ms = loop_now_ms(link->loop);
    if (link->is_held) {
        link->received_ms = now_ms;
    }
    if (now_ms - link->received_ms >= 2 * link->keep_alive_ms) {
        lose(link, OUTCOME_UNREACHED, 0, "no sign of life for %llu ms",
             (unsigned long long)(now_ms - link->received_ms));
        return;
    }
    bool is_quiet = now_ms - link->sent_ms >= link->keep_alive_ms / 2 ||
                    now_ms - link->received_ms >= link->keep_alive_ms;
    if (is_quiet && put(link, mqtt_encode_ping(&link->queue, MQTT_PINGREQ)) == OK) {
        link->is_pinged = true;
    }
    arm(link);
}

static void on_due(struct loop_timer *timer) {
    struct mqtt_link *link = CONTAINER_OF(timer, struct mqtt_link, timer);
    if (link->state == LINK_UP) {
        mind_silence(link);
    } else {
        lose(link, OUTCOME_UNREACHED, 0, "no answer to CONNECT within %d ms", MQTT_LINK_CONNECT_MS);
    }
}

static void begin(struct mqtt_link *link, enum mqtt_version version) {
    struct dial_options options = {.url = link->options.url,
                                   .authorities = link->options.authorities,
                                   .timeout_ms = MQTT_LINK_CONNECT_MS,
                                   .context = link,
                                   .on_connected = on_connected,
                                   .on_failed = on_failed,
                                   .on_ready = on_ready};
    link->in = (struct mqtt_dialect){version, MQTT_SERVER, MQTT_LINK_PACKET_BYTES_MAX};
    link->out = (struct mqtt_dialect){version, MQTT_CLIENT, UINT32_MAX};
    link->keep_alive_ms = (uint64_t)MQTT_LINK_KEEP_ALIVE_S * MS_PER_SECOND;
    link->state = LINK_DIALING;
    link->life++;
    link->is_pinged = false;
    arm(link);
    /* Without a dial the timer tells, later: a start does not fail before it returns. */
    IGNORE_RESULT(dial_create(link->loop, &options, &link->dial));
}

/* --- the calls ------------------------------------------------------------------------------- */

enum error_code mqtt_link_create(struct loop *loop, const struct mqtt_link_options *options,
                                 struct mqtt_link **ret_link) {
    struct mqtt_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        return ERR_MEMORY;
    }
    link->loop = loop;
    link->options = *options;
    link->timer.on_due = on_due;
    loop_chore_init(&link->chore, on_turn);
    buffer_init(&link->incoming, MQTT_LINK_PACKET_BYTES_MAX + 2 * READ_BYTES);
    buffer_init(&link->queue, SIZE_MAX / 2);
    buffer_init(&link->sending, SIZE_MAX / 2);
    *ret_link = link;
    return OK;
}

void mqtt_link_destroy(struct mqtt_link *link) {
    if (link == NULL) {
        return;
    }
    close_down(link);
    link->is_dead = true;
    if (link->depth == 0) {
        free(link);
    }
}

void mqtt_link_start(struct mqtt_link *link) {
    INVARIANT(link->state == LINK_DOWN);
    bool is_deaf = link->silence_count >= MQTT_LINK_SILENCES;
    link->silence_count = is_deaf ? 0 : link->silence_count;
    begin(link, is_deaf ? MQTT_VERSION_3_1_1 : MQTT_VERSION_5);
}

void mqtt_link_stop(struct mqtt_link *link) {
    if (link->state == LINK_DOWN) {
        return;
    }
    struct mqtt_notice goodbye = {.reason = MQTT_REASON_SUCCESS};
    if (link->state == LINK_UP &&
        mqtt_encode_notice(&link->queue, &link->out, MQTT_DISCONNECT, &goodbye) == OK) {
        IGNORE_RESULT(send_all(link)); /* a courtesy: what the socket does not take is let go */
    }
    close_down(link);
}

bool mqtt_link_is_up(const struct mqtt_link *link) {
    return link->state == LINK_UP;
}

enum mqtt_version mqtt_link_version(const struct mqtt_link *link) {
    return link->in.version;
}

uint16_t mqtt_link_receive_maximum(const struct mqtt_link *link) {
    return link->receive_maximum;
}

bool mqtt_link_has_retain(const struct mqtt_link *link) {
    return link->has_retain;
}

bool mqtt_link_has_room(const struct mqtt_link *link) {
    return link->queue.length < MQTT_LINK_QUEUE_BYTES_MAX;
}

enum error_code mqtt_link_publish(struct mqtt_link *link, const struct mqtt_publish *publish) {
    INVARIANT(link->state == LINK_UP);
    if (mqtt_publish_size(&link->out, publish) > link->out.packet_bytes_max) {
        return ERR_TOO_LARGE;
    }
    return put(link, mqtt_encode_publish(&link->queue, &link->out, publish));
}

enum error_code mqtt_link_acknowledge(struct mqtt_link *link, uint16_t packet_id) {
    INVARIANT(link->state == LINK_UP);
    struct mqtt_ack ack = {.packet_id = packet_id};
    if (!mqtt_link_has_room(link)) {
        return ERR_FULL;
    }
    return put(link, mqtt_encode_ack(&link->queue, &link->out, MQTT_PUBACK, &ack));
}

enum error_code mqtt_link_subscribe(struct mqtt_link *link, struct span filters,
                                    uint32_t filter_count) {
    INVARIANT(link->state == LINK_UP);
    struct mqtt_request request = {
        .packet_id = SUBSCRIBE_PACKET_ID, .filter_count = filter_count, .filters = filters};
    return put(link, mqtt_encode_request(&link->queue, &link->out, MQTT_SUBSCRIBE, &request));
}

void mqtt_link_resume(struct mqtt_link *link) {
    if (link->state == LINK_UP && link->is_held) {
        link->is_held = false;
        link->received_ms = loop_now_ms(link->loop);
        enter(link);
        read_all(link);
        leave(link);
    }
}
