/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h — one request from its head to its reply: head, body, and what was decided about them.
 *
 * Place:   made by protocols/http/server.c for each request; calls the codecs and the routes.
 * Thread:  its worker's.
 * Bounds:  a copy of the head; a body of request->body_bytes_max out of the worker's room, which is
 *          let go when the routes have seen it; then exchange_bytes() until it is answered.
 */
#pragma once

#include <stdbool.h>

#include "broker/runtime/connection.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "protocols/http/head.h"

struct exchange;
struct request;

enum exchange_phase {
    EXCHANGE_BODY,    /* exchange_take_body() wants more */
    EXCHANGE_WHOLE,   /* exchange_handle() is next */
    EXCHANGE_HANDLED, /* the routes have it, and its reply is awaited */
    EXCHANGE_REPLIED, /* the reply is ready, by the routes or by a refusal */
};

/* Whom an exchange tells that it was replied to, once: from within exchange_handle(), or later. */
struct exchange_owner {
    void (*on_replied)(struct exchange_owner *owner);
};

enum exchange_phase exchange_phase(const struct exchange *exchange);
struct request *exchange_request(const struct exchange *exchange);

/* The connection cannot serve another request after this one. */
bool exchange_must_close(const struct exchange *exchange);
bool exchange_is_http_1_0(const struct exchange *exchange);

/* It may go to the routes while those before it are under way, and those behind it while it is. */
bool exchange_can_overlap(const struct exchange *exchange);

/* What it keeps in memory between the routes and the answer, about. */
size_t exchange_bytes(const struct exchange *exchange);

/* True, once: the peer waits for 100 Continue before it sends the body. */
bool exchange_take_continue(struct exchange *exchange);

/* The exchanges of a connection, in the order of their requests. NULL: there is none. */
void exchange_put_tail(struct list *exchanges, struct exchange *exchange);
struct exchange *exchange_first(const struct list *exchanges);
struct exchange *exchange_last(const struct list *exchanges);

/* An exchange without a head, to say why there was none. ERR_MEMORY. */
MUST_USE enum error_code exchange_begin_refused(struct connection *connection, enum error_code code,
                                                const struct error *why,
                                                struct exchange **ret_exchange);

/* Looks for a head at the front of `rest` and takes it off. ERR_AGAIN: it is not whole, and
 * `search` says how far it was looked at. ERR_MEMORY. OK: a new exchange, refused where the head is
 * bad. */
MUST_USE enum error_code exchange_begin(struct connection *connection, struct head_search *search,
                                        struct span *rest, struct exchange_owner *owner,
                                        struct exchange **ret_exchange);

/* Refuses it in the middle: the body did not come. */
void exchange_refuse(struct exchange *exchange, enum error_code code, const char *why);

/* Takes what belongs to the body off the front of `rest`; ends in one of the other phases, or wants
 * more. True: enough came to give the peer more time. */
bool exchange_take_body(struct exchange *exchange, struct span *rest);

/* Hands the whole request to the routes; the owner is told of the reply. */
void exchange_handle(struct exchange *exchange);

/* Frees, and leaves its list; a publish that is under way ends by itself. Accepts NULL. */
void exchange_destroy(struct exchange *exchange);
