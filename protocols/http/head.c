/* SPDX-License-Identifier: Apache-2.0 */
/* Two passes: head_find_end() looks at each byte once as it comes and refuses what cannot become a
 * head; then take_apart() splits lines that are known to end with CRLF and to hold no control
 * character. Nobody else can call it, so that it need not look again. */
#include "protocols/http/head.h"

#define METHOD_BYTES_MAX 32

/* --- characters ----------------------------------------------------------------------------- */

/* A bit for each: all but the controls, the blank, and `"(),/:;<=>?@[\]{}`. */
static bool is_token_character(uint8_t byte) {
    static const uint64_t halves[] = {0x03FF6CFA00000000, 0x57FFFFFFC7FFFFFE};
    return byte < 0x80 && (halves[byte / 64] >> (byte % 64) & 1) != 0;
}

bool head_is_token(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        if (!is_token_character(text.bytes[i])) {
            return false;
        }
    }
    return text.length > 0;
}

static bool is_control(uint8_t byte) {
    return (byte < 0x20 && byte != '\t') || byte == 0x7F;
}

/* --- finding the end ------------------------------------------------------------------------ */

static enum error_code bad(struct error *why, const char *what) {
    return error_set(why, ERR_BAD_REQUEST, "%s", what);
}

/* One byte of the request line that is neither CR nor LF. */
static enum error_code scan_request_byte(struct head_search *search, uint8_t byte, size_t at,
                                         struct error *why) {
    if (byte == ' ') {
        search->blanks++;
        if (search->blanks == 1) {
            search->target_start = at + 1;
        }
        return search->blanks <= 2 ? OK : bad(why, "The request line has more than three parts");
    }
    if (search->blanks == 0 &&
        (!is_token_character(byte) || at - search->line_start >= METHOD_BYTES_MAX)) {
        return bad(why, "This is no HTTP method");
    }
    if (search->blanks == 1 && at - search->target_start >= HTTP_TARGET_BYTES_MAX) {
        return error_set(why, ERR_URI_TOO_LONG, "The address is longer than %d bytes",
                         HTTP_TARGET_BYTES_MAX);
    }
    return byte == '\t' ? bad(why, "The request line has a tab") : OK;
}

/* At a CR: what must follow, and what the line was. */
static enum error_code scan_line_end(struct head_search *search, struct span bytes, bool *ret_end,
                                     struct error *why) {
    size_t at = search->scanned;
    if (at + 1 == bytes.length) {
        return ERR_AGAIN;
    }
    if (bytes.bytes[at + 1] != '\n') {
        return bad(why, "A CR without its LF");
    }
    bool is_empty = at == search->line_start;
    if (!is_empty && !search->is_in_headers) {
        if (search->blanks != 2) {
            return bad(why, "The request line is not: method, address, version");
        }
        search->is_in_headers = true;
    } else if (is_empty && !search->is_in_headers && at > 0) {
        return bad(why, "The request line is empty");
    }
    /* One empty line before the request is left over from some clients' bodies (RFC 9112, 2.2). */
    *ret_end = is_empty && search->is_in_headers;
    search->scanned = search->line_start = at + 2;
    return OK;
}

/* One of eight bytes is below 0x20 or is 0x7F; one behind it may be taken for another. */
static bool has_control(const uint8_t bytes[8]) {
    static const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    uint64_t deletes = word ^ 0x7F * ones;
    return ((((word - 0x20 * ones) & ~word) | ((deletes - ones) & ~deletes)) & highs) != 0;
}

/* Passes over what a header line may hold: most of a head, so that it is done in a loop of its
 * own, by eights. */
static void skip_header_bytes(struct head_search *search, struct span bytes) {
    size_t end = bytes.length < HTTP_HEAD_BYTES_MAX ? bytes.length : HTTP_HEAD_BYTES_MAX;
    size_t at = search->scanned;
    while (at + 8 <= end && !has_control(bytes.bytes + at)) { /* `at` may stand behind `end` */
        at += 8;
    }
    while (at < end && !is_control(bytes.bytes[at])) {
        at++;
    }
    search->scanned = at;
}

enum error_code head_find_end(struct head_search *search, struct span bytes, size_t *ret_length,
                              struct error *why) {
    while (search->scanned < bytes.length) {
        if (search->is_in_headers) {
            skip_header_bytes(search, bytes);
        }
        size_t at = search->scanned;
        if (at == bytes.length) {
            break;
        }
        uint8_t byte = bytes.bytes[at];
        enum error_code code = OK;
        bool is_end = false;
        if (at >= HTTP_HEAD_BYTES_MAX) {
            return error_set(why, ERR_HEADERS_TOO_LARGE, "The headers are longer than %d bytes",
                             HTTP_HEAD_BYTES_MAX);
        }
        if (byte == '\r') {
            code = scan_line_end(search, bytes, &is_end, why);
        } else if (is_control(byte)) {
            code = bad(why, byte == '\n' ? "An LF without its CR" : "A control character");
        } else {
            code = search->is_in_headers ? OK : scan_request_byte(search, byte, at, why);
            search->scanned++;
        }
        if (code != OK) {
            return code;
        }
        if (is_end) {
            *ret_length = search->scanned;
            return OK;
        }
    }
    return ERR_AGAIN;
}

/* --- the request line ----------------------------------------------------------------------- */

static const struct {
    const char *text;
    enum head_method method;
} methods[] = {
    {"GET", HEAD_METHOD_GET},         {"HEAD", HEAD_METHOD_HEAD},   {"POST", HEAD_METHOD_POST},
    {"PUT", HEAD_METHOD_PUT},         {"PATCH", HEAD_METHOD_PATCH}, {"DELETE", HEAD_METHOD_DELETE},
    {"OPTIONS", HEAD_METHOD_OPTIONS},
};

static enum head_method method_of(struct span text) {
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        if (span_is_equal(text, span_of_string(methods[i].text))) {
            return methods[i].method;
        }
    }
    return HEAD_METHOD_OTHER;
}

static enum error_code parse_version(struct head *head, struct span text, struct error *why) {
    if (text.length != 8 || !span_has_prefix(text, SPAN("HTTP/")) || text.bytes[6] != '.' ||
        text.bytes[5] < '0' || text.bytes[5] > '9' || text.bytes[7] < '0' || text.bytes[7] > '9') {
        return bad(why, "The request line does not end with an HTTP version");
    }
    if (text.bytes[5] != '1' || text.bytes[7] > '1') {
        return error_set(why, ERR_HTTP_VERSION, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    head->version_minor = (uint8_t)(text.bytes[7] - '0');
    return OK;
}

/* uri-host [ ":" port ] by its characters; a comma would be two of them, `@` a user. */
static bool is_host(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.bytes[i], lower = byte | 0x20;
        if (!(lower >= 'a' && lower <= 'z') && !(byte >= '0' && byte <= '9') &&
            strchr("-._~!$&'()*+;=:[]%", byte) == NULL) {
            return false;
        }
    }
    return true;
}

/* Takes "http://host" off the front of an absolute address. */
static bool take_authority(struct span *target, struct span *ret_host) {
    static const struct span schemes[] = {{(const uint8_t *)"http://", 7},
                                          {(const uint8_t *)"https://", 8}};
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        size_t length = schemes[i].length;
        if (target->length > length &&
            span_is_equal_nocase(span_of(target->bytes, length), schemes[i])) {
            size_t end = length;
            while (end < target->length && target->bytes[end] != '/' && target->bytes[end] != '?') {
                end++;
            }
            *ret_host = span_of(target->bytes + length, end - length);
            *target = span_of(target->bytes + end, target->length - end);
            return ret_host->length > 0 && is_host(*ret_host);
        }
    }
    return false;
}

/* RFC 9112, section 3.2. Bytes above 0x7F are let through: curl sends what its user typed, and
 * whether that is UTF-8 is asked where the path gets its meaning. */
static enum error_code parse_target(struct head *head, struct error *why) {
    struct span rest = head->target;
    if (span_is_equal(head->method_text, SPAN("CONNECT"))) {
        return error_set(why, ERR_NOT_IMPLEMENTED, "This is no proxy");
    }
    if (rest.length == 0) {
        return bad(why, "The address is empty");
    }
    if (head->method == HEAD_METHOD_OPTIONS && span_is_equal(rest, SPAN("*"))) {
        head->is_asterisk = true;
        head->path = rest;
        return OK;
    }
    if (memchr(rest.bytes, '#', rest.length) != NULL) {
        return bad(why, "The address has a fragment");
    }
    if (rest.bytes[0] != '/' && !take_authority(&rest, &head->host)) {
        return bad(why, "The address is neither a path nor an absolute http address");
    }
    head->path = span_split(&rest, '?');
    head->query = rest;
    if (head->path.length == 0) {
        head->path = SPAN("/");
    }
    return OK;
}

static enum error_code parse_request_line(struct head *head, struct span line, struct error *why) {
    head->method_text = span_split(&line, ' ');
    head->target = span_split(&line, ' ');
    head->method = method_of(head->method_text);
    if (!head_is_token(head->method_text)) {
        return bad(why, "This is no HTTP method");
    }
    enum error_code code = parse_version(head, line, why);
    return code != OK ? code : parse_target(head, why);
}

/* --- headers -------------------------------------------------------------------------------- */

static enum error_code on_host(struct head *head, struct span value, struct error *why) {
    if (head->has_host) {
        return bad(why, "More than one Host");
    }
    if (!is_host(value)) {
        return bad(why, "Host is no host");
    }
    head->has_host = true;
    if (head->host.length == 0) {
        head->host = value;
    }
    return OK;
}

static enum error_code on_content_length(struct head *head, struct span value, struct error *why) {
    if (head->has_content_length) {
        return bad(why, "More than one Content-Length");
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9') {
            return bad(why, "Content-Length is no number");
        }
    }
    if (value.length == 0) {
        return bad(why, "Content-Length is empty");
    }
    head->has_content_length = true;
    if (!span_parse_u64(value, &head->content_length)) {
        head->content_length = UINT64_MAX;
    }
    return OK;
}

static enum error_code on_transfer_encoding(struct head *head, struct span value,
                                            struct error *why) {
    if (head->version_minor == 0) {
        return bad(why, "HTTP/1.0 has no Transfer-Encoding");
    }
    if (head->is_chunked) {
        return bad(why, "More than one Transfer-Encoding");
    }
    if (!span_is_equal_nocase(value, SPAN("chunked"))) {
        return error_set(why, ERR_NOT_IMPLEMENTED, "The only transfer coding here is chunked");
    }
    head->is_chunked = true;
    return OK;
}

static enum error_code on_expect(struct head *head, struct span value, struct error *why) {
    if (!span_is_equal_nocase(value, SPAN("100-continue"))) {
        return error_set(why, ERR_EXPECTATION, "The only expectation met here is 100-continue");
    }
    head->expects_continue = head->version_minor > 0;
    return OK;
}

static const struct {
    struct span name;
    enum error_code (*on_header)(struct head *head, struct span value, struct error *why);
} rows[] = {
    {SPAN_ROW("Host"), on_host},
    {SPAN_ROW("Content-Length"), on_content_length},
    {SPAN_ROW("Transfer-Encoding"), on_transfer_encoding},
    {SPAN_ROW("Expect"), on_expect},
};

static enum error_code parse_header(struct head *head, struct span line, struct error *why) {
    if (line.bytes[0] == ' ' || line.bytes[0] == '\t') {
        return bad(why, "A folded header");
    }
    if (head->header_count == HTTP_HEADERS_MAX) {
        return error_set(why, ERR_HEADERS_TOO_LARGE, "More than %d headers", HTTP_HEADERS_MAX);
    }
    size_t line_length = line.length;
    struct span name = span_split(&line, ':');
    if (name.length == line_length) {
        return bad(why, "A header without a colon");
    }
    if (!head_is_token(name)) {
        return bad(why, "This is no name of a header");
    }
    struct span value = span_trim(line);
    head->headers[head->header_count++] = (struct head_header){name, value};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (span_is_equal_nocase(name, rows[i].name)) {
            return rows[i].on_header(head, value, why);
        }
    }
    return OK;
}

/* What only all headers together tell. */
static enum error_code conclude(struct head *head, struct error *why) {
    if (head->version_minor > 0 && !head->has_host) {
        return bad(why, "Host is missing");
    }
    if (head->has_content_length && head->is_chunked) {
        return bad(why, "Both Content-Length and Transfer-Encoding");
    }
    bool is_closed = head_has_token(head, "Connection", "close");
    head->keep_alive =
        !is_closed && (head->version_minor > 0 || head_has_token(head, "Connection", "keep-alive"));
    head->upgrades_to_websocket = head->method == HEAD_METHOD_GET && head->version_minor > 0 &&
                                  head_has_token(head, "Connection", "upgrade") &&
                                  head_has_token(head, "Upgrade", "websocket");
    return OK;
}

/* The next line of a head that is known to be whole, without its CRLF. */
static struct span take_line(struct span *rest) {
    struct span line = span_split(rest, '\n');
    return span_of(line.bytes, line.length - 1);
}

static enum error_code take_apart(struct span bytes, struct head *ret_head, struct error *why) {
    /* The table of headers is not cleared: only the first header_count of them mean anything. */
    memset(ret_head, 0, offsetof(struct head, headers));
    struct span rest = bytes;
    struct span line = take_line(&rest);
    if (line.length == 0) {
        line = take_line(&rest);
    }
    enum error_code code = parse_request_line(ret_head, line, why);
    while (code == OK) {
        line = take_line(&rest);
        if (line.length == 0) {
            return conclude(ret_head, why);
        }
        code = parse_header(ret_head, line, why);
    }
    return code;
}

enum error_code head_take(struct head_search *search, struct span bytes, struct head *ret_head,
                          size_t *ret_length, struct error *why) {
    enum error_code code = head_find_end(search, bytes, ret_length, why);
    return code == OK ? take_apart(span_of(bytes.bytes, *ret_length), ret_head, why) : code;
}

/* --- questions ------------------------------------------------------------------------------ */

bool head_has_token(const struct head *head, const char *name, const char *token) {
    struct span wanted_name = span_of_string(name), wanted = span_of_string(token);
    for (size_t i = 0; i < head->header_count; i++) {
        struct span rest = head->headers[i].value, element;
        if (!span_is_equal_nocase(head->headers[i].name, wanted_name)) {
            continue;
        }
        while (head_list_next(&rest, &element)) {
            if (span_is_equal_nocase(element, wanted)) {
                return true;
            }
        }
    }
    return false;
}

/* The length up to a comma that stands in no quoted string. */
static size_t element_length(struct span text) {
    bool is_quoted = false;
    size_t at = 0;
    for (; at < text.length; at++) {
        uint8_t byte = text.bytes[at];
        if (is_quoted && byte == '\\' && at + 1 < text.length) {
            at++;
        } else if (byte == '"') {
            is_quoted = !is_quoted;
        } else if (byte == ',' && !is_quoted) {
            break;
        }
    }
    return at;
}

bool head_list_next(struct span *rest, struct span *ret_element) {
    while (rest->length > 0) {
        size_t length = element_length(*rest);
        struct span element = span_trim(span_of(rest->bytes, length));
        size_t taken = length < rest->length ? length + 1 : length;
        *rest = span_of(rest->bytes + taken, rest->length - taken);
        if (element.length > 0) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}
