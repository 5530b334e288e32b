/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0666 /* less the umask, as fopen() does */

static bool is_output(const char *path) {
    return strcmp(path, "-") == 0;
}

static bool tell(const char *path) {
    fprintf(stderr, "tidings: bench: %s: %s\n", path, strerrordesc_np(errno));
    return false;
}

/* Not opened: a pipe's reader would take that for the report. */
static bool can_replace(const char *path) {
    struct stat about;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        errno = EISDIR;
        return false;
    }
    return access(path, W_OK) == 0;
}

bool sheet_check(const char *path) {
    if (path == NULL || is_output(path)) {
        return true;
    }
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (file >= 0) {
        close(file);
        unlink(path);
        return true;
    }
    return (errno == EEXIST && can_replace(path)) || tell(path);
}

bool sheet_write(const char *path, const struct result *result, sheet_writer *write) {
    if (path == NULL) {
        return true;
    }
    FILE *stream = is_output(path) ? stdout : fopen(path, "we");
    bool is_written = stream != NULL && write(result, stream) == 0;
    if (stream == stdout) {
        is_written = fflush(stdout) == 0 && is_written;
    } else if (stream != NULL) {
        is_written = fclose(stream) == 0 && is_written;
    }
    return is_written || tell(path);
}
