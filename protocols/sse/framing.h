/* SPDX-License-Identifier: Apache-2.0 */
/* framing.h — Server-Sent Events as rows of the table of framings.
 *
 * Place:   used by protocols/sse/event_source.c; feeds share what they encode.
 * Thread:  constants.
 * Bounds:  see event.h.
 */
#pragma once

#include "broker/channels/framing.h"

/* Envelopes; and bare payloads (envelope=none), which give ERR_NOT_ACCEPTABLE for binary. */
extern const struct framing sse_framing;
extern const struct framing sse_framing_bare;
