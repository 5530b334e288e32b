/* SPDX-License-Identifier: Apache-2.0 */
/* members.h — the members of a JSON object by name, each of which may be there once.
 *
 * Place:   token.h (headers and claims), keyring.h (keys), and answers of the application.
 * Thread:  its owner's.
 * Bounds:  MEMBERS_MAX members, JSON_DEPTH_MAX of depth; the bytes of the text.
 *
 * Two members of one name are refused: one reader would take the first, another the last, and what
 * was signed would mean two things (RFC 8725, section 2.4; RFC 7515, section 4).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/json.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define MEMBERS_MAX 96 /* claims of a token; each pair of names is compared */

struct members {
    struct {
        struct span name; /* without quotes and escapes */
        struct json_value value;
    } rows[MEMBERS_MAX];
    size_t count;
    struct buffer texts; /* what had escapes; it does not move, so spans of it stay good */
};

/* The text is borrowed and outlives `ret_members`, which is to be finished on success alone.
 * ERR_BAD_JSON, with a sentence that begins with `what`; ERR_MEMORY. */
MUST_USE enum error_code members_read(struct span text, const char *what,
                                      struct members *ret_members, struct error *why);

void members_finish(struct members *members);

/* NULL: there is none of that name. */
const struct json_value *members_find(const struct members *members, const char *name);

/* What a string means, without its escapes; good until members_finish(). Each string is to be asked
 * for once. False: it is no string, or no Unicode. */
bool members_take_string(struct members *members, struct json_value value, struct span *ret_text);

/* The string of that name, empty where there is no such member. False: it is no string. */
bool members_take(struct members *members, const char *name, struct span *ret_text);
