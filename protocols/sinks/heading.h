/* SPDX-License-Identifier: Apache-2.0 */
/* heading.h — the headers of a webhook's request.
 *
 * Place:   webhook.c.
 * Thread:  pure.
 * Bounds:  HEADING_BYTES_MAX.
 *
 *     webhook-id, webhook-timestamp, webhook-signature   Standard Webhooks 1.0.0
 *     Content-Type, User-Agent, what the sink's row adds
 *     tidings-channel, -offset, -id, -event, -key        of one message of `format: data`, and its
 *     tidings-header-<name>                              headers: its body is the payload alone
 *
 * Values are UTF-8; a control character in one is written as `%0A`, and so is `%`. A header of a
 * message whose name is no token of HTTP is left out, and so is what has no value.
 */
#pragma once

#include <stdint.h>

#include "broker/config/config.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/sinks/driver.h"

#define HEADING_BYTES_MAX 2097152 /* the row's 256 of 4 KiB, and a message's, three bytes each */

struct heading {
    const struct sink_row *row;
    const struct shipment *shipment;
    struct span media_type;
    struct span body;
    uint64_t time_s; /* wall clock: of this attempt */
};

/* Appends "Name: value" and a NUL, as often as there are headers. ERR_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum error_code heading_put(struct buffer *lines, const struct heading *heading);
