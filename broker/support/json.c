/* SPDX-License-Identifier: Apache-2.0 */
/* The check is one pass of a small machine: what may come next (`expects`), and one bit for each
 * container that is open (1: an object). UTF-8 is checked first and apart, because that pass is
 * fast; after it only ASCII decides, and a string is skipped eight bytes at a time. */
#include "broker/support/json.h"

#include <endian.h>

#include "broker/support/utf8.h"

_Static_assert(JSON_DEPTH_MAX <= 64, "the open containers are the bits of one word");

enum expects { A_VALUE, A_VALUE_OR_END, A_NAME, A_NAME_OR_END, A_COLON, A_COMMA_OR_END };

struct scan {
    const uint8_t *bytes;
    size_t length;
    size_t at;
    uint64_t containers; /* the innermost is the lowest bit */
    unsigned depth;
    enum expects expects;
    const char *fault;
};

static const char too_deep[] = "more than 64 values inside each other";

static bool fail(struct scan *scan, const char *fault) {
    scan->fault = fault;
    return false;
}

static bool is_blank(uint8_t byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_hexadecimal(uint8_t byte) {
    uint8_t lower = byte | 0x20;
    return is_digit(byte) || (lower >= 'a' && lower <= 'f');
}

/* The first byte is the lowest, on every machine. */
static uint64_t load_word(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return le64toh(word);
}

/* How many bytes need no look: neither quote, backslash nor control character. A borrow can mark a
 * byte falsely, but only above one that is marked with reason. */
static size_t plain_length(const uint8_t *bytes, size_t length) {
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t at = 0;
    for (; length - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word = load_word(bytes + at);
        uint64_t quote = word ^ (ones * '"');
        uint64_t backslash = word ^ (ones * '\\');
        uint64_t found = (word - ones * 0x20) & ~word;
        found |= ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash);
        if ((found & highs) != 0) {
            return at + (size_t)__builtin_ctzll(found & highs) / 8;
        }
    }
    while (at < length && bytes[at] >= 0x20 && bytes[at] != '"' && bytes[at] != '\\') {
        at++;
    }
    return at;
}

static bool scan_escape(struct scan *scan) {
    scan->at++;
    if (scan->at == scan->length) {
        return fail(scan, "the text ends inside a string");
    }
    uint8_t kind = scan->bytes[scan->at];
    if (kind == '\0' || strchr("\"\\/bfnrtu", kind) == NULL) {
        return fail(scan, "no such escape");
    }
    scan->at++;
    for (unsigned i = 0; kind == 'u' && i < 4; i++, scan->at++) {
        if (scan->at == scan->length || !is_hexadecimal(scan->bytes[scan->at])) {
            return fail(scan, "\\u needs four hexadecimal digits");
        }
    }
    return true;
}

/* At the opening quote. */
static bool scan_string(struct scan *scan) {
    scan->at++;
    for (;;) {
        scan->at += plain_length(scan->bytes + scan->at, scan->length - scan->at);
        if (scan->at == scan->length) {
            return fail(scan, "the text ends inside a string");
        }
        uint8_t byte = scan->bytes[scan->at];
        if (byte == '"') {
            scan->at++;
            return true;
        }
        if (byte != '\\') {
            return fail(scan, "a control character must be escaped");
        }
        if (!scan_escape(scan)) {
            return false;
        }
    }
}

static bool scan_digits(struct scan *scan) {
    size_t first = scan->at;
    while (scan->at < scan->length && is_digit(scan->bytes[scan->at])) {
        scan->at++;
    }
    return scan->at > first || fail(scan, "a digit is missing");
}

static bool is_at(const struct scan *scan, uint8_t one, uint8_t other) {
    return scan->at < scan->length &&
           (scan->bytes[scan->at] == one || scan->bytes[scan->at] == other);
}

static bool scan_number(struct scan *scan) {
    if (is_at(scan, '-', '-')) {
        scan->at++;
    }
    if (is_at(scan, '0', '0')) {
        scan->at++;
        if (scan->at < scan->length && is_digit(scan->bytes[scan->at])) {
            return fail(scan, "a number has no leading zero");
        }
    } else if (!scan_digits(scan)) {
        return false;
    }
    if (is_at(scan, '.', '.')) {
        scan->at++;
        if (!scan_digits(scan)) {
            return false;
        }
    }
    if (is_at(scan, 'e', 'E')) {
        scan->at++;
        if (is_at(scan, '+', '-')) {
            scan->at++;
        }
        return scan_digits(scan);
    }
    return true;
}

static bool scan_word(struct scan *scan, const char *word) {
    for (; *word != '\0'; word++, scan->at++) {
        if (scan->at == scan->length || scan->bytes[scan->at] != (uint8_t)*word) {
            return fail(scan, "neither true, false nor null");
        }
    }
    return true;
}

static bool open_container(struct scan *scan, bool is_object) {
    if (scan->depth == JSON_DEPTH_MAX) {
        return fail(scan, too_deep);
    }
    scan->depth++;
    scan->containers = scan->containers << 1 | is_object;
    scan->expects = is_object ? A_NAME_OR_END : A_VALUE_OR_END;
    scan->at++;
    return true;
}

static bool close_container(struct scan *scan, bool is_object) {
    if (scan->depth == 0 || (scan->containers & 1) != is_object) {
        return fail(scan, "the wrong bracket");
    }
    scan->depth--;
    scan->containers >>= 1;
    scan->expects = A_COMMA_OR_END;
    scan->at++;
    return true;
}

static bool scan_value(struct scan *scan) {
    uint8_t byte = scan->bytes[scan->at];
    if (byte == '{' || byte == '[') {
        return open_container(scan, byte == '{');
    }
    scan->expects = A_COMMA_OR_END;
    switch (byte) {
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        return byte == '-' || is_digit(byte) ? scan_number(scan) : fail(scan, "a value is missing");
    }
}

static bool scan_comma_or_end(struct scan *scan, uint8_t byte) {
    if (scan->depth == 0) {
        return fail(scan, "more than one value");
    }
    if (byte == ',') {
        scan->expects = (scan->containers & 1) != 0 ? A_NAME : A_VALUE;
        scan->at++;
        return true;
    }
    return byte == ']' || byte == '}' ? close_container(scan, byte == '}')
                                      : fail(scan, "a comma or a closing bracket is missing");
}

/* One token, at a byte that is not blank. */
static bool scan_token(struct scan *scan) {
    uint8_t byte = scan->bytes[scan->at];
    switch (scan->expects) {
    case A_VALUE_OR_END:
        return byte == ']' ? close_container(scan, false) : scan_value(scan);
    case A_VALUE:
        return scan_value(scan);
    case A_NAME_OR_END:
        if (byte == '}') {
            return close_container(scan, true);
        }
        scan->expects = A_COLON;
        return byte == '"' ? scan_string(scan) : fail(scan, "a member's name is missing");
    case A_NAME:
        scan->expects = A_COLON;
        return byte == '"' ? scan_string(scan) : fail(scan, "a member's name is missing");
    case A_COLON:
        scan->expects = A_VALUE;
        scan->at += byte == ':';
        return byte == ':' || fail(scan, "a colon is missing");
    case A_COMMA_OR_END:
    default:
        return scan_comma_or_end(scan, byte);
    }
}

static bool scan_text(struct scan *scan) {
    for (;;) {
        while (scan->at < scan->length && is_blank(scan->bytes[scan->at])) {
            scan->at++;
        }
        if (scan->at == scan->length) {
            bool is_whole = scan->depth == 0 && scan->expects == A_COMMA_OR_END;
            return is_whole || fail(scan, "the text ends too early");
        }
        if (!scan_token(scan)) {
            return false;
        }
    }
}

/* Where UTF-8 breaks: found by halving, because it is asked only when it does. */
static size_t utf8_fault_position(struct span text) {
    size_t good = 0, bad = text.length;
    while (bad - good > 1) {
        size_t middle = good + (bad - good) / 2;
        struct utf8_state state = {0};
        if (utf8_feed(&state, span_of(text.bytes, middle))) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    return good;
}

enum error_code json_check(struct span text, size_t *ret_fault_position, const char **ret_fault) {
    struct scan scan = {.bytes = text.bytes, .length = text.length, .expects = A_VALUE};
    if (!utf8_is_valid(text)) {
        scan.fault = "the text is not UTF-8";
        scan.at = utf8_fault_position(text);
    } else if (scan_text(&scan)) {
        return OK;
    }
    if (ret_fault_position != NULL) {
        *ret_fault_position = scan.at;
    }
    if (ret_fault != NULL) {
        *ret_fault = scan.fault;
    }
    return ERR_BAD_JSON;
}

static struct span without_blanks(struct span text) {
    while (text.length > 0 && is_blank(text.bytes[0])) {
        text.bytes++;
        text.length--;
    }
    return text;
}

/* At the opening bracket of checked text: the value ends with the bracket that closes it, and only
 * a string can hide one. (A byte of '[' or ']' with 0x20 is that of '{' or '}'.) */
static bool skip_container(struct scan *scan) {
    size_t depth = 0;
    while (scan->at < scan->length) {
        uint8_t byte = scan->bytes[scan->at];
        if (byte == '"') {
            if (!scan_string(scan)) {
                return false;
            }
            continue;
        }
        depth += (byte | 0x20) == '{';
        depth -= (byte | 0x20) == '}';
        scan->at++;
        if (depth == 0) {
            return true;
        }
    }
    return false;
}

/* The value at the front of checked text; `rest` moves on behind it. */
static bool take_value(struct span *rest, struct json_value *ret_value) {
    struct span text = without_blanks(*rest);
    if (text.length == 0) {
        return false;
    }
    struct scan scan = {.bytes = text.bytes, .length = text.length};
    bool is_container = (text.bytes[0] | 0x20) == '{';
    if (!(is_container ? skip_container(&scan) : scan_value(&scan))) {
        return false;
    }
    static const enum json_kind kinds[256] = {
        ['n'] = JSON_KIND_NULL,   ['f'] = JSON_KIND_FALSE, ['t'] = JSON_KIND_TRUE,
        ['"'] = JSON_KIND_STRING, ['['] = JSON_KIND_ARRAY, ['{'] = JSON_KIND_OBJECT,
    };
    uint8_t first = text.bytes[0];
    ret_value->kind = first == '-' || is_digit(first) ? JSON_KIND_NUMBER : kinds[first];
    ret_value->text = span_of(text.bytes, scan.at);
    *rest = span_of(text.bytes + scan.at, text.length - scan.at);
    return true;
}

enum error_code json_parse(struct span text, struct json_value *ret_value,
                           size_t *ret_fault_position, const char **ret_fault) {
    enum error_code code = json_check(text, ret_fault_position, ret_fault);
    if (code != OK) {
        return code;
    }
    /* A scalar or container ends where its scan does; only blanks can follow. */
    struct span value = without_blanks(text);
    while (is_blank(value.bytes[value.length - 1])) {
        value.length--;
    }
    struct span rest = value;
    if (value.bytes[0] == '{' || value.bytes[0] == '[') {
        *ret_value =
            (struct json_value){value.bytes[0] == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY, value};
        return OK;
    }
    return take_value(&rest, ret_value) ? OK : ERR_BAD_JSON;
}

bool json_is_too_deep(const char *fault) {
    return fault == too_deep;
}

enum error_code json_refuse(struct error *why, const char *what, size_t position,
                            const char *fault) {
    enum error_code code =
        error_set(why, ERR_BAD_JSON, "%s is %s at byte %zu: %s", what,
                  json_is_too_deep(fault) ? "nested too deep" : "no JSON", position, fault);
    if (why != NULL) {
        why->is_too_deep = json_is_too_deep(fault);
    }
    return code;
}

struct json_walk json_walk_of(struct json_value container) {
    struct json_walk walk = {0};
    if ((container.kind == JSON_KIND_ARRAY || container.kind == JSON_KIND_OBJECT) &&
        container.text.length >= 2) {
        walk.rest = span_of(container.text.bytes + 1, container.text.length - 2);
    }
    return walk;
}

/* Takes `byte` and the blanks before it off the front, if it is there. */
static bool take_byte(struct span *rest, uint8_t byte) {
    struct span text = without_blanks(*rest);
    if (text.length == 0 || text.bytes[0] != byte) {
        return false;
    }
    *rest = span_of(text.bytes + 1, text.length - 1);
    return true;
}

bool json_array_next(struct json_walk *walk, struct json_value *ret_value) {
    if (!take_value(&walk->rest, ret_value)) {
        return false;
    }
    take_byte(&walk->rest, ',');
    return true;
}

bool json_object_next(struct json_walk *walk, struct json_member *ret_member) {
    struct json_value name;
    if (!take_value(&walk->rest, &name) || !take_byte(&walk->rest, ':') ||
        !take_value(&walk->rest, &ret_member->value)) {
        return false;
    }
    ret_member->name = name.text;
    take_byte(&walk->rest, ',');
    return true;
}

bool json_number_u64(struct json_value value, uint64_t *ret_number) {
    return value.kind == JSON_KIND_NUMBER && span_parse_u64(value.text, ret_number);
}

/* --- strings -------------------------------------------------------------------------------- */

static struct span inside_quotes(struct span literal) {
    return literal.length < 2 ? (struct span){0} : span_of(literal.bytes + 1, literal.length - 2);
}

static uint32_t hexadecimal_of(const uint8_t *digits) {
    uint32_t number = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t lower = digits[i] | 0x20u;
        number = number << 4 | (is_digit(digits[i]) ? lower - '0' : lower - 'a' + 10);
    }
    return number;
}

/* The code point of the \u at the front of `rest`, with its second half if it has one. */
static bool take_code_point(struct span *rest, uint32_t *ret_code_point) {
    uint32_t first = hexadecimal_of(rest->bytes + 2);
    *rest = span_of(rest->bytes + 6, rest->length - 6);
    *ret_code_point = first;
    if (first < 0xD800 || first > 0xDFFF) {
        return true;
    }
    if (first > 0xDBFF || rest->length < 6 || rest->bytes[0] != '\\' || rest->bytes[1] != 'u') {
        return false;
    }
    uint32_t second = hexadecimal_of(rest->bytes + 2);
    *rest = span_of(rest->bytes + 6, rest->length - 6);
    *ret_code_point = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    return second >= 0xDC00 && second <= 0xDFFF;
}

static size_t write_utf8(uint32_t code_point, uint8_t *ret_bytes) {
    if (code_point < 0x80) {
        ret_bytes[0] = (uint8_t)code_point;
        return 1;
    }
    size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length - 1; i > 0; i--) {
        ret_bytes[i] = (uint8_t)(0x80 | (code_point & 0x3F));
        code_point >>= 6;
    }
    ret_bytes[0] = (uint8_t)(leads[length] | code_point);
    return length;
}

/* The UTF-8 bytes that the byte or escape at the front of `rest` stands for: 1 to 4 of them.
 * Zero: half a surrogate pair. */
static size_t take_character(struct span *rest, uint8_t ret_bytes[4]) {
    static const uint8_t meanings[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    if (rest->bytes[0] != '\\') {
        ret_bytes[0] = rest->bytes[0];
        *rest = span_of(rest->bytes + 1, rest->length - 1);
        return 1;
    }
    if (rest->bytes[1] != 'u') {
        ret_bytes[0] = meanings[rest->bytes[1]];
        *rest = span_of(rest->bytes + 2, rest->length - 2);
        return 1;
    }
    uint32_t code_point;
    return take_code_point(rest, &code_point) ? write_utf8(code_point, ret_bytes) : 0;
}

bool json_string_is(struct span literal, const char *word) {
    struct span rest = inside_quotes(literal);
    struct span wanted = span_of_string(word);
    while (rest.length > 0 && wanted.length > 0) {
        uint8_t character[4];
        if (take_character(&rest, character) != 1 || character[0] != wanted.bytes[0]) {
            return false;
        }
        wanted = span_of(wanted.bytes + 1, wanted.length - 1);
    }
    return rest.length == 0 && wanted.length == 0;
}

enum error_code json_string_put(struct buffer *buffer, struct span literal) {
    struct span rest = inside_quotes(literal);
    enum error_code code = buffer_reserve(buffer, rest.length); /* an escape never grows */
    if (code != OK) {
        return code;
    }
    size_t length = buffer->length;
    while (rest.length > 0) {
        size_t plain = plain_length(rest.bytes, rest.length);
        memcpy(buffer->bytes + length, rest.bytes, plain);
        length += plain;
        rest = span_of(rest.bytes + plain, rest.length - plain);
        if (rest.length > 0) {
            uint8_t character[4];
            size_t count = take_character(&rest, character);
            if (count == 0) {
                return ERR_BAD_JSON;
            }
            memcpy(buffer->bytes + length, character, count);
            length += count;
        }
    }
    buffer->length = length;
    return OK;
}

/* Writes the escape of one byte that needs one; 2 or 6 characters. */
static size_t write_escape(uint8_t byte, uint8_t *ret_text) {
    static const char DIGITS[] = "0123456789abcdef";
    static const char letters[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };
    ret_text[0] = '\\';
    if (letters[byte] != '\0') {
        ret_text[1] = (uint8_t)letters[byte];
        return 2;
    }
    memcpy(ret_text + 1, "u00", 3);
    ret_text[4] = (uint8_t)DIGITS[byte >> 4];
    ret_text[5] = (uint8_t)DIGITS[byte & 15];
    return 6;
}

enum error_code json_escape_put(struct buffer *buffer, struct span text) {
    size_t plain = text.length == 0 ? 0 : plain_length(text.bytes, text.length);
    size_t needed = text.length + 2;
    for (size_t i = plain; i < text.length; i++) {
        uint8_t byte = text.bytes[i];
        needed += byte < 0x20 ? 5 : byte == '"' || byte == '\\' ? 1 : 0;
    }
    enum error_code code = buffer_reserve(buffer, needed);
    if (code != OK) {
        return code;
    }
    uint8_t *out = buffer->bytes + buffer->length;
    *out++ = '"';
    while (text.length > 0) {
        memcpy(out, text.bytes, plain);
        out += plain;
        text = span_of(text.bytes + plain, text.length - plain);
        if (text.length > 0) {
            out += write_escape(text.bytes[0], out);
            text = span_of(text.bytes + 1, text.length - 1);
            plain = plain_length(text.bytes, text.length);
        }
    }
    *out++ = '"';
    buffer->length = (size_t)(out - buffer->bytes);
    return OK;
}
