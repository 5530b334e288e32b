/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE_FILE "reserve"

void reserve_init(struct reserve *reserve, const char *directory, uint64_t bytes) {
    struct stat stat_of;
    *reserve = (struct reserve){.directory = directory, .bytes = bytes};
    snprintf(reserve->path, sizeof(reserve->path), "%s/" RESERVE_FILE, directory);
    reserve->is_kept =
        stat(reserve->path, &stat_of) == 0 && (uint64_t)stat_of.st_size >= reserve->bytes;
}

/* Asked before: a try that fails takes the last blocks for a moment, which a fold may want. */
static bool has_room(const struct reserve *reserve) {
    struct statvfs disk;
    if (statvfs(reserve->directory, &disk) != 0 || disk.f_blocks == 0) {
        return true; /* it does not say; the try will */
    }
    uint64_t wanted = reserve->bytes + reserve->bytes / RESERVE_SPARE_PART;
    return (uint64_t)disk.f_bavail * disk.f_frsize >= wanted;
}

bool reserve_make(struct reserve *reserve) {
    if (reserve->is_kept || reserve->is_impossible) {
        return true;
    }
    if (!has_room(reserve)) {
        return false;
    }
    int fd = open(reserve->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int number = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)reserve->bytes);
    if (fd >= 0) {
        close(fd);
    }
    reserve->is_kept = number == 0;
    if (number != 0) {
        unlink(reserve->path); /* what a try that was cut short took */
    }
    bool is_full = number == ENOSPC || number == EDQUOT;
    reserve->is_impossible = number != 0 && !is_full && number != EINTR && number != EMFILE;
    return !is_full;
}

bool reserve_give_up(struct reserve *reserve) {
    bool was_kept = reserve->is_kept;
    reserve->is_kept = false;
    return was_kept && unlink(reserve->path) == 0;
}
