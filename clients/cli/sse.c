/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/sse.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 256

void sse_init(struct sse_parser *parser, size_t bytes_max, sse_on_event *on_event, void *context) {
    *parser = (struct sse_parser){
        .bytes_max = bytes_max,
        .on_event = on_event,
        .context = context,
    };
}

void sse_finish(struct sse_parser *parser) {
    free(parser->line.bytes);
    free(parser->data.bytes);
    free(parser->type.bytes);
    free(parser->id.bytes);
    free(parser->last_event_id.bytes);
    sse_init(parser, parser->bytes_max, parser->on_event, parser->context);
}

static bool put(struct sse_text *text, size_t bytes_max, const char *bytes, size_t length) {
    if (length > bytes_max || text->length > bytes_max - length) {
        return false;
    }
    size_t needed = text->length + length + 1;
    if (needed > text->capacity) {
        size_t capacity = text->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : text->capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *grown = realloc(text->bytes, capacity);
        if (grown == NULL) {
            return false;
        }
        text->bytes = grown;
        text->capacity = capacity;
    }
    if (length > 0) {
        memcpy(text->bytes + text->length, bytes, length);
    }
    text->length += length;
    text->bytes[text->length] = '\0';
    return true;
}

static bool replace(struct sse_text *text, size_t bytes_max, const char *bytes, size_t length) {
    text->length = 0;
    return put(text, bytes_max, bytes, length);
}

static const char *text_or(const struct sse_text *text, const char *otherwise) {
    return text->length == 0 ? otherwise : text->bytes;
}

void sse_restart(struct sse_parser *parser) {
    parser->line.length = 0;
    parser->data.length = 0;
    parser->type.length = 0;
    parser->has_line = false;
    parser->was_cr = false;
    /* The id of a half read event is dropped with it: its message has not been seen. */
    parser->id.length = 0;
    if (!put(&parser->id, parser->bytes_max, text_or(&parser->last_event_id, ""),
             parser->last_event_id.length)) {
        parser->id.length = 0;
    }
}

/* A blank line: the id counts even where there is no data, which is how progress is told. */
static bool dispatch(struct sse_parser *parser) {
    if (parser->data.length > 0) {
        struct sse_event event = {
            .type = text_or(&parser->type, "message"),
            .data = parser->data.bytes,
            .length = parser->data.length - 1, /* without the last line's LF */
            .last_event_id = text_or(&parser->id, ""),
        };
        parser->data.bytes[event.length] = '\0';
        if (!parser->on_event(parser->context, &event)) {
            return false;
        }
    }
    parser->data.length = 0;
    parser->type.length = 0;
    return replace(&parser->last_event_id, parser->bytes_max, text_or(&parser->id, ""),
                   parser->id.length);
}

static void read_retry(struct sse_parser *parser, const char *value, size_t length) {
    uint64_t retry_ms = 0;
    for (size_t i = 0; i < length; i++) {
        bool is_digit = value[i] >= '0' && value[i] <= '9';
        if (!is_digit || retry_ms > UINT32_MAX) {
            return;
        }
        retry_ms = retry_ms * 10 + (uint64_t)(value[i] - '0');
    }
    if (length > 0) {
        parser->retry_ms = retry_ms;
    }
}

static bool read_field(struct sse_parser *parser, const char *name, size_t name_length,
                       const char *value, size_t length) {
    if (name_length == 4 && memcmp(name, "data", 4) == 0) {
        return put(&parser->data, parser->bytes_max, value, length) &&
               put(&parser->data, parser->bytes_max, "\n", 1);
    }
    if (name_length == 5 && memcmp(name, "event", 5) == 0) {
        return replace(&parser->type, parser->bytes_max, value, length);
    }
    if (name_length == 2 && memcmp(name, "id", 2) == 0 && memchr(value, '\0', length) == NULL) {
        return replace(&parser->id, parser->bytes_max, value, length);
    }
    if (name_length == 5 && memcmp(name, "retry", 5) == 0) {
        read_retry(parser, value, length);
    }
    return true; /* other fields are left alone */
}

static bool read_line(struct sse_parser *parser) {
    const char *line = text_or(&parser->line, "");
    size_t length = parser->line.length;
    parser->line.length = 0; /* its bytes stay where they are until the next put */
    if (!parser->has_line && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3; /* the byte order mark that a stream may begin with */
        length -= 3;
    }
    parser->has_line = true;
    if (length == 0) {
        return dispatch(parser);
    }
    const char *colon = memchr(line, ':', length);
    if (colon == line) {
        return true; /* a comment */
    }
    if (colon == NULL) {
        return read_field(parser, line, length, "", 0);
    }
    const char *value = colon + 1;
    size_t value_length = (size_t)(line + length - value);
    if (value_length > 0 && *value == ' ') {
        value++;
        value_length--;
    }
    return read_field(parser, line, (size_t)(colon - line), value, value_length);
}

bool sse_feed(struct sse_parser *parser, const char *bytes, size_t length) {
    size_t start = 0; /* of what is not yet in `line` */
    for (size_t i = 0; i < length; i++) {
        bool is_second_of_pair = bytes[i] == '\n' && parser->was_cr;
        parser->was_cr = bytes[i] == '\r';
        if (is_second_of_pair) {
            start = i + 1;
        } else if (bytes[i] == '\r' || bytes[i] == '\n') {
            if (!put(&parser->line, parser->bytes_max, bytes + start, i - start) ||
                !read_line(parser)) {
                return false;
            }
            start = i + 1;
        }
    }
    return put(&parser->line, parser->bytes_max, bytes + start, length - start);
}

const char *sse_last_event_id(const struct sse_parser *parser) {
    return text_or(&parser->last_event_id, "");
}
