/* SPDX-License-Identifier: Apache-2.0 */
/* resumption.h — the keys that session tickets of TLS are sealed with, shared by all workers.
 *
 * Place:   made by tls.h; OpenSSL asks it through a callback when a ticket is issued or presented.
 * Thread:  any; the keys are behind a lock, held while 80 bytes are copied.
 * Bounds:  two keys: the one that seals, and the one before it, which still opens.
 *
 * A key seals for RESUMPTION_KEY_AGE_MS, so a ticket can be opened for at least that long after it
 * was issued and never after twice as long. Keys are in memory alone: a new start forgets them, and
 * a reload does not. Whoever steals a key can read what was sent with TLS 1.2 under tickets of that
 * time, which is why they go; with 1.3 each resumption agrees on a new secret besides.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct resumption;

/* NULL: out of memory, or no random bytes. */
struct resumption *resumption_create(uint64_t now_ms);

/* Wipes the keys and frees. Accepts NULL. */
void resumption_destroy(struct resumption *resumption);

/* Whether a ticket with that name can be opened at that time, and whether it ought to be replaced:
 * what the callback does, apart from ciphers. Puts new keys where the newest is too old. */
#define RESUMPTION_NAME_BYTES 16
enum resumption_answer { RESUMPTION_UNKNOWN, RESUMPTION_OLD, RESUMPTION_CURRENT };
enum resumption_answer resumption_find(struct resumption *resumption,
                                       const uint8_t name[RESUMPTION_NAME_BYTES], uint64_t now_ms);

/* The name of the key that seals at that time. */
void resumption_current(struct resumption *resumption, uint64_t now_ms,
                        uint8_t ret_name[RESUMPTION_NAME_BYTES]);

/* Sessions of that context are resumed with these keys. `resumption` is borrowed and outlives all
 * connections. ERR_MEMORY. */
MUST_USE enum error_code resumption_serve(struct resumption *resumption, SSL_CTX *context);
