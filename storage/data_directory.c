/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/data_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_TEXT "tidings-data 1\n"
#define VERSION_PREFIX "tidings-data "
#define VERSION_FILE "VERSION"
#define VERSION_FILE_NEW "VERSION.new"
#define STORE_FILE "log.mdb"
#define JOURNAL_FOLDER "journal"

static enum error_code failed(struct error *why, const char *what, const char *path) {
    int number = errno;
    bool is_full = number == ENOSPC || number == EDQUOT;
    return error_set(why, is_full ? ERR_STORAGE_FULL : ERR_IO, "cannot %s %s: %s", what, path,
                     strerrordesc_np(number));
}

static enum error_code take_lock(struct data_directory *directory, int folder_fd,
                                 struct error *why) {
    int fd = openat(folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed(why, "open the lock of", directory->path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        directory->lock_fd = fd;
        return OK;
    }
    bool is_taken = errno == EWOULDBLOCK;
    enum error_code result =
        is_taken ? error_set(why, ERR_LOCKED,
                             "%s belongs to another broker that is running: stop it, or give this "
                             "one a directory of its own (--data)",
                             directory->path)
                 : failed(why, "lock", directory->path);
    close(fd);
    return result;
}

static enum error_code write_version(const struct data_directory *directory, int folder_fd,
                                     struct error *why) {
    int fd = openat(folder_fd, VERSION_FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed(why, "write the version of", directory->path);
    }
    errno = ENOSPC; /* what a short write means */
    bool is_written =
        write(fd, VERSION_TEXT, strlen(VERSION_TEXT)) == (ssize_t)strlen(VERSION_TEXT) &&
        fsync(fd) == 0;
    enum error_code result = is_written ? OK : failed(why, "write the version of", directory->path);
    close(fd);
    if (result == OK && (renameat(folder_fd, VERSION_FILE_NEW, folder_fd, VERSION_FILE) != 0 ||
                         fsync(folder_fd) != 0)) {
        result = failed(why, "name the version of", directory->path);
    }
    return result;
}

static enum error_code refuse_version(const struct data_directory *directory, const char *text,
                                      struct error *why) {
    if (strncmp(text, VERSION_PREFIX, strlen(VERSION_PREFIX)) != 0) {
        return error_set(why, ERR_DATA_VERSION,
                         "%s holds data, but its file VERSION is not one of Tidings: give another "
                         "directory (--data)",
                         directory->path);
    }
    return error_set(why, ERR_DATA_VERSION,
                     "%s was written by another version (%.*s, this broker has 1): use that "
                     "version, or give another directory (--data)",
                     directory->path, (int)strcspn(text, "\n"), text);
}

static bool has_data(int folder_fd) {
    return faccessat(folder_fd, STORE_FILE, F_OK, 0) == 0 ||
           faccessat(folder_fd, JOURNAL_FOLDER, F_OK, 0) == 0;
}

static enum error_code check_version(const struct data_directory *directory, int folder_fd,
                                     struct error *why) {
    int fd = openat(folder_fd, VERSION_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return has_data(folder_fd) ? refuse_version(directory, "", why)
                                   : write_version(directory, folder_fd, why);
    }
    if (fd < 0) {
        return failed(why, "read the version of", directory->path);
    }
    char text[64] = {0};
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length < 0) {
        return failed(why, "read the version of", directory->path);
    }
    return strcmp(text, VERSION_TEXT) == 0 ? OK : refuse_version(directory, text, why);
}

static enum error_code make_journal_folder(const struct data_directory *directory, int folder_fd,
                                           struct error *why) {
    if (mkdirat(folder_fd, JOURNAL_FOLDER, 0700) == 0) {
        return fsync(folder_fd) == 0 ? OK : failed(why, "sync", directory->path);
    }
    return errno == EEXIST ? OK : failed(why, "make", directory->journal_path);
}

/* The parent is what holds the directory's name. */
static enum error_code make_directory(const struct data_directory *directory, struct error *why) {
    char parent[sizeof(directory->path) + 4];
    if (mkdir(directory->path, 0700) != 0) {
        return errno == EEXIST ? OK : failed(why, "make", directory->path);
    }
    snprintf(parent, sizeof(parent), "%s/..", directory->path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum error_code result =
        fd >= 0 && fsync(fd) == 0 ? OK : failed(why, "sync the parent of", directory->path);
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

enum error_code data_directory_open(struct data_directory *directory, const char *path,
                                    struct error *why) {
    size_t length = strlen(path);
    if (length >= sizeof(directory->path)) {
        return error_set(why, ERR_IO, "the path of the data directory is too long");
    }
    *directory = (struct data_directory){.lock_fd = -1};
    memcpy(directory->path, path, length + 1);
    memcpy(directory->journal_path, path, length);
    memcpy(directory->journal_path + length, "/" JOURNAL_FOLDER, sizeof("/" JOURNAL_FOLDER));
    enum error_code result = make_directory(directory, why);
    if (result != OK) {
        return result;
    }
    int folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return failed(why, "open", path);
    }
    result = take_lock(directory, folder_fd, why);
    if (result == OK) {
        result = check_version(directory, folder_fd, why);
    }
    if (result == OK) {
        result = make_journal_folder(directory, folder_fd, why);
    }
    close(folder_fd);
    if (result != OK) {
        data_directory_close(directory);
    }
    return result;
}

void data_directory_close(struct data_directory *directory) {
    if (directory->lock_fd >= 0) {
        close(directory->lock_fd);
        directory->lock_fd = -1;
    }
}
