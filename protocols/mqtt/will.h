/* SPDX-License-Identifier: Apache-2.0 */
/* will.h — the message that a client leaves behind for the case that it goes without DISCONNECT.
 *
 * Place:   taken by connect.c, published or dropped by mqtt.c at the end of the connection.
 * Thread:  its connection's worker.
 * Bounds:  one message, as large as a CONNECT can carry.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/mqtt/packet.h"

struct mqtt;

/* Checked like a publish but for the right to it, and made: when it is due nothing can be refused
 * any more. ERR_BAD_CHANNEL, ERR_FORBIDDEN, ERR_TOO_LARGE, ERR_BAD_UTF8, …: no will. */
MUST_USE enum error_code will_take(struct mqtt *mqtt, const struct mqtt_will *will,
                                   struct span client_id, struct error *why);

/* The will is its client's tenant's: channel and publisher are called as inside (scope.h).
 * ERR_MEMORY. */
MUST_USE enum error_code will_scope(struct mqtt *mqtt);

/* The connection ended with a DISCONNECT that says so [MQTT-3.14.4-3], or because its client was
 * revoked: one with a delay does not wait either. */
void will_drop(struct mqtt *mqtt);

/* The connection ended otherwise. One with a delay, or that the log has no room for now, stays for
 * the registry to publish. */
void will_publish(struct mqtt *mqtt);
