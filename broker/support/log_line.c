/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/log_line.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/support/clock.h"
#include "broker/support/utf8.h"

#define PIECE_BYTES_MAX 8 /* of one character: "\u001b" is the longest */
#define CUT "…"
#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

struct line {
    enum log_format format;
    size_t length;
    char *bytes;
};

/* The bounds of texts and rows leave room for all; were they wrong, the line would lack something,
 * and memory would stay whole. No INVARIANT: one that breaks is logged here. */
static void put(struct line *line, struct span bytes) {
    if (bytes.length <= LOG_LINE_BYTES_MAX - line->length) {
        memcpy(line->bytes + line->length, bytes.bytes, bytes.length);
        line->length += bytes.length;
    }
}

static void put_string(struct line *line, const char *string) {
    put(line, span_of_string(string));
}

/* --- texts ---------------------------------------------------------------------------------- */

/* The number of a well-formed character of up to three bytes; that of a longer one is above. */
static unsigned number_of(struct span character) {
    const uint8_t *bytes = character.bytes;
    switch (character.length) {
    case 1:
        return bytes[0];
    case 2:
        return (bytes[0] & 0x1Fu) << 6 | (bytes[1] & 0x3Fu);
    case 3:
        return (bytes[0] & 0x0Fu) << 12 | (bytes[1] & 0x3Fu) << 6 | (bytes[2] & 0x3Fu);
    default:
        return UINT32_MAX;
    }
}

/* C1 too: a terminal may take them for the beginning of a command. Beyond them those that end a
 * line for some readers, and those that turn the direction of what stands beside them. */
static bool is_control(struct span character) {
    static const struct {
        unsigned first;
        unsigned last;
    } ranges[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0x061C, 0x061C},
                  {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2066, 0x2069}};
    unsigned number = number_of(character);
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        if (number >= ranges[i].first && number <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Writes the first character of `rest` as it stands between quotes, and moves on behind it. */
static struct span take_escaped(struct span *rest, char piece[PIECE_BYTES_MAX]) {
    size_t length = utf8_character_length(rest->bytes[0]);
    struct span character = span_of(rest->bytes, length);
    bool is_valid = length <= rest->length && utf8_is_valid(character);
    length = is_valid ? length : 1;
    *rest = span_of(rest->bytes + length, rest->length - length);
    if (!is_valid) {
        return SPAN(REPLACEMENT);
    }
    if (is_control(character)) {
        return span_of(piece, (size_t)snprintf(piece, PIECE_BYTES_MAX, "\\u%04x",
                                               number_of(character) & 0xFFFFu));
    }
    uint8_t last = character.bytes[length - 1];
    if (last == '"' || last == '\\') {
        return span_of(piece, (size_t)snprintf(piece, PIECE_BYTES_MAX, "\\%c", last));
    }
    return character;
}

static void put_quoted(struct line *line, struct span text) {
    put_string(line, "\"");
    size_t start = line->length;
    size_t length_if_cut = start;
    while (text.length > 0) {
        char piece[PIECE_BYTES_MAX];
        struct span escaped = take_escaped(&text, piece);
        size_t length = line->length - start + escaped.length;
        if (length > LOG_TEXT_BYTES_MAX) {
            line->length = length_if_cut;
            put_string(line, CUT);
            break;
        }
        put(line, escaped);
        if (length <= LOG_TEXT_BYTES_MAX - strlen(CUT)) {
            length_if_cut = line->length;
        }
    }
    put_string(line, "\"");
}

/* A word that a reader of logfmt takes for one without quotes. */
static bool is_word(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.bytes[i];
        if (byte <= ' ' || byte > '~' || byte == '"' || byte == '=' || byte == '\\') {
            return false;
        }
    }
    return text.length > 0 && text.length <= LOG_TEXT_BYTES_MAX;
}

/* --- pairs ---------------------------------------------------------------------------------- */

static void put_key(struct line *line, const char *name) {
    bool is_json = line->format == LOG_FORMAT_JSON;
    if (line->length > 0) {
        put_string(line, is_json ? "," : " ");
    }
    put_string(line, is_json && line->length == 0 ? "{\"" : is_json ? "\"" : "");
    put_string(line, name);
    put_string(line, is_json ? "\":" : "=");
}

static void put_text(struct line *line, const char *name, struct span text) {
    put_key(line, name);
    if (line->format == LOG_FORMAT_LOGFMT && is_word(text)) {
        put(line, text);
    } else {
        put_quoted(line, text);
    }
}

static void put_text_if_any(struct line *line, const char *name, struct span text) {
    if (text.length > 0) {
        put_text(line, name, text);
    }
}

static void put_count(struct line *line, const char *name, uint64_t count) {
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, count);
    put_key(line, name);
    put_string(line, digits);
}

static void put_value(struct line *line, const struct log_key *key, const void *slot) {
    switch (key->kind) {
    case LOG_KIND_COUNT:
        put_count(line, key->name, *(const uint64_t *)slot);
        break;
    case LOG_KIND_SWITCH:
        put_key(line, key->name);
        put_string(line, *(const bool *)slot ? "true" : "false");
        break;
    case LOG_KIND_TEXT:
        put_text_if_any(line, key->name, span_of_string(*(const char *const *)slot));
        break;
    case LOG_KIND_SPAN:
        put_text_if_any(line, key->name, *(const struct span *)slot);
        break;
    }
}

size_t log_line_write(enum log_format format, enum log_event event, uint64_t time_ms,
                      uint64_t suppressed, const void *values, char ret_line[LOG_LINE_BYTES_MAX]) {
    const struct log_event_row *row = &log_event_rows[event];
    struct line line = {.format = format, .bytes = ret_line};
    char time[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(time_ms, time);
    put_text(&line, "time", span_of_string(time));
    put_text(&line, "level", span_of_string(log_level_name(row->level)));
    put_text(&line, "event", span_of_string(row->name));
    put_text(&line, "message", span_of_string(row->happened));
    if (suppressed > 0) {
        put_count(&line, "suppressed", suppressed);
    }
    for (size_t i = 0; i < row->key_count; i++) {
        put_value(&line, &row->keys[i], (const char *)values + i * LOG_SLOT_BYTES);
    }
    put_string(&line, format == LOG_FORMAT_JSON ? "}\n" : "\n");
    return line.length;
}
