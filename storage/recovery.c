/* SPDX-License-Identifier: Apache-2.0 */
/* Files are read in order of their first position. A file whose successor begins at or before what
 * is wanted next is passed over unread. Files are synced and sealed oldest first, and the directory
 * before them; so up to the last sealed file all must be there and whole: else this is damage, and
 * the log is not opened. Behind it, where a file is missing or breaks off, the log ends: no sync
 * had covered that place, and so none had covered a later one. What follows is a lost tail.
 *
 * A publish of several records is all or none: its records are held until the last of them is
 * found. One that the log's end cuts off was never answered and is a lost tail like a torn record:
 * its positions and offsets are given out again, in the next generation.
 *
 * A journal that ends before what is folded is normal after a power cut: LMDB was synced and the
 * journal was not. The log then goes on behind what is folded. */
#include "storage/recovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/support/logger.h"
#include "storage/journal.h"
#include "storage/storage.h"

struct file_list {
    uint64_t *positions;
    size_t count;
    size_t capacity;
};

/* A record of a publish of which more is to come, and where it stands. */
struct held {
    struct message *message;
    uint64_t file; /* its first position */
    size_t at;
};

struct replay {
    const struct recovery_options *options;
    struct held *held; /* `held_count` of room for `held_capacity` */
    size_t held_count;
    size_t held_capacity;
    uint64_t position; /* the last one that is known, held or not */
    uint64_t time_ms;
    uint32_t generation;
    uint64_t sealed_through; /* the first position of the last sealed file */
    bool is_over;            /* the log ends here, whatever follows */
};

static int compare_positions(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static enum error_code add_file(struct file_list *list, uint64_t position, struct error *why) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        uint64_t *positions = realloc(list->positions, capacity * sizeof(*positions));
        if (positions == NULL) {
            return error_set(why, ERR_MEMORY, "no memory to list the journal");
        }
        list->positions = positions;
        list->capacity = capacity;
    }
    list->positions[list->count++] = position;
    return OK;
}

/* The caller frees list->positions, also after an error. */
static enum error_code list_files(const char *directory, struct file_list *list,
                                  struct error *why) {
    *list = (struct file_list){0};
    DIR *folder = opendir(directory);
    if (folder == NULL) {
        return error_set(why, ERR_IO, "cannot list %s: %s", directory, strerrordesc_np(errno));
    }
    enum error_code result = OK;
    const struct dirent *item;
    while (result == OK && (item = readdir(folder)) != NULL) {
        uint64_t position = 0;
        if (journal_read_name(item->d_name, &position)) {
            result = add_file(list, position, why);
        }
    }
    closedir(folder);
    if (list->count > 1) {
        qsort(list->positions, list->count, sizeof(list->positions[0]), compare_positions);
    }
    return result;
}

static enum error_code read_whole(const char *path, uint8_t **ret_bytes, size_t *ret_length,
                                  struct error *why) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    uint8_t *bytes = NULL;
    enum error_code result = OK;
    if (fd < 0 || fstat(fd, &stat) != 0) {
        result = error_set(why, ERR_IO, "cannot open %s: %s", path, strerrordesc_np(errno));
        goto out;
    }
    size_t length = (size_t)stat.st_size;
    bytes = malloc(length + 1);
    if (bytes == NULL) {
        result = error_set(why, ERR_MEMORY, "no memory to read %s", path);
        goto out;
    }
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(fd, bytes + done, length - done, (off_t)done);
        if (got <= 0) {
            result = error_set(why, ERR_IO, "cannot read %s: %s", path,
                               got < 0 ? strerrordesc_np(errno) : "it became shorter");
            goto out;
        }
        done += (size_t)got;
    }
    *ret_bytes = bytes;
    *ret_length = length;
    bytes = NULL;
out:
    free(bytes);
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

/* Records of one publish count down to its last. */
static bool is_in_group(const struct replay *replay, const struct record *record) {
    return replay->held_count == 0 ||
           record->group_rest + 1 == replay->held[replay->held_count - 1].message->group_rest;
}

/* A record whose frame is whole and that still cannot come next. */
static bool is_possible(const struct replay *replay, const struct record *record,
                        uint64_t position) {
    return record->place.position == position &&
           (position <= replay->position || record->time_ms >= replay->time_ms) &&
           record->place.generation >= replay->generation && is_in_group(replay, record) &&
           (record->fields.kind != MESSAGE_DATA ||
            (record->fields.channel.length > 0 &&
             record->fields.channel.length <= STORAGE_CHANNEL_BYTES_MAX));
}

static void write_path(const struct replay *replay, uint64_t file, char *ret_path, size_t bytes) {
    char name[JOURNAL_NAME_BYTES];
    journal_write_name(file, name);
    snprintf(ret_path, bytes, "%s/%s", replay->options->directory, name);
}

/* A whole record that contradicts the log before it is no torn tail, wherever it stands. */
static enum error_code hand_over(struct replay *replay, const struct held *held,
                                 struct error *why) {
    const struct recovery_options *options = replay->options;
    struct error detail = {0};
    enum error_code result = options->on_check(options->context, held->message, &detail);
    if (result == OK) {
        return options->on_message(options->context, held->message, why);
    }
    message_unref(held->message);
    if (result != ERR_CORRUPT) {
        return error_set(why, result, "%s", detail.detail);
    }
    char path[4200];
    write_path(replay, held->file, path, sizeof(path));
    return error_set(why, ERR_CORRUPT,
                     "%s is damaged at byte %zu (%.60s): restore the data directory from a backup",
                     path, held->at, detail.detail);
}

/* Hands over what is held; after an error the rest of it is let go. */
static enum error_code release(struct replay *replay, struct error *why) {
    enum error_code result = OK;
    for (size_t i = 0; i < replay->held_count; i++) {
        if (result == OK) {
            result = hand_over(replay, &replay->held[i], why);
        } else {
            message_unref(replay->held[i].message);
        }
    }
    replay->held_count = 0;
    return result;
}

static enum error_code hold(struct replay *replay, const struct held *held, struct error *why) {
    if (replay->held_count == replay->held_capacity) {
        size_t capacity = replay->held_capacity == 0 ? 16 : replay->held_capacity * 2;
        struct held *all = realloc(replay->held, capacity * sizeof(*all));
        if (all == NULL) {
            message_unref(held->message);
            return error_set(why, ERR_MEMORY, "no memory to replay a publish");
        }
        replay->held = all;
        replay->held_capacity = capacity;
    }
    replay->held[replay->held_count++] = *held;
    return held->message->group_rest == 0 ? release(replay, why) : OK;
}

static enum error_code take_record(struct replay *replay, const struct record *record,
                                   uint64_t file, size_t at, struct error *why) {
    replay->generation = record->place.generation;
    if (record->place.position <= replay->position) {
        return OK;
    }
    struct held held = {.file = file, .at = at};
    held.message = record_create_message(record, replay->options->log_id, (struct span){0});
    if (held.message == NULL) {
        return error_set(why, ERR_MEMORY, "no memory to replay a record");
    }
    replay->position = record->place.position;
    replay->time_ms = record->time_ms;
    return hold(replay, &held, why);
}

/* The log ended inside a publish. */
static void drop_held(struct replay *replay) {
    if (replay->held_count > 0) {
        log_event(JOURNAL_PUBLISH_LOST, .position = replay->held[0].message->place.position,
                  .messages = replay->held_count,
                  .missing = replay->held[replay->held_count - 1].message->group_rest);
    }
    for (size_t i = 0; i < replay->held_count; i++) {
        message_unref(replay->held[i].message);
    }
    replay->held_count = 0;
}

/* A file that breaks off at byte `at`, of which `sealed_bytes` were synced. */
static enum error_code judge_break(struct replay *replay, const char *path, uint64_t position_first,
                                   size_t at, size_t length, uint64_t sealed_bytes,
                                   struct error *why) {
    if (at < sealed_bytes || position_first < replay->sealed_through) {
        return error_set(why, ERR_CORRUPT,
                         "%s is damaged at byte %zu, though it was synced: restore the data "
                         "directory from a backup",
                         path, at);
    }
    replay->is_over = true;
    if (at < length) {
        log_event(JOURNAL_TAIL_TORN, .file = path, .byte = at, .lost_bytes = length - at,
                  .position = replay->position);
    }
    return OK;
}

static enum error_code replay_bytes(struct replay *replay, const char *path,
                                    uint64_t position_first, struct span bytes, struct error *why) {
    struct journal_head head;
    if (!journal_read_head(bytes, &head)) {
        return judge_break(replay, path, position_first, 0, bytes.length, 0, why);
    }
    if (head.log_id != replay->options->log_id || head.position_first != position_first) {
        return error_set(why, ERR_CORRUPT, "%s belongs to another log: remove it from this one",
                         path);
    }
    struct span rest = span_of(bytes.bytes + JOURNAL_HEAD_BYTES, bytes.length - JOURNAL_HEAD_BYTES);
    for (uint64_t position = position_first;; position++) {
        size_t at = bytes.length - rest.length;
        struct record record;
        enum record_found found = record_next_frame(&rest, &record);
        if (found == RECORD_FOUND && is_possible(replay, &record, position)) {
            enum error_code result = take_record(replay, &record, position_first, at, why);
            if (result != OK) {
                return result;
            }
            continue;
        }
        if (found != RECORD_END || at < head.sealed_bytes) {
            return judge_break(replay, path, position_first, at, bytes.length, head.sealed_bytes,
                               why);
        }
        return OK;
    }
}

static enum error_code replay_file(struct replay *replay, uint64_t position_first,
                                   struct error *why) {
    char path[4200];
    uint8_t *bytes = NULL;
    size_t length = 0;
    write_path(replay, position_first, path, sizeof(path));
    enum error_code result = read_whole(path, &bytes, &length, why);
    if (result == OK) {
        result = replay_bytes(replay, path, position_first, span_of(bytes, length), why);
    }
    free(bytes);
    return result;
}

static bool is_sealed(const char *directory, uint64_t position_first) {
    char name[JOURNAL_NAME_BYTES];
    char path[4200];
    uint8_t bytes[JOURNAL_HEAD_BYTES];
    struct journal_head head;
    journal_write_name(position_first, name);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false; /* replaying it says why */
    }
    ssize_t length = pread(fd, bytes, sizeof(bytes), 0);
    close(fd);
    return length == (ssize_t)sizeof(bytes) &&
           journal_read_head(span_of(bytes, sizeof(bytes)), &head) && head.sealed_bytes > 0;
}

/* What stands between two files, or before the first. */
static enum error_code judge_gap(struct replay *replay, uint64_t position_first,
                                 struct error *why) {
    if (position_first <= replay->sealed_through) {
        return error_set(why, ERR_CORRUPT,
                         "the journal in %s goes from position %" PRIu64 " to %" PRIu64
                         ": a file is missing; restore the data directory from a backup",
                         replay->options->directory, replay->position, position_first);
    }
    replay->is_over = true;
    return OK;
}

static enum error_code replay_list(struct replay *replay, const struct file_list *list,
                                   struct error *why) {
    enum error_code result = OK;
    for (size_t i = 0; i < list->count; i++) {
        if (is_sealed(replay->options->directory, list->positions[i])) {
            replay->sealed_through = list->positions[i];
        }
    }
    for (size_t i = 0; result == OK && i < list->count; i++) {
        uint64_t position_first = list->positions[i];
        bool is_last = i + 1 == list->count;
        if (!is_last && list->positions[i + 1] <= replay->position + 1) {
            continue;
        }
        if (!replay->is_over && position_first > replay->position + 1) {
            result = judge_gap(replay, position_first, why);
        }
        if (result == OK && !replay->is_over) {
            result = replay_file(replay, position_first, why);
        } else if (result == OK) {
            log_event(JOURNAL_FILE_LOST, .position_first = position_first,
                      .position = replay->position);
        }
    }
    return result;
}

enum error_code recovery_replay(const struct recovery_options *options, struct error *why) {
    struct file_list list;
    struct replay replay = {
        .options = options, .position = options->position_folded, .time_ms = options->time_ms};
    enum error_code result = list_files(options->directory, &list, why);
    if (result == OK) {
        result = replay_list(&replay, &list, why);
    }
    drop_held(&replay);
    free(replay.held);
    free(list.positions);
    return result;
}

static enum error_code sync_folder(const char *directory, struct error *why) {
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    int number = errno;
    if (fd >= 0) {
        close(fd);
    }
    return is_synced
               ? OK
               : error_set(why, ERR_IO, "cannot sync %s: %s", directory, strerrordesc_np(number));
}

/* Synced: a file of a lost tail that came back would stand among the files of the next one. */
enum error_code recovery_clear(const char *directory, struct error *why) {
    struct file_list list;
    enum error_code result = list_files(directory, &list, why);
    for (size_t i = 0; result == OK && i < list.count; i++) {
        char name[JOURNAL_NAME_BYTES];
        char path[4200];
        journal_write_name(list.positions[i], name);
        snprintf(path, sizeof(path), "%s/%s", directory, name);
        if (unlink(path) != 0) {
            result = error_set(why, ERR_IO, "cannot remove %s: %s", path, strerrordesc_np(errno));
        }
    }
    if (result == OK && list.count > 0) {
        result = sync_folder(directory, why);
    }
    free(list.positions);
    return result;
}
