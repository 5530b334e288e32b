/* SPDX-License-Identifier: Apache-2.0 */
/* A journal file is named after its first position, sixteen hexadecimal digits and ".journal".
 *
 *    0  u8[8]  "TIDEJRNL"
 *    8  u32    version: 1
 *   12  u32    CRC-32 over bytes 0-11 and 16-31
 *   16  u64    log id
 *   24  u64    position of the first record
 *   32  u64    sealed bytes: 0, or the length of the file, written after all of it was synced
 *   40  u32    CRC-32 over bytes 32-39; meaningless while they are 0
 *   44         zeros to byte 64; then frames (record.c) to the end, positions without a hole
 *
 * The seal tells a torn tail from damage. A file that is not the last may end in garbage after a
 * power cut, because only a sync orders the pages of two files; once sealed it may not.
 *
 * When a delete has been folded, its file takes nothing more: what was deleted stands in it or
 * before it, and all of them go as soon as they are folded, also when nothing follows. Not at once
 * with the append: a file for each delete would cost a descriptor and two syncs each. What was
 * appended behind the delete while it was folded holds the file until it is folded, too.
 *
 * A file is written at an offset that only a whole append moves; what a failed write left behind is
 * cut off before anything else is written, for else the rest of it could look like records. */
#include "storage/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/support/invariant.h"
#include "storage/bytes.h"
#include "storage/checksum.h"
#include "storage/record.h"

#define MAGIC "TIDEJRNL"
#define JOURNAL_VERSION 1
#define SEAL_AT 32
#define SEAL_BYTES 12
#define BROKEN_TEXT "the journal failed before and takes nothing more until the broker starts again"
#define BUFFER_KEPT_BYTES 4194304 /* a larger one was needed for a large message: freed again */

struct journal_file {
    struct journal_file *next; /* newer */
    int fd;
    unsigned reference_count;
    uint64_t position_first;
    uint64_t position_last;
    uint64_t bytes;
    bool is_sealed;
    uint64_t position_deleted; /* of its first append with a delete; 0: there is none */
    bool is_ended;             /* takes no more: that was folded */
};

struct journal {
    int directory_fd;
    int spare_fd; /* given up for a new file when connections took all others; -1: it was */
    uint64_t log_id;
    uint64_t file_bytes_max;
    uint8_t *buffer; /* the log thread's */
    size_t buffer_bytes;
    pthread_mutex_t sync_lock; /* held through a sync: two never overlap; taken before `lock` */
    pthread_mutex_t lock;      /* all below */
    struct journal_file *oldest;
    struct journal_file *current;
    bool is_appending; /* to the current file, which stays meanwhile */
    uint64_t position_last;
    bool is_directory_dirty; /* a file was made whose name may not be on the disk yet */
    atomic_bool is_broken;   /* not under the lock; it only ever becomes true */
};

enum error_code journal_create(const char *directory, uint64_t log_id, uint64_t file_bytes,
                               struct journal **ret_journal, struct error *why) {
    struct journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the journal");
    }
    journal->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal->directory_fd < 0) {
        free(journal);
        return error_set(why, ERR_IO, "cannot open %s: %s", directory, strerrordesc_np(errno));
    }
    journal->spare_fd = fcntl(journal->directory_fd, F_DUPFD_CLOEXEC, 0);
    journal->log_id = log_id;
    journal->file_bytes_max = file_bytes;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_mutex_init(&journal->sync_lock, NULL);
    *ret_journal = journal;
    return OK;
}

static void file_unref(struct journal_file *file) {
    INVARIANT(file->reference_count > 0);
    if (--file->reference_count == 0) {
        close(file->fd);
        free(file);
    }
}

void journal_destroy(struct journal *journal) {
    if (journal == NULL) {
        return;
    }
    while (journal->oldest != NULL) {
        struct journal_file *file = journal->oldest;
        journal->oldest = file->next;
        file_unref(file);
    }
    close(journal->directory_fd);
    if (journal->spare_fd >= 0) {
        close(journal->spare_fd);
    }
    free(journal->buffer);
    pthread_mutex_destroy(&journal->lock);
    pthread_mutex_destroy(&journal->sync_lock);
    free(journal);
}

static uint32_t head_sum(const uint8_t *head) {
    return checksum(checksum(0, head, 12), head + 16, 16);
}

static void write_head(const struct journal *journal, uint64_t position_first, uint8_t *to) {
    memset(to, 0, JOURNAL_HEAD_BYTES);
    memcpy(to, MAGIC, 8);
    bytes_put_little(to + 8, JOURNAL_VERSION, 4);
    bytes_put_little(to + 16, journal->log_id, 8);
    bytes_put_little(to + 24, position_first, 8);
    bytes_put_little(to + 12, head_sum(to), 4);
}

/* --- appending --- */

static enum error_code encode(struct journal *journal, struct message *const *messages,
                              size_t count, size_t *ret_bytes, struct error *why) {
    size_t bytes = JOURNAL_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        bytes += record_frame_size(messages[i]);
    }
    if (bytes > journal->buffer_bytes) {
        uint8_t *buffer = realloc(journal->buffer, bytes);
        if (buffer == NULL) {
            return error_set(why, ERR_MEMORY, "no memory for an append of %zu bytes", bytes);
        }
        journal->buffer = buffer;
        journal->buffer_bytes = bytes;
    }
    uint8_t *to = journal->buffer + JOURNAL_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        to = record_write_frame(messages[i], to);
    }
    *ret_bytes = bytes - JOURNAL_HEAD_BYTES;
    return OK;
}

/* One pwrite(2); another only if the kernel took less, to learn why. */
static int write_all(int fd, const uint8_t *bytes, size_t length, uint64_t at) {
    while (length > 0) {
        ssize_t written = pwrite(fd, bytes, length, (off_t)at);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? errno : EIO;
        }
        bytes += written;
        length -= (size_t)written;
        at += (uint64_t)written;
    }
    return 0;
}

static enum error_code write_error(struct error *why, int number, const char *what) {
    bool is_full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return error_set(why, is_full ? ERR_STORAGE_FULL : ERR_IO, "cannot %s the journal: %s", what,
                     strerrordesc_np(number));
}

static enum error_code append_to_current(struct journal *journal, struct journal_file *file,
                                         size_t bytes, struct error *why) {
    int number = write_all(file->fd, journal->buffer + JOURNAL_HEAD_BYTES, bytes, file->bytes);
    if (number == 0) {
        return OK;
    }
    if (ftruncate(file->fd, (off_t)file->bytes) != 0) {
        atomic_store(&journal->is_broken,
                     true); /* see the top: a rest could be taken for records */
    }
    return write_error(why, number, "append to");
}

/* Opens a new file even where the process has no descriptor left: those who are connected go on. */
static int open_new(struct journal *journal, const char *name) {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = openat(journal->directory_fd, name, flags, 0600);
    if (fd < 0 && errno == EMFILE && journal->spare_fd >= 0) {
        close(journal->spare_fd);
        journal->spare_fd = -1;
        fd = openat(journal->directory_fd, name, flags, 0600);
    } else if (fd >= 0 && journal->spare_fd < 0) {
        journal->spare_fd = fcntl(journal->directory_fd, F_DUPFD_CLOEXEC, 0);
    }
    return fd;
}

static enum error_code append_to_new(struct journal *journal, uint64_t position_first, size_t bytes,
                                     struct journal_file **ret_file, struct error *why) {
    char name[JOURNAL_NAME_BYTES];
    journal_write_name(position_first, name);
    struct journal_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a journal file");
    }
    file->fd = open_new(journal, name);
    if (file->fd < 0) {
        free(file);
        return write_error(why, errno, "open a new file of");
    }
    write_head(journal, position_first, journal->buffer);
    int number = write_all(file->fd, journal->buffer, JOURNAL_HEAD_BYTES + bytes, 0);
    if (number != 0) {
        if (unlinkat(journal->directory_fd, name, 0) != 0) {
            atomic_store(&journal->is_broken, true);
        }
        close(file->fd);
        free(file);
        return write_error(why, number, "append to");
    }
    file->reference_count = 1;
    file->position_first = position_first;
    file->bytes = JOURNAL_HEAD_BYTES;
    *ret_file = file;
    return OK;
}

/* Under the lock. */
static void link_file(struct journal *journal, struct journal_file *file) {
    if (journal->current == NULL) {
        journal->oldest = file;
    } else {
        journal->current->next = file;
    }
    journal->current = file;
    journal->is_directory_dirty = true;
}

static bool has_delete(struct message *const *messages, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->fields.kind == MESSAGE_DELETE) {
            return true;
        }
    }
    return false;
}

static void check_order(const struct journal *journal, struct message *const *messages,
                        size_t count) {
    uint64_t position = journal->position_last;
    for (size_t i = 0; i < count; i++) {
        INVARIANT(position == 0 || messages[i]->place.position == position + 1);
        position = messages[i]->place.position;
    }
    INVARIANT(position > 0);
}

enum error_code journal_append(struct journal *journal, struct message *const *messages,
                               size_t count, struct error *why) {
    if (count == 0) {
        return OK;
    }
    check_order(journal, messages, count);
    size_t bytes = 0;
    enum error_code result = encode(journal, messages, count, &bytes, why);
    if (result != OK) {
        return result;
    }
    if (journal_has_failed(journal)) {
        return error_set(why, ERR_IO, BROKEN_TEXT);
    }
    pthread_mutex_lock(&journal->lock);
    struct journal_file *file = journal->current;
    /* Under the lock: a file that has ended may be gone the moment that it is let go. */
    bool is_new = file == NULL || file->is_ended || file->bytes >= journal->file_bytes_max;
    journal->is_appending = !is_new;
    pthread_mutex_unlock(&journal->lock);
    result = is_new ? append_to_new(journal, messages[0]->place.position, bytes, &file, why)
                    : append_to_current(journal, file, bytes, why);
    if (journal->buffer_bytes > BUFFER_KEPT_BYTES) {
        free(journal->buffer);
        journal->buffer = NULL;
        journal->buffer_bytes = 0;
    }
    pthread_mutex_lock(&journal->lock);
    journal->is_appending = false;
    if (result == OK && is_new) {
        link_file(journal, file);
    }
    if (result == OK) {
        file->bytes += bytes;
        file->position_last = messages[count - 1]->place.position;
        if (file->position_deleted == 0 && has_delete(messages, count)) {
            file->position_deleted = file->position_last;
        }
        journal->position_last = file->position_last;
    }
    pthread_mutex_unlock(&journal->lock);
    return result;
}

/* --- syncing --- */

/* A seal says that the file and all before it are on the disk, names too: recovery relies on it. So
 * a round ends with the file that was current when it began, before the directory was synced. */

/* What one round of syncing covers. */
struct round {
    uint64_t from;    /* the next file to look at, by first position */
    uint64_t through; /* the last one */
    bool with_current;
};

/* The next file to be synced, with a reference; NULL: the round is over. */
static struct journal_file *take_unsealed(struct journal *journal, struct round *round,
                                          bool *ret_is_current) {
    pthread_mutex_lock(&journal->lock);
    struct journal_file *file = journal->oldest;
    while (file != NULL && (file->is_sealed || file->position_first < round->from ||
                            (file == journal->current && !round->with_current))) {
        file = file->next;
    }
    if (file != NULL && file->position_first > round->through) {
        file = NULL;
    }
    if (file != NULL) {
        file->reference_count++;
        round->from = file->position_first + 1;
        *ret_is_current = file == journal->current;
    }
    pthread_mutex_unlock(&journal->lock);
    return file;
}

static bool write_seal(const struct journal_file *file) {
    uint8_t seal[SEAL_BYTES];
    bytes_put_little(seal, file->bytes, 8);
    bytes_put_little(seal + 8, checksum(0, seal, 8), 4);
    return write_all(file->fd, seal, sizeof(seal), SEAL_AT) == 0 && fdatasync(file->fd) == 0;
}

static bool sync_files(struct journal *journal, struct round *round) {
    bool is_current = false;
    bool is_synced = true;
    struct journal_file *file;
    while (is_synced && (file = take_unsealed(journal, round, &is_current)) != NULL) {
        /* A file that has become full while it was synced is sealed the next time. */
        is_synced = fdatasync(file->fd) == 0 && (is_current || write_seal(file));
        pthread_mutex_lock(&journal->lock);
        file->is_sealed = is_synced && !is_current;
        file_unref(file);
        pthread_mutex_unlock(&journal->lock);
    }
    return is_synced;
}

/* Under the sync lock. False: errno says why. */
static bool sync_round(struct journal *journal, bool with_current) {
    pthread_mutex_lock(&journal->lock);
    struct round round = {.with_current = with_current};
    bool is_needed =
        journal->current != NULL && (with_current || journal->oldest != journal->current);
    round.through = journal->current == NULL ? 0 : journal->current->position_first;
    bool is_directory_dirty = is_needed && journal->is_directory_dirty;
    journal->is_directory_dirty = journal->is_directory_dirty && !is_directory_dirty;
    pthread_mutex_unlock(&journal->lock);
    return !is_needed || ((!is_directory_dirty || fsync(journal->directory_fd) == 0) &&
                          sync_files(journal, &round));
}

static enum error_code sync_all(struct journal *journal, bool with_current, struct error *why) {
    pthread_mutex_lock(&journal->sync_lock);
    bool is_broken = journal_has_failed(journal);
    bool is_synced = !is_broken && sync_round(journal, with_current);
    int number = errno;
    if (!is_synced) {
        atomic_store(&journal->is_broken, true);
    }
    pthread_mutex_unlock(&journal->sync_lock);
    if (is_broken) {
        return error_set(why, ERR_IO, BROKEN_TEXT);
    }
    return is_synced ? OK : write_error(why, number == ENOSPC ? EIO : number, "sync");
}

enum error_code journal_sync(struct journal *journal, struct error *why) {
    return sync_all(journal, true, why);
}

/* --- shortening --- */

/* Under the lock: takes the oldest file off the list if it may go, and ends it if what it deletes
 * is folded: then all before it have gone. An append that is under way is folded later, and its
 * file goes then. */
static struct journal_file *take_folded(struct journal *journal, uint64_t position,
                                        bool with_current) {
    struct journal_file *file = journal->oldest;
    if (file == NULL) {
        return NULL;
    }
    file->is_ended |= file->position_deleted != 0 && file->position_deleted <= position;
    if (file->position_last > position) {
        return NULL;
    }
    bool is_written = file == journal->current && (!file->is_ended || journal->is_appending);
    if (is_written && !with_current) {
        return NULL;
    }
    journal->oldest = file->next;
    if (file == journal->current) {
        journal->current = NULL;
    }
    return file;
}

enum error_code journal_remove(struct journal *journal, uint64_t position, bool with_current,
                               struct error *why) {
    enum error_code result = OK;
    for (;;) {
        pthread_mutex_lock(&journal->lock);
        struct journal_file *file = take_folded(journal, position, with_current);
        pthread_mutex_unlock(&journal->lock);
        if (file == NULL) {
            break;
        }
        char name[JOURNAL_NAME_BYTES];
        journal_write_name(file->position_first, name);
        if (unlinkat(journal->directory_fd, name, 0) != 0) { /* recovery passes it over */
            result = error_set(why, ERR_IO, "cannot remove %s: %s", name, strerrordesc_np(errno));
        }
        pthread_mutex_lock(&journal->lock);
        file_unref(file);
        pthread_mutex_unlock(&journal->lock);
    }
    enum error_code sealed = sync_all(journal, false, result == OK ? why : NULL);
    return result == OK ? sealed : result;
}

bool journal_has_ended(struct journal *journal) {
    pthread_mutex_lock(&journal->lock);
    bool has_ended = journal->oldest != NULL && journal->oldest->is_ended;
    pthread_mutex_unlock(&journal->lock);
    return has_ended;
}

bool journal_has_failed(const struct journal *journal) {
    return atomic_load(&journal->is_broken);
}

uint64_t journal_get_position(struct journal *journal) {
    pthread_mutex_lock(&journal->lock);
    uint64_t position = journal->position_last;
    pthread_mutex_unlock(&journal->lock);
    return position;
}

void journal_get_figures(struct journal *journal, struct journal_figures *ret_figures) {
    *ret_figures = (struct journal_figures){0};
    pthread_mutex_lock(&journal->lock);
    for (struct journal_file *file = journal->oldest; file != NULL; file = file->next) {
        ret_figures->bytes += file->bytes;
        ret_figures->file_count++;
    }
    pthread_mutex_unlock(&journal->lock);
}

/* --- for recovery --- */

bool journal_read_head(struct span bytes, struct journal_head *ret_head) {
    const uint8_t *at = bytes.bytes;
    if (bytes.length < JOURNAL_HEAD_BYTES || memcmp(at, MAGIC, 8) != 0 ||
        bytes_get_little(at + 8, 4) != JOURNAL_VERSION ||
        bytes_get_little(at + 12, 4) != head_sum(at)) {
        return false;
    }
    bool is_sealed = bytes_get_little(at + SEAL_AT + 8, 4) == checksum(0, at + SEAL_AT, 8);
    *ret_head = (struct journal_head){
        .log_id = bytes_get_little(at + 16, 8),
        .position_first = bytes_get_little(at + 24, 8),
        .sealed_bytes = is_sealed ? bytes_get_little(at + SEAL_AT, 8) : 0,
    };
    return true;
}

void journal_write_name(uint64_t position_first, char ret_name[JOURNAL_NAME_BYTES]) {
    snprintf(ret_name, JOURNAL_NAME_BYTES, "%016" PRIx64 ".journal", position_first);
}

/* Sixteen digits. */
static bool parse_hexadecimal(const char *digits, uint64_t *ret_number) {
    static const char all[] = "0123456789abcdef";
    uint64_t number = 0;
    for (size_t i = 0; i < 16; i++) {
        const char *found = digits[i] == '\0' ? NULL : strchr(all, digits[i]);
        if (found == NULL) {
            return false;
        }
        number = number << 4 | (uint64_t)(found - all);
    }
    *ret_number = number;
    return true;
}

bool journal_read_name(const char *name, uint64_t *ret_position_first) {
    char again[JOURNAL_NAME_BYTES];
    uint64_t position = 0;
    if (strlen(name) != 24 || !parse_hexadecimal(name, &position)) {
        return false;
    }
    journal_write_name(position, again);
    if (strcmp(name, again) != 0) {
        return false;
    }
    *ret_position_first = position;
    return true;
}
