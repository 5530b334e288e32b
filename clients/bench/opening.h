/* SPDX-License-Identifier: Apache-2.0 */
/* opening.h — the head of an HTTP message: what a load says in one, and what it needs of one.
 *
 * Place:   every protocol of clients/bench that begins with HTTP/1.1.
 * Thread:  pure.
 * Bounds:  OPENING_BYTES_MAX a head; lengths up to UINT64_MAX / 16, else the head is bad.
 */
#pragma once

#include <stdbool.h>

#include "clients/bench/protocol.h"

#define OPENING_BYTES_MAX 65536u /* as much as servers take by default, times four */

enum opening_state { OPENING_CUT, OPENING_READ, OPENING_BAD };

struct opening {
    size_t length;
    unsigned status; /* 0: it is a request */
    bool has_length;
    bool is_chunked;   /* beats a length */
    bool is_closing;   /* Connection: close */
    bool is_upgrade;   /* Upgrade: websocket */
    bool is_expecting; /* Expect: 100-continue */
    uint64_t content_length;
};

/* The head at the front; with OPENING_READ all of `ret_opening` is set. */
enum opening_state opening_read(const uint8_t *bytes, size_t length, struct opening *ret_opening);

/* Constant words for a status that is not the wanted one. */
const char *opening_tell_status(unsigned status);

/* "GET " or "POST " and the URL's path: what follows is the rest of the target. */
void opening_put_start(struct bytes *output, const struct protocol_link *link, const char *method);

/* Behind the target: the version and Host. */
void opening_put_host(struct bytes *output, const struct protocol_link *link);

/* The same, with the token as a bearer's, `fields` (each with its line end) and the empty line. */
void opening_put_fields(struct bytes *output, const struct protocol_link *link, const char *fields);
