/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h — a small HTTP server of a test's own: answers each request with the next text.
 *
 * Place:   tests of post.h and webhook.c.
 * Thread:  one a connection, and one that accepts; what they saw may be read at any time.
 * Bounds:  ENDPOINT_CONNECTIONS_MAX, ENDPOINT_REQUESTS_MAX.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define ENDPOINT_CONNECTIONS_MAX 32
#define ENDPOINT_REQUESTS_MAX 64
#define ENDPOINT_REQUEST_BYTES_MAX 8192

#define ENDPOINT_OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define ENDPOINT_HANGS "" /* no answer, and the connection stays */

struct endpoint {
    int fd;
    uint16_t port;
    pthread_t thread;
    const char *const *answers; /* the last stays; NULL: the connection is closed without one */
    size_t answer_count;
    atomic_size_t request_count;
    atomic_size_t connection_count;
    char requests[ENDPOINT_REQUESTS_MAX][ENDPOINT_REQUEST_BYTES_MAX];
    int fds[ENDPOINT_CONNECTIONS_MAX];
    pthread_t threads[ENDPOINT_CONNECTIONS_MAX];
};

/* A port that is the test's until it closes the result, and at which nobody listens. */
int endpoint_take_port(uint16_t *ret_port);

/* Listens at 127.0.0.1. */
void endpoint_start(struct endpoint *endpoint, const char *const *answers, size_t count);
void endpoint_stop(struct endpoint *endpoint);
