/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sinks/endpoint.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit.h"

struct conversation {
    struct endpoint *endpoint;
    int fd;
};

/* Reads one request whole. False: the other side went. */
static bool read_request(int fd, char *text) {
    size_t length = 0;
    size_t wanted = SIZE_MAX;
    while (length < wanted) {
        ssize_t count = recv(fd, text + length, ENDPOINT_REQUEST_BYTES_MAX - 1 - length, 0);
        if (count <= 0) {
            return false;
        }
        length += (size_t)count;
        text[length] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        if (end != NULL) {
            char *field = strcasestr(text, "\ncontent-length:");
            size_t body =
                field == NULL ? 0 : strtoul(field + sizeof("\ncontent-length:"), NULL, 10);
            wanted = (size_t)(end - text) + 4 + body;
        }
    }
    return true;
}

static void *converse(void *context) {
    struct conversation *conversation = context;
    struct endpoint *endpoint = conversation->endpoint;
    char text[ENDPOINT_REQUEST_BYTES_MAX];
    while (read_request(conversation->fd, text)) {
        size_t number = atomic_fetch_add(&endpoint->request_count, 1);
        if (number >= ENDPOINT_REQUESTS_MAX) {
            break;
        }
        memcpy(endpoint->requests[number], text, sizeof(text));
        size_t last = endpoint->answer_count - 1;
        const char *answer = endpoint->answers[number < last ? number : last];
        if (answer == NULL) {
            break;
        }
        if (send(conversation->fd, answer, strlen(answer), MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    shutdown(conversation->fd, SHUT_RDWR);
    free(conversation);
    return NULL;
}

static void *accept_all(void *context) {
    struct endpoint *endpoint = context;
    int fd;
    while ((fd = accept(endpoint->fd, NULL, NULL)) >= 0) {
        size_t number = atomic_load(&endpoint->connection_count);
        struct conversation *conversation = malloc(sizeof(*conversation));
        if (number == ENDPOINT_CONNECTIONS_MAX || conversation == NULL) {
            abort();
        }
        *conversation = (struct conversation){endpoint, fd};
        endpoint->fds[number] = fd;
        atomic_fetch_add(&endpoint->connection_count, 1); /* before a request of it is counted */
        if (pthread_create(&endpoint->threads[number], NULL, converse, conversation) != 0) {
            abort();
        }
    }
    return NULL;
}

int endpoint_take_port(uint16_t *ret_port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

void endpoint_start(struct endpoint *endpoint, const char *const *answers, size_t count) {
    memset(endpoint, 0, sizeof(*endpoint));
    endpoint->answers = answers;
    endpoint->answer_count = count;
    endpoint->fd = endpoint_take_port(&endpoint->port);
    EXPECT_EQ(listen(endpoint->fd, ENDPOINT_CONNECTIONS_MAX), 0);
    EXPECT_EQ(pthread_create(&endpoint->thread, NULL, accept_all, endpoint), 0);
}

void endpoint_stop(struct endpoint *endpoint) {
    shutdown(endpoint->fd, SHUT_RDWR);
    pthread_join(endpoint->thread, NULL);
    close(endpoint->fd);
    for (size_t i = 0; i < atomic_load(&endpoint->connection_count); i++) {
        shutdown(endpoint->fds[i], SHUT_RDWR);
        pthread_join(endpoint->threads[i], NULL);
        close(endpoint->fds[i]);
    }
}
