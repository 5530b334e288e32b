/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/opening.h"

#include <string.h>
#include <strings.h>

#include "clients/bench/escape.h"

#define END "\r\n\r\n"
#define LENGTH_MAX (UINT64_MAX / 16)

/* "HTTP/1.1 200 OK", or a request's line, which ends with the version. */
static bool read_first_line(const char *line, size_t length, struct opening *opening) {
    static const char version[] = "HTTP/1.";
    size_t known = sizeof(version) - 1;
    if (length >= 12 && memcmp(line, version, known) == 0) {
        for (size_t i = 9; i < 12; i++) {
            if (line[i] < '0' || line[i] > '9') {
                return false;
            }
            opening->status = opening->status * 10 + (unsigned)(line[i] - '0');
        }
        opening->is_closing = line[known] == '0';
        return line[8] == ' ' && opening->status >= 100;
    }
    return length > known + 1 && memcmp(line + length - known - 1, version, known) == 0;
}

static bool read_length(const char *value, size_t length, uint64_t *ret_number) {
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9' || number > LENGTH_MAX / 10) {
            return false;
        }
        number = number * 10 + (uint64_t)(value[i] - '0');
    }
    *ret_number = number;
    return length > 0;
}

/* Whether a list has the word, whatever the case. */
static bool has_word(const char *value, size_t length, const char *word) {
    size_t known = strlen(word);
    for (size_t i = 0; i + known <= length; i++) {
        if (strncasecmp(value + i, word, known) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_named(const char *line, size_t name_length, const char *name) {
    return strlen(name) == name_length && strncasecmp(line, name, name_length) == 0;
}

static bool read_field(const char *line, size_t length, struct opening *opening) {
    const char *colon = memchr(line, ':', length);
    if (colon == NULL) {
        return false;
    }
    size_t name_length = (size_t)(colon - line);
    const char *value = colon + 1;
    const char *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (value < end && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    size_t rest = (size_t)(end - value);
    if (is_named(line, name_length, "Content-Length")) {
        opening->has_length = true;
        return read_length(value, rest, &opening->content_length);
    }
    if (is_named(line, name_length, "Transfer-Encoding")) {
        opening->is_chunked = has_word(value, rest, "chunked");
    } else if (is_named(line, name_length, "Connection")) {
        opening->is_closing = has_word(value, rest, "close") ||
                              (opening->is_closing && !has_word(value, rest, "keep-alive"));
    } else if (is_named(line, name_length, "Upgrade")) {
        opening->is_upgrade = has_word(value, rest, "websocket");
    } else if (is_named(line, name_length, "Expect")) {
        opening->is_expecting = has_word(value, rest, "100-continue");
    }
    return true;
}

enum opening_state opening_read(const uint8_t *bytes, size_t length, struct opening *ret_opening) {
    size_t known = length < OPENING_BYTES_MAX ? length : OPENING_BYTES_MAX;
    const char *text = (const char *)bytes;
    const char *end = memmem(text, known, END, sizeof(END) - 1);
    if (end == NULL) {
        return known < OPENING_BYTES_MAX ? OPENING_CUT : OPENING_BAD;
    }
    *ret_opening = (struct opening){.length = (size_t)(end - text) + sizeof(END) - 1};
    const char *line = text;
    bool is_good = true;
    while (is_good && line < end + 2) {
        const char *line_end = memchr(line, '\r', (size_t)(end + 2 - line));
        if (line_end == NULL || line_end[1] != '\n') {
            return OPENING_BAD;
        }
        size_t line_length = (size_t)(line_end - line);
        is_good = line == text ? read_first_line(line, line_length, ret_opening)
                               : read_field(line, line_length, ret_opening);
        line = line_end + 2;
    }
    return is_good ? OPENING_READ : OPENING_BAD;
}

const char *opening_tell_status(unsigned status) {
    static const struct {
        unsigned status;
        const char *words;
    } known[] = {
        {200, "the server answered 200, and no stream"},
        {204, "the server answered 204: there is nothing to read"},
        {400, "the server answered 400 Bad Request"},
        {401, "the server answered 401 Unauthorized"},
        {403, "the server answered 403 Forbidden"},
        {404, "the server answered 404 Not Found"},
        {405, "the server answered 405 Method Not Allowed"},
        {406, "the server answered 406 Not Acceptable"},
        {413, "the server answered 413 Content Too Large"},
        {414, "the server answered 414 URI Too Long: fewer subscriptions of a reader fit"},
        {429, "the server answered 429 Too Many Requests"},
        {431, "the server answered 431 Request Header Fields Too Large"},
        {500, "the server answered 500 Internal Server Error"},
        {502, "the server answered 502 Bad Gateway"},
        {503, "the server answered 503 Service Unavailable"},
        {507, "the server answered 507 Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].status == status) {
            return known[i].words;
        }
    }
    return "the server's answer has another status than was hoped for";
}

void opening_put_start(struct bytes *output, const struct protocol_link *link, const char *method) {
    escape_put_text(output, method);
    escape_put_text(output, link->path);
}

void opening_put_host(struct bytes *output, const struct protocol_link *link) {
    escape_put_text(output, " HTTP/1.1\r\nHost: ");
    escape_put_text(output, link->host);
    escape_put_text(output, "\r\n");
}

void opening_put_fields(struct bytes *output, const struct protocol_link *link,
                        const char *fields) {
    opening_put_host(output, link);
    if (link->token != NULL) {
        escape_put_text(output, "Authorization: Bearer ");
        escape_put_text(output, link->token);
        escape_put_text(output, "\r\n");
    }
    escape_put_text(output, fields);
    escape_put_text(output, "\r\n");
}
