/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit.h"

/* A manager that listens under an abstract name of this process's own. */
static int listen_as_manager(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int length = snprintf(name, sizeof(name), "@tidings-notify-test-%d", (int)getpid());
    memcpy(address.sun_path, name, (size_t)length);
    address.sun_path[0] = '\0';
    EXPECT_EQ(bind(fd, (const void *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)),
              0);
    EXPECT_EQ(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

TEST(the_manager_gets_one_datagram_a_state) {
    char text[64] = "";
    int fd = listen_as_manager();
    notify_manager("READY=1");
    EXPECT_EQ(recv(fd, text, sizeof(text), 0), 7);
    EXPECT_EQ(memcmp(text, "READY=1", 7), 0);
    notify_manager("STOPPING=1");
    EXPECT_EQ(recv(fd, text, sizeof(text), 0), 10);
    close(fd);
    notify_manager("STOPPING=1"); /* a manager that has gone harms nobody */
    unsetenv("NOTIFY_SOCKET");
}

TEST(without_a_manager_nothing_happens) {
    unsetenv("NOTIFY_SOCKET");
    notify_manager("READY=1");
    EXPECT_EQ(setenv("NOTIFY_SOCKET", "not-a-path", 1), 0);
    notify_manager("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

UNIT_TESTS(UNIT(the_manager_gets_one_datagram_a_state), UNIT(without_a_manager_nothing_happens))
