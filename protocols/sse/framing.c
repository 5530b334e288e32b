/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sse/framing.h"

#include "protocols/sse/event.h"

static enum error_code put_message(struct buffer *buffer, const struct message *message) {
    return event_put_message(buffer, message, 0);
}

static enum error_code put_gap(struct buffer *buffer, struct span channel,
                               const struct storage_page *page) {
    struct envelope_gap gap = {.channel = channel,
                               .gap = page->gap,
                               .resumed = page->start,
                               .first = page->first,
                               .last = page->last};
    return event_put_gap(buffer, &gap);
}

const struct framing sse_framing = {
    .name = "sse", .slot = 1, .put_message = put_message, .put_gap = put_gap};

const struct framing sse_framing_bare = {
    .name = "sse", .slot = 2, .put_message = event_put_bare, .put_gap = put_gap};
