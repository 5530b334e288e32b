/* SPDX-License-Identifier: Apache-2.0 */
/* RESP2. A command is an array of bulk strings; what comes is one of
 *
 *     +OK\r\n   -ERR …\r\n   :1\r\n   $5\r\nhello\r\n   *3\r\n and as many of these
 *
 * and on a reader's connection `*3 subscribe channel count`, `*3 message channel payload` and
 * `*4 pmessage pattern channel payload`. A publisher begins with PING, whose PONG tells that the
 * server is there. `**` is `*`, which takes any bytes, in a PSUBSCRIBE.
 */
#include <string.h>

#include "clients/bench/escape.h"
#include "clients/bench/protocol_private.h"

#define PARTS_MAX 4
#define LINE_BYTES_MAX 4096u

static void put_array(struct bytes *output, size_t count) {
    bytes_put(output, "*", 1);
    escape_put_number(output, count);
    bytes_put(output, "\r\n", 2);
}

static void put_string(struct bytes *output, const void *bytes, size_t length) {
    bytes_put(output, "$", 1);
    escape_put_number(output, length);
    bytes_put(output, "\r\n", 2);
    bytes_put(output, bytes, length);
    bytes_put(output, "\r\n", 2);
}

static void put_text(struct bytes *output, const char *text) {
    put_string(output, text, strlen(text));
}

static void put_pattern(struct bytes *output, const char *selector) {
    struct bytes pattern = {0};
    escape_put_pattern(&pattern, selector, '/', '*', '*');
    put_string(output, pattern.data, pattern.length);
    bytes_finish(&pattern);
}

void redis_put_hello(struct protocol_link *link, struct bytes *output) {
    if (link->token != NULL) {
        put_array(output, 2);
        put_text(output, "AUTH");
        put_text(output, link->token);
    }
    if (link->is_publisher || link->selector_count == 0) {
        put_array(output, 1);
        put_text(output, "PING");
        return;
    }
    bool is_pattern = strchr(link->selectors[0], '*') != NULL;
    put_array(output, 1 + link->selector_count);
    put_text(output, is_pattern ? "PSUBSCRIBE" : "SUBSCRIBE");
    for (size_t i = 0; i < link->selector_count; i++) {
        put_pattern(output, link->selectors[i]);
    }
    link->awaited = (uint32_t)link->selector_count;
}

void redis_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                       size_t count, struct bytes *output) {
    (void)link;
    (void)count;
    put_array(output, 3);
    put_text(output, "PUBLISH");
    put_text(output, messages->channel);
    put_string(output, messages->payload, messages->length);
}

/* --- what comes ------------------------------------------------------------------------------- */

struct part {
    const uint8_t *bytes; /* behind the type's byte, or a string's text */
    size_t length;
    size_t next; /* behind it */
    uint64_t number;
};

static bool read_number(const uint8_t *text, size_t length, uint64_t *ret_number) {
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || number > PROTOCOL_UNIT_BYTES_MAX) {
            return false;
        }
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    *ret_number = number;
    return length > 0 && number <= PROTOCOL_UNIT_BYTES_MAX;
}

/* A line, and the text of a string. PROTOCOL_NOTHING: there it is. */
static enum protocol_told read_part(const uint8_t *bytes, size_t length, size_t at,
                                    struct part *ret_part, struct protocol_unit *ret_unit) {
    const uint8_t *end = length > at ? memchr(bytes + at, '\n', length - at) : NULL;
    if (end == NULL) {
        return length - at < LINE_BYTES_MAX
                   ? PROTOCOL_MORE
                   : protocol_refuse(ret_unit, "Redis: a line does not end");
    }
    size_t line = (size_t)(end - bytes) + 1 - at;
    if (line < 3 || end[-1] != '\r') {
        return protocol_refuse(ret_unit, "Redis: a line is too short, or ends wrongly");
    }
    *ret_part = (struct part){bytes + at + 1, line - 3, at + line, 0};
    if (bytes[at] != '$' && bytes[at] != '*') {
        return PROTOCOL_NOTHING;
    }
    if (!read_number(ret_part->bytes, ret_part->length, &ret_part->number)) {
        return protocol_refuse(ret_unit, "Redis: a length is none, or more than the load takes");
    }
    if (bytes[at] == '*') {
        return PROTOCOL_NOTHING;
    }
    if (length - ret_part->next < ret_part->number + 2) {
        return PROTOCOL_MORE;
    }
    ret_part->bytes = bytes + ret_part->next;
    ret_part->length = (size_t)ret_part->number;
    ret_part->next += ret_part->length + 2;
    return PROTOCOL_NOTHING;
}

static bool is_text(const struct part *part, const char *text) {
    return part->length == strlen(text) && memcmp(part->bytes, text, part->length) == 0;
}

static enum protocol_told take_push(struct protocol_link *link, const struct part *parts,
                                    size_t count, struct protocol_unit *ret_unit) {
    const struct part *last = &parts[count - 1];
    bool is_message = (count == 3 && is_text(&parts[0], "message")) ||
                      (count == 4 && is_text(&parts[0], "pmessage"));
    ret_unit->length = last->next;
    if (is_message) {
        ret_unit->payload = last->bytes;
        ret_unit->payload_length = last->length;
        return PROTOCOL_MESSAGE;
    }
    bool is_subscribed = is_text(&parts[0], "subscribe") || is_text(&parts[0], "psubscribe");
    if (!is_subscribed || link->awaited == 0) {
        return PROTOCOL_NOTHING;
    }
    link->is_open = --link->awaited == 0;
    return link->is_open ? PROTOCOL_READY : PROTOCOL_NOTHING;
}

static enum protocol_told take_array(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, const struct part *head,
                                     struct protocol_unit *ret_unit) {
    struct part parts[PARTS_MAX];
    if (head->number == 0 || head->number > PARTS_MAX) {
        return protocol_refuse(ret_unit, "Redis: an array that is no push");
    }
    size_t at = head->next;
    for (size_t i = 0; i < head->number; i++) {
        enum protocol_told told = read_part(bytes, length, at, &parts[i], ret_unit);
        if (told != PROTOCOL_NOTHING) {
            return told;
        }
        at = parts[i].next;
    }
    return take_push(link, parts, (size_t)head->number, ret_unit);
}

/* Protected mode is worth a row: it takes clients of 127.0.0.1 alone, not of its neighbours. */
static const char *tell_error(const struct part *head) {
    static const struct {
        const char *mark;
        const char *words;
    } known[] = {
        {"DENIED", "Redis: -DENIED: it runs in protected mode"},
        {"NOAUTH", "Redis: -NOAUTH: it wants a password"},
        {"WRONGPASS", "Redis: -WRONGPASS: the password is wrong"},
        {"NOPERM", "Redis: -NOPERM: not allowed"},
        {"ERR max", "Redis: -ERR max number of clients reached"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t length = strlen(known[i].mark);
        if (head->length >= length && memcmp(head->bytes, known[i].mark, length) == 0) {
            return known[i].words;
        }
    }
    return "Redis: the server refused the hello with an error";
}

static enum protocol_told take_error(struct protocol_link *link, const struct part *head,
                                     struct protocol_unit *ret_unit) {
    if (!link->is_open || !link->is_publisher) {
        return protocol_refuse(ret_unit, tell_error(head));
    }
    ret_unit->count = 1;
    ret_unit->is_refused = true;
    ret_unit->why = "Redis answered";
    ret_unit->payload = head->bytes;
    ret_unit->payload_length = head->length;
    return PROTOCOL_ANSWER;
}

enum protocol_told redis_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                              struct bytes *output, struct protocol_unit *ret_unit) {
    struct part head;
    (void)output;
    enum protocol_told told = read_part(bytes, length, 0, &head, ret_unit);
    if (told != PROTOCOL_NOTHING) {
        return told;
    }
    ret_unit->length = head.next;
    switch (bytes[0]) {
    case '*':
        return take_array(link, bytes, length, &head, ret_unit);
    case ':':
        ret_unit->count = 1;
        ret_unit->is_refused = false;
        return PROTOCOL_ANSWER;
    case '-':
        return take_error(link, &head, ret_unit);
    case '+':
        if (!is_text(&head, "PONG") || link->is_open) {
            return PROTOCOL_NOTHING;
        }
        link->is_open = true;
        return PROTOCOL_READY;
    default:
        return protocol_refuse(ret_unit, "Redis: the server says something unknown");
    }
}
