/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that forgets what was not synced: a library to preload under the real broker.
 *
 * TIDINGS_DISK_ABOVE names the directory that the broker works in, TIDINGS_DISK_BELOW one that
 * holds what a power cut would leave of it. Every write is noted; fsync() or fdatasync() of a file
 * and writes by a descriptor with O_DSYNC or O_SYNC carry what was noted for that file below.
 * After `kill -9` the directory below is the disk at its emptiest; power_cut_test.py also mixes the
 * two, sector by sector, because a disk may have kept any part of what it was not asked to keep.
 *
 * The model is ext4's: fsync() of a new file keeps its name, too. A name that is removed comes back
 * until its directory is synced (or the mix decides otherwise); a rename is kept at once. What is
 * written through a mapping is not seen: LMDB's lock file alone is, and it is made anew. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 1024
#define WHOLE_PATH_MAX (PATH_MAX + NAME_MAX + 2)
#define SYNC_FLAGS (O_SYNC | O_DSYNC)

struct range {
    off_t start;
    off_t end;
};

struct file {
    dev_t device;
    ino_t inode;
    bool is_known;
    char name[PATH_MAX]; /* below the directory */
    struct range *ranges;
    size_t count;
    size_t room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[FILES_MAX];

/* The real function behind a wrapper. */
#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))
typedef ssize_t write_call(int, const void *, size_t);
typedef ssize_t pwrite_call(int, const void *, size_t, off_t);
typedef ssize_t writev_call(int, const struct iovec *, int);
typedef ssize_t pwritev_call(int, const struct iovec *, int, off_t);
typedef int sync_call(int);
typedef int unlinkat_call(int, const char *, int);
typedef int renameat_call(int, const char *, int, const char *);

static void die(const char *what) {
    fprintf(stderr, "power_cut: Assertion %s failed: %s\n", what, strerror(errno));
    _exit(97);
}

static const char *above(void) {
    return getenv("TIDINGS_DISK_ABOVE");
}

static void below(const char *name, char *ret_path) {
    snprintf(ret_path, PATH_MAX, "%.2000s/%.2000s", getenv("TIDINGS_DISK_BELOW"), name);
}

/* The part of a path behind the directory above; NULL: it lies elsewhere. */
static const char *name_of(const char *path) {
    const char *directory = above();
    size_t length = directory == NULL ? 0 : strlen(directory);
    bool is_inside = length > 0 && strncmp(path, directory, length) == 0 && path[length] == '/';
    return is_inside ? path + length + 1 : NULL;
}

static bool path_of(int descriptor, char *ret_path) {
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, ret_path, PATH_MAX - 1);
    ret_path[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* What a name means that is given beside an open directory. */
static void whole_path(int directory, const char *name, char *ret_path) {
    char path[PATH_MAX];
    bool is_relative = name[0] != '/' && directory != AT_FDCWD && path_of(directory, path);
    snprintf(ret_path, WHOLE_PATH_MAX, "%s%s%s", is_relative ? path : "", is_relative ? "/" : "",
             name);
}

/* The entry of a regular file inside the directory, made when it is first seen. NULL: elsewhere. */
static struct file *file_of(int descriptor) {
    struct stat about;
    char path[PATH_MAX];
    struct file *unused = NULL;
    if (above() == NULL || fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode)) {
        return NULL;
    }
    for (size_t index = 0; index < FILES_MAX; index++) {
        struct file *file = &files[index];
        if (file->is_known && file->inode == about.st_ino && file->device == about.st_dev) {
            return file;
        }
        if (!file->is_known && unused == NULL) {
            unused = file;
        }
    }
    if (!path_of(descriptor, path) || name_of(path) == NULL) {
        return NULL;
    }
    if (unused == NULL) {
        die("fewer files than FILES_MAX");
    }
    *unused = (struct file){.device = about.st_dev, .inode = about.st_ino, .is_known = true};
    snprintf(unused->name, sizeof(unused->name), "%s", name_of(path));
    return unused;
}

/* The entry of a path that has been seen, or NULL. */
static struct file *file_at(const char *path) {
    struct stat about;
    bool is_there = stat(path, &about) == 0;
    for (size_t index = 0; is_there && index < FILES_MAX; index++) {
        struct file *file = &files[index];
        if (file->is_known && file->inode == about.st_ino && file->device == about.st_dev) {
            return file;
        }
    }
    return NULL;
}

/* Its inode may soon be another file's. */
static void forget(const char *path) {
    struct file *file = file_at(path);
    if (file != NULL) {
        free(file->ranges);
        *file = (struct file){0};
    }
}

static void make_directories(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

static void copy_range(int from, int to, struct range range) {
    char bytes[65536];
    while (range.start < range.end) {
        size_t step = sizeof(bytes);
        if ((off_t)step > range.end - range.start) {
            step = (size_t)(range.end - range.start);
        }
        ssize_t count = pread(from, bytes, step, range.start);
        if (count <= 0) {
            return; /* truncated since */
        }
        if (REAL("pwrite", pwrite_call *)(to, bytes, (size_t)count, range.start) != count) {
            die("a write below");
        }
        range.start += count;
    }
}

/* Carries `count` ranges of the file below, from the one with index `first`, and forgets them. */
static void carry(struct file *file, int descriptor, size_t first, size_t count) {
    char path[PATH_MAX], original[64];
    struct stat about, about_below;
    below(file->name, path);
    make_directories(path);
    snprintf(original, sizeof(original), "/proc/self/fd/%d", descriptor);
    int from = open(original, O_RDONLY | O_CLOEXEC);
    int to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (from < 0 || to < 0) {
        die("opening a file below");
    }
    for (size_t index = first; index < first + count; index++) {
        copy_range(from, to, file->ranges[index]);
    }
    if (fstat(from, &about) != 0 || fstat(to, &about_below) != 0 ||
        (about.st_size < about_below.st_size && ftruncate(to, about.st_size) != 0)) {
        die("a truncation below");
    }
    file->count -= count;
    memmove(file->ranges + first, file->ranges + first + count,
            (file->count - first) * sizeof(struct range));
    close(from);
    close(to);
}

static void note(int descriptor, off_t start, ssize_t count) {
    int error = errno;
    pthread_mutex_lock(&lock);
    struct file *file = count > 0 ? file_of(descriptor) : NULL;
    if (file != NULL) {
        if (file->count == file->room) {
            file->room = file->room == 0 ? 64 : file->room * 2;
            file->ranges = realloc(file->ranges, file->room * sizeof(struct range));
            if (file->ranges == NULL) {
                die("memory");
            }
        }
        file->ranges[file->count++] = (struct range){start, start + count};
        if ((fcntl(descriptor, F_GETFL) & SYNC_FLAGS) != 0) {
            carry(file, descriptor, file->count - 1, 1);
        }
    }
    pthread_mutex_unlock(&lock);
    errno = error;
}

/* Where a write without a position has begun, told after it. */
static off_t begun(int descriptor, ssize_t count) {
    return lseek(descriptor, 0, SEEK_CUR) - count;
}

/* Removes names below that are gone above: the directory was synced. */
static void sync_directory(const char *path) {
    char under[PATH_MAX], one[WHOLE_PATH_MAX], other[WHOLE_PATH_MAX];
    const char *name = strcmp(path, above()) == 0 ? "" : name_of(path);
    if (name == NULL) {
        return;
    }
    below(name, under);
    DIR *directory = opendir(under);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        snprintf(one, sizeof(one), "%s/%s", path, entry->d_name);
        snprintf(other, sizeof(other), "%s/%s", under, entry->d_name);
        if (access(one, F_OK) != 0) {
            REAL("unlinkat", unlinkat_call *)(AT_FDCWD, other, 0);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}

/* Only what was written before the call is safe after it: what is written beside it may not be. */
static int sync_with(const char *call, int descriptor) {
    struct stat about;
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    struct file *file = file_of(descriptor);
    size_t count = file == NULL ? 0 : file->count;
    pthread_mutex_unlock(&lock);
    int result = REAL(call, sync_call *)(descriptor);
    pthread_mutex_lock(&lock);
    file = result == 0 ? file_of(descriptor) : NULL;
    if (file != NULL) {
        carry(file, descriptor, 0, count < file->count ? count : file->count);
    } else if (result == 0 && above() != NULL && fstat(descriptor, &about) == 0 &&
               S_ISDIR(about.st_mode) && path_of(descriptor, path)) {
        sync_directory(path);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- what the broker calls ------------------------------------------------------------------- */

#define EXPORT __attribute__((visibility("default")))

EXPORT ssize_t write(int descriptor, const void *bytes, size_t length) {
    ssize_t count = REAL("write", write_call *)(descriptor, bytes, length);
    if (descriptor > 2 && count > 0) {
        note(descriptor, begun(descriptor, count), count);
    }
    return count;
}

EXPORT ssize_t writev(int descriptor, const struct iovec *parts, int part_count) {
    ssize_t count = REAL("writev", writev_call *)(descriptor, parts, part_count);
    if (count > 0) {
        note(descriptor, begun(descriptor, count), count);
    }
    return count;
}

EXPORT ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t start) {
    ssize_t count = REAL("pwrite", pwrite_call *)(descriptor, bytes, length, start);
    note(descriptor, start, count);
    return count;
}

EXPORT ssize_t pwritev(int descriptor, const struct iovec *parts, int part_count, off_t start) {
    ssize_t count = REAL("pwritev", pwritev_call *)(descriptor, parts, part_count, start);
    note(descriptor, start, count);
    return count;
}

EXPORT ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off_t start) {
    return pwrite(descriptor, bytes, length, start);
}

EXPORT ssize_t pwritev64(int descriptor, const struct iovec *parts, int part_count, off_t start) {
    return pwritev(descriptor, parts, part_count, start);
}

EXPORT int fsync(int descriptor) {
    return sync_with("fsync", descriptor);
}

EXPORT int fdatasync(int descriptor) {
    return sync_with("fdatasync", descriptor);
}

EXPORT int unlinkat(int directory, const char *name, int flags) {
    char path[WHOLE_PATH_MAX];
    whole_path(directory, name, path);
    pthread_mutex_lock(&lock);
    forget(path);
    pthread_mutex_unlock(&lock);
    return REAL("unlinkat", unlinkat_call *)(directory, name, flags);
}

EXPORT int unlink(const char *path) {
    return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    char one[WHOLE_PATH_MAX], other[WHOLE_PATH_MAX], one_below[PATH_MAX], other_below[PATH_MAX];
    whole_path(from_directory, from, one);
    whole_path(to_directory, to, other);
    pthread_mutex_lock(&lock);
    forget(other);
    int result = REAL("renameat", renameat_call *)(from_directory, from, to_directory, to);
    if (result == 0 && above() != NULL && name_of(one) != NULL && name_of(other) != NULL) {
        below(name_of(one), one_below);
        below(name_of(other), other_below);
        REAL("renameat", renameat_call *)(AT_FDCWD, one_below, AT_FDCWD, other_below);
        struct file *file = file_at(other);
        if (file != NULL) {
            snprintf(file->name, sizeof(file->name), "%s", name_of(other));
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int rename(const char *from, const char *to) {
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}
