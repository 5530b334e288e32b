/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/glance.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "broker/support/hash.h"

static_assert((GLANCE_ROWS & (GLANCE_ROWS - 1)) == 0, "a hash is cut to a row by its bits");

struct row {
    uint64_t hash;
    uint64_t until_ms;
    struct identity *identity; /* NULL: the row is empty */
    size_t length;
    uint8_t *text;
};

struct glance {
    struct hash_key key;
    struct row rows[GLANCE_ROWS];
};

struct glance *glance_create(void) {
    struct glance *glance = calloc(1, sizeof(*glance));
    if (glance != NULL) {
        hash_key_draw(&glance->key);
    }
    return glance;
}

static void clear(struct row *row) {
    identity_unref(row->identity);
    OPENSSL_clear_free(row->text, row->length);
    *row = (struct row){0};
}

void glance_destroy(struct glance *glance) {
    if (glance != NULL) {
        glance_forget(glance, NULL, NULL);
        free(glance);
    }
}

struct identity *glance_find(struct glance *glance, struct span text, uint64_t now_ms) {
    if (text.length == 0 || text.length > GLANCE_TEXT_BYTES_MAX) {
        return NULL;
    }
    uint64_t hash = hash_bytes(&glance->key, text);
    struct row *row = &glance->rows[hash & (GLANCE_ROWS - 1)];
    if (row->identity == NULL || row->hash != hash || row->length != text.length ||
        CRYPTO_memcmp(row->text, text.bytes, text.length) != 0) {
        return NULL;
    }
    if (now_ms >= row->until_ms) {
        clear(row);
    }
    return row->identity;
}

void glance_put(struct glance *glance, struct span text, struct identity *identity,
                uint64_t until_ms) {
    uint8_t *copy = text.length == 0 || text.length > GLANCE_TEXT_BYTES_MAX
                        ? NULL
                        : OPENSSL_malloc(text.length);
    if (copy == NULL) {
        return;
    }
    memcpy(copy, text.bytes, text.length);
    uint64_t hash = hash_bytes(&glance->key, text);
    struct row *row = &glance->rows[hash & (GLANCE_ROWS - 1)];
    clear(row);
    *row = (struct row){.hash = hash,
                        .until_ms = until_ms,
                        .identity = identity_ref(identity),
                        .length = text.length,
                        .text = copy};
}

void glance_forget(struct glance *glance,
                   bool (*is_wanted)(const struct identity *identity, const void *context),
                   const void *context) {
    for (size_t i = 0; i < GLANCE_ROWS; i++) {
        struct row *row = &glance->rows[i];
        if (row->identity != NULL && (is_wanted == NULL || is_wanted(row->identity, context))) {
            clear(row);
        }
    }
}
