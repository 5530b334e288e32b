/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/operator/client.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "broker/support/invariant.h"

#define CLIENT_TEXT_BYTES_MAX 16777216

int client_connect(uint16_t port, bool six) {
    struct sockaddr_in four_address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 six_address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct timeval timeout = {.tv_sec = CLIENT_SECONDS_MAX};
    four_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    six_address.sin6_addr = in6addr_loopback;
    int client = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    INVARIANT(client >= 0);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    int failure = six ? connect(client, (struct sockaddr *)&six_address, sizeof(six_address))
                      : connect(client, (struct sockaddr *)&four_address, sizeof(four_address));
    if (failure != 0) {
        close(client);
        return -1;
    }
    return client;
}

void client_send(int client, const char *text) {
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t sent = send(client, text, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the peer answered early and went */
        }
        text += sent;
        length -= (size_t)sent;
    }
}

/* One more piece. 0: the end; below 0: too late. */
static ssize_t read_more(int client, struct buffer *text) {
    if (text->ceiling == 0) {
        buffer_init(text, CLIENT_TEXT_BYTES_MAX);
    }
    INVARIANT(buffer_reserve(text, 65536) == OK);
    ssize_t count = recv(client, text->bytes + text->length, 65535, 0);
    if (count > 0) {
        text->length += (size_t)count;
    }
    text->bytes[text->length] = '\0';
    return count;
}

bool client_read_to_end(int client, struct buffer *text) {
    ssize_t count;
    do {
        count = read_more(client, text);
    } while (count > 0);
    return count == 0;
}

static bool is_whole(const struct buffer *text) {
    const char *start = (const char *)text->bytes;
    const char *end = text->length == 0 ? NULL : strstr(start, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    const char *length = strcasestr(start, "\r\ncontent-length: ");
    uint64_t bytes = 0;
    if (length != NULL && length < end) {
        struct span digits = span_of_string(length + 18);
        INVARIANT(span_parse_u64(span_split(&digits, '\r'), &bytes));
    }
    return text->length >= (size_t)(end - start) + 4 + bytes;
}

bool client_read_reply(int client, struct buffer *text) {
    while (!is_whole(text)) {
        if (read_more(client, text) <= 0) {
            return false;
        }
    }
    return true;
}

void client_ask(uint16_t port, const char *request, struct buffer *text) {
    int client = client_connect(port, false);
    INVARIANT(client >= 0);
    client_send(client, request);
    if (strncmp(request, "HEAD", 4) == 0) {
        shutdown(client, SHUT_WR);
        client_read_to_end(client, text);
    } else {
        client_read_reply(client, text);
    }
    close(client);
}
