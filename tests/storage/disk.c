/* SPDX-License-Identifier: Apache-2.0 */
/* The executable's own pwrite() and its like come before libc's for it and for each library it
 * loads; the real ones are found with dlsym(RTLD_NEXT). LMDB writes its meta page through a
 * descriptor with O_DSYNC: such a write is on the disk at once, it alone.
 *
 * `<directory>-disk` holds what each file was when it was last synced, under its own path. */
#include "tests/storage/disk.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/unit.h"

#define NAMES_MAX 4096
#define PATH_BYTES 300
#define PAGE_BYTES 512 /* a sector is what a disk writes whole */

static struct {
    bool is_watching;
    char directory[128];
    char images[140];
    char names[NAMES_MAX][40]; /* relative paths whose directory entry is on the disk */
    size_t name_count;
    long bytes_left;
    bool has_limit;
    int error_number;
    bool syncs_fail;
    bool truncations_fail;
    bool meta_pages_fail;
} disk;

static ssize_t real_pwrite(int fd, const void *bytes, size_t length, off_t at) {
    ssize_t (*next)(int, const void *, size_t, off_t);
    *(void **)&next = dlsym(RTLD_NEXT, "pwrite");
    return next(fd, bytes, length, at);
}

/* The path below the watched directory that a descriptor is open on. */
static bool path_of(int fd, char relative[PATH_BYTES]) {
    char link[64];
    char path[PATH_BYTES + 1] = {0};
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    size_t prefix = strlen(disk.directory);
    if (!disk.is_watching || readlink(link, path, PATH_BYTES) <= 0 ||
        strncmp(path, disk.directory, prefix) != 0 ||
        (path[prefix] != '/' && path[prefix] != '\0')) {
        return false;
    }
    snprintf(relative, PATH_BYTES, "%s", path + prefix + (path[prefix] == '/' ? 1 : 0));
    return true;
}

static uint8_t *load(const char *path, size_t *ret_length) {
    FILE *file = fopen(path, "r");
    *ret_length = 0;
    if (file == NULL) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *ret_length = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = calloc(1, *ret_length + 1);
    assert_int_equal(fread(bytes, 1, *ret_length, file), *ret_length);
    fclose(file);
    return bytes;
}

static void save(const char *path, const uint8_t *bytes, size_t length) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static void keep_image(const char *relative) {
    char from[PATH_BYTES * 2];
    char to[PATH_BYTES * 2];
    size_t length = 0;
    snprintf(from, sizeof(from), "%s/%s", disk.directory, relative);
    snprintf(to, sizeof(to), "%s/%s", disk.images, relative);
    uint8_t *bytes = load(from, &length);
    if (bytes != NULL) { /* else it was removed while it was still open */
        save(to, bytes, length);
        free(bytes);
    }
}

static bool is_in_folder(const char *name, const char *folder) {
    size_t prefix = strlen(folder);
    return strncmp(name, folder, prefix) == 0 && strchr(name + prefix, '/') == NULL;
}

/* Reads a folder's names behind those in `names`. `folder` is "" or "journal/". */
static size_t list_folder(const char *folder, char names[][40], size_t count) {
    char path[PATH_BYTES];
    const struct dirent *item;
    snprintf(path, sizeof(path), "%s/%s", disk.directory, folder);
    DIR *stream = opendir(path);
    assert_non_null(stream);
    while ((item = readdir(stream)) != NULL) {
        if (item->d_type == DT_REG && strcmp(item->d_name, "reserve") != 0) { /* may be lost */
            assert_true(count < NAMES_MAX && strlen(item->d_name) < 30);
            snprintf(names[count++], 40, "%.8s%.30s", folder, item->d_name);
        }
    }
    closedir(stream);
    return count;
}

static void keep_names(const char *folder) {
    size_t kept = 0;
    for (size_t i = 0; i < disk.name_count; i++) {
        if (!is_in_folder(disk.names[i], folder)) {
            memmove(disk.names[kept++], disk.names[i], 40);
        }
    }
    disk.name_count = list_folder(folder, disk.names, kept);
}

static void remove_tree(const char *path) {
    char command[PATH_BYTES * 2];
    snprintf(command, sizeof(command), "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

static void copy_tree(const char *from, const char *to) {
    char command[PATH_BYTES * 2];
    snprintf(command, sizeof(command), "cp -a %s %s", from, to);
    assert_int_equal(system(command), 0);
}

void disk_watch(const char *directory) {
    snprintf(disk.directory, sizeof(disk.directory), "%s", directory);
    snprintf(disk.images, sizeof(disk.images), "%s-disk", directory);
    remove_tree(disk.images);
    copy_tree(directory, disk.images);
    disk.name_count = 0;
    disk.is_watching = true;
    keep_names("");
    keep_names("journal/");
}

void disk_forget(void) {
    disk.is_watching = false;
    remove_tree(disk.images);
}

/* --- the cut --- */

static bool is_durable(const char *name) {
    for (size_t i = 0; i < disk.name_count; i++) {
        if (strcmp(disk.names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The image, with any of the pages that were written after it. */
static void leave_file(const char *directory, const char *name, unsigned *seed) {
    char path[PATH_BYTES * 2];
    size_t synced_length = 0;
    size_t length = 0;
    snprintf(path, sizeof(path), "%s/%s", disk.images, name);
    uint8_t *synced = load(path, &synced_length);
    snprintf(path, sizeof(path), "%s/%s", disk.directory, name);
    uint8_t *written = load(path, &length);
    size_t longest = length > synced_length ? length : synced_length;
    uint8_t *left = calloc(1, longest + 1);
    if (synced != NULL) {
        memcpy(left, synced, synced_length);
    }
    unsigned chance = (unsigned)rand_r(seed) % 4; /* from none to nearly all of the pages */
    for (size_t at = 0; at < length; at += PAGE_BYTES) {
        size_t part = length - at < PAGE_BYTES ? length - at : PAGE_BYTES;
        if ((unsigned)rand_r(seed) % 4 < chance) {
            memcpy(left + at, written + at, part);
        }
    }
    size_t left_length = synced_length;
    if (length > synced_length && rand_r(seed) % 2 == 0) {
        left_length += (size_t)rand_r(seed) % (length - synced_length + 1);
    }
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    save(path, left, left_length);
    free(left);
    free(synced);
    free(written);
}

void disk_cut(const char *directory, unsigned seed) {
    static char now[NAMES_MAX][40];
    char path[PATH_BYTES];
    assert_int_equal(mkdir(directory, 0700), 0);
    snprintf(path, sizeof(path), "%s/journal", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < disk.name_count; i++) {
        snprintf(path, sizeof(path), "%s/%s", disk.directory, disk.names[i]);
        bool is_removed = access(path, F_OK) != 0;
        if (!is_removed || rand_r(&seed) % 2 == 0) {
            leave_file(directory, disk.names[i], &seed);
        }
    }
    size_t count = list_folder("journal/", now, list_folder("", now, 0));
    for (size_t i = 0; i < count; i++) {
        if (!is_durable(now[i]) && rand_r(&seed) % 2 == 0) {
            leave_file(directory, now[i], &seed);
        }
    }
}

/* --- in place of libc --- */

void disk_limit_writes(long bytes, int error_number) {
    disk.has_limit = bytes >= 0;
    disk.bytes_left = bytes;
    disk.error_number = error_number;
}

void disk_fail_syncs(bool fails) {
    disk.syncs_fail = fails;
}

void disk_fail_truncations(bool fails) {
    disk.truncations_fail = fails;
}

void disk_fail_meta_pages(bool fails) {
    disk.meta_pages_fail = fails;
}

/* How much of a write is taken; negative: none, errno is set. */
static ssize_t admit(size_t length) {
    if (!disk.has_limit) {
        return (ssize_t)length;
    }
    if (disk.bytes_left == 0) {
        errno = disk.error_number;
        return -1;
    }
    long taken = disk.bytes_left < (long)length ? disk.bytes_left : (long)length;
    disk.bytes_left -= taken;
    return taken;
}

/* Under both names: which one a caller is linked to depends on how wide its off_t was. */
ssize_t disk_pwrite(int fd, const void *bytes, size_t length, off_t at) __asm__("pwrite");
ssize_t disk_pwrite64(int fd, const void *bytes, size_t length, off_t at) __asm__("pwrite64");
int disk_ftruncate(int fd, off_t length) __asm__("ftruncate");
int disk_ftruncate64(int fd, off_t length) __asm__("ftruncate64");

ssize_t disk_pwrite(int fd, const void *bytes, size_t length, off_t at) {
    char name[PATH_BYTES];
    char path[PATH_BYTES * 2];
    if (disk.meta_pages_fail && (fcntl(fd, F_GETFL) & O_DSYNC) != 0) {
        errno = EIO;
        return -1;
    }
    ssize_t taken = admit(length);
    if (taken <= 0) {
        return taken;
    }
    ssize_t written = real_pwrite(fd, bytes, (size_t)taken, at);
    if (written > 0 && disk.is_watching && (fcntl(fd, F_GETFL) & O_DSYNC) != 0 &&
        path_of(fd, name)) {
        snprintf(path, sizeof(path), "%s/%s", disk.images, name);
        int image = open(path, O_WRONLY);
        assert_true(image >= 0);
        assert_int_equal(real_pwrite(image, bytes, (size_t)written, at), written);
        close(image);
    }
    return written;
}

ssize_t disk_pwrite64(int fd, const void *bytes, size_t length, off_t at) {
    return disk_pwrite(fd, bytes, length, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    ssize_t (*next)(int, const struct iovec *, int);
    *(void **)&next = dlsym(RTLD_NEXT, "writev");
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        length += parts[i].iov_len;
    }
    ssize_t taken = admit(length);
    if (taken < 0 || (size_t)taken == length) {
        return taken < 0 ? taken : next(fd, parts, count);
    }
    return taken; /* short: LMDB takes that for an error whatever was written */
}

/* The same two names, as above. */
int disk_fstatvfs(int fd, struct statvfs *ret_disk) __asm__("fstatvfs");
int disk_fstatvfs64(int fd, struct statvfs *ret_disk) __asm__("fstatvfs64");
int disk_statvfs(const char *path, struct statvfs *ret_disk) __asm__("statvfs");
int disk_statvfs64(const char *path, struct statvfs *ret_disk) __asm__("statvfs64");

static int describe(struct statvfs *ret_disk) {
    unsigned long left = disk.has_limit ? (unsigned long)disk.bytes_left : 1ul << 40;
    *ret_disk = (struct statvfs){.f_frsize = 1, .f_blocks = 1ul << 41, .f_bavail = left};
    return 0;
}

int disk_fstatvfs(int fd, struct statvfs *ret_disk) {
    (void)fd;
    return describe(ret_disk);
}

int disk_fstatvfs64(int fd, struct statvfs *ret_disk) {
    return disk_fstatvfs(fd, ret_disk);
}

int disk_statvfs(const char *path, struct statvfs *ret_disk) {
    (void)path;
    return describe(ret_disk);
}

int disk_statvfs64(const char *path, struct statvfs *ret_disk) {
    return disk_statvfs(path, ret_disk);
}

int unlink(const char *path) {
    int (*next)(const char *);
    struct stat stat_of = {0};
    *(void **)&next = dlsym(RTLD_NEXT, "unlink");
    disk.bytes_left += disk.has_limit && stat(path, &stat_of) == 0 ? stat_of.st_size : 0;
    return next(path);
}

static bool sync_fails(int fd) {
    char link[64];
    char path[PATH_BYTES + 1] = {0};
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    bool is_journal = readlink(link, path, PATH_BYTES) > 0 && strstr(path, "/journal") != NULL;
    errno = EIO;
    return disk.syncs_fail && is_journal;
}

int fdatasync(int fd) {
    int (*next)(int);
    char name[PATH_BYTES];
    *(void **)&next = dlsym(RTLD_NEXT, "fdatasync");
    if (sync_fails(fd)) {
        return -1;
    }
    if (!path_of(fd, name)) {
        return next(fd);
    }
    keep_image(name); /* the watched disk is this one: the real one need not work */
    return 0;
}

int fsync(int fd) {
    int (*next)(int);
    struct stat stat_of;
    char name[PATH_BYTES];
    *(void **)&next = dlsym(RTLD_NEXT, "fsync");
    if (sync_fails(fd)) {
        return -1;
    }
    if (!path_of(fd, name) || fstat(fd, &stat_of) != 0) {
        return next(fd);
    }
    if (S_ISDIR(stat_of.st_mode)) {
        keep_names(strcmp(name, "journal") == 0 ? "journal/" : "");
    } else {
        keep_image(name);
    }
    return 0;
}

int disk_ftruncate(int fd, off_t length) {
    int (*next)(int, off_t);
    *(void **)&next = dlsym(RTLD_NEXT, "ftruncate");
    if (disk.truncations_fail) {
        errno = EIO;
        return -1;
    }
    return next(fd, length);
}

int disk_ftruncate64(int fd, off_t length) {
    return disk_ftruncate(fd, length);
}
