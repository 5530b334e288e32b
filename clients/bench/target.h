/* SPDX-License-Identifier: Apache-2.0 */
/* target.h — where connections of a load go: a URL, resolved once.
 *
 * Place:   load.c makes one for readers and one for publishers; link.c connects to it.
 * Thread:  made by main, constant afterwards.
 * Bounds:  TARGET_TEXT_BYTES of host and of path.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define TARGET_TEXT_BYTES 512

struct secure;

struct target {
    struct sockaddr_storage address;
    socklen_t address_length;
    bool is_loopback;             /* IPv4's: connections may come from 127.0.0.2 to 127.0.0.9 */
    char host[TARGET_TEXT_BYTES]; /* "127.0.0.1:8080", as a Host header has it */
    char path[TARGET_TEXT_BYTES]; /* without a slash at the end */
    char name[TARGET_TEXT_BYTES]; /* of the host alone: whose certificate it is to be */
    const struct secure *secure;  /* borrowed; NULL: in the clear */
};

bool target_has_scheme(const char *url, const char *scheme);

/* The parts of a URL; pure. `ret_name` and `ret_port` are what is to be resolved. False: it is not
 * a URL of that scheme, and `ret_why` says so in constant text. */
bool target_parse(const char *url, const char *scheme, uint16_t port, struct target *ret_target,
                  char ret_name[TARGET_TEXT_BYTES], char ret_port[8], const char **ret_why);

/* Parses, resolves, and where a name has several addresses takes the first that answers. False: a
 * word was printed. */
bool target_find(const char *url, const char *scheme, uint16_t port, struct target *ret_target);

/* "127.0.0.1:9000" or "[::1]:9000", to listen on. False: a word was printed. */
bool target_find_local(const char *text, struct target *ret_target);
