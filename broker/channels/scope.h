/* SPDX-License-Identifier: Apache-2.0 */
/* scope.h — a tenant's name space: a first segment before a channel's name that no client can say.
 *
 * Place:   put before a name or pattern where it comes in (protocols), taken off where it goes out;
 *          in between feeds, rules of order, groups, sessions and storage see one name.
 * Thread:  pure.
 * Bounds:  TENANT_BYTES_MAX and CHANNEL_NAME_BYTES_MAX: SCOPED_BYTES_MAX together.
 *
 *     "chat/7" of tenant "acme" is "\x01acme/chat/7" inside; of no tenant it is "chat/7"
 *
 * The mark is a control character, which no name may have (name.h), so no name of one tenant is
 * another's. Patterns are scoped in the same way, and so are client ids of MQTT. What stands behind
 * the scope keeps its meaning: a wildcard in front is none for `$…`, nor for what has a scope where
 * the pattern has none (pattern.h, trie.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define SCOPE_MARK 0x01
#define SCOPE_BYTES_MAX (1 + TENANT_BYTES_MAX + 1)
#define SCOPED_BYTES_MAX (SCOPE_BYTES_MAX + CHANNEL_NAME_BYTES_MAX)
#define SCOPED_CLIENT_ID_BYTES_MAX (SCOPE_BYTES_MAX + CLIENT_ID_BYTES_MAX)

/* A tenant is called by 1 to TENANT_BYTES_MAX letters, digits, `-`, `_` or `.`. */
bool scope_is_tenant(struct span text);

/* Appends the checked name or pattern as it is called inside. Of no tenant (empty) it is itself.
 * ERR_MEMORY, ERR_TOO_LARGE: the buffer's. */
MUST_USE enum error_code scope_put(struct buffer *buffer, struct span tenant, struct span text);

/* Bytes of the mark, the tenant and the slash; 0: it has no scope. */
size_t scope_length(struct span scoped);

/* What a client calls it, and whose it is (empty: nobody's). Parts of `scoped`. */
struct span scope_visible(struct span scoped);
struct span scope_tenant(struct span scoped);
