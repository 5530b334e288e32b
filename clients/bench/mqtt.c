/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT 3.1.1, the version that every server has. A packet is a first byte (type and flags), the
 * length of the rest in one to four bytes of seven bits each, and the rest. */
#include <stdio.h>
#include <string.h>

#include "clients/bench/escape.h"
#include "clients/bench/protocol_private.h"

enum packet_type { CONNACK = 2, PUBLISH = 3, PUBACK = 4, SUBACK = 9 };

#define LENGTH_BYTES_MAX 4
#define PACKET_ID_MAX 65535
#define FILTERS_MAX 100 /* of a SUBSCRIBE */
#define CLIENT_ID_BYTES_MAX 40
#define CONNECT_HEAD_BYTES 10
#define WITH_PASSWORD 0xc0 /* user name and password */
#define CLEAN_SESSION 0x02

static size_t write_length(uint8_t *bytes, size_t length) {
    size_t count = 0;
    do {
        bytes[count++] = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
        length >>= 7;
    } while (length > 0);
    return count;
}

static void put_head(struct bytes *output, uint8_t first, size_t length) {
    uint8_t head[1 + LENGTH_BYTES_MAX] = {first};
    bytes_put(output, head, 1 + write_length(head + 1, length));
}

static void put_u16(struct bytes *output, size_t number) {
    uint8_t bytes[2] = {(uint8_t)(number >> 8), (uint8_t)number};
    bytes_put(output, bytes, sizeof(bytes));
}

static void put_string(struct bytes *output, const char *text) {
    put_u16(output, strlen(text));
    escape_put_text(output, text);
}

static uint16_t next_packet_id(struct protocol_link *link) {
    link->packet_id = link->packet_id % PACKET_ID_MAX + 1;
    return (uint16_t)link->packet_id;
}

/* A clean session, no keep-alive: what the load measures shall not be pings. A token is the
 * password of the user "bench". */
static void put_connect(struct protocol_link *link, struct bytes *output) {
    static const uint8_t name[] = {0, 4, 'M', 'Q', 'T', 'T', 4};
    char id[CLIENT_ID_BYTES_MAX];
    snprintf(id, sizeof(id), "bench-%x-%c%u", link->run, link->is_publisher ? 'p' : 'r',
             link->index);
    bool has_token = link->token != NULL;
    size_t secret = has_token ? 2 + strlen("bench") + 2 + strlen(link->token) : 0;
    uint8_t flags[] = {(uint8_t)(CLEAN_SESSION | (has_token ? WITH_PASSWORD : 0)), 0, 0};
    put_head(output, 0x10, CONNECT_HEAD_BYTES + 2 + strlen(id) + secret);
    bytes_put(output, name, sizeof(name));
    bytes_put(output, flags, sizeof(flags));
    put_string(output, id);
    if (has_token) {
        put_string(output, "bench");
        put_string(output, link->token);
    }
}

/* One packet of the filters from `from` to `to`. */
static void put_subscribe(struct protocol_link *link, size_t from, size_t to, uint8_t qos,
                          struct bytes *output) {
    struct bytes rest = {0};
    put_u16(&rest, next_packet_id(link));
    for (size_t i = from; i < to; i++) {
        size_t begin = rest.length;
        put_u16(&rest, 0);
        escape_put_pattern(&rest, link->selectors[i], '/', '+', '#');
        size_t length = rest.length - begin - 2;
        rest.data[begin] = (uint8_t)(length >> 8);
        rest.data[begin + 1] = (uint8_t)length;
        bytes_put(&rest, &qos, 1);
    }
    put_head(output, 0x82, rest.length);
    bytes_put(output, rest.data, rest.length);
    bytes_finish(&rest);
}

static void put_hello(struct protocol_link *link, uint8_t qos, struct bytes *output) {
    put_connect(link, output);
    for (size_t from = 0; from < link->selector_count && !link->is_publisher;) {
        size_t rest = link->selector_count - from;
        size_t to = from + (rest < FILTERS_MAX ? rest : FILTERS_MAX);
        put_subscribe(link, from, to, qos, output);
        link->awaited++;
        from = to;
    }
}

void mqtt_qos0_put_hello(struct protocol_link *link, struct bytes *output) {
    put_hello(link, 0, output);
}

void mqtt_qos1_put_hello(struct protocol_link *link, struct bytes *output) {
    put_hello(link, 1, output);
}

static void put_publish(uint16_t packet_id, const struct protocol_message *message,
                        struct bytes *output) {
    size_t id_bytes = packet_id == 0 ? 0 : 2;
    put_head(output, packet_id == 0 ? 0x30 : 0x32,
             2 + strlen(message->channel) + id_bytes + message->length);
    put_string(output, message->channel);
    if (id_bytes > 0) {
        put_u16(output, packet_id);
    }
    bytes_put(output, message->payload, message->length);
}

void mqtt_qos0_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                           size_t count, struct bytes *output) {
    (void)link;
    (void)count;
    put_publish(0, messages, output);
}

void mqtt_qos1_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                           size_t count, struct bytes *output) {
    (void)count;
    put_publish(next_packet_id(link), messages, output);
}

/* --- what comes ------------------------------------------------------------------------------- */

static enum protocol_told take_publish(const uint8_t *packet, size_t head, size_t length,
                                       struct bytes *output, struct protocol_unit *ret_unit) {
    unsigned qos = packet[0] >> 1 & 3;
    size_t at = head + 2;
    if (length >= at) {
        at += (size_t)packet[head] << 8 | packet[head + 1];
    }
    at += qos > 0 ? 2 : 0;
    if (at > length) {
        return protocol_refuse(ret_unit, "an MQTT PUBLISH is shorter than its topic");
    }
    if (qos > 0) {
        uint8_t puback[] = {0x40, 2, packet[at - 2], packet[at - 1]};
        bytes_put(output, puback, sizeof(puback));
    }
    ret_unit->payload = packet + at;
    ret_unit->payload_length = length - at;
    return PROTOCOL_MESSAGE;
}

static enum protocol_told tell_ready(struct protocol_link *link) {
    link->is_open = true;
    return PROTOCOL_READY;
}

/* `rest` is what stands behind the packet's length. */
static enum protocol_told take_connack(struct protocol_link *link, const uint8_t *rest,
                                       size_t length, struct protocol_unit *ret_unit) {
    static const char *const words[] = {
        "MQTT: the CONNACK is not one",
        "MQTT: the server refused the protocol's version",
        "MQTT: the server refused the client's id",
        "MQTT: the server is not available",
        "MQTT: the user or password is wrong",
        "MQTT: not authorized",
    };
    size_t code = length == 2 ? rest[1] : 0;
    if (length != 2 || code > 0) {
        return protocol_refuse(ret_unit, words[code < sizeof(words) / sizeof(words[0]) ? code : 0]);
    }
    return link->awaited == 0 ? tell_ready(link) : PROTOCOL_NOTHING;
}

static enum protocol_told take_suback(struct protocol_link *link, const uint8_t *rest,
                                      size_t length, struct protocol_unit *ret_unit) {
    if (length < 3 || memchr(rest + 2, 0x80, length - 2) != NULL) {
        return protocol_refuse(ret_unit, "MQTT: a subscription was refused");
    }
    if (link->awaited == 0) {
        return protocol_refuse(ret_unit, "MQTT: a SUBACK for no SUBSCRIBE");
    }
    return --link->awaited == 0 ? tell_ready(link) : PROTOCOL_NOTHING;
}

static enum protocol_told take_packet(struct protocol_link *link, const uint8_t *packet,
                                      size_t head, size_t length, struct protocol_unit *ret_unit) {
    switch (packet[0] >> 4) {
    case CONNACK:
        return take_connack(link, packet + head, length - head, ret_unit);
    case SUBACK:
        return take_suback(link, packet + head, length - head, ret_unit);
    case PUBACK:
        ret_unit->count = 1;
        ret_unit->is_refused = false;
        return PROTOCOL_ANSWER;
    default:
        return PROTOCOL_NOTHING;
    }
}

enum protocol_told mqtt_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                             struct bytes *output, struct protocol_unit *ret_unit) {
    size_t rest = 0, at = 1;
    do {
        if (at > LENGTH_BYTES_MAX) {
            return protocol_refuse(ret_unit, "an MQTT packet's length does not end");
        }
        if (at >= length) {
            return PROTOCOL_MORE;
        }
        rest |= (size_t)(bytes[at] & 0x7f) << (7 * (at - 1));
    } while ((bytes[at++] & 0x80) != 0);
    if (rest > PROTOCOL_UNIT_BYTES_MAX) {
        return protocol_refuse(ret_unit, "an MQTT packet is longer than the load takes");
    }
    if (length - at < rest) {
        return PROTOCOL_MORE;
    }
    ret_unit->length = at + rest;
    return bytes[0] >> 4 == PUBLISH ? take_publish(bytes, at, at + rest, output, ret_unit)
                                    : take_packet(link, bytes, at, at + rest, ret_unit);
}
