/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are little-endian.
 *
 *     0  u8   version: 1
 *     1  u8   bits: 1 it is held, 2 there is a will, 4 groups may wait for it, 8 it has an owner
 *     2  u64  expiry in milliseconds; all ones: never
 *    10  u64  released, milliseconds of log time; 0 while it is held
 *    18  the owner, where it has one: 16 bytes
 *     …  the will, where there is one:
 *          u64  due, milliseconds of log time; while it is held the delay
 *          u64  lifetime in milliseconds; 0: as long as its channel keeps it
 *          u32  flags of the message
 *          u8   payload kind
 *          u8   QoS
 *          ten fields, each u32 length and bytes, in the order of will_fields
 *     …  the protocol's state, to the end: steps may be appended to it */
#include "broker/runtime/session_record.h"

#include <stddef.h>

#define VERSION 1
#define WILL_HEAD_BYTES 22

enum bit { BIT_HELD = 1, BIT_WILL = 2, BIT_SHARES = 4, BIT_OWNER = 8 };

#define BITS_KNOWN (BIT_HELD | BIT_WILL | BIT_SHARES | BIT_OWNER)

static const size_t will_fields[] = {
    offsetof(struct message_fields, channel),
    offsetof(struct message_fields, type),
    offsetof(struct message_fields, event),
    offsetof(struct message_fields, key),
    offsetof(struct message_fields, headers),
    offsetof(struct message_fields, publisher),
    offsetof(struct message_fields, response_topic),
    offsetof(struct message_fields, correlation),
    offsetof(struct message_fields, idempotency_hash),
    offsetof(struct message_fields, payload),
};

static const struct span *will_field(const struct session_record *record, size_t index) {
    return (const void *)((const char *)&record->will + will_fields[index]);
}

static uint8_t *put_number(uint8_t *to, uint64_t number, size_t size) {
    for (size_t i = 0; i < size; i++) {
        *to++ = (uint8_t)(number >> (8 * i));
    }
    return to;
}

static uint8_t *put_bytes(uint8_t *to, struct span bytes) {
    if (bytes.length > 0) {
        memcpy(to, bytes.bytes, bytes.length);
    }
    return to + bytes.length;
}

static uint8_t *put_will(uint8_t *to, const struct session_record *record) {
    to = put_number(to, record->will_due_ms, 8);
    to = put_number(to, record->will.ttl_ms, 8);
    to = put_number(to, record->will.flags, 4);
    to = put_number(to, record->will.payload_kind, 1);
    to = put_number(to, record->will.qos, 1);
    for (size_t i = 0; i < ARRAY_COUNT(will_fields); i++) {
        const struct span *field = will_field(record, i);
        to = put_bytes(put_number(to, field->length, 4), *field);
    }
    return to;
}

size_t session_record_size(const struct session_record *record) {
    size_t size = SESSION_RECORD_HEAD_BYTES + record->state.length;
    size += session_owner_is_nobody(&record->owner) ? 0 : SESSION_OWNER_BYTES;
    if (record->has_will) {
        size += WILL_HEAD_BYTES;
        for (size_t i = 0; i < ARRAY_COUNT(will_fields); i++) {
            size += 4 + will_field(record, i)->length;
        }
    }
    return size;
}

void session_record_put(const struct session_record *record, uint8_t *ret_bytes) {
    uint8_t *to = put_number(ret_bytes, VERSION, 1);
    bool has_owner = !session_owner_is_nobody(&record->owner);
    to = put_number(to,
                    (record->is_held ? BIT_HELD : 0) | (record->has_will ? BIT_WILL : 0) |
                        (record->has_shares ? BIT_SHARES : 0) | (has_owner ? BIT_OWNER : 0),
                    1);
    to = put_number(to, record->expiry_ms, 8);
    to = put_number(to, record->released_ms, 8);
    if (has_owner) {
        to = put_bytes(to, span_of(record->owner.bytes, SESSION_OWNER_BYTES));
    }
    if (record->has_will) {
        to = put_will(to, record);
    }
    put_bytes(to, record->state);
}

/* What is left to be read; once something was missing all is 0. */
struct rest {
    struct span bytes;
    bool is_short;
};

static struct span take(struct rest *rest, size_t length) {
    if (rest->is_short || length > rest->bytes.length) {
        rest->is_short = true;
        return (struct span){0};
    }
    struct span taken = span_of(rest->bytes.bytes, length);
    rest->bytes = span_of(rest->bytes.bytes + length, rest->bytes.length - length);
    return taken;
}

static uint64_t take_number(struct rest *rest, size_t size) {
    struct span bytes = take(rest, size);
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        number |= (uint64_t)bytes.bytes[i] << (8 * i);
    }
    return number;
}

/* False: it is cut off, or nobody, which no record says. */
static bool take_owner(struct rest *rest, struct session_record *record) {
    struct span bytes = take(rest, SESSION_OWNER_BYTES);
    if (bytes.length == 0) {
        return false;
    }
    memcpy(record->owner.bytes, bytes.bytes, SESSION_OWNER_BYTES);
    return !session_owner_is_nobody(&record->owner);
}

static bool take_will(struct rest *rest, struct session_record *record) {
    struct message_fields *will = &record->will;
    record->will_due_ms = take_number(rest, 8);
    will->kind = MESSAGE_DATA;
    will->ttl_ms = take_number(rest, 8);
    will->flags = (uint32_t)take_number(rest, 4);
    uint64_t payload_kind = take_number(rest, 1);
    will->payload_kind = (enum payload_kind)payload_kind;
    will->qos = (uint8_t)take_number(rest, 1);
    for (size_t i = 0; i < ARRAY_COUNT(will_fields); i++) {
        struct span *field = (void *)((char *)will + will_fields[i]);
        *field = take(rest, (size_t)take_number(rest, 4));
    }
    return payload_kind <= PAYLOAD_BINARY && will->channel.length > 0;
}

bool session_record_parse(struct span bytes, struct session_record *ret_record) {
    struct rest rest = {.bytes = bytes};
    struct session_record record = {0};
    uint64_t version = take_number(&rest, 1);
    uint64_t bits = take_number(&rest, 1);
    record.is_held = (bits & BIT_HELD) != 0;
    record.has_will = (bits & BIT_WILL) != 0;
    record.has_shares = (bits & BIT_SHARES) != 0;
    record.expiry_ms = take_number(&rest, 8);
    record.released_ms = take_number(&rest, 8);
    bool is_good = version == VERSION && bits <= BITS_KNOWN &&
                   ((bits & BIT_OWNER) == 0 || take_owner(&rest, &record)) &&
                   (!record.has_will || take_will(&rest, &record)) && !rest.is_short;
    if (is_good) {
        record.state = rest.bytes;
        *ret_record = record;
    }
    return is_good;
}
