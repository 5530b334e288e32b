/* SPDX-License-Identifier: Apache-2.0 */
/* What is relied upon, all of it in mdb.c of LMDB 0.9.24; the layout is that of data version 1,
 * of all of LMDB 0.9: another version of the library does not compile here.
 *
 * Which pages are free. Database 0 has a record for each transaction: its number -> the pages that
 * it freed. A page freed by transaction x is needed by snapshots older than x, and by the meta page
 * of x - 1, to which LMDB falls back. mdb_page_alloc() takes records below mdb_find_oldest(): the
 * last committed transaction, or the oldest snapshot if that is older. The same rule stands here.
 * Nobody can commit while the write transaction is held, and a new snapshot is of the last commit.
 *
 * What is in pages. A page begins with u64 its number, u16 pad, u16 flags, u16 lower, u16 upper; of
 * a branch or leaf page the bytes from lower to upper are unused, and mdb_page_copy() leaves them
 * out. A page inside a large value of database 0 begins with page numbers instead, below 2^32: read
 * as a header its lower and upper are 0, which is no page.
 *
 * Where unused bytes come from. mdb_page_malloc() takes a buffer from the list of those that the
 * last transactions used (me_dpages, the last one first), as it was: any new page may carry what
 * some other page held. So before a scrub all of that list is drawn in a transaction, filled with
 * zeros and given back by aborting it. Buffers that are clean lie below those used since: enough
 * clean ones in a row end it. What LMDB then writes has nothing in it that was erased before. A few
 * buffers serve as branches meanwhile and are not filled; that falls on others in the next round,
 * because a round draws in the reverse order of the one before, and some more.
 *
 * Records of database 0 may be longer than their list of pages, and fill the rest of a page of
 * their own: that rest comes from such buffers, too. */
#include "storage/scrub.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/bytes.h"

#define FREE_DBI 0
#define META_PAGES 2
#define PAGE_HEAD_BYTES 16
#define NODE_HEAD_BYTES 8
#define FLAG_BRANCH 0x01
#define FLAG_LEAF 0x02
#define FLAG_OVERFLOW 0x04
#define BLOCK_BYTES 1048576
#define CLEAN_PAGES 64 /* in a row: the rest of the buffers is clean */
#define ROUNDS 3
#define ROUND_PAGES_MORE                                                                           \
    37 /* no two branches are so many pages apart: there are some 200 between */

static_assert(MDB_VERSION_MAJOR == 0, "the layout is that of data version 1");
static_assert(MDB_VERSION_MINOR == 9, "the layout is that of data version 1");

/* One look at the file: a write transaction that is aborted, and a snapshot of the same moment. */
struct look {
    struct store *store;
    MDB_txn *txn;
    MDB_txn *snapshot;
    mdb_filehandle_t fd;
    size_t page_bytes;
    size_t page_end;   /* behind the last page that is used */
    size_t txn_oldest; /* pages freed before it are free for all */
    size_t first;      /* page of the step … */
    size_t count;      /* … and how many */
    uint8_t *is_free;  /* a byte for each */
    uint8_t *block;
};

void scrub_note_erased(struct scrub *scrub) {
    scrub->is_again = true;
}

/* --- buffers --- */

static bool is_zero(const uint8_t *at, size_t length) {
    return length == 0 || (at[0] == 0 && memcmp(at, at + 1, length - 1) == 0);
}

/* Draws one buffer and zeroes half of it; the next call takes the other half. */
static int draw_half(MDB_txn *txn, MDB_dbi dbi, uint64_t number, size_t value_bytes,
                     bool *ret_was_clean) {
    uint8_t bytes[8];
    bytes_put_big(bytes, UINT64_MAX / 2 + number, sizeof(bytes)); /* behind all channels */
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    MDB_val value = {.mv_size = value_bytes};
    int code = mdb_put(txn, dbi, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (code != 0) {
        return code;
    }
    *ret_was_clean = is_zero(value.mv_data, value_bytes);
    memset(value.mv_data, 0, value_bytes);
    return 0;
}

/* Draws at least `drawn` buffers, and until the rest is clean; sets `drawn` to how many it were. */
static int draw_round(struct store *store, MDB_txn *txn, uint64_t *drawn) {
    MDB_stat stat = {0};
    int code = mdb_stat(txn, store->erasing, &stat);
    /* The largest row of which two fill a page to its last byte: LMDB's me_nodemax. */
    size_t node = (((stat.ms_psize - PAGE_HEAD_BYTES) / 2) & ~(size_t)1) - sizeof(uint16_t);
    size_t clean = 0;
    uint64_t halves = 0;
    while (code == 0 && (clean < 2 * CLEAN_PAGES || halves < 2 * *drawn)) {
        bool was_clean = false;
        code = draw_half(txn, store->erasing, halves++, node - NODE_HEAD_BYTES - 8, &was_clean);
        clean = was_clean ? clean + 1 : 0;
    }
    *drawn = halves / 2;
    return code;
}

static enum error_code clean_buffers(struct store *store, struct error *why) {
    uint64_t drawn = 0;
    for (int i = 0; i < ROUNDS; i++) {
        MDB_txn *txn = NULL;
        enum error_code result = store_begin(store, &txn, why);
        if (result != OK) {
            return result;
        }
        int code = draw_round(store, txn, &drawn);
        mdb_txn_abort(txn);
        if (code != 0) {
            return store_error(why, code, "clean its buffers");
        }
        drawn += ROUND_PAGES_MORE;
    }
    return OK;
}

/* --- what is free --- */

/* A line of mdb_reader_list(): process, thread, and the transaction's number or "-". */
static int on_reader(const char *line, void *context) {
    size_t *oldest = context;
    const char *last = strrchr(line, ' ');
    char *end = NULL;
    errno = 0;
    unsigned long long number = last == NULL ? 0 : strtoull(last + 1, &end, 10);
    if (last != NULL && end != last + 1 && *end == '\n' && errno == 0 && number < *oldest) {
        *oldest = (size_t)number;
    }
    return 0;
}

static bool write_zeros(const struct look *look, size_t at, size_t length) {
    static const uint8_t zeros[65536];
    while (length > 0) {
        size_t part = length < sizeof(zeros) ? length : sizeof(zeros);
        ssize_t written = pwrite(look->fd, zeros, part, (off_t)at);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        at += (size_t)written;
        length -= (size_t)written;
    }
    return true;
}

/* What a record of database 0 holds behind its list. The map begins at a page, so the page that a
 * value lies on begins where its address is rounded down to. */
static bool scrub_record(const struct look *look, MDB_val value) {
    const uint8_t *at = value.mv_data;
    const uint8_t *page = (const uint8_t *)((uintptr_t)at & ~(uintptr_t)(look->page_bytes - 1));
    size_t number = (size_t)bytes_get_little(page, 8);
    size_t used = ((size_t)bytes_get_little(at, 8) + 1) * 8;
    size_t end = value.mv_size;
    if ((bytes_get_little(page + 10, 2) & FLAG_OVERFLOW) != 0) {
        end = (size_t)bytes_get_little(page + 12, 4) * look->page_bytes - PAGE_HEAD_BYTES;
    }
    return number >= look->page_end || used >= end || is_zero(at + used, end - used) ||
           write_zeros(look, number * look->page_bytes + (size_t)(at - page) + used, end - used);
}

static void mark_free(struct look *look, MDB_val value) {
    size_t count = (size_t)bytes_get_little(value.mv_data, 8);
    if (count > value.mv_size / 8 - 1) {
        count = value.mv_size / 8 - 1;
    }
    for (size_t i = 1; i <= count; i++) {
        size_t page = (size_t)bytes_get_little((const uint8_t *)value.mv_data + 8 * i, 8);
        if (page >= look->first && page - look->first < look->count) {
            look->is_free[page - look->first] = 1;
        }
    }
}

/* Marks the free pages of the step; the first step of a scrub also cleans the records. */
static enum error_code walk_free(struct look *look, bool with_records, struct error *why) {
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};
    MDB_val value = {0};
    bool is_written = true;
    int code = mdb_cursor_open(look->snapshot, FREE_DBI, &cursor);
    while (code == 0 && is_written) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        if (code != 0) {
            break;
        }
        if (key.mv_size != 8 || value.mv_size < 8) {
            code = MDB_CORRUPTED;
            break;
        }
        if (bytes_get_little(key.mv_data, 8) < look->txn_oldest) {
            mark_free(look, value);
        }
        is_written = !with_records || scrub_record(look, value);
    }
    mdb_cursor_close(cursor);
    if (!is_written) {
        return store_error(why, errno, "overwrite a free list");
    }
    return code == MDB_NOTFOUND ? OK : store_error(why, code, "read its free list");
}

/* --- pages --- */

/* The part of a page in which nothing is stored. */
static void find_unused(const struct look *look, size_t number, const uint8_t *page, size_t *ret_at,
                        size_t *ret_length) {
    *ret_at = 0;
    *ret_length = look->page_bytes;
    if (number >= look->page_end || look->is_free[number - look->first] != 0) {
        return;
    }
    size_t flags = (size_t)bytes_get_little(page + 10, 2);
    size_t lower = (size_t)bytes_get_little(page + 12, 2);
    size_t upper = (size_t)bytes_get_little(page + 14, 2);
    bool is_tree = bytes_get_little(page, 8) == number &&
                   (flags == FLAG_BRANCH || flags == FLAG_LEAF) && lower >= PAGE_HEAD_BYTES &&
                   lower <= upper && upper <= look->page_bytes;
    *ret_at = is_tree ? lower : 0;
    *ret_length = is_tree ? upper - lower : 0;
}

static bool scrub_block(const struct look *look, size_t first, size_t bytes) {
    for (size_t i = 0; i * look->page_bytes < bytes; i++) {
        const uint8_t *page = look->block + i * look->page_bytes;
        size_t at = 0;
        size_t length = 0;
        find_unused(look, first + i, page, &at, &length);
        if (!is_zero(page + at, length) &&
            !write_zeros(look, (first + i) * look->page_bytes + at, length)) {
            return false;
        }
    }
    return true;
}

/* Pages of the step, block by block. A page that was never written reads as nothing. */
static enum error_code scrub_pages(const struct look *look, struct error *why) {
    size_t end = look->first + look->count;
    size_t pages = BLOCK_BYTES / look->page_bytes;
    for (size_t first = look->first; first < end; first += pages) {
        size_t bytes = (end - first < pages ? end - first : pages) * look->page_bytes;
        ssize_t got = pread(look->fd, look->block, bytes, (off_t)(first * look->page_bytes));
        if (got < 0 && errno == EINTR) {
            first -= pages;
            continue;
        }
        if (got < 0) {
            return store_error(why, errno, "read its file");
        }
        memset(look->block + got, 0, bytes - (size_t)got);
        if (!scrub_block(look, first, bytes)) {
            return store_error(why, errno, "overwrite free pages");
        }
    }
    return OK;
}

/* --- steps --- */

static void end_look(struct look *look) {
    free(look->is_free);
    free(look->block);
    store_release(look->store, look->snapshot);
    mdb_txn_abort(look->txn);
}

static enum error_code begin_look(struct look *look, struct store *store, size_t first,
                                  struct error *why) {
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    *look = (struct look){.store = store, .first = first};
    enum error_code result = store_begin(store, &look->txn, why);
    if (result == OK) {
        result = store_take_snapshot(store, &look->snapshot, why);
    }
    if (result != OK) {
        mdb_txn_abort(look->txn);
        return result;
    }
    int code = mdb_env_get_fd(store->env, &look->fd);
    code = code == 0 ? mdb_env_info(store->env, &info) : code;
    code = code == 0 ? mdb_env_stat(store->env, &stat) : code;
    look->page_bytes = stat.ms_psize;
    look->page_end = info.me_last_pgno + 1;
    look->txn_oldest = info.me_last_txnid;
    look->count = code == 0 ? SCRUB_STEP_BYTES / look->page_bytes : 1;
    look->is_free = calloc(look->count, 1);
    look->block = malloc(BLOCK_BYTES);
    if (code == 0 && mdb_reader_list(store->env, on_reader, &look->txn_oldest) < 0) {
        code = EINVAL;
    }
    if (code == 0 && look->is_free != NULL && look->block != NULL) {
        return OK;
    }
    end_look(look);
    return store_error(why, code == 0 ? ENOMEM : code, "look at its file");
}

/* Anything that is committed makes what the last commit freed free for all. */
static enum error_code commit_meta(struct store *store, bool is_scrub_due, struct error *why) {
    MDB_txn *txn = NULL;
    struct meta_row meta;
    enum error_code result = store_begin(store, &txn, why);
    if (result != OK) {
        return result;
    }
    result = store_get_meta(store, txn, &meta, why);
    if (result == OK) {
        meta.is_scrub_due = is_scrub_due;
        result = store_put_meta(store, txn, &meta, why);
    }
    return store_end(txn, result, why);
}

static enum error_code begin_scrub(struct scrub *scrub, struct store *store, struct error *why) {
    MDB_envinfo info = {0};
    enum error_code result = clean_buffers(store, why);
    if (result != OK) {
        return result;
    }
    int code = mdb_env_info(store->env, &info);
    if (code != 0) {
        return store_error(why, code, "ask for its last transaction");
    }
    result = commit_meta(store, true, why);
    if (result == OK) {
        *scrub = (struct scrub){
            .is_running = true, .txn_through = info.me_last_txnid, .page_next = META_PAGES};
    }
    return result;
}

/* A file may be longer than what is used of it: pages of a transaction that never was committed. */
static size_t count_pages(const struct look *look) {
    struct stat stat;
    size_t pages =
        fstat(look->fd, &stat) == 0 ? (size_t)stat.st_size / look->page_bytes : look->page_end;
    return pages > look->page_end ? pages : look->page_end;
}

/* Sets *ret_end at the end of the file. */
static enum error_code scrub_part(struct scrub *scrub, struct store *store, bool *ret_end,
                                  bool *ret_waits, struct error *why) {
    struct look look;
    enum error_code result = begin_look(&look, store, scrub->page_next, why);
    if (result != OK) {
        return result;
    }
    size_t pages = count_pages(&look);
    *ret_waits = look.txn_oldest <= scrub->txn_through;
    if (!*ret_waits) {
        if (look.count > pages - look.first) {
            look.count = pages - look.first;
        }
        result = walk_free(&look, look.first == META_PAGES, why);
        if (result == OK) {
            result = scrub_pages(&look, why);
        }
        if (result == OK) {
            scrub->page_next += look.count;
        }
        *ret_end = scrub->page_next >= pages;
    }
    end_look(&look);
    return result;
}

static bool is_due(struct store *store) {
    MDB_txn *txn = NULL;
    struct meta_row meta = {0};
    if (store_take_snapshot(store, &txn, NULL) != OK) {
        return true; /* what fails here fails there, too, and is told */
    }
    bool is = store_get_meta(store, txn, &meta, NULL) != OK || meta.is_scrub_due;
    store_release(store, txn);
    return is;
}

enum error_code scrub_step(struct scrub *scrub, struct store *store, bool *ret_more,
                           struct error *why) {
    bool is_end = false;
    bool waits = false;
    *ret_more = false;
    if (!scrub->is_running) {
        if (!is_due(store)) {
            return OK;
        }
        enum error_code result = begin_scrub(scrub, store, why);
        if (result != OK) {
            return result;
        }
    }
    enum error_code result = scrub_part(scrub, store, &is_end, &waits, why);
    if (result == OK && is_end) {
        scrub->is_running = false;
        *ret_more = scrub->is_again;
        /* The commit syncs the file, and with it all that was overwritten. */
        return commit_meta(store, scrub->is_again, why);
    }
    *ret_more = result == OK && !waits;
    return result;
}
