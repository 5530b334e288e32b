/* SPDX-License-Identifier: Apache-2.0 */
/* bodies.h — the messages in the body of a publish, for each form that a body can have.
 *
 * Place:   called by protocols/rest/publish.c with a whole body; fills a batch.
 * Thread:  pure, but for the memory of the messages.
 * Bounds:  those of the batch; one more buffer, of the largest element's decoded texts.
 *
 * A fault in one of several messages names which in its field: "line 3" (counted from 1), "[3].key"
 * (counted from 0, as an array is).
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct batch;
struct message_head;
struct rules;

struct body {
    struct span bytes;
    struct span channel; /* of the resource; checked. Empty on POST /publish. */
    struct message_head *head;
    const struct rules *rules;
    struct batch *batch;
    /* May somebody publish to a channel that the body names, and that was checked? NULL: yes. */
    enum error_code (*may_publish)(void *context, struct span channel, struct error *why);
    void *context;
};

/* Not OK: what was added to the batch until then is there still. */
typedef enum error_code body_read(const struct body *body, struct error *why);

/* One message, as media.h says; or the data of a CloudEvent in binary mode. */
MUST_USE body_read body_read_whole;

/* A JSON value a line (LF or CRLF); blank lines are passed over. */
MUST_USE body_read body_read_lines;

/* Objects (message_object.h) in an array, or one alone; each names its channel. */
MUST_USE body_read body_read_objects;

/* One CloudEvent (JSON event format, section 3), and an array of them (section 4). */
MUST_USE body_read body_read_event;
MUST_USE body_read body_read_events;
