/* SPDX-License-Identifier: Apache-2.0 */
/* sse.h — reads Server-Sent Events as they come in, in pieces of any size.
 *
 * Place:   fed by sub.c with what libcurl receives.
 * Thread:  pure: no sockets, no clock.
 * Bounds:  `bytes_max` of one line and of one event's data, given at init.
 *
 * HTML standard, section 9.2.6 "Interpreting an event stream". An event that no blank line ends is
 * dropped with the stream, as the standard says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sse_text {
    char *bytes; /* ends with NUL once it was put into */
    size_t length;
    size_t capacity;
};

/* Valid during the callback. */
struct sse_event {
    const char *type; /* "message" unless named */
    const char *data;
    size_t length;
    const char *last_event_id; /* "" before the first id */
};

/* False: the event was not dealt with. Feeding ends there, and the id stays that of the one before
 * it, so that it comes again. */
typedef bool sse_on_event(void *context, const struct sse_event *event);

struct sse_parser {
    size_t bytes_max;
    sse_on_event *on_event;
    void *context;
    struct sse_text line;
    struct sse_text data;
    struct sse_text type;
    struct sse_text id;            /* of the event that is being read */
    struct sse_text last_event_id; /* of the last blank line: what to resume from */
    uint64_t retry_ms;             /* 0: the stream said nothing about it */
    bool has_line;                 /* the first line is over: no byte order mark any more */
    bool was_cr;                   /* a LF right behind it belongs to the same line end */
};

void sse_init(struct sse_parser *parser, size_t bytes_max, sse_on_event *on_event, void *context);

/* Frees what it holds. */
void sse_finish(struct sse_parser *parser);

/* A new connection begins: what was half read is dropped, the last event's id is kept. */
void sse_restart(struct sse_parser *parser);

/* Calls on_event for each event that is whole. False: above bytes_max, out of memory, or on_event
 * said so; the stream cannot be read on. */
bool sse_feed(struct sse_parser *parser, const char *bytes, size_t length);

/* "" before the first id; valid until the next call. */
const char *sse_last_event_id(const struct sse_parser *parser);
