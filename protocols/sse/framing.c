/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sse/framing.h"

#include "protocols/sse/event.h"

static enum error_code put_message(struct buffer *buffer, const struct message *message,
                                   const struct frame_options *options) {
    return event_put_message(buffer, message, options->skipped);
}

static enum error_code put_bare(struct buffer *buffer, const struct message *message,
                                const struct frame_options *options) {
    (void)options; /* a bare payload has no room for anything else */
    return event_put_bare(buffer, message);
}

static enum error_code put_gap(struct buffer *buffer, const struct storage_gap *gap,
                               const struct frame_options *options) {
    (void)options;
    return event_put_gap(buffer, gap);
}

const struct framing sse_framing = {
    .name = "sse", .slot = 1, .put_message = put_message, .put_gap = put_gap};

const struct framing sse_framing_bare = {
    .name = "sse", .slot = 2, .put_message = put_bare, .put_gap = put_gap};
