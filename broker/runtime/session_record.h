/* SPDX-License-Identifier: Apache-2.0 */
/* session_record.h — the bytes that are stored of a session: what the registry knows of it, then
 * the state of the protocol, which means nothing here.
 *
 * Place:   written and read by the registry; workers store the same by registry_put_message().
 * Thread:  pure.
 * Bounds:  the state and the will, and 96 bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/runtime/session_owner.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

#define SESSION_RECORD_HEAD_BYTES 18 /* before the owner, the will and the state */

struct session_record {
    bool is_held;               /* a connection had it when this was written */
    bool has_shares;            /* groups may wait for it */
    struct session_owner owner; /* nobody takes no bytes */
    uint64_t expiry_ms;         /* from the release on; SESSION_EXPIRY_NEVER */
    uint64_t released_ms;       /* of log time; 0 while it is held */
    bool has_will;
    uint64_t will_due_ms; /* of log time; while it is held the delay instead */
    struct message_fields will;
    struct span state;
};

size_t session_record_size(const struct session_record *record);

/* Writes as many bytes. */
void session_record_put(const struct session_record *record, uint8_t *ret_bytes);

/* Spans of the record point into `bytes`. False: that is none of ours. */
MUST_USE bool session_record_parse(struct span bytes, struct session_record *ret_record);
