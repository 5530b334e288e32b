/* SPDX-License-Identifier: Apache-2.0 */
/* Each body has a function that gives a fault; the public functions say what that means. They stand
 * in a table by packet type, with the struct they fill as a void pointer: the members of struct
 * mqtt_packet's union. */
#include "protocols/mqtt/decode.h"

#include "broker/support/invariant.h"
#include "protocols/mqtt/topic.h"
#include "protocols/mqtt/wire.h"

/* --- what several packets have --------------------------------------------------------------- */

static enum mqtt_fault take_string(struct mqtt_reader *reader, enum mqtt_fault if_short,
                                   struct span *ret_string) {
    return mqtt_take_binary(reader, ret_string) ? mqtt_string_check(*ret_string) : if_short;
}

/* 3.1.1 has none. */
static enum mqtt_fault take_properties(struct mqtt_reader *reader,
                                       const struct mqtt_dialect *dialect, uint32_t where,
                                       struct mqtt_properties *ret_properties) {
    if (dialect->version == MQTT_VERSION_5) {
        return mqtt_properties_decode(reader, where, dialect->sender, ret_properties);
    }
    *ret_properties = (struct mqtt_properties){0};
    return MQTT_FAULT_NONE;
}

static enum mqtt_fault take_packet_id(struct mqtt_reader *reader, enum mqtt_fault if_zero,
                                      uint16_t *ret_packet_id) {
    if (!mqtt_take_u16(reader, ret_packet_id)) {
        return MQTT_FAULT_BODY_SHORT;
    }
    return *ret_packet_id == 0 ? if_zero : MQTT_FAULT_NONE;
}

static enum mqtt_fault check_end(const struct mqtt_reader *reader, enum mqtt_fault if_more) {
    return mqtt_left(reader) > 0 ? if_more : MQTT_FAULT_NONE;
}

/* --- CONNECT --------------------------------------------------------------------------------- */

#define FLAG_RESERVED 0x01
#define FLAG_CLEAN 0x02
#define FLAG_WILL 0x04
#define FLAG_WILL_QOS 0x18
#define FLAG_WILL_QOS_SHIFT 3
#define FLAG_WILL_RETAIN 0x20
#define FLAG_PASSWORD 0x40
#define FLAG_USER_NAME 0x80

/* Bridges of Mosquitto set it at first, and try again without it when they are refused. */
#define LEVEL_BRIDGE_BIT 0x80

/* A level that is not spoken here is answered in the form that its client can read: what is newer
 * than 5.0 as 5.0, all else (MQIsdp of 3.1 too) as 3.1.1. */
static enum mqtt_version form_for_level(bool is_mqtt, uint8_t level) {
    return is_mqtt && level > MQTT_VERSION_5 && level < LEVEL_BRIDGE_BIT ? MQTT_VERSION_5
                                                                         : MQTT_VERSION_3_1_1;
}

/* `ret_version` is NONE unless the level is spoken here; `ret_form` is for the refusal. */
static enum mqtt_fault take_protocol(struct mqtt_reader *reader, enum mqtt_version *ret_version,
                                     enum mqtt_version *ret_form) {
    struct span name;
    uint8_t level;
    *ret_version = MQTT_VERSION_NONE;
    *ret_form = MQTT_VERSION_NONE;
    if (!mqtt_take_binary(reader, &name)) {
        return MQTT_FAULT_CONNECT_SHORT;
    }
    bool is_mqtt = span_is_equal(name, SPAN("MQTT"));
    if (!is_mqtt && !span_is_equal(name, SPAN("MQIsdp"))) {
        return MQTT_FAULT_PROTOCOL_NAME;
    }
    if (!mqtt_take_u8(reader, &level)) {
        return MQTT_FAULT_CONNECT_SHORT;
    }
    if (!is_mqtt || (level != MQTT_VERSION_3_1_1 && level != MQTT_VERSION_5)) {
        *ret_form = form_for_level(is_mqtt, level);
        return MQTT_FAULT_PROTOCOL_LEVEL;
    }
    *ret_version = (enum mqtt_version)level;
    return MQTT_FAULT_NONE;
}

static enum mqtt_fault check_connect_flags(uint8_t flags, enum mqtt_version version) {
    uint8_t will_qos = (flags & FLAG_WILL_QOS) >> FLAG_WILL_QOS_SHIFT;
    bool has_will = (flags & FLAG_WILL) != 0;
    if ((flags & FLAG_RESERVED) != 0) {
        return MQTT_FAULT_CONNECT_FLAG;
    }
    if (!has_will && will_qos != 0) {
        return MQTT_FAULT_WILL_QOS_ALONE;
    }
    if (will_qos == 3) {
        return MQTT_FAULT_WILL_QOS;
    }
    if (!has_will && (flags & FLAG_WILL_RETAIN) != 0) {
        return MQTT_FAULT_WILL_RETAIN_ALONE;
    }
    bool has_password_alone = (flags & (FLAG_PASSWORD | FLAG_USER_NAME)) == FLAG_PASSWORD;
    return version == MQTT_VERSION_3_1_1 && has_password_alone ? MQTT_FAULT_PASSWORD_ALONE
                                                               : MQTT_FAULT_NONE;
}

static enum mqtt_fault take_connect_flags(struct mqtt_reader *reader,
                                          struct mqtt_connect *connect) {
    uint8_t flags;
    if (!mqtt_take_u8(reader, &flags) || !mqtt_take_u16(reader, &connect->keep_alive_s)) {
        return MQTT_FAULT_CONNECT_SHORT;
    }
    connect->is_clean = (flags & FLAG_CLEAN) != 0;
    connect->has_will = (flags & FLAG_WILL) != 0;
    connect->has_user_name = (flags & FLAG_USER_NAME) != 0;
    connect->has_password = (flags & FLAG_PASSWORD) != 0;
    connect->will.qos = (flags & FLAG_WILL_QOS) >> FLAG_WILL_QOS_SHIFT;
    connect->will.is_retained = (flags & FLAG_WILL_RETAIN) != 0;
    return check_connect_flags(flags, connect->version);
}

static enum mqtt_fault take_connect_properties(struct mqtt_reader *reader,
                                               const struct mqtt_dialect *dialect,
                                               struct mqtt_properties *ret_properties) {
    enum mqtt_fault fault = take_properties(reader, dialect, MQTT_IN_CONNECT, ret_properties);
    if (fault != MQTT_FAULT_NONE) {
        return fault;
    }
    return mqtt_has(ret_properties, MQTT_PROPERTY_AUTHENTICATION_DATA) &&
                   !mqtt_has(ret_properties, MQTT_PROPERTY_AUTHENTICATION_METHOD)
               ? MQTT_FAULT_AUTHENTICATION_DATA
               : MQTT_FAULT_NONE;
}

static enum mqtt_fault take_will(struct mqtt_reader *reader, const struct mqtt_dialect *dialect,
                                 struct mqtt_will *will) {
    enum mqtt_fault fault = MQTT_FAULT_NONE;
    if (mqtt_left(reader) == 0) {
        return MQTT_FAULT_WILL_MISSING;
    }
    fault = take_properties(reader, dialect, MQTT_WILL_BIT, &will->properties);
    if (fault == MQTT_FAULT_NONE) {
        fault = take_string(reader, MQTT_FAULT_WILL_MISSING, &will->topic);
    }
    if (fault != MQTT_FAULT_NONE) {
        return fault;
    }
    if (will->topic.length == 0) {
        return MQTT_FAULT_WILL_TOPIC_EMPTY;
    }
    if (mqtt_topic_has_wildcard(will->topic)) {
        return MQTT_FAULT_WILL_TOPIC;
    }
    return mqtt_take_binary(reader, &will->payload) ? MQTT_FAULT_NONE : MQTT_FAULT_WILL_MISSING;
}

/* The fields whose order is fixed [MQTT-3.1.3-1]. */
static enum mqtt_fault take_connect_payload(struct mqtt_reader *reader,
                                            const struct mqtt_dialect *dialect,
                                            struct mqtt_connect *connect) {
    enum mqtt_fault fault = take_string(reader, MQTT_FAULT_CLIENT_ID_MISSING, &connect->client_id);
    if (fault == MQTT_FAULT_NONE && connect->has_will) {
        fault = take_will(reader, dialect, &connect->will);
    }
    if (fault == MQTT_FAULT_NONE && connect->has_user_name) {
        fault = take_string(reader, MQTT_FAULT_USER_NAME_MISSING, &connect->user_name);
    }
    if (fault == MQTT_FAULT_NONE && connect->has_password) {
        fault = mqtt_take_binary(reader, &connect->password) ? MQTT_FAULT_NONE
                                                             : MQTT_FAULT_PASSWORD_MISSING;
    }
    if (fault == MQTT_FAULT_NONE) {
        fault = check_end(reader, MQTT_FAULT_CONNECT_LONG);
    }
    bool is_nameless = connect->client_id.length == 0 && !connect->is_clean;
    return fault == MQTT_FAULT_NONE && is_nameless && connect->version == MQTT_VERSION_3_1_1
               ? MQTT_FAULT_CLIENT_ID_EMPTY
               : fault;
}

static enum mqtt_fault take_connect(const struct mqtt_frame *frame, struct mqtt_connect *connect,
                                    enum mqtt_version *ret_form) {
    struct mqtt_reader reader = mqtt_reader_of(frame->body);
    *connect = (struct mqtt_connect){0};
    enum mqtt_fault fault = take_protocol(&reader, &connect->version, ret_form);
    struct mqtt_dialect dialect = {.version = connect->version, .sender = MQTT_CLIENT};
    if (fault == MQTT_FAULT_NONE) {
        *ret_form = connect->version;
        fault = take_connect_flags(&reader, connect);
    }
    if (fault == MQTT_FAULT_NONE && connect->version == MQTT_VERSION_5 && !frame->is_shortest) {
        fault = MQTT_FAULT_LENGTH_NOT_SHORTEST;
    }
    if (fault == MQTT_FAULT_NONE) {
        fault = take_connect_properties(&reader, &dialect, &connect->properties);
    }
    return fault == MQTT_FAULT_NONE ? take_connect_payload(&reader, &dialect, connect) : fault;
}

/* 3.1.1 closes in silence where it has no return code [MQTT-3.1.4-1]. */
static enum error_code refuse_connect(enum mqtt_fault fault, enum mqtt_version version,
                                      enum mqtt_version form, struct mqtt_refusal *ret_refusal,
                                      struct error *why) {
    enum error_code code = mqtt_fault_tell(fault, version, ret_refusal, why);
    bool is_said =
        form == MQTT_VERSION_5 ||
        (fault != MQTT_FAULT_NONE && form == MQTT_VERSION_3_1_1 &&
         mqtt_reason_to_connack_311(mqtt_fault_row(fault)->reason) != MQTT_CONNACK_SILENT);
    if (code != OK && ret_refusal != NULL && is_said) {
        ret_refusal->answer = form;
    }
    return code;
}

/* --- the other bodies ------------------------------------------------------------------------ */

typedef enum mqtt_fault take_body(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                  const struct mqtt_dialect *dialect, void *ret_packet);

static enum mqtt_fault take_connack(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                    const struct mqtt_dialect *dialect, void *ret_packet) {
    struct mqtt_connack *connack = ret_packet;
    uint8_t flags, value;
    if (!mqtt_take_u8(reader, &flags) || !mqtt_take_u8(reader, &value)) {
        return MQTT_FAULT_BODY_SHORT;
    }
    if (flags > 1) {
        return MQTT_FAULT_CONNACK_FLAGS;
    }
    if (flags != 0 && value != 0) {
        return MQTT_FAULT_CONNACK_SESSION;
    }
    connack->is_session_present = flags != 0;
    connack->reason = (enum mqtt_reason)value;
    if (dialect->version == MQTT_VERSION_3_1_1
            ? !mqtt_reason_from_connack_311(value, &connack->reason)
            : !mqtt_reason_is_legal(value, frame->type, dialect)) {
        return MQTT_FAULT_CONNACK_REASON;
    }
    enum mqtt_fault fault = take_properties(reader, dialect, MQTT_IN_CONNACK, &connack->properties);
    return fault == MQTT_FAULT_NONE ? check_end(reader, MQTT_FAULT_BODY_LONG) : fault;
}

static enum mqtt_fault take_publish(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                    const struct mqtt_dialect *dialect, void *ret_packet) {
    struct mqtt_publish *publish = ret_packet;
    publish->is_repeated = (frame->flags & 0x8) != 0;
    publish->qos = frame->flags >> 1 & 0x3;
    publish->is_retained = (frame->flags & 0x1) != 0;
    publish->packet_id = 0;
    enum mqtt_fault fault = take_string(reader, MQTT_FAULT_BODY_SHORT, &publish->topic);
    if (fault == MQTT_FAULT_NONE && mqtt_topic_has_wildcard(publish->topic)) {
        fault = MQTT_FAULT_TOPIC;
    }
    if (fault == MQTT_FAULT_NONE && publish->qos > 0) {
        fault = take_packet_id(reader, MQTT_FAULT_PACKET_ID_ZERO, &publish->packet_id);
    }
    if (fault == MQTT_FAULT_NONE) {
        fault = take_properties(reader, dialect, MQTT_BIT(MQTT_PUBLISH), &publish->properties);
    }
    if (fault == MQTT_FAULT_NONE && publish->topic.length == 0 &&
        !mqtt_has(&publish->properties, MQTT_PROPERTY_TOPIC_ALIAS)) {
        fault = MQTT_FAULT_TOPIC_EMPTY;
    }
    publish->payload = mqtt_rest(reader);
    return fault;
}

/* What a packet says with a reason that it cannot have. */
static const enum mqtt_fault reason_faults[MQTT_TYPE_COUNT] = {
    [MQTT_PUBACK] = MQTT_FAULT_PUBACK_REASON,         [MQTT_PUBREC] = MQTT_FAULT_PUBREC_REASON,
    [MQTT_PUBREL] = MQTT_FAULT_PUBREL_REASON,         [MQTT_PUBCOMP] = MQTT_FAULT_PUBCOMP_REASON,
    [MQTT_SUBACK] = MQTT_FAULT_SUBACK_REASON,         [MQTT_UNSUBACK] = MQTT_FAULT_UNSUBACK_REASON,
    [MQTT_DISCONNECT] = MQTT_FAULT_DISCONNECT_REASON, [MQTT_AUTH] = MQTT_FAULT_AUTH_REASON,
};

/* A reason and properties, which need not be there: no reason is SUCCESS, and a reason without
 * properties may end the packet. */
static enum mqtt_fault take_reasoned(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                     const struct mqtt_dialect *dialect,
                                     enum mqtt_reason *ret_reason,
                                     struct mqtt_properties *ret_properties) {
    uint8_t value = MQTT_REASON_SUCCESS;
    bool has_reason = mqtt_take_u8(reader, &value);
    if (!mqtt_reason_is_legal(value, frame->type, dialect)) {
        return reason_faults[frame->type];
    }
    *ret_reason = (enum mqtt_reason)value;
    *ret_properties = (struct mqtt_properties){0};
    bool may_end = !has_reason || frame->type != MQTT_AUTH;
    if (mqtt_left(reader) == 0 && may_end) {
        return MQTT_FAULT_NONE;
    }
    enum mqtt_fault fault = take_properties(reader, dialect, MQTT_BIT(frame->type), ret_properties);
    return fault == MQTT_FAULT_NONE ? check_end(reader, MQTT_FAULT_BODY_LONG) : fault;
}

static enum mqtt_fault take_ack(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                const struct mqtt_dialect *dialect, void *ret_packet) {
    struct mqtt_ack *ack = ret_packet;
    enum mqtt_fault fault = take_packet_id(reader, MQTT_FAULT_ACK_ID_ZERO, &ack->packet_id);
    return fault == MQTT_FAULT_NONE
               ? take_reasoned(reader, frame, dialect, &ack->reason, &ack->properties)
               : fault;
}

static enum mqtt_fault take_notice(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                   const struct mqtt_dialect *dialect, void *ret_packet) {
    struct mqtt_notice *notice = ret_packet;
    enum mqtt_fault fault =
        take_reasoned(reader, frame, dialect, &notice->reason, &notice->properties);
    /* The short form is SUCCESS, which tells no method. */
    bool needs_method = frame->type == MQTT_AUTH && frame->body.length > 0;
    return fault == MQTT_FAULT_NONE && needs_method &&
                   !mqtt_has(&notice->properties, MQTT_PROPERTY_AUTHENTICATION_METHOD)
               ? MQTT_FAULT_AUTHENTICATION_METHOD
               : fault;
}

#define OPTIONS_QOS 0x03
#define OPTIONS_NO_LOCAL 0x04
#define OPTIONS_RETAIN_AS_PUBLISHED 0x08
#define OPTIONS_RETAIN_HANDLING 0x30
#define OPTIONS_RETAIN_HANDLING_SHIFT 4
#define OPTIONS_RESERVED_311 0xFC
#define OPTIONS_RESERVED_5 0xC0

static enum mqtt_fault check_options(uint8_t options, enum mqtt_version version,
                                     struct span filter) {
    uint8_t reserved = version == MQTT_VERSION_5 ? OPTIONS_RESERVED_5 : OPTIONS_RESERVED_311;
    if ((options & reserved) != 0) {
        return MQTT_FAULT_SUBSCRIBE_RESERVED;
    }
    if ((options & OPTIONS_QOS) == OPTIONS_QOS) {
        return MQTT_FAULT_SUBSCRIBE_QOS;
    }
    if ((options & OPTIONS_RETAIN_HANDLING) == OPTIONS_RETAIN_HANDLING) {
        return MQTT_FAULT_RETAIN_HANDLING;
    }
    return (options & OPTIONS_NO_LOCAL) != 0 && mqtt_filter_is_shared(filter)
               ? MQTT_FAULT_SHARED_NO_LOCAL
               : MQTT_FAULT_NONE;
}

static enum mqtt_fault check_filter(struct mqtt_reader *reader, enum mqtt_type type,
                                    enum mqtt_version version) {
    struct span filter;
    uint8_t options;
    enum mqtt_fault fault = take_string(reader, MQTT_FAULT_BODY_SHORT, &filter);
    if (fault == MQTT_FAULT_NONE) {
        fault = mqtt_filter_check(filter, version);
    }
    if (fault != MQTT_FAULT_NONE || type != MQTT_SUBSCRIBE) {
        return fault;
    }
    return mqtt_take_u8(reader, &options) ? check_options(options, version, filter)
                                          : MQTT_FAULT_BODY_SHORT;
}

static enum mqtt_fault take_request(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                    const struct mqtt_dialect *dialect, void *ret_packet) {
    struct mqtt_request *request = ret_packet;
    enum mqtt_fault fault = take_packet_id(reader, MQTT_FAULT_PACKET_ID_ZERO, &request->packet_id);
    if (fault == MQTT_FAULT_NONE) {
        fault = take_properties(reader, dialect, MQTT_BIT(frame->type), &request->properties);
    }
    request->filters = mqtt_rest(reader);
    request->filter_count = 0;
    if (fault == MQTT_FAULT_NONE && mqtt_left(reader) == 0) {
        fault = frame->type == MQTT_SUBSCRIBE ? MQTT_FAULT_SUBSCRIBE_EMPTY
                                              : MQTT_FAULT_UNSUBSCRIBE_EMPTY;
    }
    while (fault == MQTT_FAULT_NONE && mqtt_left(reader) > 0) {
        fault = check_filter(reader, frame->type, dialect->version);
        request->filter_count++;
    }
    return fault;
}

static enum mqtt_fault take_grants(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                   const struct mqtt_dialect *dialect, void *ret_packet) {
    struct mqtt_grants *grants = ret_packet;
    enum mqtt_fault fault = take_packet_id(reader, MQTT_FAULT_ACK_ID_ZERO, &grants->packet_id);
    if (fault == MQTT_FAULT_NONE) {
        fault = take_properties(reader, dialect, MQTT_BIT(frame->type), &grants->properties);
    }
    if (fault != MQTT_FAULT_NONE) {
        return fault;
    }
    grants->reasons = mqtt_rest(reader);
    bool has_reasons = frame->type == MQTT_SUBACK || dialect->version == MQTT_VERSION_5;
    if (has_reasons && grants->reasons.length == 0) {
        return MQTT_FAULT_BODY_SHORT;
    }
    for (size_t i = 0; i < grants->reasons.length; i++) {
        if (!mqtt_reason_is_legal(grants->reasons.bytes[i], frame->type, dialect)) {
            return reason_faults[frame->type];
        }
    }
    return MQTT_FAULT_NONE;
}

/* PINGREQ, PINGRESP. */
static enum mqtt_fault take_nothing(struct mqtt_reader *reader, const struct mqtt_frame *frame,
                                    const struct mqtt_dialect *dialect, void *ret_packet) {
    (void)frame, (void)dialect, (void)ret_packet;
    return check_end(reader, MQTT_FAULT_BODY_LONG);
}

static take_body *const bodies[MQTT_TYPE_COUNT] = {
    [MQTT_CONNACK] = take_connack,     [MQTT_PUBLISH] = take_publish,
    [MQTT_PUBACK] = take_ack,          [MQTT_PUBREC] = take_ack,
    [MQTT_PUBREL] = take_ack,          [MQTT_PUBCOMP] = take_ack,
    [MQTT_SUBSCRIBE] = take_request,   [MQTT_SUBACK] = take_grants,
    [MQTT_UNSUBSCRIBE] = take_request, [MQTT_UNSUBACK] = take_grants,
    [MQTT_PINGREQ] = take_nothing,     [MQTT_PINGRESP] = take_nothing,
    [MQTT_DISCONNECT] = take_notice,   [MQTT_AUTH] = take_notice,
};

/* --- the calls ------------------------------------------------------------------------------- */

/* All but CONNECT. */
static enum error_code decode(const struct mqtt_frame *frame, const struct mqtt_dialect *dialect,
                              void *ret_packet, struct mqtt_refusal *ret_refusal,
                              struct error *why) {
    INVARIANT(frame->is_whole);
    INVARIANT(dialect->version != MQTT_VERSION_NONE);
    INVARIANT(bodies[frame->type] != NULL);
    struct mqtt_reader reader = mqtt_reader_of(frame->body);
    enum mqtt_fault fault = bodies[frame->type](&reader, frame, dialect, ret_packet);
    return mqtt_fault_tell(fault, dialect->version, ret_refusal, why);
}

enum error_code mqtt_decode_connect(const struct mqtt_frame *frame,
                                    struct mqtt_connect *ret_connect,
                                    struct mqtt_refusal *ret_refusal, struct error *why) {
    INVARIANT(frame->is_whole);
    INVARIANT(frame->type == MQTT_CONNECT);
    enum mqtt_version form = MQTT_VERSION_NONE;
    enum mqtt_fault fault = take_connect(frame, ret_connect, &form);
    return refuse_connect(fault, ret_connect->version, form, ret_refusal, why);
}

enum error_code mqtt_decode_connack(const struct mqtt_frame *frame,
                                    const struct mqtt_dialect *dialect,
                                    struct mqtt_connack *ret_connack,
                                    struct mqtt_refusal *ret_refusal, struct error *why) {
    INVARIANT(bodies[frame->type] == take_connack);
    return decode(frame, dialect, ret_connack, ret_refusal, why);
}

enum error_code mqtt_decode_publish(const struct mqtt_frame *frame,
                                    const struct mqtt_dialect *dialect,
                                    struct mqtt_publish *ret_publish,
                                    struct mqtt_refusal *ret_refusal, struct error *why) {
    INVARIANT(bodies[frame->type] == take_publish);
    return decode(frame, dialect, ret_publish, ret_refusal, why);
}

enum error_code mqtt_decode_ack(const struct mqtt_frame *frame, const struct mqtt_dialect *dialect,
                                struct mqtt_ack *ret_ack, struct mqtt_refusal *ret_refusal,
                                struct error *why) {
    INVARIANT(bodies[frame->type] == take_ack);
    return decode(frame, dialect, ret_ack, ret_refusal, why);
}

enum error_code mqtt_decode_request(const struct mqtt_frame *frame,
                                    const struct mqtt_dialect *dialect,
                                    struct mqtt_request *ret_request,
                                    struct mqtt_refusal *ret_refusal, struct error *why) {
    INVARIANT(bodies[frame->type] == take_request);
    return decode(frame, dialect, ret_request, ret_refusal, why);
}

enum error_code mqtt_decode_grants(const struct mqtt_frame *frame,
                                   const struct mqtt_dialect *dialect,
                                   struct mqtt_grants *ret_grants, struct mqtt_refusal *ret_refusal,
                                   struct error *why) {
    INVARIANT(bodies[frame->type] == take_grants);
    return decode(frame, dialect, ret_grants, ret_refusal, why);
}

enum error_code mqtt_decode_notice(const struct mqtt_frame *frame,
                                   const struct mqtt_dialect *dialect,
                                   struct mqtt_notice *ret_notice, struct mqtt_refusal *ret_refusal,
                                   struct error *why) {
    INVARIANT(bodies[frame->type] == take_notice);
    return decode(frame, dialect, ret_notice, ret_refusal, why);
}

enum error_code mqtt_decode(const struct mqtt_frame *frame, const struct mqtt_dialect *dialect,
                            struct mqtt_packet *ret_packet, struct mqtt_refusal *ret_refusal,
                            struct error *why) {
    ret_packet->type = frame->type;
    return frame->type == MQTT_CONNECT
               ? mqtt_decode_connect(frame, &ret_packet->connect, ret_refusal, why)
               : decode(frame, dialect, &ret_packet->connect, ret_refusal, why);
}

bool mqtt_subscription_next(struct span *rest, struct mqtt_subscription *ret_subscription) {
    struct mqtt_reader reader = mqtt_reader_of(*rest);
    uint8_t options;
    if (!mqtt_take_binary(&reader, &ret_subscription->filter) || !mqtt_take_u8(&reader, &options)) {
        return false;
    }
    mqtt_filter_split(ret_subscription->filter, &ret_subscription->share,
                      &ret_subscription->pattern);
    ret_subscription->qos = options & OPTIONS_QOS;
    ret_subscription->is_no_local = (options & OPTIONS_NO_LOCAL) != 0;
    ret_subscription->is_retained_as_published = (options & OPTIONS_RETAIN_AS_PUBLISHED) != 0;
    ret_subscription->retain_handling =
        (options & OPTIONS_RETAIN_HANDLING) >> OPTIONS_RETAIN_HANDLING_SHIFT;
    *rest = mqtt_rest(&reader);
    return true;
}

bool mqtt_filter_next(struct span *rest, struct span *ret_filter) {
    struct mqtt_reader reader = mqtt_reader_of(*rest);
    if (!mqtt_take_binary(&reader, ret_filter)) {
        return false;
    }
    *rest = mqtt_rest(&reader);
    return true;
}
