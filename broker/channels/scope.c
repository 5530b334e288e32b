/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/scope.h"

#include <string.h>

#include "broker/support/invariant.h"

bool scope_is_tenant(struct span text) {
    return text.length <= TENANT_BYTES_MAX &&
           span_consists_of(text, SPAN(SPAN_LETTERS SPAN_DIGITS "-_."));
}

enum error_code scope_put(struct buffer *buffer, struct span tenant, struct span text) {
    static const uint8_t mark = SCOPE_MARK;
    if (tenant.length == 0) {
        return buffer_put(buffer, text);
    }
    INVARIANT(tenant.length <= TENANT_BYTES_MAX);
    enum error_code code = buffer_put(buffer, span_of(&mark, 1));
    if (code == OK) {
        code = buffer_put(buffer, tenant);
    }
    if (code == OK) {
        code = buffer_put(buffer, SPAN("/"));
    }
    return code == OK ? buffer_put(buffer, text) : code;
}

size_t scope_length(struct span scoped) {
    if (scoped.length == 0 || scoped.bytes[0] != SCOPE_MARK) {
        return 0;
    }
    const uint8_t *slash = memchr(scoped.bytes, '/', scoped.length);
    return slash == NULL ? 0 : (size_t)(slash - scoped.bytes) + 1;
}

struct span scope_visible(struct span scoped) {
    size_t length = scope_length(scoped);
    return length == 0 ? scoped : span_of(scoped.bytes + length, scoped.length - length);
}

struct span scope_tenant(struct span scoped) {
    size_t length = scope_length(scoped);
    return length == 0 ? (struct span){0} : span_of(scoped.bytes + 1, length - 2);
}
