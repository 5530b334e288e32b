/* SPDX-License-Identifier: Apache-2.0 */
/* revoking.h — what the operator revokes: stored with the log, told to all threads, and ended where
 * it is connected.
 *
 * Place:   made by main before the threads start; asked by protocols/operator/. Stores through the
 *          log, ends connections through sift.h; each access (access.h) has its own set.
 * Thread:  that of `reply_to`, which is the operator's, for all calls but create and destroy.
 * Bounds:  REVOCATIONS_MAX entries, REVOKINGS_MAX changes under way.
 *
 *     revoking_ask -> the log (on the disk) -> the set here -> each worker's access
 *                                                                the last: on_answered
 *                                              -> each worker's connections, in slices
 *
 * So when it is answered no thread takes such a token any more, a killed process knows it again,
 * and the connections that have one are being ended. An entry ends by itself: it counts no longer,
 * and its object is deleted with the next change that has room for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/revocations.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

struct broker;
struct mailbox;
struct revoking;

#define REVOKINGS_MAX 64           /* changes under way; further ones are told to come back */
#define REVOKING_ENDS_MAX 64       /* entries that ended, deleted with one change */
#define REVOCATION_RECORD_BYTES 16 /* of an object: u64 revoked, u64 until, in seconds */

/* Learns what is stored and tells the accesses of all workers, before they start and before the
 * first append. ERR_MEMORY, ERR_IO, ERR_CORRUPT. */
MUST_USE enum error_code revoking_create(struct broker *broker, struct revoking **ret_revoking,
                                         struct error *why);

/* Nothing is under way. Accepts NULL. */
void revoking_destroy(struct revoking *revoking);

/* All that is revoked now; what has ended may be among it. */
const struct revocations *revoking_borrow(const struct revoking *revoking);

/* Puts or lifts one, whose spans are copied. on_answered follows, exactly once: OK, or why it could
 * not be stored. ERR_FULL, ERR_BUSY, ERR_DRAINING, ERR_MEMORY: on_answered will not be called. */
typedef void revoking_on_answered(void *context, enum error_code result, const struct error *why);
MUST_USE enum error_code revoking_ask(struct revoking *revoking,
                                      const struct revocation *revocation, bool is_lifted,
                                      struct mailbox *reply_to, revoking_on_answered *on_answered,
                                      void *context, struct error *why);
