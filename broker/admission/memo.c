/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/memo.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "broker/support/invariant.h"
#include "broker/support/list.h"
#include "broker/support/map.h"

struct row {
    struct map_node node;
    struct list in_order; /* used last: at the tail */
    struct memo_answer answer;
    uint8_t key[MEMO_KEY_BYTES];
};

struct memo {
    struct map rows;
    struct list order;
    size_t rows_max;
};

bool memo_hash(const struct span *parts, size_t part_count, uint8_t ret_key[MEMO_KEY_BYTES]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned length = 0;
    bool is_good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; is_good && i < part_count; i++) {
        uint64_t part_length = parts[i].length;
        is_good =
            EVP_DigestUpdate(context, &part_length, sizeof(part_length)) == 1 &&
            (part_length == 0 || EVP_DigestUpdate(context, parts[i].bytes, parts[i].length) == 1);
    }
    is_good = is_good && EVP_DigestFinal_ex(context, ret_key, &length) == 1;
    EVP_MD_CTX_free(context);
    return is_good;
}

struct memo *memo_create(size_t rows_max) {
    INVARIANT(rows_max > 0);
    struct memo *memo = calloc(1, sizeof(*memo));
    if (memo == NULL || map_init(&memo->rows) != OK) {
        free(memo);
        return NULL;
    }
    list_init(&memo->order);
    memo->rows_max = rows_max;
    return memo;
}

static void drop(struct memo *memo, struct row *row) {
    map_remove(&memo->rows, &row->node);
    list_remove(&row->in_order);
    identity_unref(row->answer.identity);
    free(row);
}

void memo_destroy(struct memo *memo) {
    if (memo != NULL) {
        memo_forget(memo, NULL, NULL);
        map_finish(&memo->rows);
        free(memo);
    }
}

static struct row *find(struct memo *memo, const uint8_t *key) {
    struct map_node *node = map_find(&memo->rows, span_of(key, MEMO_KEY_BYTES));
    return node == NULL ? NULL : CONTAINER_OF(node, struct row, node);
}

const struct memo_answer *memo_find(struct memo *memo, const uint8_t key[MEMO_KEY_BYTES],
                                    uint64_t now_ms) {
    struct row *row = find(memo, key);
    if (row == NULL) {
        return NULL;
    }
    if (now_ms >= row->answer.until_ms) {
        drop(memo, row);
        return NULL;
    }
    list_remove(&row->in_order);
    list_put_tail(&memo->order, &row->in_order);
    return &row->answer;
}

void memo_put(struct memo *memo, const uint8_t key[MEMO_KEY_BYTES],
              const struct memo_answer *answer) {
    struct row *row = find(memo, key);
    if (row != NULL) {
        drop(memo, row);
    }
    if (map_count(&memo->rows) == memo->rows_max) {
        drop(memo, CONTAINER_OF(memo->order.next, struct row, in_order));
    }
    row = calloc(1, sizeof(*row));
    if (row == NULL) {
        return;
    }
    row->answer = *answer;
    row->answer.identity = identity_ref(answer->identity);
    memcpy(row->key, key, MEMO_KEY_BYTES);
    map_put(&memo->rows, &row->node, span_of(row->key, MEMO_KEY_BYTES));
    list_put_tail(&memo->order, &row->in_order);
    INVARIANT(map_count(&memo->rows) <= memo->rows_max);
}

void memo_forget(struct memo *memo,
                 bool (*is_wanted)(const struct identity *identity, const void *context),
                 const void *context) {
    LIST_EACH(&memo->order, node) {
        struct row *row = CONTAINER_OF(node, struct row, in_order);
        bool is_about = is_wanted == NULL ||
                        (row->answer.identity != NULL && is_wanted(row->answer.identity, context));
        if (is_about) {
            drop(memo, row);
        }
    }
}

size_t memo_count(const struct memo *memo) {
    return map_count(&memo->rows);
}
