/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/template.h"

#include "broker/support/invariant.h"

#define SHOWN_BYTES_MAX 40

/* A piece of a template: text as it is, or a word that stood in braces. */
struct piece {
    struct span text;
    bool is_word;
};

/* The next piece of `rest`. False: it is at its end, or a brace stands alone, and then it has that
 * brace in front. */
static bool take_piece(struct span *rest, struct piece *ret_piece) {
    size_t length = 0;
    if (rest->length == 0) {
        return false;
    }
    bool is_word = rest->bytes[0] == '{';
    for (length = is_word; length < rest->length; length++) {
        uint8_t byte = rest->bytes[length];
        if (byte == '{' || byte == '}') {
            break;
        }
    }
    bool has_end = length < rest->length && rest->bytes[length] == '}';
    if (is_word ? !has_end : length == 0) {
        return false;
    }
    *ret_piece = (struct piece){span_of(rest->bytes + is_word, length - is_word), is_word};
    length += is_word;
    *rest = span_of(rest->bytes + length, rest->length - length);
    return true;
}

static bool is_one_of(struct span word, const char *const *words) {
    for (size_t i = 0; words[i] != NULL; i++) {
        if (span_is_equal(word, span_of_string(words[i]))) {
            return true;
        }
    }
    return false;
}

enum error_code template_check(struct span text, const char *const *words, struct error *why) {
    struct piece piece;
    while (take_piece(&text, &piece)) {
        if (piece.is_word && !is_one_of(piece.text, words)) {
            size_t length = piece.text.length;
            int shown = (int)(length < SHOWN_BYTES_MAX ? length : SHOWN_BYTES_MAX);
            return error_set(why, ERR_CONFIG, "`{%.*s}` stands for nothing", shown,
                             (const char *)piece.text.bytes);
        }
    }
    return text.length == 0 ? OK
                            : error_set(why, ERR_CONFIG, "a brace stands alone: %s",
                                        text.bytes[0] == '{' ? "`{` has no `}`" : "`}` has no `{`");
}

static enum error_code put_value(struct buffer *buffer, const struct template_value *value) {
    size_t start = buffer->length;
    enum error_code code = buffer_put(buffer, value->value);
    for (size_t i = start; code == OK && value->from != 0 && i < buffer->length; i++) {
        if (buffer->bytes[i] == (uint8_t)value->from) {
            buffer->bytes[i] = (uint8_t)value->to;
        }
    }
    return code;
}

static const struct template_value *find_value(struct span word,
                                               const struct template_value *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal(word, span_of_string(values[i].word))) {
            return &values[i];
        }
    }
    INVARIANT(!"a template that was not checked");
}

enum error_code template_put(struct buffer *buffer, struct span text,
                             const struct template_value *values, size_t count) {
    size_t length_before = buffer->length;
    enum error_code code = OK;
    struct piece piece;
    while (code == OK && take_piece(&text, &piece)) {
        code = piece.is_word ? put_value(buffer, find_value(piece.text, values, count))
                             : buffer_put(buffer, piece.text);
    }
    INVARIANT(code != OK || text.length == 0);
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}
