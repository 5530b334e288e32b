/* SPDX-License-Identifier: Apache-2.0 */
/* secure.h — TLS of a load: whom it believes, and what is said on one connection.
 *
 * Place:   load.c makes one where a URL is of TLS; link.c has a session a connection.
 * Thread:  a secure is made by main and constant afterwards; a session is its link's.
 * Bounds:  a session is OpenSSL's: some 10 KiB, and buffers only while a record is cut.
 *
 * OpenSSL reads and writes the link's own socket, which never blocks: what it wants is waited for
 * by the link. No session is resumed, so each connection costs the server a full handshake.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct secure;
struct ssl_st; /* a session: OpenSSL's SSL */

/* `authorities` is a file of PEM, NULL: the system's; where `is_insecure` nobody is asked who
 * signed. NULL: a word was printed. From here on a write to a closed connection is an error
 * instead of SIGPIPE, which OpenSSL cannot be asked to leave out. */
struct secure *secure_create(const char *authorities, bool is_insecure);
void secure_destroy(struct secure *secure);

/* On a socket that is connected, with the server of that name or address. NULL: out of memory. */
struct ssl_st *secure_begin(const struct secure *secure, int file, const char *name);
void secure_end(struct ssl_st *session);

enum secure_state { SECURE_DONE, SECURE_WANTS_READ, SECURE_WANTS_WRITE, SECURE_FAILED };

/* Goes on with the handshake; with SECURE_FAILED `ret_why` is constant text. */
enum secure_state secure_shake(struct ssl_st *session, const char **ret_why);

/* As recv() and send(): SECURE_DONE with a count above 0; what is wanted else, or SECURE_FAILED at
 * the end, however it came. */
enum secure_state secure_read(struct ssl_st *session, void *bytes, size_t size, size_t *ret_count);
enum secure_state secure_write(struct ssl_st *session, const void *bytes, size_t length,
                               size_t *ret_count);

/* There is something to read that the socket does not tell of any more. */
bool secure_has_more(const struct ssl_st *session);
