/* SPDX-License-Identifier: Apache-2.0 */
/* framing.h — envelopes in WebSocket text frames, as rows of the table of framings.
 *
 * Place:   used by protocols/websocket; feeds share what they encode. compression.c makes two more
 *          of them.
 * Thread:  constants.
 * Bounds:  the envelope and ten bytes of header.
 *
 * What a frame says is in its options; the slots differ so that frames with and without `sub`,
 * plain and compressed, are shared each among their own.
 */
#pragma once

#include "broker/channels/framing.h"

#define WEBSOCKET_SLOT_PLAIN 0
#define WEBSOCKET_SLOT_DEFLATED 3
#define WEBSOCKET_SLOT_SUBSCRIBED 4
#define WEBSOCKET_SLOT_SUBSCRIBED_DEFLATED 5

extern const struct framing websocket_framing;

/* Of sockets with subscriptions. */
extern const struct framing websocket_framing_subscribed;
