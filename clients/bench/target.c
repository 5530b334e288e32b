/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/target.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PROBE_TIMEOUT_MS 3000 /* for each of several addresses of a name */
#define PORT_DIGITS_MAX 5
#define LOOPBACK_NET 127u

/* Copies what lies between two pointers. False: it is too long. */
static bool copy_text(char *to, size_t size, const char *from, const char *end) {
    size_t length = (size_t)(end - from);
    if (length >= size) {
        return false;
    }
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static bool parse_authority(const char *from, const char *end, char *ret_name, char *ret_port) {
    const char *name = from;
    const char *name_end = memchr(from, ']', (size_t)(end - from));
    const char *rest = name_end;
    if (*from == '[' && name_end != NULL) {
        name++;
        rest = name_end + 1;
    } else {
        const char *colon = memchr(from, ':', (size_t)(end - from));
        name_end = rest = colon != NULL ? colon : end;
    }
    if (!copy_text(ret_name, TARGET_TEXT_BYTES, name, name_end) || name == name_end) {
        return false;
    }
    if (rest == end) {
        return true;
    }
    return *rest == ':' && end - rest - 1 <= PORT_DIGITS_MAX && end - rest > 1 &&
           strspn(rest + 1, "0123456789") >= (size_t)(end - rest - 1) &&
           copy_text(ret_port, PORT_DIGITS_MAX + 1, rest + 1, end);
}

bool target_has_scheme(const char *url, const char *scheme) {
    size_t length = strlen(scheme);
    return strncasecmp(url, scheme, length) == 0 && strncmp(url + length, "://", 3) == 0;
}

bool target_parse(const char *url, const char *scheme, uint16_t port, struct target *ret_target,
                  char ret_name[TARGET_TEXT_BYTES], char ret_port[8], const char **ret_why) {
    *ret_target = (struct target){0};
    const char *mark = strstr(url, "://");
    if (mark == NULL) {
        *ret_why = "it is not a URL";
        return false;
    }
    if (!target_has_scheme(url, scheme)) {
        *ret_why = "its scheme is not that of the protocol";
        return false;
    }
    const char *from = mark + 3;
    const char *end = from + strcspn(from, "/?#");
    const char *path_end = end + strcspn(end, "?#");
    while (path_end > end && path_end[-1] == '/') {
        path_end--;
    }
    snprintf(ret_port, PORT_DIGITS_MAX + 1, "%u", (unsigned)port);
    if (!parse_authority(from, end, ret_name, ret_port) ||
        !copy_text(ret_target->host, TARGET_TEXT_BYTES, from, end) ||
        !copy_text(ret_target->path, TARGET_TEXT_BYTES, end, path_end)) {
        *ret_why = "its host, port or path cannot be read";
        return false;
    }
    return true;
}

static bool answers(const struct addrinfo *address) {
    int file = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file < 0) {
        return false;
    }
    bool is_connected = connect(file, address->ai_addr, address->ai_addrlen) == 0;
    if (!is_connected && errno == EINPROGRESS) {
        struct pollfd wait = {.fd = file, .events = POLLOUT};
        int failure = ETIMEDOUT;
        socklen_t length = sizeof(failure);
        is_connected = poll(&wait, 1, PROBE_TIMEOUT_MS) == 1 &&
                       getsockopt(file, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 &&
                       failure == 0;
    }
    close(file);
    return is_connected;
}

static void take_address(struct target *target, const struct addrinfo *address) {
    memcpy(&target->address, address->ai_addr, address->ai_addrlen);
    target->address_length = address->ai_addrlen;
    if (address->ai_family == AF_INET) {
        const struct sockaddr_in *inet = (const struct sockaddr_in *)&target->address;
        target->is_loopback = ntohl(inet->sin_addr.s_addr) >> 24 == LOOPBACK_NET;
    }
}

static bool resolve(const char *text, const char *name, const char *port, int flags,
                    struct target *target) {
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    struct addrinfo *all = NULL;
    int code = getaddrinfo(name, port, &hints, &all);
    if (code != 0) {
        fprintf(stderr, "tidings: bench: %s: %s\n", text, gai_strerror(code));
        return false;
    }
    const struct addrinfo *chosen = all;
    for (const struct addrinfo *each = all; all->ai_next != NULL && each != NULL;
         each = each->ai_next) {
        if (answers(each)) {
            chosen = each;
            break;
        }
    }
    take_address(target, chosen);
    freeaddrinfo(all);
    return true;
}

bool target_find(const char *url, const char *scheme, uint16_t port, struct target *ret_target) {
    char name[TARGET_TEXT_BYTES];
    char digits[8];
    const char *why;
    if (!target_parse(url, scheme, port, ret_target, name, digits, &why)) {
        fprintf(stderr, "tidings: bench: %s: %s (%s://HOST:PORT is needed)\n", url, why, scheme);
        return false;
    }
    memcpy(ret_target->name, name, sizeof(name));
    return resolve(url, name, digits, 0, ret_target);
}

bool target_find_local(const char *text, struct target *ret_target) {
    char name[TARGET_TEXT_BYTES];
    char digits[8] = "0";
    *ret_target = (struct target){0};
    if (!parse_authority(text, text + strlen(text), name, digits)) {
        fprintf(stderr, "tidings: bench: %s: it is not ADDRESS:PORT\n", text);
        return false;
    }
    return resolve(text, name, digits, AI_NUMERICHOST | AI_PASSIVE, ret_target);
}
