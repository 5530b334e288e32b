/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/kept.h"

#include <stdint.h>
#include <stdlib.h>

#include "broker/support/invariant.h"

#define CEILING (SIZE_MAX / 2) /* what is written has its own bound */

struct kept {
    struct buffer bytes;
    size_t sent; /* at their front */
};

enum error_code kept_create(struct buffer *bytes, size_t sent, struct kept **ret_kept) {
    INVARIANT(sent <= bytes->length);
    struct kept *kept = calloc(1, sizeof(*kept));
    if (kept == NULL) {
        return ERR_MEMORY;
    }
    *kept = (struct kept){*bytes, sent};
    kept->bytes.ceiling = CEILING;
    buffer_init(bytes, bytes->ceiling);
    *ret_kept = kept;
    return OK;
}

enum error_code kept_put(struct kept **kept, struct span bytes) {
    struct buffer none = {0};
    enum error_code code = *kept == NULL ? kept_create(&none, 0, kept) : OK;
    return code == OK ? buffer_put(&(*kept)->bytes, bytes) : code;
}

struct span kept_rest(const struct kept *kept) {
    return kept == NULL ? (struct span){0}
                        : span_of(kept->bytes.bytes + kept->sent, kept->bytes.length - kept->sent);
}

void kept_drop(struct kept *kept, size_t sent) {
    INVARIANT(sent <= kept->bytes.length - kept->sent);
    kept->sent += sent;
}

void kept_destroy(struct kept *kept) {
    if (kept != NULL) {
        buffer_finish(&kept->bytes);
        free(kept);
    }
}
