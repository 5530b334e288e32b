/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h — where an MQTT packet begins and ends: the fixed header (section 2.1 of both versions).
 *
 * Place:   the MQTT connection, before a decoder of decode.h.
 * Thread:  pure; the body is a span into the input.
 * Bounds:  packet_bytes_max of the dialect: a larger packet is refused as soon as its length is
 *          known, so nobody gathers its body.
 *
 * Byte 1 is the type (four bits) and four flags; then the remaining length, a variable byte integer
 * of at most four bytes; then as many bytes of body. Everything that the first bytes can break is
 * told before more are waited for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/mqtt/fault.h"
#include "protocols/mqtt/protocol.h"

struct mqtt_frame {
    enum mqtt_type type;
    uint8_t flags;
    bool is_shortest;     /* the remaining length is in its shortest form */
    bool is_whole;        /* false: more bytes are needed */
    size_t packet_length; /* with the header; 0: not known before more bytes come */
    struct span body;     /* of a whole one */
};

/* Looks at the packet that begins the input, which may be empty. Before a CONNECT was decoded the
 * dialect's version is NONE, and nothing but CONNECT is taken.
 *
 *     while ((code = mqtt_frame_read(input, &dialect, &frame, &refusal, &why)) == OK &&
 *            frame.is_whole) { … input = what is behind frame.packet_length … }
 *
 * ERR_PROTOCOL, ERR_TOO_LARGE: `ret_refusal` says how to refuse it. */
MUST_USE enum error_code mqtt_frame_read(struct span input, const struct mqtt_dialect *dialect,
                                         struct mqtt_frame *ret_frame,
                                         struct mqtt_refusal *ret_refusal, struct error *why);
