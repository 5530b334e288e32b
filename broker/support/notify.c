/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/support/macros.h"

void notify_manager(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof(address.sun_path)) {
        return;
    }
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* unix(7): a name that is no file */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return;
    }
    /* A manager that does not listen gives up by its own timeout. */
    IGNORE_RESULT(sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const void *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0);
    close(fd);
}
