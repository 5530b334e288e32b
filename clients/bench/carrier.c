/* SPDX-License-Identifier: Apache-2.0 */
/* Nearly all units lie whole in what carries them, and are told where they stand. One that does not
 * is gathered in `held`, in steps that double, until `inner` finds its end. */
#include "clients/bench/carrier.h"

#include <string.h>

#define STEP_BYTES_MIN 4096u
#define CHUNK_LINE_BYTES_MAX 4096u /* with extensions */
#define TRAILER_BYTES_MAX 65536u
#define CHUNK_DIGITS_MAX 8 /* 4 GiB */

static size_t smaller(uint64_t one, size_t other) {
    return one < other ? (size_t)one : other;
}

/* Puts more behind what is held, and looks again. */
static enum protocol_told take_held(struct protocol_link *link, const uint8_t *bytes,
                                    size_t available, struct bytes *output,
                                    struct protocol_unit *ret_unit, protocol_take *inner) {
    size_t before = link->held.length;
    size_t step = smaller(available, before > STEP_BYTES_MIN ? before : STEP_BYTES_MIN);
    bytes_put(&link->held, bytes, step);
    enum protocol_told told = inner(link, link->held.data, link->held.length, output, ret_unit);
    if (told == PROTOCOL_REFUSED) {
        return told;
    }
    if (told == PROTOCOL_MORE) {
        if (link->held.length > PROTOCOL_UNIT_BYTES_MAX) {
            return protocol_refuse(ret_unit, "a message is longer than the load takes");
        }
        ret_unit->length = step;
        told = PROTOCOL_NOTHING;
    } else {
        link->is_held_told = true;
        ret_unit->length -= before;
    }
    link->left -= ret_unit->length;
    return told;
}

enum protocol_told carrier_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                struct bytes *output, struct protocol_unit *ret_unit,
                                protocol_take *inner) {
    size_t available = smaller(link->left, length);
    if (link->is_held_told) {
        bytes_drop(&link->held, link->held.length);
        link->is_held_told = false;
    }
    if (link->held.length > 0) {
        return take_held(link, bytes, available, output, ret_unit, inner);
    }
    enum protocol_told told = inner(link, bytes, available, output, ret_unit);
    if (told != PROTOCOL_MORE) {
        link->left -= told == PROTOCOL_REFUSED ? 0 : ret_unit->length;
        return told;
    }
    if (available > PROTOCOL_UNIT_BYTES_MAX) {
        return protocol_refuse(ret_unit, "a message is longer than the load takes");
    }
    if (available < link->left) {
        return PROTOCOL_MORE;
    }
    bytes_put(&link->held, bytes, available);
    link->left = 0;
    ret_unit->length = available;
    return PROTOCOL_NOTHING;
}

void carrier_begin_body(struct protocol_link *link, const struct opening *opening) {
    bool is_endless = opening->status != 0 && !opening->has_length;
    bool is_empty = opening->status == 204 || opening->status == 304;
    link->is_chunked = opening->is_chunked && !is_empty;
    link->left = is_empty ? 0 : is_endless ? UINT64_MAX : opening->content_length;
    link->phase = link->is_chunked ? CARRIER_CHUNK_FIRST
                  : link->left > 0 ? CARRIER_BODY
                                   : CARRIER_END;
    if (link->is_chunked) {
        link->left = 0;
    }
}

enum protocol_told carrier_take_head(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct protocol_unit *ret_unit) {
    struct opening opening;
    enum opening_state state = opening_read(bytes, length, &opening);
    if (state == OPENING_CUT) {
        return PROTOCOL_MORE;
    }
    if (state == OPENING_BAD || opening.status != 200) {
        return protocol_refuse(ret_unit, state == OPENING_BAD
                                             ? "the answer to a reader is no HTTP"
                                             : opening_tell_status(opening.status));
    }
    carrier_begin_body(link, &opening);
    ret_unit->length = opening.length;
    return PROTOCOL_READY;
}

static int hex_value(uint8_t byte) {
    return byte >= '0' && byte <= '9'                     ? byte - '0'
           : (byte | 0x20) >= 'a' && (byte | 0x20) <= 'f' ? (byte | 0x20) - 'a' + 10
                                                          : -1;
}

/* The last chunk's line, and trailers up to an empty one. */
static enum protocol_told take_last_chunk(struct protocol_link *link, const uint8_t *bytes,
                                          size_t length, size_t line_end,
                                          struct protocol_unit *ret_unit) {
    const uint8_t *end = memmem(bytes + line_end - 2, length - line_end + 2, "\r\n\r\n", 4);
    if (end == NULL) {
        return length < TRAILER_BYTES_MAX
                   ? PROTOCOL_MORE
                   : protocol_refuse(ret_unit, "a chunked body does not end");
    }
    link->phase = CARRIER_END;
    ret_unit->length = (size_t)(end - bytes) + 4;
    return PROTOCOL_NOTHING;
}

/* "1a;extension\r\n", with the "\r\n" of the chunk before. */
static enum protocol_told take_chunk_line(struct protocol_link *link, const uint8_t *bytes,
                                          size_t length, struct protocol_unit *ret_unit) {
    size_t at = link->phase == CARRIER_CHUNK ? 2 : 0;
    const uint8_t *end = length > at ? memchr(bytes + at, '\n', length - at) : NULL;
    if (at > 0 && (bytes[0] != '\r' || (length > 1 && bytes[1] != '\n'))) {
        return protocol_refuse(ret_unit, "a chunk is longer than it says");
    }
    if (end == NULL) {
        return length < CHUNK_LINE_BYTES_MAX
                   ? PROTOCOL_MORE
                   : protocol_refuse(ret_unit, "a chunk's line does not end");
    }
    uint64_t size = 0;
    size_t begin = at;
    for (; hex_value(bytes[at]) >= 0 && at - begin <= CHUNK_DIGITS_MAX; at++) {
        size = size << 4 | (uint64_t)hex_value(bytes[at]);
    }
    bool is_ended = bytes[at] == '\r' || bytes[at] == ';' || bytes[at] == ' ';
    if (at == begin || at - begin > CHUNK_DIGITS_MAX || !is_ended || end[-1] != '\r') {
        return protocol_refuse(ret_unit, "a chunk's line is not one");
    }
    size_t line_end = (size_t)(end - bytes) + 1;
    if (size == 0) {
        return take_last_chunk(link, bytes, length, line_end, ret_unit);
    }
    link->left = size;
    link->phase = CARRIER_BODY;
    ret_unit->length = line_end;
    return PROTOCOL_NOTHING;
}

enum protocol_told carrier_take_body(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct bytes *output,
                                     struct protocol_unit *ret_unit, protocol_take *inner) {
    enum protocol_told told;
    if (link->phase == CARRIER_BODY) {
        told = carrier_take(link, bytes, length, output, ret_unit, inner);
        if (link->left == 0) {
            link->phase = link->is_chunked ? CARRIER_CHUNK : CARRIER_END;
        }
    } else {
        told = take_chunk_line(link, bytes, length, ret_unit);
    }
    if (link->phase == CARRIER_END && told == PROTOCOL_NOTHING) {
        bytes_drop(&link->held, link->held.length);
        link->is_held_told = false;
    }
    return told;
}
