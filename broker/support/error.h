/* SPDX-License-Identifier: Apache-2.0 */
/* error.h — every way a call can fail, and every way a connection can end, each as one table row.
 *
 * Place:   returned by whatever can fail; turned into answers by protocols/.
 * Thread:  values; any thread.
 * Bounds:  a detail of 255 bytes and a field of 63; longer ones are cut.
 *
 * From a row come the HTTP status, the `type` and `title` of its problem+json (RFC 9457), the
 * WebSocket close code (RFC 6455, 7.4) and the MQTT 5 reason code (section 2.4).
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/support/macros.h"

/* X(code, HTTP status, WebSocket close code, MQTT reason, slug, title) */
#define ERROR_TABLE(X)                                                                             \
    X(ERR_BAD_REQUEST, 400, 1008, 0x83, "bad-request", "The request cannot be understood")         \
    X(ERR_BAD_JSON, 400, 1008, 0x99, "bad-json", "The body is not JSON")                           \
    X(ERR_BAD_CHANNEL, 400, 1008, 0x90, "bad-channel", "The channel name breaks the rules")        \
    X(ERR_BAD_SINCE, 400, 1008, 0x83, "bad-since", "The starting point means nothing")             \
    X(ERR_BAD_UTF8, 400, 1007, 0x99, "bad-utf8", "The text is not UTF-8")                          \
    X(ERR_UNAUTHORIZED, 401, 1008, 0x87, "unauthorized", "Credentials are needed")                 \
    X(ERR_TOKEN_EXPIRED, 401, 4001, 0x87, "token-expired", "The token has expired")                \
    X(ERR_REVOKED, 401, 1008, 0x87, "revoked", "The credentials were revoked")                     \
    X(ERR_FORBIDDEN, 403, 1008, 0x87, "forbidden", "This is not allowed")                          \
    X(ERR_FORBIDDEN_ORIGIN, 403, 1008, 0x87, "forbidden-origin", "This web page may not do that")  \
    X(ERR_QUOTA, 403, 1008, 0x97, "quota", "The tenant has used up what it may have")              \
    X(ERR_NOT_FOUND, 404, 1008, 0x8F, "not-found", "There is nothing here")                        \
    X(ERR_METHOD, 405, 1008, 0x83, "method-not-allowed", "The method is not allowed here")         \
    X(ERR_NOT_ACCEPTABLE, 406, 1008, 0x83, "not-acceptable", "No acceptable form of this exists")  \
    X(ERR_REQUEST_TIMEOUT, 408, 1008, 0x83, "request-timeout", "The request came too slowly")      \
    X(ERR_CONFLICT, 409, 1008, 0x83, "conflict", "The present state does not allow this")          \
    X(ERR_LENGTH_REQUIRED, 411, 1008, 0x83, "length-required", "The request needs a length")       \
    X(ERR_TOO_LARGE, 413, 1009, 0x95, "too-large", "The message is too large")                     \
    X(ERR_URI_TOO_LONG, 414, 1009, 0x95, "uri-too-long", "The address is too long")                \
    X(ERR_MEDIA_TYPE, 415, 1003, 0x99, "unsupported-media-type", "This media type is not taken")   \
    X(ERR_EXPECTATION, 417, 1008, 0x83, "expectation-failed", "The expectation cannot be met")     \
    X(ERR_MISDIRECTED, 421, 1008, 0x83, "misdirected", "This host is not served here")             \
    X(ERR_UNPROCESSABLE, 422, 1008, 0x99, "unprocessable", "The content contradicts itself")       \
    X(ERR_UPGRADE_REQUIRED, 426, 1002, 0x84, "upgrade-required", "Another version is needed")      \
    X(ERR_RATE, 429, 1008, 0x96, "too-many-requests", "The limit is reached")                      \
    X(ERR_HEADERS_TOO_LARGE, 431, 1009, 0x95, "headers-too-large", "The headers are too large")    \
    X(ERR_INTERNAL, 500, 1011, 0x80, "internal", "The broker failed")                              \
    X(ERR_MEMORY, 503, 1013, 0x97, "out-of-memory", "The broker is out of memory")                 \
    X(ERR_NOT_IMPLEMENTED, 501, 1008, 0x83, "not-implemented", "The broker does not do that")      \
    X(ERR_BUSY, 503, 1013, 0x89, "busy", "The broker is busy")                                     \
    X(ERR_DRAINING, 503, 1001, 0x8B, "draining", "The broker is going down")                       \
    X(ERR_HTTP_VERSION, 505, 1002, 0x84, "http-version", "Only HTTP/1.0 and HTTP/1.1 are spoken")  \
    X(ERR_STORAGE_FULL, 507, 1013, 0x97, "storage-full", "The disk is full")                       \
    X(ERR_PROTOCOL, 400, 1002, 0x82, "protocol-error", "The protocol is broken")                   \
    X(ERR_FULL, 503, 1013, 0x97, "full", "No room is left")                                        \
    X(ERR_IO, 500, 1011, 0x80, "io", "The disk failed")                                            \
    X(ERR_CORRUPT, 500, 1011, 0x80, "corrupt", "Stored bytes are damaged")                         \
    X(ERR_DATA_VERSION, 500, 1011, 0x80, "data-version", "The data is of another version")         \
    X(ERR_LOCKED, 500, 1011, 0x80, "locked", "The data belongs to another process")                \
    X(ERR_CONFIG, 422, 1011, 0x80, "configuration", "The configuration is wrong")                  \
    X(ERR_SLOW, 503, 4008, 0x97, "too-slow", "The reader is too slow")                             \
    X(ERR_AGAIN, 503, 1013, 0x80, "again", "Nothing yet")

enum error_code {
    OK = 0,
#define ERROR_CODE(code, http, ws, mqtt, slug, title) code,
    ERROR_TABLE(ERROR_CODE)
#undef ERROR_CODE
        ERROR_CODE_COUNT
};

/* Ends the function with the first failure. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum error_code try_code = (call);                                                         \
        if (try_code != OK) {                                                                      \
            return try_code;                                                                       \
        }                                                                                          \
    } while (0)

struct error_row {
    uint16_t http_status;
    uint16_t websocket_close;
    uint8_t mqtt_reason;
    const char *slug;
    const char *title;
};

/* Why a call failed, beyond its code. Passed as a last, nullable parameter. */
struct error {
    enum error_code code;
    char detail[256];        /* one sentence, of whole characters; never a secret */
    char field[64];          /* the field to blame, or empty */
    uint32_t retry_after_ms; /* when the same may succeed; 0: not told */
    bool is_too_deep;        /* JSON beyond JSON_DEPTH_MAX: a limit, which is counted */
};

/* The row of a code that is not OK. */
const struct error_row *error_row(enum error_code code);

/* Fills `why` (if any) and returns `code`, so that a failing call reads `return error_set(…)`. */
enum error_code error_set(struct error *why, enum error_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The same, and names the field that is to blame. */
enum error_code error_set_field(struct error *why, enum error_code code, const char *field,
                                const char *format, ...) PRINTF_LIKE(4, 5);

/* The same for who has a `...` of their own; an empty field is none. */
enum error_code error_set_arguments(struct error *why, enum error_code code, const char *field,
                                    const char *format, va_list arguments) PRINTF_LIKE(4, 0);

/* Names the field to blame for what was refused by a call that knows none, unless `code` is OK;
 * returns `code`. */
enum error_code error_blame(struct error *why, enum error_code code, const char *field);

/* Says when the same may succeed; returns `code`. Above an hour it is an hour. */
#define ERROR_RETRY_MS_MAX 3600000
enum error_code error_set_retry(struct error *why, enum error_code code, uint64_t retry_after_ms);

/* X(reason, name, WebSocket close code, may the client reconnect, text) */
#define CLOSE_REASON_TABLE(X)                                                                      \
    X(CLOSE_NORMAL, "normal", 1000, true, "normal")                                                \
    X(CLOSE_PEER_GONE, "peer_gone", 1006, true, "peer gone")                                       \
    X(CLOSE_DRAINING, "draining", 1001, true, "draining")                                          \
    X(CLOSE_REPLIED, "replied", 1000, true, "replied, and the connection was not to be kept")      \
    X(CLOSE_HANDSHAKE_TIMEOUT, "handshake_timeout", 1008, true, "no request in time")              \
    X(CLOSE_TLS, "tls", 1015, true, "the TLS handshake failed")                                    \
    X(CLOSE_IDLE, "idle", 1000, true, "idle")                                                      \
    X(CLOSE_STALLED, "stalled", 4008, true, "stalled")                                             \
    X(CLOSE_PONG_LATE, "pong_late", 1002, true, "no pong in time")                                 \
    X(CLOSE_KEEP_ALIVE, "keep_alive", 1002, true, "silent for longer than its keep alive")         \
    X(CLOSE_TOO_SLOW, "too_slow", 4008, true, "too slow")                                          \
    X(CLOSE_PROTOCOL_ERROR, "protocol_error", 1002, false, "protocol error")                       \
    X(CLOSE_BAD_UTF8, "bad_utf8", 1007, false, "text is not UTF-8")                                \
    X(CLOSE_TOO_BIG, "too_big", 1009, false, "message too big")                                    \
    X(CLOSE_UNSUPPORTED, "unsupported", 1003, false, "bytes where text is spoken")                 \
    X(CLOSE_NOT_ALLOWED, "not_allowed", 1008, false, "not allowed")                                \
    X(CLOSE_TOKEN_EXPIRED, "token_expired", 4001, true, "token expired")                           \
    X(CLOSE_REVOKED, "revoked", 1008, false, "the credentials were revoked")                       \
    X(CLOSE_UNAUTHORIZED, "unauthorized", 1008, false, "credentials are needed")                   \
    X(CLOSE_TAKEN_OVER, "taken_over", 4009, false, "taken over by a newer session")                \
    X(CLOSE_TOO_MANY, "too_many", 1013, true, "too many connections")                              \
    X(CLOSE_MEMORY, "memory", 1013, true, "out of memory")                                         \
    X(CLOSE_OPERATOR, "operator", 1001, true, "closed by the operator")                            \
    X(CLOSE_INTERNAL, "internal", 1011, true, "the broker failed")

enum close_reason {
#define CLOSE_REASON(reason, name, ws, reconnect, text) reason,
    CLOSE_REASON_TABLE(CLOSE_REASON)
#undef CLOSE_REASON
        CLOSE_REASON_COUNT
};

struct close_row {
    uint16_t websocket_close;
    bool may_reconnect;
    const char *name; /* "idle": what logs and metrics call it */
    const char *text;
};

const struct close_row *close_row(enum close_reason reason);
