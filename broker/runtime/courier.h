/* SPDX-License-Identifier: Apache-2.0 */
/* courier.h — the thread that makes HTTP calls for the broker, so that no other thread waits.
 *
 * Place:   asked by jwks.h and consent.h; stands on libcurl. An answer is a letter to the asker.
 * Thread:  create, start, stop, destroy: main. courier_ask: any. Guests are called on its own.
 * Bounds:  CALLS_MAX calls under way, CALL_CONNECTIONS_MAX connections; each call has a timeout and
 *          a ceiling for what it brings back.
 *
 * No redirect is followed, no proxy of the environment is used, nothing but http:// and https:// is
 * spoken, and a certificate is always verified. An address is the configuration's alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/span.h"

struct courier;
struct metrics_shard;

#define CALL_HEADERS_MAX 8

/* One call and its answer: the asker's memory, and the courier's until it is answered. */
struct call {
    struct letter letter;
    struct list in_courier;
    const char *url; /* this and what follows is borrowed until the answer */
    const char *ca;  /* a file of certificates that may sign the server's; NULL: the system's */
    const char *headers[CALL_HEADERS_MAX]; /* "name: value"; NULL ends them */
    bool is_post;
    struct span body; /* of a POST */
    uint32_t timeout_ms;
    size_t answer_bytes_max;
    struct mailbox *reply_to;
    void (*on_answered)(struct call *call); /* on the thread of `reply_to`, exactly once */
    void *context;

    /* OK: an answer came, whatever its status. ERR_REQUEST_TIMEOUT; ERR_TOO_LARGE; ERR_DRAINING:
     * the courier ends; ERR_IO: with the reason. */
    enum error_code result;
    unsigned status;
    uint64_t max_age_s;   /* of Cache-Control; 0: not told */
    struct buffer answer; /* to be finished by the asker */
    struct error why;
    void *handle; /* the courier's, as are the two below */
    void *header_list;
    char *fault;
};

/* Somebody who has to do with the courier's thread at times. */
struct courier_guest {
    struct list in_courier;
    uint64_t due_ms; /* monotonic; UINT64_MAX: never. The thread's own, but in on_due and before */
    void (*on_due)(struct courier_guest *guest, uint64_t now_ms);
    void (*on_nudged)(struct courier_guest *guest, uint64_t now_ms); /* see courier_nudge() */
};

/* ERR_MEMORY, ERR_IO. */
MUST_USE enum error_code courier_create(struct metrics_shard *metrics, struct courier **ret_courier,
                                        struct error *why);

/* Before the start. */
void courier_put_guest(struct courier *courier, struct courier_guest *guest);

MUST_USE enum error_code courier_start(struct courier *courier, struct error *why);

/* The thread's own: where guests that make calls take their answers. */
struct mailbox *courier_mailbox(struct courier *courier);

/* Calls on_nudged of all guests soon, on the courier's thread. */
void courier_nudge(struct courier *courier);

/* ERR_BUSY: CALLS_MAX are under way; ERR_DRAINING: on_answered will not be called. */
MUST_USE enum error_code courier_ask(struct courier *courier, struct call *call);

/* Ends the thread. Calls under way are answered with ERR_DRAINING; calls from now on are refused.
 * Accepts NULL. */
void courier_stop(struct courier *courier);

/* When nobody asks any more. Accepts NULL. */
void courier_destroy(struct courier *courier);
