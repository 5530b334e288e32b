/* SPDX-License-Identifier: Apache-2.0 */
/* A new environment is made under another name, committed (which syncs), closed and only then
 * renamed: a power cut leaves either no environment or a whole one.
 *
 * A snapshot is renewed, used and reset within one call of storage_read(); reset keeps its slot in
 * LMDB's table of readers, so that a renewal takes no lock. */
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "storage/bytes.h"
#include "storage/storage.h"

#define STORE_FILE "log.mdb"
#define STORE_FILE_NEW "log.mdb.new"
#define STORE_TABLES 16 /* named ones beside the slots */
#define STORE_MAP_BYTES_EXTRA (UINT64_C(4) << 30)
#define FULL_BYTES_FREE 1048576 /* no more than so much is free on a disk that cut a write short */
#define META_KEY SPAN("state")

enum error_code store_error(struct error *why, int lmdb_code, const char *what) {
    enum error_code code = ERR_IO;
    switch (lmdb_code) {
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        code = ERR_STORAGE_FULL;
        break;
    case ENOMEM:
        code = ERR_MEMORY;
        break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_NOTFOUND:
        code = ERR_CORRUPT;
        break;
    default:
        break;
    }
    return error_set(why, code, "the store failed to %s: %s", what, mdb_strerror(lmdb_code));
}

static uint64_t map_bytes(uint64_t bytes_max) {
    if (bytes_max >= STORE_MAP_BYTES_MAX / 4) {
        return STORE_MAP_BYTES_MAX;
    }
    /* Twice: pages wait for the oldest snapshot, and a fold writes before retention frees. */
    uint64_t bytes = bytes_max * 2 + STORE_MAP_BYTES_EXTRA;
    return bytes & ~(uint64_t)65535;
}

static int open_env(const char *path, uint64_t bytes_max, MDB_env **ret_env) {
    MDB_env *env = NULL;
    int code = mdb_env_create(&env);
    if (code != 0) {
        return code;
    }
    code = mdb_env_set_mapsize(env, map_bytes(bytes_max));
    if (code == 0) {
        code = mdb_env_set_maxdbs(env, STORE_TABLES + STORE_SLOTS_MAX);
    }
    if (code == 0) {
        code = mdb_env_set_maxreaders(env, STORE_READERS_MAX);
    }
    if (code == 0) {
        code = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
    }
    if (code != 0) {
        mdb_env_close(env);
        return code;
    }
    *ret_env = env;
    return 0;
}

static int sync_directory(const char *directory) {
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return code;
}

static int open_tables(struct store *store, MDB_txn *txn) {
    const struct {
        const char *name;
        MDB_dbi *dbi;
    } tables[] = {
        {"meta", &store->meta},       {"generations", &store->generations},
        {"names", &store->names},     {"channels", &store->channels},
        {"index", &store->index},     {"segments", &store->segments},
        {"cold", &store->cold},       {"deleted", &store->deleted},
        {"keys", &store->keys},       {"erasing", &store->erasing},
        {"repeats", &store->repeats}, {"retained", &store->retained},
        {"objects", &store->objects},
    };
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        int code = mdb_dbi_open(txn, tables[i].name, MDB_CREATE, tables[i].dbi);
        if (code != 0) {
            return code;
        }
    }
    atomic_store(&store->slots[SLOT_COLD], store->cold);
    return 0;
}

static enum error_code write_first_rows(struct store *store, uint64_t log_id, struct error *why) {
    MDB_txn *txn = NULL;
    enum error_code result = store_begin(store, &txn, why);
    if (result != OK) {
        return result;
    }
    struct meta_row meta = {
        .log_id = log_id, .generation = 1, .is_clean = true, .channel_id_next = 1};
    int code = open_tables(store, txn);
    result = code == 0 ? OK : store_error(why, code, "make its tables");
    if (result == OK) {
        result = store_put_meta(store, txn, &meta, why);
    }
    if (result == OK) {
        result = store_put_generation(store, txn, 1, 1, why);
    }
    return store_end(txn, result, why);
}

static enum error_code make_environment(const char *directory, const char *path, uint64_t bytes_max,
                                        uint64_t log_id, struct error *why) {
    char made[4200];
    char lock[4210];
    snprintf(made, sizeof(made), "%s/" STORE_FILE_NEW, directory);
    snprintf(lock, sizeof(lock), "%s-lock", made);
    unlink(made); /* what a start that was cut off left behind */
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return error_set(why, ERR_MEMORY, "no memory to make the store");
    }
    int code = open_env(made, bytes_max, &store->env);
    enum error_code result =
        code == 0 ? write_first_rows(store, log_id, why) : store_error(why, code, "make its file");
    mdb_env_close(store->env);
    free(store);
    unlink(lock);
    if (result == OK && rename(made, path) != 0) {
        result = store_error(why, errno, "name its file");
    }
    if (result == OK && (code = sync_directory(directory)) != 0) {
        result = store_error(why, code, "sync its directory");
    }
    return result;
}

static enum error_code open_all_tables(struct store *store, struct error *why) {
    MDB_txn *txn = NULL;
    enum error_code result = store_begin(store, &txn, why);
    if (result != OK) {
        return result;
    }
    int code = open_tables(store, txn);
    MDB_stat stat = {0};
    if (code == 0) {
        code = mdb_stat(txn, store->segments, &stat);
    }
    if (code != 0) {
        mdb_txn_abort(txn);
        return store_error(why, code, "open its tables");
    }
    result = store_commit(txn, why);
    return result == OK ? store_open_slots(store, (unsigned)stat.ms_entries, why) : result;
}

enum error_code store_open(struct store *store, const char *directory, uint64_t bytes_max,
                           uint64_t log_id, struct error *why) {
    char path[4200];
    snprintf(path, sizeof(path), "%s/" STORE_FILE, directory);
    if (access(path, F_OK) != 0) {
        enum error_code made = make_environment(directory, path, bytes_max, log_id, why);
        if (made != OK) {
            return made;
        }
    }
    memset(store, 0, sizeof(*store));
    int code = open_env(path, bytes_max, &store->env);
    if (code != 0) {
        return store_error(why, code, "open its file");
    }
    int dead = 0;
    IGNORE_RESULT(mdb_reader_check(store->env, &dead)); /* only frees slots of killed processes */
    pthread_mutex_init(&store->pool_lock, NULL);
    enum error_code result = open_all_tables(store, why);
    if (result != OK) {
        store_close(store);
    }
    return result;
}

void store_close(struct store *store) {
    for (size_t i = 0; i < store->pool_count; i++) {
        mdb_txn_abort(store->pool[i]);
    }
    mdb_env_close(store->env);
    pthread_mutex_destroy(&store->pool_lock);
    memset(store, 0, sizeof(*store));
}

/* Behind a meta page that could not be written, LMDB refuses all until it is opened again. */
static void note_panic(struct store *store, int lmdb_code) {
    if (lmdb_code == MDB_PANIC) {
        atomic_store(&store->has_panicked, true);
    }
}

enum error_code store_begin(struct store *store, MDB_txn **ret_txn, struct error *why) {
    int code = mdb_txn_begin(store->env, NULL, 0, ret_txn);
    note_panic(store, code);
    return code == 0 ? OK : store_error(why, code, "begin a transaction");
}

/* LMDB calls a write that was cut short EIO; a full disk is what cuts one short. */
static int full_or_failed(int fd) {
    struct statvfs disk;
    bool is_full = fstatvfs(fd, &disk) == 0 && disk.f_blocks > 0 &&
                   (uint64_t)disk.f_bavail * disk.f_frsize < FULL_BYTES_FREE;
    return is_full ? ENOSPC : EIO;
}

enum error_code store_commit(MDB_txn *txn, struct error *why) {
    mdb_filehandle_t fd = -1;
    int asked = mdb_env_get_fd(mdb_txn_env(txn), &fd);
    int code = mdb_txn_commit(txn);
    if (code == EIO && asked == 0) {
        code = full_or_failed(fd);
    }
    return code == 0 ? OK : store_error(why, code, "commit");
}

enum error_code store_end(MDB_txn *txn, enum error_code result, struct error *why) {
    if (result != OK) {
        mdb_txn_abort(txn);
        return result;
    }
    return store_commit(txn, why);
}

static MDB_txn *take_pooled(struct store *store) {
    pthread_mutex_lock(&store->pool_lock);
    MDB_txn *txn = store->pool_count == 0 ? NULL : store->pool[--store->pool_count];
    pthread_mutex_unlock(&store->pool_lock);
    return txn;
}

enum error_code store_take_snapshot(struct store *store, MDB_txn **ret_txn, struct error *why) {
    MDB_txn *txn = take_pooled(store);
    int code = txn == NULL ? mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) : mdb_txn_renew(txn);
    note_panic(store, code);
    if (code != 0) {
        mdb_txn_abort(txn);
        return store_error(why, code, "take a snapshot");
    }
    pthread_mutex_lock(&store->pool_lock);
    INVARIANT(store->running_count < STORE_READERS_MAX);
    store->running[store->running_count++] = (struct snapshot){txn, clock_monotonic_us()};
    pthread_mutex_unlock(&store->pool_lock);
    *ret_txn = txn;
    return OK;
}

/* Under the lock. */
static void forget_running(struct store *store, const MDB_txn *txn) {
    size_t index = 0;
    while (store->running[index].txn != txn) {
        index++;
        INVARIANT(index < store->running_count);
    }
    store->running[index] = store->running[--store->running_count];
}

void store_release(struct store *store, MDB_txn *txn) {
    if (txn == NULL) {
        return;
    }
    pthread_mutex_lock(&store->pool_lock);
    forget_running(store, txn);
    pthread_mutex_unlock(&store->pool_lock);
    mdb_txn_reset(txn);
    pthread_mutex_lock(&store->pool_lock);
    bool is_kept = store->pool_count < STORE_READERS_MAX;
    if (is_kept) {
        store->pool[store->pool_count++] = txn;
    }
    pthread_mutex_unlock(&store->pool_lock);
    if (!is_kept) {
        mdb_txn_abort(txn);
    }
}

void store_get_snapshots(struct store *store, uint64_t *ret_count, uint64_t *ret_us_oldest) {
    uint64_t now_us = clock_monotonic_us();
    uint64_t oldest_us = now_us;
    pthread_mutex_lock(&store->pool_lock);
    *ret_count = store->running_count;
    for (size_t i = 0; i < store->running_count; i++) {
        uint64_t begin_us = store->running[i].begin_us;
        oldest_us = begin_us < oldest_us ? begin_us : oldest_us;
    }
    pthread_mutex_unlock(&store->pool_lock);
    *ret_us_oldest = now_us - oldest_us;
}

static enum error_code get(MDB_txn *txn, MDB_dbi dbi, struct span key, struct span *ret_value,
                           struct error *why) {
    MDB_val key_val = store_val(key);
    MDB_val value = {0};
    int code = mdb_get(txn, dbi, &key_val, &value);
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    if (code != 0) {
        return store_error(why, code, "read a row");
    }
    *ret_value = store_span(value);
    return OK;
}

static enum error_code put(MDB_txn *txn, MDB_dbi dbi, struct span key, struct span value,
                           struct error *why) {
    MDB_val key_val = store_val(key);
    MDB_val value_val = store_val(value);
    int code = mdb_put(txn, dbi, &key_val, &value_val, 0);
    return code == 0 ? OK : store_error(why, code, "write a row");
}

enum error_code store_get_meta(const struct store *store, MDB_txn *txn, struct meta_row *ret_row,
                               struct error *why) {
    struct span value = {0};
    enum error_code result = get(txn, store->meta, META_KEY, &value, why);
    if (result == ERR_NOT_FOUND || (result == OK && !meta_row_read(value, ret_row))) {
        return error_set(why, ERR_CORRUPT, "the store's first row is missing or damaged");
    }
    return result;
}

enum error_code store_put_meta(const struct store *store, MDB_txn *txn, const struct meta_row *row,
                               struct error *why) {
    uint8_t bytes[ROW_BYTES_MAX];
    return put(txn, store->meta, META_KEY, span_of(bytes, meta_row_write(row, bytes)), why);
}

enum error_code store_get_channel(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                  struct channel_row *ret_row, struct error *why) {
    uint8_t key[8];
    bytes_put_big(key, channel_id, sizeof(key));
    struct span value = {0};
    enum error_code result = get(txn, store->channels, span_of(key, sizeof(key)), &value, why);
    if (result == OK && !channel_row_read(value, ret_row)) {
        return error_set(why, ERR_CORRUPT, "the row of channel %llu is damaged",
                         (unsigned long long)channel_id);
    }
    return result;
}

enum error_code store_put_channel(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                  const struct channel_row *row, struct error *why) {
    uint8_t key[8];
    uint8_t bytes[ROW_BYTES_MAX];
    bytes_put_big(key, channel_id, sizeof(key));
    return put(txn, store->channels, span_of(key, sizeof(key)),
               span_of(bytes, channel_row_write(row, bytes)), why);
}

enum error_code store_get_channel_id(const struct store *store, MDB_txn *txn, struct span name,
                                     uint64_t *ret_channel_id, struct error *why) {
    if (name.length == 0 || name.length > STORAGE_CHANNEL_BYTES_MAX) {
        return ERR_NOT_FOUND;
    }
    uint8_t key[KEY_NAME_BYTES_MAX];
    struct span value = {0};
    enum error_code result =
        get(txn, store->names, span_of(key, key_write_name(name, key)), &value, why);
    if (result == OK && value.length != 8) {
        return error_set(why, ERR_CORRUPT, "the row of a channel's name is damaged");
    }
    if (result == OK) {
        *ret_channel_id = bytes_get_little(value.bytes, 8);
    }
    return result;
}

enum error_code store_get_generation(const struct store *store, MDB_txn *txn, uint32_t generation,
                                     uint64_t *ret_position, struct error *why) {
    uint8_t key[4];
    bytes_put_big(key, generation, sizeof(key));
    struct span value = {0};
    enum error_code result = get(txn, store->generations, span_of(key, sizeof(key)), &value, why);
    if (result == OK && value.length != 8) {
        return error_set(why, ERR_CORRUPT, "the row of a generation is damaged");
    }
    if (result == OK) {
        *ret_position = bytes_get_little(value.bytes, 8);
    }
    return result;
}

enum error_code store_put_generation(const struct store *store, MDB_txn *txn, uint32_t generation,
                                     uint64_t position, struct error *why) {
    uint8_t key[4];
    uint8_t value[8];
    bytes_put_big(key, generation, sizeof(key));
    bytes_put_little(value, position, sizeof(value));
    return put(txn, store->generations, span_of(key, sizeof(key)), span_of(value, sizeof(value)),
               why);
}

/* A handle may be used by snapshots that begin after this commit; a slot's number only gets into
 * the index in a later one. So a reader that meets the number also finds the handle. */
enum error_code store_open_slots(struct store *store, unsigned count, struct error *why) {
    if (count > STORE_SLOTS_MAX) {
        count = STORE_SLOTS_MAX;
    }
    if (store->slot_count >= count) {
        return OK;
    }
    MDB_txn *txn = NULL;
    enum error_code result = store_begin(store, &txn, why);
    if (result != OK) {
        return result;
    }
    int code = 0;
    for (unsigned slot = store->slot_count + 1; code == 0 && slot <= count; slot++) {
        char name[16];
        MDB_dbi dbi = 0;
        snprintf(name, sizeof(name), "slot-%04u", slot);
        code = mdb_dbi_open(txn, name, MDB_CREATE, &dbi);
        atomic_store(&store->slots[slot], dbi);
    }
    if (code != 0) {
        mdb_txn_abort(txn);
        return store_error(why, code, "open a segment");
    }
    result = store_commit(txn, why);
    if (result == OK) {
        store->slot_count = count;
    }
    return result;
}
