/* SPDX-License-Identifier: Apache-2.0 */
/* tenure.h — whose a connection is, and until when: an identity, and the timer of its end.
 *
 * Place:   made by connection_admit(); ends the connection through connection_dismiss().
 * Thread:  the connection's worker's.
 * Bounds:  one a connection, of those alone whose client has said who it is; about 100 bytes.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct connection;
struct identity;
struct tenure;

/* A reference of the identity is taken, and a place among its connections (throttle_admit()). Where
 * the identity expires, the connection is dismissed for CLOSE_TOKEN_EXPIRED then; one that has
 * expired already, and was taken all the same because clocks differ, has TOKEN_LEEWAY_S from there.
 * ERR_RATE, ERR_MEMORY. */
MUST_USE enum error_code tenure_create(struct connection *connection, struct identity *identity,
                                       struct tenure **ret_tenure, struct error *why);

/* Its connection is dismissed in the worker's next turn, and not under the caller, who may be in
 * the middle of an answer. */
void tenure_end(struct tenure *tenure, enum close_reason reason);

/* Borrowed. NULL for NULL. */
struct identity *tenure_identity(const struct tenure *tenure);

/* Nothing ends any more, and its place is free. Accepts NULL. */
void tenure_destroy(struct tenure *tenure);
