/* SPDX-License-Identifier: Apache-2.0 */
/* head.h — an HTTP/1.1 request head: found in what has come so far, then taken apart.
 *
 * Place:   the public port feeds it bytes; routes ask it questions.
 * Thread:  pure, no allocation.
 * Bounds:  HTTP_HEAD_BYTES_MAX, HTTP_TARGET_BYTES_MAX, HTTP_HEADERS_MAX.
 *
 * RFC 9112, and stricter wherever leniency lets two parties read one message differently: lines end
 * with CRLF alone, no folding, no blank before the colon, one Host, one Content-Length or one
 * Transfer-Encoding. (libwebsockets 4.1.6 accepts most of that: docs/ARCHITECTURE.md.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

enum head_method {
    HEAD_METHOD_OTHER, /* a token that is none of these */
    HEAD_METHOD_GET,
    HEAD_METHOD_HEAD,
    HEAD_METHOD_POST,
    HEAD_METHOD_PUT,
    HEAD_METHOD_PATCH,
    HEAD_METHOD_DELETE,
    HEAD_METHOD_OPTIONS,
};

struct head_header {
    struct span name;
    struct span value; /* without the blanks around it */
};

/* All spans point into the bytes that were parsed. */
struct head {
    enum head_method method;
    struct span method_text;
    struct span target;    /* as it stands in the request line */
    struct span path;      /* still percent-encoded, begins with `/`; "*" where is_asterisk */
    struct span query;     /* behind the `?`, still encoded; empty when there is none */
    struct span host;      /* of the target where it has one (RFC 9112, 3.2.2), else of Host */
    uint8_t version_minor; /* of HTTP/1: 0 or 1 */
    bool is_asterisk;      /* OPTIONS * */
    bool has_host;
    bool has_content_length;
    bool is_chunked;
    bool keep_alive;            /* the connection may serve another request */
    bool expects_continue;      /* Expect: 100-continue, from a peer of version 1.1 */
    bool upgrades_to_websocket; /* GET, HTTP/1.1, Upgrade: websocket, Connection: upgrade */
    uint64_t content_length;    /* UINT64_MAX also stands for what does not fit */
    size_t header_count;
    struct head_header headers[HTTP_HEADERS_MAX];
};

/* Where a search for the end has come to. Zeroed is the start. */
struct head_search {
    size_t scanned; /* bytes looked at */
    size_t line_start;
    size_t target_start; /* 0: not yet */
    unsigned blanks;     /* of the request line */
    bool is_in_headers;
};

/* A token (RFC 9110, 5.6.2): what methods and names of headers are made of. Not empty. */
bool head_is_token(struct span text);

/* Looks for the end of the head in all bytes that have come since its first (the same bytes again,
 * and more, at each call). OK: `ret_length` bytes are the head with its empty line. ERR_AGAIN: not
 * yet. ERR_BAD_REQUEST, ERR_URI_TOO_LONG, ERR_HEADERS_TOO_LARGE: decided as soon as it is sure. */
MUST_USE enum error_code head_find_end(struct head_search *search, struct span bytes,
                                       size_t *ret_length, struct error *why);

/* Looks for the end likewise, and takes the whole head apart. Also ERR_HTTP_VERSION,
 * ERR_NOT_IMPLEMENTED (a transfer coding but chunked; CONNECT), ERR_EXPECTATION. After an error but
 * ERR_AGAIN the connection must be closed: where the request ends is not known. */
MUST_USE enum error_code head_take(struct head_search *search, struct span bytes,
                                   struct head *ret_head, size_t *ret_length, struct error *why);

/* Is the token an element of a comma-separated list in any header of that name? Case ignored. */
bool head_has_token(const struct head *head, const char *name, const char *token);

/* The next element of a comma-separated list (RFC 9110, 5.6.1): trimmed, empty ones left out,
 * quoted strings kept whole. False at the end. */
bool head_list_next(struct span *rest, struct span *ret_element);
