/* SPDX-License-Identifier: Apache-2.0 */
/* framing.h — envelopes in WebSocket text frames, as a row of the table of framings.
 *
 * Place:   used by protocols/websocket/websocket.c; feeds share what they encode.
 * Thread:  constants.
 * Bounds:  the envelope and ten bytes of header.
 */
#pragma once

#include "broker/channels/framing.h"

extern const struct framing websocket_framing;
