/* SPDX-License-Identifier: Apache-2.0 */
/* A frame (RFC 6455, section 5.2): byte 0 is FIN, three reserved bits, opcode; byte 1 is MASK and a
 * length of 7 bits, of which 126 and 127 announce 2 or 8 bytes of length, big-endian; then 4 bytes
 * of mask; then the payload. A header is gathered byte by byte and refused at its first bad one. */
#include "protocols/websocket/frame.h"

#include <openssl/evp.h>

#include "broker/support/base64.h"
#include "broker/support/invariant.h"

#define FINAL_BIT 0x80
#define RESERVED_BITS 0x70
#define DEFLATED_BIT 0x40 /* RSV1 (RFC 7692, section 6) */
#define OPCODE_BITS 0x0F
#define MASK_BIT 0x80
#define LENGTH_BITS 0x7F
#define MASK_BYTES 4u
#define CLOSE_CODE_NONE 1005
#define CLOSE_REASON_BYTES_MAX (WEBSOCKET_CONTROL_BYTES_MAX - 2)

/* --- decoding ------------------------------------------------------------------------------- */

void frame_decoder_init(struct frame_decoder *decoder, uint64_t message_bytes_max,
                        bool takes_deflated) {
    memset(decoder, 0, sizeof(*decoder));
    decoder->message_bytes_max = message_bytes_max;
    decoder->takes_deflated = takes_deflated;
}

static bool is_control(uint8_t opcode) {
    return (opcode & 0x8) != 0;
}

static enum error_code broken(struct error *why, const char *what) {
    return error_set(why, ERR_PROTOCOL, "%s", what);
}

static enum error_code check_first_byte(struct frame_decoder *decoder, uint8_t byte,
                                        struct error *why) {
    uint8_t opcode = byte & OPCODE_BITS;
    uint8_t reserved = byte & RESERVED_BITS;
    bool may_be_deflated =
        decoder->takes_deflated && (opcode == FRAME_TEXT || opcode == FRAME_BINARY);
    if (reserved != 0 && !(reserved == DEFLATED_BIT && may_be_deflated)) {
        return broken(why, "A reserved bit is set where nothing that was agreed on sets it");
    }
    if (opcode > FRAME_PONG || (opcode > FRAME_BINARY && opcode < FRAME_CLOSE)) {
        return broken(why, "A reserved opcode");
    }
    decoder->opcode = opcode;
    decoder->is_final = (byte & FINAL_BIT) != 0;
    if (is_control(opcode)) {
        return decoder->is_final ? OK : broken(why, "A control frame in fragments");
    }
    if ((opcode == FRAME_CONTINUATION) != (decoder->message_opcode != 0)) {
        return broken(why, opcode == FRAME_CONTINUATION
                               ? "A continuation of nothing"
                               : "A new message before the last one has ended");
    }
    return OK;
}

static enum error_code check_second_byte(const struct frame_decoder *decoder, uint8_t byte,
                                         struct error *why) {
    if ((byte & MASK_BIT) == 0) {
        return broken(why, "A client's frame without a mask");
    }
    if (is_control(decoder->opcode) && (byte & LENGTH_BITS) > WEBSOCKET_CONTROL_BYTES_MAX) {
        return broken(why, "A control frame of more than 125 bytes");
    }
    return OK;
}

/* How long the header is, as far as its first bytes tell. */
static size_t header_length(const struct frame_decoder *decoder) {
    if (decoder->header_length < 2) {
        return 2;
    }
    uint8_t length = decoder->header[1] & LENGTH_BITS;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + MASK_BYTES;
}

/* All of the header but perhaps the mask has come: the length. */
static enum error_code check_length(struct frame_decoder *decoder, struct error *why) {
    size_t length_end = header_length(decoder) - MASK_BYTES;
    uint64_t length = decoder->header[1] & LENGTH_BITS;
    if (length_end > 2) {
        length = 0;
        for (size_t i = 2; i < length_end; i++) {
            length = length << 8 | decoder->header[i];
        }
        if (length < 126 || (length_end == 10 && length <= UINT16_MAX) || length >> 63 != 0) {
            return broken(why, "A length that is not in its shortest form");
        }
    }
    decoder->payload_missing = length;
    if (is_control(decoder->opcode)) {
        decoder->control_length = 0;
        return OK;
    }
    if (length > decoder->message_bytes_max - decoder->message_bytes) {
        return error_set(why, ERR_TOO_LARGE, "A message of more than %llu bytes",
                         (unsigned long long)decoder->message_bytes_max);
    }
    decoder->message_bytes += length;
    if (decoder->opcode != FRAME_CONTINUATION) {
        decoder->message_opcode = decoder->opcode;
        decoder->is_deflated = (decoder->header[0] & DEFLATED_BIT) != 0;
        decoder->utf8 = (struct utf8_state){0};
    }
    return OK;
}

static enum error_code take_header_byte(struct frame_decoder *decoder, uint8_t byte,
                                        struct error *why) {
    decoder->header[decoder->header_length++] = byte;
    enum error_code code = OK;
    if (decoder->header_length == 1) {
        return check_first_byte(decoder, byte, why);
    }
    if (decoder->header_length == 2) {
        code = check_second_byte(decoder, byte, why);
    }
    /* Refused by its length before even the mask has come. */
    if (code == OK && decoder->header_length + MASK_BYTES == header_length(decoder)) {
        code = check_length(decoder, why);
    }
    if (decoder->header_length == header_length(decoder)) {
        decoder->is_in_payload = true;
        decoder->mask_at = 0;
    }
    return code;
}

/* Eight bytes at a time: the mask, turned so that it begins where the last piece ended, twice. */
static void unmask(struct frame_decoder *decoder, uint8_t *bytes, size_t length) {
    const uint8_t *mask = decoder->header + decoder->header_length - MASK_BYTES;
    uint8_t turned[8];
    for (size_t i = 0; i < sizeof(turned); i++) {
        turned[i] = mask[(decoder->mask_at + i) % MASK_BYTES];
    }
    uint64_t mask_word;
    memcpy(&mask_word, turned, sizeof(mask_word));
    size_t at = 0;
    for (; length - at >= sizeof(mask_word); at += sizeof(mask_word)) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof(word));
        word ^= mask_word;
        memcpy(bytes + at, &word, sizeof(word));
    }
    for (size_t i = 0; at < length; at++, i++) {
        bytes[at] ^= turned[i];
    }
    decoder->mask_at = (uint8_t)((decoder->mask_at + length) % MASK_BYTES);
}

static bool is_close_code(uint16_t code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != CLOSE_CODE_NONE &&
            code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static enum error_code conclude_close(struct frame_decoder *decoder, struct frame_event *ret_event,
                                      struct error *why) {
    struct span payload = span_of(decoder->control, decoder->control_length);
    ret_event->kind = FRAME_CLOSED;
    ret_event->close_code = CLOSE_CODE_NONE;
    decoder->is_closed = true;
    if (payload.length == 0) {
        return OK;
    }
    if (payload.length == 1) {
        return broken(why, "A close frame with half a code");
    }
    ret_event->close_code = (uint16_t)(payload.bytes[0] << 8 | payload.bytes[1]);
    if (!is_close_code(ret_event->close_code)) {
        return broken(why, "A close code that may not be sent");
    }
    ret_event->bytes = span_of(payload.bytes + 2, payload.length - 2);
    return utf8_is_valid(ret_event->bytes)
               ? OK
               : error_set(why, ERR_BAD_UTF8, "The reason of a close frame is not UTF-8");
}

static enum error_code take_control(struct frame_decoder *decoder, uint8_t *bytes, size_t length,
                                    struct frame_event *ret_event, struct error *why) {
    INVARIANT(decoder->control_length + length <= sizeof(decoder->control));
    if (length > 0) {
        memcpy(decoder->control + decoder->control_length, bytes, length);
        decoder->control_length = (uint8_t)(decoder->control_length + length);
    }
    if (decoder->payload_missing > 0) {
        return OK;
    }
    if (decoder->opcode == FRAME_CLOSE) {
        return conclude_close(decoder, ret_event, why);
    }
    ret_event->kind = decoder->opcode == FRAME_PING ? FRAME_PINGED : FRAME_PONGED;
    ret_event->bytes = span_of(decoder->control, decoder->control_length);
    return OK;
}

static enum error_code take_data(struct frame_decoder *decoder, uint8_t *bytes, size_t length,
                                 struct frame_event *ret_event, struct error *why) {
    bool is_last = decoder->is_final && decoder->payload_missing == 0;
    if (decoder->message_opcode == FRAME_TEXT && !decoder->is_deflated &&
        (!utf8_feed(&decoder->utf8, span_of(bytes, length)) ||
         (is_last && !utf8_is_complete(&decoder->utf8)))) {
        return error_set(why, ERR_BAD_UTF8, "A text message is not UTF-8");
    }
    if (length > 0 || is_last) {
        *ret_event = (struct frame_event){
            .kind = FRAME_DATA,
            .opcode = (enum frame_opcode)decoder->message_opcode,
            .is_last = is_last,
            .is_deflated = decoder->is_deflated,
            .bytes = span_of(bytes, length),
        };
    }
    if (is_last) {
        decoder->message_opcode = 0;
        decoder->message_bytes = 0;
    }
    return OK;
}

/* What has come of the payload, which may be nothing for an empty one. */
static enum error_code take_payload(struct frame_decoder *decoder, uint8_t **input,
                                    size_t *input_length, struct frame_event *ret_event,
                                    struct error *why) {
    size_t length =
        *input_length < decoder->payload_missing ? *input_length : (size_t)decoder->payload_missing;
    uint8_t *bytes = *input;
    unmask(decoder, bytes, length);
    *input += length;
    *input_length -= length;
    decoder->payload_missing -= length;
    enum error_code code = is_control(decoder->opcode)
                               ? take_control(decoder, bytes, length, ret_event, why)
                               : take_data(decoder, bytes, length, ret_event, why);
    if (decoder->payload_missing == 0) {
        decoder->is_in_payload = false;
        decoder->header_length = 0;
    }
    return code;
}

enum error_code frame_decode(struct frame_decoder *decoder, uint8_t **input, size_t *input_length,
                             struct frame_event *ret_event, struct error *why) {
    *ret_event = (struct frame_event){.kind = FRAME_NOTHING};
    enum error_code code = OK;
    if (decoder->has_failed) {
        return broken(why, "The connection has failed before");
    }
    if (decoder->is_closed && *input_length > 0) {
        *input += *input_length;
        *input_length = 0;
        return OK;
    }
    while (code == OK && !decoder->is_closed && ret_event->kind == FRAME_NOTHING) {
        bool is_empty_payload = decoder->is_in_payload && decoder->payload_missing == 0;
        if (*input_length == 0 && !is_empty_payload) {
            return OK;
        }
        if (decoder->is_in_payload) {
            code = take_payload(decoder, input, input_length, ret_event, why);
        } else {
            code = take_header_byte(decoder, **input, why);
            ++*input;
            --*input_length;
        }
    }
    decoder->has_failed = code != OK;
    return code;
}

/* --- encoding ------------------------------------------------------------------------------- */

size_t frame_write_header(enum frame_opcode opcode, uint64_t payload_length,
                          uint8_t ret_header[FRAME_HEADER_BYTES_MAX]) {
    ret_header[0] = (uint8_t)(FINAL_BIT | opcode);
    if (payload_length < 126) {
        ret_header[1] = (uint8_t)payload_length;
        return 2;
    }
    size_t length_bytes = payload_length <= UINT16_MAX ? 2 : 8;
    ret_header[1] = length_bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < length_bytes; i++) {
        ret_header[2 + i] = (uint8_t)(payload_length >> (8 * (length_bytes - 1 - i)));
    }
    return 2 + length_bytes;
}

size_t frame_header_length(const uint8_t *frame) {
    uint8_t length = frame[1] & LENGTH_BITS;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0);
}

enum error_code frame_put_header(struct buffer *buffer, enum frame_opcode opcode,
                                 uint64_t payload_length) {
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    size_t length = frame_write_header(opcode, payload_length, header);
    return buffer_put(buffer, span_of(header, length));
}

enum error_code frame_put(struct buffer *buffer, enum frame_opcode opcode, struct span payload) {
    size_t length_before = buffer->length;
    enum error_code code = frame_put_header(buffer, opcode, payload.length);
    if (code == OK) {
        code = buffer_put(buffer, payload);
    }
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}

enum error_code frame_begin(struct buffer *buffer, size_t *ret_start) {
    enum error_code code = buffer_reserve(buffer, FRAME_HEADER_BYTES_MAX);
    if (code == OK) {
        *ret_start = buffer->length;
        buffer->length += FRAME_HEADER_BYTES_MAX;
    }
    return code;
}

void frame_end(struct buffer *buffer, size_t start, enum frame_opcode opcode) {
    INVARIANT(buffer->length >= start + FRAME_HEADER_BYTES_MAX);
    uint8_t *frame = buffer->bytes + start;
    size_t payload_length = buffer->length - start - FRAME_HEADER_BYTES_MAX;
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    size_t length = frame_write_header(opcode, payload_length, header);
    memcpy(frame, header, length);
    memmove(frame + length, frame + FRAME_HEADER_BYTES_MAX, payload_length);
    buffer->length = start + length + payload_length;
}

enum error_code frame_put_close(struct buffer *buffer, uint16_t code, struct span reason) {
    uint8_t payload[WEBSOCKET_CONTROL_BYTES_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
    struct span shown = utf8_cut(reason, CLOSE_REASON_BYTES_MAX);
    if (shown.length > 0) {
        memcpy(payload + 2, shown.bytes, shown.length);
    }
    return frame_put(buffer, FRAME_CLOSE, span_of(payload, 2 + shown.length));
}

/* --- the handshake -------------------------------------------------------------------------- */

enum error_code frame_accept_key(struct span key, char ret_accept[FRAME_ACCEPT_BYTES]) {
    static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    enum { KEY_BYTES = 24, NONCE_BYTES = 16 };
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned hash_length = 0;
    uint8_t text[KEY_BYTES + sizeof(GUID) - 1];
    struct buffer scratch;
    if (key.length != KEY_BYTES) {
        return ERR_BAD_REQUEST;
    }
    buffer_init(&scratch, 64);
    enum error_code code = base64_put_decoded(&scratch, key);
    if (code == OK && scratch.length != NONCE_BYTES) {
        code = ERR_BAD_REQUEST;
    }
    memcpy(text, key.bytes, KEY_BYTES);
    memcpy(text + KEY_BYTES, GUID, sizeof(GUID) - 1);
    if (code == OK && EVP_Digest(text, sizeof(text), hash, &hash_length, EVP_sha1(), NULL) != 1) {
        code = ERR_INTERNAL;
    }
    buffer_clear(&scratch);
    if (code == OK) {
        code = base64_put(&scratch, span_of(hash, hash_length));
    }
    if (code == OK) {
        INVARIANT(scratch.length == FRAME_ACCEPT_BYTES);
        memcpy(ret_accept, scratch.bytes, FRAME_ACCEPT_BYTES);
    }
    buffer_finish(&scratch);
    return code;
}
