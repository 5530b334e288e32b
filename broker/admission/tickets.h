/* SPDX-License-Identifier: Apache-2.0 */
/* tickets.h — one-use stand-ins for credentials, where those would stand in an address.
 *
 * Place:   issued for POST /token, redeemed at a handshake with ?ticket=, both through
 *          broker/runtime/access.h.
 * Thread:  any; one mutex, held for one look-up.
 * Bounds:  TICKETS_MAX that are neither redeemed nor older than TICKET_AGE_MS, TICKETS_HELD_MAX of
 *          them of one identity; everyone, on an open broker, is not one.
 *
 * A ticket is 256 random bits. It is its identity and nothing more: its streams end when those of
 * the token would that it was issued for.
 */
#pragma once

#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct tickets;

#define TICKET_BYTES 32
#define TICKET_TEXT_BYTES 44 /* base64url, and a NUL */

/* NULL: out of memory. */
struct tickets *tickets_create(void);

/* Accepts NULL. */
void tickets_destroy(struct tickets *tickets);

/* `now_ms` is of the monotonic clock. ERR_FULL; ERR_RATE: the identity has
 * TICKETS_HELD_MAX; ERR_MEMORY; ERR_INTERNAL: no randomness. */
MUST_USE enum error_code tickets_issue(struct tickets *tickets, struct identity *identity,
                                       uint64_t now_ms, char ret_text[TICKET_TEXT_BYTES]);

/* Uses the ticket up: a reference to its identity. NULL: there is no such ticket (any more). */
struct identity *tickets_redeem(struct tickets *tickets, struct span text, uint64_t now_ms);

size_t tickets_count(struct tickets *tickets);
