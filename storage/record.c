/* SPDX-License-Identifier: Apache-2.0 */
/* Record format, version 1. All numbers are little-endian.
 *
 *   frame (journal only)
 *     0  u32  length of the body in bytes, 52 to RECORD_BODY_BYTES_MAX
 *     4  u32  CRC-32 over the four bytes of the length and then the body
 *     8       the body
 *
 *   body
 *     0  u8   version: 1
 *     1  u8   kind: 1 message, 2 tick, 3 trim, 4 delete, 5 command
 *     2  u8   payload kind: 0 JSON, 1 text, 2 binary
 *     3  u8   QoS as published over MQTT
 *     4  u32  flags: bit 0 retain, bit 1 fsync, bit 2 came by MQTT
 *     8  u32  generation
 *    12  u64  position in the log
 *    20  u64  channel id
 *    28  u64  offset in the channel
 *    36  u64  time, milliseconds since 1970
 *    44  u64  expiry, likewise; 0 for none
 *    52       fields, each: u8 tag, varint length, that many bytes. A field that is empty is left
 *             out; a tag stands at most once; unknown tags are skipped. Varints: see bytes.h.
 *
 *   tags: 1 channel, 2 media type, 3 event, 4 key, 5 headers (string_map.h), 6 publisher,
 *         7 response topic, 8 correlation data, 9 idempotency hash, 10 never written (a tenant is
 *         part of the channel's name), 11 records of the same publish that follow, u32 (4 bytes),
 *         15 payload
 *
 * A later version that changes the meaning of these bytes has another version byte, and readers of
 * version 1 refuse it; one that only adds fields stays version 1. */
#include "storage/record.h"

#include <string.h>

#include "broker/support/invariant.h"
#include "storage/bytes.h"
#include "storage/checksum.h"

#define RECORD_VERSION 1

struct field {
    uint8_t tag;
    size_t at; /* of its span in struct message_fields */
};

#define FIELD(tag, name)                                                                           \
    { tag, offsetof(struct message_fields, name) }

static const struct field FIELDS[] = {
    FIELD(1, channel),
    FIELD(2, type),
    FIELD(3, event),
    FIELD(4, key),
    FIELD(5, headers),
    FIELD(6, publisher),
    FIELD(7, response_topic),
    FIELD(8, correlation),
    FIELD(9, idempotency_hash),
    FIELD(15, payload),
};

#define TAG_CHANNEL 1
#define TAG_GROUP_REST 11
#define GROUP_REST_BYTES 4
#define TAG_MAX 15

static const struct span *field_of(const struct message_fields *fields, const struct field *field) {
    return (const void *)((const char *)fields + field->at);
}

static bool is_written(const struct field *field, struct span span, bool with_channel) {
    return span.length > 0 && (with_channel || field->tag != TAG_CHANNEL);
}

size_t record_body_size(const struct message *message, bool with_channel) {
    size_t size = RECORD_BODY_HEAD_BYTES;
    size += message->group_rest == 0 ? 0 : 2 + GROUP_REST_BYTES;
    for (size_t i = 0; i < ARRAY_COUNT(FIELDS); i++) {
        struct span span = *field_of(&message->fields, &FIELDS[i]);
        if (is_written(&FIELDS[i], span, with_channel)) {
            size += 1 + bytes_varint_size(span.length) + span.length;
        }
    }
    return size;
}

uint8_t *record_write_body(const struct message *message, bool with_channel, uint8_t *to) {
    const struct message_fields *fields = &message->fields;
    *to++ = RECORD_VERSION;
    *to++ = (uint8_t)fields->kind;
    *to++ = (uint8_t)fields->payload_kind;
    *to++ = fields->qos;
    to = bytes_put_little(to, fields->flags, 4);
    to = bytes_put_little(to, message->place.generation, 4);
    to = bytes_put_little(to, message->place.position, 8);
    to = bytes_put_little(to, message->place.channel_id, 8);
    to = bytes_put_little(to, message->place.offset, 8);
    to = bytes_put_little(to, message->time_ms, 8);
    to = bytes_put_little(to, message->expiry_ms, 8);
    if (message->group_rest > 0) {
        *to++ = TAG_GROUP_REST;
        to = bytes_put_varint(to, GROUP_REST_BYTES);
        to = bytes_put_little(to, message->group_rest, GROUP_REST_BYTES);
    }
    for (size_t i = 0; i < ARRAY_COUNT(FIELDS); i++) {
        struct span span = *field_of(fields, &FIELDS[i]);
        if (is_written(&FIELDS[i], span, with_channel)) {
            *to++ = FIELDS[i].tag;
            to = bytes_put_varint(to, span.length);
            memcpy(to, span.bytes, span.length);
            to += span.length;
        }
    }
    return to;
}

static void set_field(struct message_fields *fields, uint8_t tag, struct span span) {
    for (size_t i = 0; i < ARRAY_COUNT(FIELDS); i++) {
        if (FIELDS[i].tag == tag) {
            memcpy((char *)fields + FIELDS[i].at, &span, sizeof(span));
            return;
        }
    }
}

static bool read_fields(const uint8_t *at, const uint8_t *end, struct record *record) {
    uint32_t seen = 0;
    while (at < end) {
        uint8_t tag = *at++;
        uint64_t length = 0;
        if (!bytes_get_varint(&at, end, &length) || length > (size_t)(end - at)) {
            return false;
        }
        if (tag <= TAG_MAX) {
            if ((seen & 1u << tag) != 0) {
                return false;
            }
            seen |= 1u << tag;
        }
        if (tag == TAG_GROUP_REST && length != GROUP_REST_BYTES) {
            return false;
        }
        if (tag == TAG_GROUP_REST) {
            record->group_rest = (uint32_t)bytes_get_little(at, GROUP_REST_BYTES);
        }
        set_field(&record->fields, tag, length == 0 ? (struct span){0} : span_of(at, length));
        at += length;
    }
    return true;
}

bool record_read_body(struct span body, struct record *ret_record) {
    if (body.length < RECORD_BODY_HEAD_BYTES || body.length > RECORD_BODY_BYTES_MAX) {
        return false;
    }
    const uint8_t *at = body.bytes;
    if (at[0] != RECORD_VERSION || at[1] < MESSAGE_DATA || at[1] > MESSAGE_COMMAND ||
        at[2] > PAYLOAD_BINARY) {
        return false;
    }
    struct record record = {
        .place = {.generation = (uint32_t)bytes_get_little(at + 8, 4),
                  .position = bytes_get_little(at + 12, 8),
                  .channel_id = bytes_get_little(at + 20, 8),
                  .offset = bytes_get_little(at + 28, 8)},
        .time_ms = bytes_get_little(at + 36, 8),
        .expiry_ms = bytes_get_little(at + 44, 8),
        .fields = {.kind = (enum message_kind)at[1],
                   .payload_kind = (enum payload_kind)at[2],
                   .flags = (uint32_t)bytes_get_little(at + 4, 4),
                   .qos = at[3]},
    };
    bool is_stillborn = record.expiry_ms != 0 && record.expiry_ms == record.time_ms;
    if (record.place.position == 0 || is_stillborn ||
        (at[1] == MESSAGE_DATA && (record.place.channel_id == 0 || record.place.offset == 0)) ||
        !read_fields(at + RECORD_BODY_HEAD_BYTES, at + body.length, &record)) {
        return false;
    }
    record.fields.ttl_ms = record.expiry_ms == 0 ? 0 : record.expiry_ms - record.time_ms;
    *ret_record = record;
    return true;
}

void record_make_stub(uint8_t *body) {
    INVARIANT(body[0] == RECORD_VERSION);
    body[1] = MESSAGE_DELETE;
    memset(body + 2, 0, 6); /* payload kind, QoS, flags */
}

size_t record_frame_size(const struct message *message) {
    return RECORD_FRAME_HEAD_BYTES + record_body_size(message, true);
}

static uint32_t frame_sum(const uint8_t *frame, size_t body_length) {
    return checksum(checksum(0, frame, 4), frame + RECORD_FRAME_HEAD_BYTES, body_length);
}

uint8_t *record_write_frame(const struct message *message, uint8_t *to) {
    uint8_t *end = record_write_body(message, true, to + RECORD_FRAME_HEAD_BYTES);
    size_t length = (size_t)(end - to) - RECORD_FRAME_HEAD_BYTES;
    INVARIANT(length <= RECORD_BODY_BYTES_MAX);
    bytes_put_little(to, length, 4);
    bytes_put_little(to + 4, frame_sum(to, length), 4);
    return end;
}

enum record_found record_next_frame(struct span *rest, struct record *ret_record) {
    if (rest->length == 0) {
        return RECORD_END;
    }
    if (rest->length < RECORD_FRAME_HEAD_BYTES) {
        return RECORD_SHORT;
    }
    size_t length = (size_t)bytes_get_little(rest->bytes, 4);
    if (length < RECORD_BODY_HEAD_BYTES || length > RECORD_BODY_BYTES_MAX) {
        return RECORD_BAD;
    }
    if (rest->length - RECORD_FRAME_HEAD_BYTES < length) {
        return RECORD_SHORT;
    }
    if (bytes_get_little(rest->bytes + 4, 4) != frame_sum(rest->bytes, length) ||
        !record_read_body(span_of(rest->bytes + RECORD_FRAME_HEAD_BYTES, length), ret_record)) {
        return RECORD_BAD;
    }
    size_t frame = RECORD_FRAME_HEAD_BYTES + length;
    *rest = span_of(rest->bytes + frame, rest->length - frame);
    return RECORD_FOUND;
}

struct message *record_create_message(const struct record *record, uint64_t log_id,
                                      struct span channel) {
    struct message_fields fields = record->fields;
    if (fields.channel.length == 0) {
        fields.channel = channel;
    }
    struct message *message = message_create(&fields);
    if (message != NULL) {
        struct place place = record->place;
        place.log_id = log_id;
        message_order(message, &place, record->time_ms);
        message->group_rest = record->group_rest;
    }
    return message;
}

uint64_t record_counted_bytes(const struct message_fields *fields) {
    return (uint64_t)fields->payload.length + fields->type.length + fields->event.length +
           fields->key.length + fields->headers.length;
}
