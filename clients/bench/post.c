/* SPDX-License-Identifier: Apache-2.0 */
/* A publish is a request on a connection that stays; several may be under way, and are answered in
 * their order. The length of a body stands right-aligned in a field of blanks (which RFC 9112 lets
 * stand before a value), so that the body is written once, behind it.
 *
 * WEAKNESS: what is under way behind an answer with `Connection: close` is not sent again, and
 * counts as lost; cure: keep it until it is answered. Servers that do so are to be told not to. */
#include <stdio.h>
#include <string.h>

#include "clients/bench/carrier.h"
#include "clients/bench/escape.h"

#define LENGTH_FIELD "Content-Length:           "
#define REFUSING_STATUS 300
#define SAID_BYTES_MAX 512u
#define ERROR_MARK "\"error\""

/* Returns where the body begins. */
static size_t begin_body(struct bytes *output) {
    escape_put_text(output, LENGTH_FIELD "\r\n\r\n");
    return output->length;
}

static void end_body(struct bytes *output, size_t begin) {
    size_t length = output->length - begin;
    uint8_t *digit = output->data + begin - 4;
    do {
        *--digit = (uint8_t)('0' + length % 10);
        length /= 10;
    } while (length > 0);
}

static void put_fields(struct bytes *output, const struct protocol_link *link,
                       const char *media_type) {
    opening_put_fields(output, link, media_type);
    output->length -= 2; /* the length stands before the empty line */
}

static void put_payload(struct bytes *output, const struct protocol_message *message) {
    bytes_put(output, message->payload, message->length);
}

/* One message as it is, to the URL that is its channel. */
static void put_one(struct protocol_link *link, const char *prefix, const char *media_type,
                    const struct protocol_message *message, struct bytes *output) {
    opening_put_start(output, link, "POST ");
    escape_put_text(output, prefix);
    escape_put_path(output, message->channel);
    put_fields(output, link, media_type);
    size_t begin = begin_body(output);
    put_payload(output, message);
    end_body(output, begin);
}

void rest_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                      size_t count, struct bytes *output) {
    (void)count;
    put_one(link, "/channels/", "Content-Type: application/json\r\n", messages, output);
}

/* A message a line, all of the first one's channel. */
void ndjson_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                        size_t count, struct bytes *output) {
    opening_put_start(output, link, "POST ");
    escape_put_text(output, "/channels/");
    escape_put_path(output, messages->channel);
    put_fields(output, link, "Content-Type: application/x-ndjson\r\n");
    size_t begin = begin_body(output);
    for (size_t i = 0; i < count; i++) {
        put_payload(output, &messages[i]);
        bytes_put(output, "\n", 1);
    }
    end_body(output, begin);
}

/* `{"channel":"…","data":…}` */
static void put_object(struct bytes *output, const struct protocol_message *message) {
    escape_put_text(output, "{\"channel\":");
    escape_put_json(output, message->channel);
    escape_put_text(output, ",\"data\":");
    put_payload(output, message);
    bytes_put(output, "}", 1);
}

void publish_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                         size_t count, struct bytes *output) {
    opening_put_start(output, link, "POST ");
    escape_put_text(output, "/publish");
    put_fields(output, link, "Content-Type: application/json\r\n");
    size_t begin = begin_body(output);
    for (size_t i = 0; i < count; i++) {
        bytes_put(output, i == 0 ? "[" : ",", 1);
        put_object(output, &messages[i]);
    }
    bytes_put(output, "]", 1);
    end_body(output, begin);
}

void nchan_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                       size_t count, struct bytes *output) {
    (void)count;
    put_one(link, "/", "Content-Type: application/json\r\n", messages, output);
}

/* Its key is no bearer's. One is /api/publish, several /api/batch. */
void centrifugo_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                            size_t count, struct bytes *output) {
    opening_put_start(output, link, "POST ");
    escape_put_text(output, count == 1 ? "/api/publish" : "/api/batch");
    opening_put_host(output, link);
    if (link->token != NULL) {
        escape_put_text(output, "X-API-Key: ");
        escape_put_text(output, link->token);
        escape_put_text(output, "\r\n");
    }
    escape_put_text(output, "Content-Type: application/json\r\n");
    size_t begin = begin_body(output);
    if (count == 1) {
        put_object(output, messages);
    } else {
        escape_put_text(output, "{\"commands\":[");
        for (size_t i = 0; i < count; i++) {
            escape_put_text(output, i == 0 ? "{\"publish\":" : ",{\"publish\":");
            put_object(output, &messages[i]);
            bytes_put(output, "}", 1);
        }
        escape_put_text(output, "]}");
    }
    end_body(output, begin);
}

void mercure_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                         size_t count, struct bytes *output) {
    (void)count;
    const uint8_t *topic = (const uint8_t *)messages->channel;
    opening_put_start(output, link, "POST ");
    escape_put_text(output, "/.well-known/mercure");
    put_fields(output, link, "Content-Type: application/x-www-form-urlencoded\r\n");
    size_t begin = begin_body(output);
    escape_put_text(output, "topic=");
    escape_put_value(output, topic, strlen(messages->channel));
    escape_put_text(output, "&data=");
    escape_put_value(output, messages->payload, messages->length);
    end_body(output, begin);
}

/* --- the answers ------------------------------------------------------------------------------ */

/* While one is taken, `awaited` has its status, `packet_id` how much of ERROR_MARK was seen, and
 * `said` its body where that may tell why a publish was refused. */

static void keep_said(struct protocol_link *link, const uint8_t *bytes, size_t length) {
    size_t room = SAID_BYTES_MAX - link->said.length;
    bytes_put(&link->said, bytes, length < room ? length : room);
}

static enum protocol_told skip(struct protocol_link *link, const uint8_t *bytes, size_t length,
                               struct bytes *output, struct protocol_unit *ret_unit) {
    (void)output;
    if (link->awaited >= REFUSING_STATUS) {
        keep_said(link, bytes, length);
    }
    ret_unit->length = length;
    return PROTOCOL_NOTHING;
}

/* The mark begins with what else only ends it, so that nothing needs to be looked at twice. */
static enum protocol_told find_error(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct bytes *output,
                                     struct protocol_unit *ret_unit) {
    static const char mark[] = ERROR_MARK;
    (void)output;
    keep_said(link, bytes, length);
    for (size_t i = 0; i < length && link->packet_id < sizeof(mark) - 1; i++) {
        bool is_next = bytes[i] == (uint8_t)mark[link->packet_id];
        link->packet_id = is_next ? link->packet_id + 1 : bytes[i] == '"';
    }
    ret_unit->length = length;
    return PROTOCOL_NOTHING;
}

static enum protocol_told tell_answer(struct protocol_link *link, struct protocol_unit *ret_unit) {
    ret_unit->count = 1;
    bool is_refused = link->awaited >= REFUSING_STATUS;
    ret_unit->is_refused = is_refused || link->packet_id == sizeof(ERROR_MARK) - 1;
    if (ret_unit->is_refused) {
        ret_unit->why = is_refused ? opening_tell_status(link->awaited) : "the server answered";
        ret_unit->payload = link->said.data;
        ret_unit->payload_length = link->said.length;
    }
    link->phase = link->phase == CARRIER_END ? CARRIER_HEAD : link->phase;
    link->packet_id = 0;
    return PROTOCOL_ANSWER;
}

static enum protocol_told take_head(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct protocol_unit *ret_unit) {
    struct opening opening;
    enum opening_state state = opening_read(bytes, length, &opening);
    if (state == OPENING_CUT) {
        return PROTOCOL_MORE;
    }
    if (state == OPENING_BAD || opening.status == 0) {
        ret_unit->why = "the answer to a publish is no HTTP";
        return PROTOCOL_REFUSED;
    }
    ret_unit->length = opening.length;
    if (opening.status < 200) {
        return PROTOCOL_NOTHING; /* the real one follows */
    }
    link->awaited = opening.status;
    bytes_drop(&link->said, link->said.length);
    link->is_ending = opening.is_closing;
    carrier_begin_body(link, &opening);
    bool is_endless = link->left == UINT64_MAX; /* the connection ends with it */
    return is_endless || link->phase == CARRIER_END ? tell_answer(link, ret_unit)
                                                    : PROTOCOL_NOTHING;
}

/* An answer mostly lies there as a whole: one call takes it. */
static enum protocol_told take_answer(struct protocol_link *link, const uint8_t *bytes,
                                      size_t length, struct bytes *output,
                                      struct protocol_unit *ret_unit, protocol_take *inner) {
    size_t used = 0;
    if (link->phase == CARRIER_HEAD) {
        enum protocol_told told = take_head(link, bytes, length, ret_unit);
        if (told != PROTOCOL_NOTHING || link->phase == CARRIER_HEAD) {
            return told;
        }
        used = ret_unit->length;
    }
    while (used < length && link->phase != CARRIER_END) {
        enum protocol_told told =
            carrier_take_body(link, bytes + used, length - used, output, ret_unit, inner);
        if (told == PROTOCOL_REFUSED) {
            return told;
        }
        if (told == PROTOCOL_MORE) {
            break;
        }
        used += ret_unit->length;
    }
    ret_unit->length = used;
    if (link->phase == CARRIER_END) {
        return tell_answer(link, ret_unit);
    }
    return used > 0 ? PROTOCOL_NOTHING : PROTOCOL_MORE;
}

enum protocol_told post_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                             struct bytes *output, struct protocol_unit *ret_unit) {
    return take_answer(link, bytes, length, output, ret_unit, skip);
}

/* A publish that was refused may be answered 200 with an `error` inside. */
enum protocol_told centrifugo_take_answer(struct protocol_link *link, const uint8_t *bytes,
                                          size_t length, struct bytes *output,
                                          struct protocol_unit *ret_unit) {
    return take_answer(link, bytes, length, output, ret_unit, find_error);
}
