/* SPDX-License-Identifier: Apache-2.0 */
/* Layout, version 1: the letter `t`, the digit `1`, then in the URL alphabet without padding
 * (RFC 4648, section 5) these bytes:
 *
 *     2   check, little-endian (below), over all bytes that follow
 *     8   log id, little-endian, not 0
 *     1…  generation, channel id, position, offset: four LEB128 numbers, each in its shortest form
 *         (seven bits a byte, lowest first, the top bit set on all but the last byte)
 *
 * The check catches a token that was cut or mistyped, not one that was forged. It is: start with
 * 2166136261; for each byte xor it in and multiply by 16777619, modulo 2^32 (FNV-1a); then xor the
 * upper 16 bits with the lower 16.
 */
#include "broker/channels/id.h"

#include "broker/support/base64.h"
#include "broker/support/varint.h"

#define CHECK_BYTES 2
#define LOG_ID_BYTES 8
#define ID_BYTES_MAX (CHECK_BYTES + LOG_ID_BYTES + 4 * VARINT_BYTES_MAX)

static const struct span PREFIX = {(const uint8_t *)"t1", 2};

static_assert(2 + BASE64_URL_TEXT_BYTES(ID_BYTES_MAX) <= ID_TEXT_BYTES_MAX, "the longest id fits");

static uint16_t check_of(struct span bytes) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < bytes.length; i++) {
        hash = (hash ^ bytes.bytes[i]) * 16777619u;
    }
    return (uint16_t)(hash >> 16 ^ hash);
}

/* False: cut, longer than needed, or above 64 bits. */
static bool take_number(struct span *rest, uint64_t *ret_number) {
    const uint8_t *first = rest->bytes;
    return varint_take(rest, ret_number) &&
           (rest->bytes == first + 1 || rest->bytes[-1] != 0); /* the last byte says something */
}

size_t id_format(const struct place *place, char ret_text[ID_TEXT_BYTES_MAX]) {
    uint8_t bytes[ID_BYTES_MAX];
    size_t length = CHECK_BYTES;
    for (size_t i = 0; i < LOG_ID_BYTES; i++) {
        bytes[length++] = (uint8_t)(place->log_id >> (8 * i));
    }
    length += varint_write(place->generation, bytes + length);
    length += varint_write(place->channel_id, bytes + length);
    length += varint_write(place->position, bytes + length);
    length += varint_write(place->offset, bytes + length);
    uint16_t check = check_of(span_of(bytes + CHECK_BYTES, length - CHECK_BYTES));
    bytes[0] = (uint8_t)check;
    bytes[1] = (uint8_t)(check >> 8);
    memcpy(ret_text, PREFIX.bytes, PREFIX.length);
    return PREFIX.length + base64_url_encode(span_of(bytes, length), ret_text + PREFIX.length);
}

bool id_parse(struct span text, struct place *ret_place) {
    uint8_t bytes[ID_TEXT_BYTES_MAX];
    size_t length;
    if (text.length > ID_TEXT_BYTES_MAX || !span_has_prefix(text, PREFIX) ||
        base64_url_decode(span_of(text.bytes + PREFIX.length, text.length - PREFIX.length), bytes,
                          &length) != OK ||
        length < CHECK_BYTES + LOG_ID_BYTES) {
        return false;
    }
    struct span rest = span_of(bytes + CHECK_BYTES, length - CHECK_BYTES);
    if (check_of(rest) != (bytes[0] | bytes[1] << 8)) {
        return false;
    }
    struct place place = {0};
    for (size_t i = 0; i < LOG_ID_BYTES; i++) {
        place.log_id |= (uint64_t)rest.bytes[i] << (8 * i);
    }
    rest = span_of(rest.bytes + LOG_ID_BYTES, rest.length - LOG_ID_BYTES);
    uint64_t generation;
    if (!take_number(&rest, &generation) || !take_number(&rest, &place.channel_id) ||
        !take_number(&rest, &place.position) || !take_number(&rest, &place.offset) ||
        rest.length != 0 || generation > UINT32_MAX || place.log_id == 0) {
        return false;
    }
    place.generation = (uint32_t)generation;
    *ret_place = place;
    return true;
}
