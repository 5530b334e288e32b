/* SPDX-License-Identifier: Apache-2.0 */
/* request.h — one request and its reply, as plain values: REST is written once, above any library.
 *
 * Place:   made by an adapter (protocols/http/server.c on a worker, protocols/operator/ on its own
 *          thread), answered by the routes (routes.h).
 * Thread:  one a request: that of the adapter, whose mailbox `reply_to` is. Nothing here is shared.
 * Bounds:  headers of a reply REPLY_HEADERS_BYTES_MAX; bodies body_bytes_max and
 *          REPLY_BODY_BYTES_MAX.
 *
 * The adapter's part, in this order:
 *     request = request_create();          fill the first block of members
 *     if (routes_admit(request))           the head alone decides: method, path, origin, size, type
 *         collect the body (at most request->body_bytes_max; more is request_refuse(ERR_TOO_LARGE))
 *         routes_handle(request)           on_replied follows: at once, or later through reply_to
 *     send request->reply                  also after a refusal
 *     request_destroy(request)             at any time; what is under way then ends by itself
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/metrics/table.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/span.h"
#include "protocols/petition.h"

struct broker;
struct connection;
struct identity;
struct metrics_shard;
struct static_assets;
struct reading;
struct request;
struct route;

#define REPLY_HEADERS_BYTES_MAX 16384
#define REPLY_BODY_BYTES_MAX 134217728 /* one message of 16 MiB, each byte escaped as six, fits */

struct request_header {
    struct span name;
    struct span value; /* without the blanks around it */
};

/* What becomes of the connection. All but REPLY_WHOLE come only where `can_switch` was set. */
enum reply_kind {
    REPLY_WHOLE,        /* status, headers, body */
    REPLY_EVENT_STREAM, /* the adapter opens Server-Sent Events */
    REPLY_WEBSOCKET,    /* the adapter shakes hands and opens a WebSocket … */
    REPLY_MQTT,         /* … or one that speaks MQTT */
};

/* The adapter adds Date, Content-Length, Connection and hardening.h by itself; nothing else. */
struct reply {
    enum reply_kind kind;
    uint16_t status;
    struct buffer headers; /* pairs: reply_next_header() */
    struct buffer body;
    struct span body_static; /* sent instead of `body` where it is not empty; lives for ever */
    bool has_no_length;      /* HEAD of a stream: no Content-Length is told */
    bool is_secure;          /* the adapter's: it goes out over TLS */
};

struct request {
    /* The adapter's; spans are borrowed and must live until request_destroy(). */
    struct broker *broker;
    const struct static_assets *assets; /* of this port; NULL: none */
    struct mailbox *reply_to;
    struct span method; /* "GET", as written */
    struct span path;   /* as on the wire, not decoded: "/channels/a%20b" */
    struct span query;  /* what follows the `?`, not decoded */
    const struct request_header *headers;
    size_t header_count;
    struct span body;              /* decoded from chunks; for routes_handle() alone */
    struct connection *connection; /* whose limits it is held to; NULL: nobody's, on the operator's
                                    * port */
    const char *peer;              /* "127.0.0.1:40001", for logs */
    bool is_secure;                /* TLS: the scheme that an Origin is compared with */
    bool is_operator;              /* came in on the operator's port */
    bool can_switch;               /* the adapter can open streams */
    bool is_upgrade;               /* asks for a WebSocket (RFC 6455, section 4.2.1) */
    struct span certificate;       /* the verified subject of the client's; empty: it has none */
    uint64_t certificate_ends_s;   /* in seconds since 1970 */
    /* The reply is ready. Called exactly once after routes_handle(), from within it or later; never
     * after request_destroy(), which may be called from here. */
    void (*on_replied)(struct request *request);
    /* A long poll is a stream in this: it is one of the connections that its identity may have, and
     * ends when the identity does. NULL: it does not matter. ERR_RATE, ERR_MEMORY. */
    enum error_code (*on_stay)(struct request *request, struct error *why);
    void *context;

    /* Filled by routes_admit() and routes_handle(). */
    uint64_t body_bytes_max;
    bool can_overlap;  /* a publish: handled in its order, it need not wait for those before it */
    size_t kept_bytes; /* of its messages until the log has answered, then about its reply's */
    struct reply reply;
    enum metrics_route counted_as;

    /* The adapter sets `petition.access`, and on the operator's port perhaps `identity`; the rest
     * is authorization.c's. */
    struct petition petition;
    struct identity *identity; /* a reference; NULL: not known yet, or may do everything */
    struct span tenant;        /* whose channels are meant; empty: nobody's */
    bool has_credentials;      /* they came, good or bad */
    bool identifies_later;     /* without any, what is spoken next asks for them */
    bool is_identified;
    bool is_permitted;           /* what the head asks for is allowed */
    bool is_handed;              /* routes_handle() was called */
    bool is_late;                /* the adapter's: the body did not come with the head */
    unsigned question_count;     /* about what the body names, that somebody else was asked */
    bool keeps_body;             /* the adapter keeps `body` until the reply, and … */
    enum error_code body_result; /* … says here that it could not */

    /* The routes' own. `channel` and `reading` also serve the adapter that opens a stream. */
    const struct route *route;
    unsigned method_bit;     /* one of METHOD_GET … of routes.h */
    struct buffer channel;   /* decoded and checked, where the resource is a channel */
    struct reading *reading; /* where a stream begins, for the kinds that switch */
    void *state;             /* of the resource that answers */
    void (*on_state_finish)(void *state);
    /* NULL, or told when is_hurried or is_abandoned is set: what waits for something to come can be
     * cancelled. */
    void (*on_hurried)(struct request *request);
    bool is_hurried;   /* request_hurry() came */
    bool is_pending;   /* a publish or a read is under way */
    bool is_abandoned; /* request_destroy() came meanwhile */
    uint64_t begin_us; /* on the monotonic clock */
};

/* NULL: out of memory. All members are zero. */
struct request *request_create(void);

/* A long poll is to be answered with what there is: its connection has to go. */
void request_hurry(struct request *request);

/* Frees, now or when what is under way has ended; no callback follows. Accepts NULL. */
void request_destroy(struct request *request);

/* The reply leaves: counts it and the time it took, by what was asked for and class of status. */
void request_count(const struct request *request, struct metrics_shard *metrics);

/* --- for the resources ----------------------------------------------------------------------- */

/* Something is under way; request_answer() will follow on the request's thread. */
void request_wait(struct request *request);

/* The reply is ready (or nobody wants it any more): calls on_replied, or frees. */
void request_answer(struct request *request);

/* False: request_destroy() came while something was under way; only request_answer() is left. */
bool request_is_wanted(const struct request *request);

/* --- questions ------------------------------------------------------------------------------- */

/* The first header of that name (case is ignored). False: there is none. */
bool request_find_header(const struct request *request, const char *name, struct span *ret_value);

/* HEAD: the reply is the one of GET; its length is told and its body left out. */
bool request_is_head(const struct request *request);

/* --- replies --------------------------------------------------------------------------------- */

/* Makes the reply a problem+json of that error, whatever it was before; headers that admission set
 * (CORS, Allow) stay. The adapter calls it for what it finds itself: a body too large or too
 * slow. */
void request_refuse(struct request *request, enum error_code code, const struct error *why);

/* The end of a handler: refuses where the code is not OK and somebody still wants to know, and
 * answers. */
void request_end(struct request *request, enum error_code code, const struct error *why);
void request_refuse_because(struct request *request, enum error_code code, const char *field,
                            const char *format, ...) PRINTF_LIKE(4, 5);

/* Adds a header. What does not fit any more is left out and turns the reply into a 500. The value
 * of the first is as it is to go out, that of the second is freed of control characters. */
void reply_put_header(struct reply *reply, struct span name, struct span value);
void reply_add_header(struct reply *reply, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Walks the headers: start with `rest` = buffer_borrow(&reply->headers). False at the end. Values
 * are free of control characters; neither part ends with NUL. */
bool reply_next_header(struct span *rest, struct span *ret_name, struct span *ret_value);

/* Writes the line of the request to the log, where lines of that level are written. The adapter
 * calls it when it sends the reply. */
void request_log(const struct request *request);

/* What is to be sent as the body, valid until request_destroy(). */
struct span reply_body(const struct reply *reply);
