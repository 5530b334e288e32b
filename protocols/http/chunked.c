/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/chunked.h"

#include "broker/limits.h"

#define DIGITS_MAX 15

enum state {
    AT_SIZE,      /* digits of a chunk's size */
    IN_EXTENSION, /* behind the size, up to CR */
    AT_SIZE_LF,   /* the LF of that line */
    IN_DATA,
    AT_DATA_CR, /* behind the data */
    AT_DATA_LF,
    AT_TRAILER, /* the first byte of a trailer, or the CR of the last line */
    IN_TRAILER,
    AT_TRAILER_LF,
    AT_LAST_LF,
    DONE,
};

_Static_assert(AT_SIZE == 0, "zeroed is the start");

static bool is_text(uint8_t byte) {
    return (byte >= 0x20 && byte != 0x7F) || byte == '\t';
}

static bool digit_of(uint8_t byte, uint8_t *ret_digit) {
    uint8_t lower = byte | 0x20;
    bool is_decimal = byte >= '0' && byte <= '9';
    *ret_digit = (uint8_t)(is_decimal ? byte - '0' : lower - 'a' + 10);
    return is_decimal || (lower >= 'a' && lower <= 'f');
}

/* False: this byte cannot stand in the line of a chunk's size. */
static bool scan_size(struct chunked *chunked, uint8_t byte) {
    uint8_t digit;
    if (++chunked->line_bytes > HTTP_CHUNK_LINE_BYTES_MAX) {
        return false;
    }
    if (chunked->state == AT_SIZE && digit_of(byte, &digit)) {
        bool is_leading_zero = chunked->data_missing == 0 && digit == 0;
        chunked->digits = (uint8_t)(chunked->digits + (is_leading_zero ? 0 : 1));
        chunked->data_missing = chunked->data_missing << 4 | digit;
        return chunked->digits <= DIGITS_MAX;
    }
    bool has_digits = chunked->line_bytes > 1;
    if (byte == '\r') {
        chunked->state = AT_SIZE_LF;
        return has_digits;
    }
    if (chunked->state == AT_SIZE) {
        chunked->state = IN_EXTENSION;
        return has_digits && byte == ';';
    }
    return is_text(byte) && ++chunked->extension_bytes <= HTTP_CHUNK_EXTENSIONS_BYTES_MAX;
}

static bool scan_trailer(struct chunked *chunked, uint8_t byte) {
    if (++chunked->trailer_bytes > HTTP_CHUNK_TRAILERS_BYTES_MAX) {
        return false;
    }
    if (byte == '\r') {
        chunked->state = chunked->state == AT_TRAILER ? AT_LAST_LF : AT_TRAILER_LF;
        return true;
    }
    bool is_first = chunked->state == AT_TRAILER;
    chunked->state = IN_TRAILER;
    return is_text(byte) && !(is_first && (byte == ' ' || byte == '\t' || byte == ':'));
}

static bool expect(struct chunked *chunked, uint8_t byte, uint8_t expected, enum state next) {
    chunked->state = (uint8_t)next;
    return byte == expected;
}

/* One byte that is not data. */
static bool scan(struct chunked *chunked, uint8_t byte) {
    switch ((enum state)chunked->state) {
    case AT_SIZE:
    case IN_EXTENSION:
        return scan_size(chunked, byte);
    case AT_SIZE_LF:
        chunked->line_bytes = 0;
        chunked->digits = 0;
        return expect(chunked, byte, '\n', chunked->data_missing > 0 ? IN_DATA : AT_TRAILER);
    case AT_DATA_CR:
        return expect(chunked, byte, '\r', AT_DATA_LF);
    case AT_DATA_LF:
        return expect(chunked, byte, '\n', AT_SIZE);
    case AT_TRAILER:
    case IN_TRAILER:
        return scan_trailer(chunked, byte);
    case AT_TRAILER_LF:
        return expect(chunked, byte, '\n', AT_TRAILER);
    case AT_LAST_LF:
        return expect(chunked, byte, '\n', DONE);
    case IN_DATA:
    case DONE:
    default:
        return false;
    }
}

static struct span take_data(struct chunked *chunked, struct span *input) {
    size_t length =
        input->length < chunked->data_missing ? input->length : (size_t)chunked->data_missing;
    struct span data = span_of(input->bytes, length);
    *input = span_of(input->bytes + length, input->length - length);
    chunked->data_missing -= length;
    chunked->state = chunked->data_missing > 0 ? IN_DATA : AT_DATA_CR;
    return data;
}

enum error_code chunked_feed(struct chunked *chunked, struct span *input, struct span *ret_data,
                             struct error *why) {
    *ret_data = (struct span){0};
    while (input->length > 0 && chunked->state != DONE) {
        if (chunked->state == IN_DATA) {
            *ret_data = take_data(chunked, input);
            return OK;
        }
        uint8_t byte = input->bytes[0];
        *input = span_of(input->bytes + 1, input->length - 1);
        if (!scan(chunked, byte)) {
            return error_set(why, ERR_BAD_REQUEST, "The body's chunks are broken");
        }
    }
    return OK;
}

bool chunked_is_done(const struct chunked *chunked) {
    return chunked->state == DONE;
}
