/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/extension.h"

#include "protocols/http/head.h"
#include "protocols/websocket/deflate.h"

#define VALUE_BYTES_MAX 16
#define WINDOW_BITS_LEAST 8
#define WINDOW_BITS_MOST 15
#define STRINGIFY(number) #number
#define STRING_OF(number) STRINGIFY(number)

/* One `name` or `name=value`. */
struct parameter {
    struct span name;
    bool has_value;
    size_t value_length;
    uint8_t value[VALUE_BYTES_MAX]; /* without quotes */
};

/* --- the grammar ------------------------------------------------------------------------------ */

static void skip_blanks(struct span *rest) {
    while (rest->length > 0 && (rest->bytes[0] == ' ' || rest->bytes[0] == '\t')) {
        *rest = span_of(rest->bytes + 1, rest->length - 1);
    }
}

static bool take_byte(struct span *rest, uint8_t byte) {
    skip_blanks(rest);
    if (rest->length == 0 || rest->bytes[0] != byte) {
        return false;
    }
    *rest = span_of(rest->bytes + 1, rest->length - 1);
    return true;
}

static bool take_token(struct span *rest, struct span *ret_token) {
    skip_blanks(rest);
    size_t length = 0;
    while (length < rest->length && head_is_token(span_of(rest->bytes + length, 1))) {
        length++;
    }
    *ret_token = span_of(rest->bytes, length);
    *rest = span_of(rest->bytes + length, rest->length - length);
    return length > 0;
}

/* Up to the closing quote; a backslash takes the next byte as it is (RFC 9110, 5.6.4). */
static bool take_quoted(struct span *rest, struct parameter *parameter) {
    while (rest->length > 0) {
        uint8_t byte = rest->bytes[0];
        size_t used = 1;
        if (byte == '"') {
            *rest = span_of(rest->bytes + 1, rest->length - 1);
            return true;
        }
        if (byte == '\\') {
            if (rest->length < 2) {
                return false;
            }
            byte = rest->bytes[1];
            used = 2;
        }
        if (parameter->value_length == VALUE_BYTES_MAX) {
            return false; /* no value that we know is so long */
        }
        parameter->value[parameter->value_length++] = byte;
        *rest = span_of(rest->bytes + used, rest->length - used);
    }
    return false;
}

static bool take_value(struct span *rest, struct parameter *parameter) {
    struct span token;
    parameter->has_value = true;
    if (take_byte(rest, '"')) {
        return take_quoted(rest, parameter) &&
               head_is_token(span_of(parameter->value, parameter->value_length));
    }
    if (!take_token(rest, &token) || token.length > VALUE_BYTES_MAX) {
        return false;
    }
    memcpy(parameter->value, token.bytes, token.length);
    parameter->value_length = token.length;
    return true;
}

/* False: it is none, and the offer with it. */
static bool take_parameter(struct span *rest, struct parameter *ret_parameter) {
    *ret_parameter = (struct parameter){0};
    if (!take_byte(rest, ';') || !take_token(rest, &ret_parameter->name)) {
        return false;
    }
    return !take_byte(rest, '=') || take_value(rest, ret_parameter);
}

/* --- permessage-deflate (RFC 7692, section 7.1) ----------------------------------------------- */

static bool is_flag(const struct parameter *parameter) {
    return !parameter->has_value;
}

/* Decimal, without a leading zero, 8 to 15 (7.1.2). */
static bool get_bits(const struct parameter *parameter, uint64_t *ret_bits) {
    struct span value = span_of(parameter->value, parameter->value_length);
    return value.length > 0 && value.bytes[0] != '0' && span_parse_u64(value, ret_bits) &&
           *ret_bits >= WINDOW_BITS_LEAST && *ret_bits <= WINDOW_BITS_MOST;
}

static bool is_server_bits(const struct parameter *parameter) {
    uint64_t bits = 0;
    return get_bits(parameter, &bits) && bits >= DEFLATE_WINDOW_BITS;
}

/* Whatever window the client uses, ours for expanding is the largest. */
static bool is_client_bits(const struct parameter *parameter) {
    uint64_t bits = 0;
    return !parameter->has_value || get_bits(parameter, &bits);
}

enum { SERVER_WINDOW_ROW = 2 };

static const struct {
    const char *name;
    bool (*is_acceptable)(const struct parameter *parameter);
} rows[] = {
    {"server_no_context_takeover", is_flag},
    {"client_no_context_takeover", is_flag},
    [SERVER_WINDOW_ROW] = {"server_max_window_bits", is_server_bits},
    {"client_max_window_bits", is_client_bits},
};

/* Which row the parameter is of; -1: of none, or its value is wrong. */
static int find_row(const struct parameter *parameter) {
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (span_is_equal_nocase(parameter->name, span_of_string(rows[i].name))) {
            return rows[i].is_acceptable(parameter) ? (int)i : -1;
        }
    }
    return -1;
}

static bool can_keep(struct span offer, struct extension *ret_extension) {
    struct span name;
    unsigned seen = 0;
    if (!take_token(&offer, &name) || !span_is_equal_nocase(name, SPAN("permessage-deflate"))) {
        return false;
    }
    skip_blanks(&offer);
    while (offer.length > 0) {
        struct parameter parameter;
        int row = take_parameter(&offer, &parameter) ? find_row(&parameter) : -1;
        if (row < 0 || (seen & 1u << row) != 0) {
            return false;
        }
        seen |= 1u << row;
        skip_blanks(&offer);
    }
    ret_extension->tells_window = (seen & 1u << SERVER_WINDOW_ROW) != 0;
    return true;
}

bool extension_choose(struct span offers, struct extension *ret_extension) {
    struct span offer;
    while (head_list_next(&offers, &offer)) {
        if (can_keep(offer, ret_extension)) {
            return true;
        }
    }
    return false;
}

/* Neither side keeps its window: said whether or not it was offered, as 7.1.1 allows. */
#define ANSWER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

const char *extension_answer(const struct extension *extension) {
    return extension->tells_window ? ANSWER
               "; server_max_window_bits=" STRING_OF(DEFLATE_WINDOW_BITS)
                                   : ANSWER;
}
