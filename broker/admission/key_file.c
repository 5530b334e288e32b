/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/config/credential.h"
#include "broker/limits.h"
#include "broker/support/base64.h"

/* Reads until the end or one byte more than is allowed. */
static ssize_t read_all(int descriptor, uint8_t *bytes, size_t room) {
    size_t length = 0;
    while (length < room) {
        ssize_t count = read(descriptor, bytes + length, room - length);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return -1;
        }
        if (count == 0) {
            break;
        }
        length += (size_t)count;
    }
    return (ssize_t)length;
}

/* Not blocking: a pipe that nobody writes to must not stop the thread that reads. */
enum error_code key_file_read(const char *path, const char *what, struct key_file *ret_file,
                              struct error *why) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat state;
    if (descriptor < 0 || fstat(descriptor, &state) != 0) {
        int cause = errno;
        if (descriptor >= 0) {
            close(descriptor);
        }
        return error_set(why, ERR_CONFIG, "the file of `%s` cannot be opened: %s", what,
                         strerrordesc_np(cause));
    }
    if (!S_ISREG(state.st_mode)) {
        close(descriptor);
        return error_set(why, ERR_CONFIG, "what `%s` names is no file", what);
    }
    uint8_t *bytes = malloc(KEY_FILE_BYTES_MAX + 1);
    ssize_t length = bytes == NULL ? 0 : read_all(descriptor, bytes, KEY_FILE_BYTES_MAX + 1);
    close(descriptor);
    struct key_file file = {span_of(bytes, length < 0 ? 0 : (size_t)length)};
    if (bytes != NULL && length > 0 && length <= KEY_FILE_BYTES_MAX) {
        *ret_file = file;
        return OK;
    }
    key_file_finish(&file);
    if (bytes == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a file of keys");
    }
    return error_set(why, ERR_CONFIG, "the file of `%s` %s", what,
                     length < 0    ? "cannot be read"
                     : length == 0 ? "is empty"
                                   : "is larger than any file of keys");
}

static enum error_code take_base64(struct span digits, struct key_file *ret_file,
                                   struct error *why) {
    struct buffer buffer;
    buffer_init(&buffer, KEY_FILE_BYTES_MAX);
    enum error_code code = base64_put_decoded(&buffer, digits);
    if (code != OK) {
        buffer_finish(&buffer);
        return error_set(why, code == ERR_MEMORY ? ERR_MEMORY : ERR_CONFIG,
                         "the key behind `base64:` cannot be taken");
    }
    ret_file->text = span_of(buffer.bytes, buffer.length); /* free() takes it, as malloc's */
    return OK;
}

enum error_code key_file_read_key(const char *key, struct key_file *ret_file, struct error *why) {
    struct span prefix = SPAN(CREDENTIAL_BASE64_PREFIX);
    struct span text = span_of_string(key);
    if (span_has_prefix(text, prefix)) {
        return take_base64(span_of(text.bytes + prefix.length, text.length - prefix.length),
                           ret_file, why);
    }
    struct key_file file = {0};
    enum error_code code = key_file_read(key, "key", &file, why);
    if (code != OK) {
        return code;
    }
    while (file.text.length > 0 && (file.text.bytes[file.text.length - 1] == '\n' ||
                                    file.text.bytes[file.text.length - 1] == '\r')) {
        file.text.length--; /* an editor's, and no part of a secret */
    }
    *ret_file = file;
    return OK;
}

void key_file_finish(struct key_file *file) {
    if (file->text.length > 0) {
        explicit_bzero((uint8_t *)file->text.bytes, file->text.length);
    }
    free((uint8_t *)file->text.bytes);
    *file = (struct key_file){0};
}

bool key_file_is_url(const char *location) {
    return credential_is_url(span_of_string(location));
}
