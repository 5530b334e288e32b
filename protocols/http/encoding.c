/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/encoding.h"

#include <zlib.h>

#include "broker/support/invariant.h"
#include "protocols/http/accept.h"
#include "protocols/http/head.h"
#include "protocols/http/media_type.h"

/* The fastest: of 4 MB of a page it saved 70 % in 80 ms, where the default saves 76 % in 240 ms. */
#define LEVEL 1
#define MEMORY_LEVEL 8
#define STEP_BYTES 16384

static const struct {
    const char *name;
    const char *alias; /* NULL: none */
    int window_bits;   /* of zlib: 16 more for gzip's frame */
} codings[ENCODING_COUNT] = {
    [ENCODING_IDENTITY] = {"identity", NULL, 0},
    [ENCODING_GZIP] = {"gzip", "x-gzip", MAX_WBITS + 16},
    [ENCODING_DEFLATE] = {"deflate", NULL, MAX_WBITS},
};

const char *encoding_name(enum encoding encoding) {
    INVARIANT(encoding < ENCODING_COUNT);
    return codings[encoding].name;
}

/* --- what is asked for ------------------------------------------------------------------------ */

static bool parse_element(struct span element, struct span *ret_coding, unsigned *ret_quality) {
    struct span name, value;
    *ret_coding = span_trim(span_split(&element, ';'));
    *ret_quality = ACCEPT_QUALITY_MAX;
    while (media_type_next_parameter(&element, &name, &value)) {
        if (span_is_equal_nocase(name, SPAN("q"))) {
            return accept_parse_quality(value, ret_quality);
        }
    }
    return ret_coding->length > 0;
}

static bool is_coding(struct span text, enum encoding encoding) {
    return span_is_equal_nocase(text, span_of_string(codings[encoding].name)) ||
           (codings[encoding].alias != NULL &&
            span_is_equal_nocase(text, span_of_string(codings[encoding].alias)));
}

/* False: it is not named. A name of its own beats the star. */
static bool find_quality(struct span accept_encoding, enum encoding encoding,
                         unsigned *ret_quality) {
    bool is_found = false;
    struct span element, coding;
    while (head_list_next(&accept_encoding, &element)) {
        unsigned quality;
        if (!parse_element(element, &coding, &quality)) {
            continue;
        }
        if (is_coding(coding, encoding)) {
            *ret_quality = quality;
            return true;
        }
        if (!is_found && span_is_equal(coding, SPAN("*"))) {
            *ret_quality = quality;
            is_found = true;
        }
    }
    return is_found;
}

enum encoding encoding_choose(struct span accept_encoding, bool *ret_must_code) {
    static const enum encoding order[] = {ENCODING_GZIP, ENCODING_DEFLATE, ENCODING_IDENTITY};
    enum encoding best = ENCODING_IDENTITY;
    unsigned best_quality = 0;
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        unsigned quality = 0;
        if (find_quality(accept_encoding, order[i], &quality) && quality > best_quality) {
            best = order[i];
            best_quality = quality;
        }
    }
    unsigned plain_quality = ACCEPT_QUALITY_MAX;
    bool is_plain_named = find_quality(accept_encoding, ENCODING_IDENTITY, &plain_quality);
    *ret_must_code = best != ENCODING_IDENTITY && is_plain_named && plain_quality == 0;
    return best;
}

/* --- coding ----------------------------------------------------------------------------------- */

static enum error_code put_all(struct buffer *buffer, z_stream *stream) {
    uint8_t step[STEP_BYTES];
    enum error_code code = OK;
    int result = Z_OK;
    while (code == OK && result == Z_OK) {
        stream->next_out = step;
        stream->avail_out = sizeof(step);
        result = deflate(stream, Z_FINISH);
        code = buffer_put(buffer, span_of(step, sizeof(step) - stream->avail_out));
    }
    INVARIANT(code != OK || result == Z_STREAM_END);
    return code;
}

enum error_code encoding_put(struct buffer *buffer, enum encoding encoding, struct span body) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)body.bytes, .avail_in = (uInt)body.length};
    INVARIANT(encoding != ENCODING_IDENTITY);
    INVARIANT(body.length <= UINT32_MAX);
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, codings[encoding].window_bits, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return ERR_MEMORY;
    }
    enum error_code code = put_all(buffer, &stream);
    deflateEnd(&stream);
    return code;
}
