/* SPDX-License-Identifier: Apache-2.0 */
/* memo.h — what a thread remembers of questions that are dear to ask: answers by the question's
 * hash, each until its end.
 *
 * Place:   broker/runtime: verified tokens (access.c), answers of the application (consent.c).
 * Thread:  its owner's.
 * Bounds:  `rows_max` answers; above it the one that was used least lately goes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define MEMO_KEY_BYTES 32

struct memo;

/* An answer: who, or yes and no. */
struct memo_answer {
    enum error_code result;
    struct identity *identity; /* NULL: it is not about one */
    uint64_t until_ms;         /* of the caller's clock; no good at or behind it */
};

/* SHA-256 of the parts, each with its length before it. False: no memory for it. */
MUST_USE bool memo_hash(const struct span *parts, size_t part_count,
                        uint8_t ret_key[MEMO_KEY_BYTES]);

/* NULL: out of memory. */
struct memo *memo_create(size_t rows_max);

/* Accepts NULL. */
void memo_destroy(struct memo *memo);

/* The answer, borrowed until the next call; NULL: none that is good now. */
const struct memo_answer *memo_find(struct memo *memo, const uint8_t key[MEMO_KEY_BYTES],
                                    uint64_t now_ms);

/* Keeps a copy, with a reference of its own; without memory it is not kept. */
void memo_put(struct memo *memo, const uint8_t key[MEMO_KEY_BYTES],
              const struct memo_answer *answer);

/* Forgets what is about an identity for which `is_wanted` says so; NULL: everything. */
void memo_forget(struct memo *memo,
                 bool (*is_wanted)(const struct identity *identity, const void *context),
                 const void *context);

size_t memo_count(const struct memo *memo);
