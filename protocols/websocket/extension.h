/* SPDX-License-Identifier: Apache-2.0 */
/* extension.h — what a client offers in Sec-WebSocket-Extensions, as far as we can keep it.
 *
 * Place:   the handshake of protocols/websocket.
 * Thread:  pure.
 * Bounds:  one header's value.
 *
 * RFC 6455, section 9.1, and RFC 7692, section 7.1. An offer with a parameter that is unknown,
 * comes twice, or has a value that it may not have, is declined whole; the next one may do.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/buffer.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* What was chosen. */
struct extension {
    bool tells_window; /* the offer names server_max_window_bits, so the answer does */
};

/* The first offer of permessage-deflate in the value of one header that can be kept: the client
 * takes a window of DEFLATE_WINDOW_BITS. False: there is none. */
MUST_USE bool extension_choose(struct span offers, struct extension *ret_extension);

/* The answer, for the header of the same name. */
const char *extension_answer(const struct extension *extension);
