/* SPDX-License-Identifier: Apache-2.0 */
/* seen.h — by which messages that came last are known when they come again: short hashes of their
 * ids, in small texts that are journaled with the messages.
 *
 * Place:   of mqtt_source.c.
 * Thread:  pure.
 * Bounds:  the struct, 4 KiB: the last SEEN_IDS at least.
 *
 * An id is hashed to 48 bits with the topic that it came on, eight characters of base64url: a new
 * message is taken for one that was seen once in six hundred thousand million. A **page** is a
 * number and the ids that came while it was the newest: each message changes one page, and the
 * oldest page makes room for the next.
 *
 *     page: eight hexadecimal digits, one more for each page, then SEEN_PAGE_IDS keys at most
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define SEEN_KEY_BYTES 8
#define SEEN_PAGES 16
#define SEEN_PAGE_IDS 30
#define SEEN_PAGE_BYTES (SEEN_KEY_BYTES * (1 + SEEN_PAGE_IDS))
#define SEEN_IDS ((SEEN_PAGES - 1) * SEEN_PAGE_IDS)

struct seen_page {
    char text[SEEN_PAGE_BYTES];
    size_t length; /* 0: nothing */
};

/* Zeroed, it is empty. */
struct seen {
    struct seen_page pages[SEEN_PAGES];
    size_t newest;
    uint32_t number; /* of the newest */
};

/* ERR_INTERNAL: OpenSSL has no SHA-256. */
MUST_USE enum error_code seen_hash(struct span topic, struct span id, char ret_key[SEEN_KEY_BYTES]);

bool seen_has(const struct seen *seen, const char key[SEEN_KEY_BYTES]);

/* The page that a key is for, with it; nothing has changed until seen_put(). Returns its index. */
size_t seen_plan(const struct seen *seen, const char key[SEEN_KEY_BYTES],
                 struct seen_page *ret_page);
void seen_put(struct seen *seen, size_t index, const struct seen_page *page);

/* What was kept of a page, into one that is empty. What is no such text is nothing. */
void seen_learn(struct seen *seen, size_t index, struct span text);
