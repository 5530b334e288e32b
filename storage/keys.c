/* SPDX-License-Identifier: Apache-2.0 */
/* A batch is written in order of its keys, whatever order its map has: the same messages give the
 * same rows, and neighbours share pages. */
#include "storage/keys.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/map.h"
#include "storage/bytes.h"

#define VALUE_BYTES 8

enum error_code keys_find(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                          struct span key, uint64_t *ret_offset, struct error *why) {
    uint8_t bytes[KEY_CONFLATED_BYTES_MAX];
    MDB_val wanted = {.mv_size = key_write_conflated(channel_id, key, bytes), .mv_data = bytes};
    MDB_val value = {0};
    int code = wanted.mv_size == 0 ? MDB_NOTFOUND : mdb_get(txn, store->keys, &wanted, &value);
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    if (code != 0) {
        return store_error(why, code, "find a key");
    }
    if (value.mv_size != VALUE_BYTES) {
        return error_set(why, ERR_CORRUPT, "a row of the table of keys is damaged");
    }
    *ret_offset = bytes_get_little(value.mv_data, VALUE_BYTES);
    return OK;
}

enum error_code keys_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                         struct span key, uint64_t offset, struct error *why) {
    uint8_t bytes[KEY_CONFLATED_BYTES_MAX];
    uint8_t number[VALUE_BYTES];
    bytes_put_little(number, offset, sizeof(number));
    MDB_val written = {.mv_size = key_write_conflated(channel_id, key, bytes), .mv_data = bytes};
    MDB_val value = {.mv_size = sizeof(number), .mv_data = number};
    int code = written.mv_size == 0 ? 0 : mdb_put(txn, store->keys, &written, &value, 0);
    return code == 0 ? OK : store_error(why, code, "write a key");
}

enum error_code keys_remove(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                            struct span key, uint64_t offset, struct error *why) {
    uint64_t found = 0;
    enum error_code result = keys_find(store, txn, channel_id, key, &found, why);
    if (result != OK || found != offset) {
        return result == ERR_NOT_FOUND ? OK : result;
    }
    uint8_t bytes[KEY_CONFLATED_BYTES_MAX];
    MDB_val wanted = {.mv_size = key_write_conflated(channel_id, key, bytes), .mv_data = bytes};
    int code = mdb_del(txn, store->keys, &wanted, NULL);
    return code == 0 ? OK : store_error(why, code, "remove a key");
}

/* --- many at once --- */

/* `node` is first: a node of the map is an entry. */
struct entry {
    struct map_node node;
    uint64_t offset;
    size_t length;
    uint8_t bytes[KEY_CONFLATED_BYTES_MAX];
};

struct keys_batch {
    const struct store *store;
    MDB_txn *txn;
    struct map map; /* of what is in `entries` */
    size_t count;
    struct entry entries[KEYS_BATCH_MAX];
};

enum error_code keys_batch_create(const struct store *store, MDB_txn *txn,
                                  struct keys_batch **ret_batch, struct error *why) {
    struct keys_batch *batch = malloc(sizeof(*batch));
    if (batch == NULL || map_init(&batch->map) != OK) {
        free(batch);
        return error_set(why, ERR_MEMORY, "no memory to fold keys");
    }
    batch->store = store;
    batch->txn = txn;
    batch->count = 0;
    *ret_batch = batch;
    return OK;
}

enum error_code keys_batch_put(struct keys_batch *batch, uint64_t channel_id, struct span key,
                               uint64_t offset, struct error *why) {
    uint8_t bytes[KEY_CONFLATED_BYTES_MAX];
    size_t length = key_write_conflated(channel_id, key, bytes);
    if (length == 0) {
        return OK;
    }
    struct map_node *node = map_find(&batch->map, span_of(bytes, length));
    if (node == NULL && batch->count == KEYS_BATCH_MAX) {
        enum error_code result = keys_batch_flush(batch, why);
        if (result != OK) {
            return result;
        }
    }
    if (node == NULL) {
        struct entry *entry = &batch->entries[batch->count++];
        memcpy(entry->bytes, bytes, length);
        entry->length = length;
        map_put(&batch->map, &entry->node, span_of(entry->bytes, length));
        node = &entry->node;
    }
    ((struct entry *)node)->offset = offset;
    return OK;
}

static int compare_entries(const void *left, const void *right) {
    const struct entry *a = *(const struct entry *const *)left;
    const struct entry *b = *(const struct entry *const *)right;
    size_t length = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->bytes, b->bytes, length);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

enum error_code keys_batch_flush(struct keys_batch *batch, struct error *why) {
    const struct entry *order[KEYS_BATCH_MAX];
    for (size_t i = 0; i < batch->count; i++) {
        order[i] = &batch->entries[i];
    }
    qsort(order, batch->count, sizeof(order[0]), compare_entries);
    int code = 0;
    for (size_t i = 0; code == 0 && i < batch->count; i++) {
        uint8_t number[VALUE_BYTES];
        bytes_put_little(number, order[i]->offset, sizeof(number));
        MDB_val key = store_val(span_of(order[i]->bytes, order[i]->length));
        MDB_val value = {.mv_size = sizeof(number), .mv_data = number};
        code = mdb_put(batch->txn, batch->store->keys, &key, &value, 0);
    }
    for (size_t i = 0; i < batch->count; i++) {
        map_remove(&batch->map, &batch->entries[i].node);
    }
    batch->count = 0;
    return code == 0 ? OK : store_error(why, code, "write its keys");
}

void keys_batch_destroy(struct keys_batch *batch) {
    if (batch == NULL) {
        return;
    }
    map_finish(&batch->map);
    free(batch);
}
