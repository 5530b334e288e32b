/* SPDX-License-Identifier: Apache-2.0 */
/* fakes.h — one connection without a socket, a worker without a loop, a log and reads that answer
 * when they are told to: for tests of what stands between them.
 *
 * Place:   linked in front of broker/runtime, so that nothing of it is linked.
 * Thread:  the test's.
 * Bounds:  what a test sends.
 */
#pragma once

#include "broker/admission/identity.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/watch.h"
#include "broker/support/buffer.h"
#include "protocols/rest/request.h"

#define FAKES_PUBLISHES_MAX 512
#define FAKES_STREAMS_MAX 1100

/* One stream; they are numbered in the order in which they were opened. Of its selectors the
 * first is kept, where it is short. */
struct fake_stream {
    struct stream_options options;
    struct place place; /* told instead of fakes.stream_place where it has a position */
    char selector[64];
    size_t selector_length;
    bool is_open;
    unsigned writable_at; /* it was the nth that was told that the socket takes bytes */
};

struct fakes {
    struct broker broker;
    const struct protocol *protocol;
    void *state;
    struct identity *identity; /* of the connection */
    struct span certificate;   /* its client's subject; empty: it has none, and speaks no TLS */
    bool is_login_refused;     /* no credentials are looked at */
    bool has_no_place;         /* the identity has as many connections as it may */
    unsigned bad_login_count;
    struct list chores;
    struct buffer sent;
    unsigned write_count; /* calls that sent something */
    struct buffer scratch;
    uint64_t sent_ms;    /* when the socket last took bytes; as the test says */
    bool is_blocked;     /* what is written is kept, and connection_is_blocked() says so */
    size_t unsent_bytes; /* what connection_unsent_bytes() says */
    bool is_paused;
    bool is_closing;
    bool is_aborted;
    bool wants_writable;
    enum close_reason reason;
    uint64_t now_ms;
    uint64_t deadline_ms;
    size_t body_room_bytes;  /* what is taken now */
    size_t body_room_max;    /* what there is */
    struct publish *publish; /* the oldest that waits for an answer */
    struct publish *publishes[FAKES_PUBLISHES_MAX];
    size_t publish_waiting;
    unsigned publish_count; /* all that ever came … */
    unsigned quiet_count;   /* … of them those that the worker nudges the log for */
    bool is_log_short;      /* it has little room left */
    size_t pipelines_bytes; /* what connections count of their further requests … */
    size_t pipelines_max;   /* … and where there is no more room for them */
    enum error_code submit_result;
    struct read *read;
    struct storage_page page; /* what the next read finds; all zero: an empty one, at the head */
    struct storage_page page_behind; /* … and the one after it */
    enum error_code read_result;
    struct watch_options watch_options; /* of the one that waits; zero: none does */
    enum error_code watch_result;
    bool is_watch_cancelled;
    unsigned stream_count; /* open now */
    struct stream_options stream_options;
    struct place stream_place;
    struct fake_stream streams[FAKES_STREAMS_MAX];
    unsigned stream_total;                           /* ever opened */
    unsigned writable_count;                         /* calls of stream_on_writable() */
    char stream_channel[CHANNEL_NAME_BYTES_MAX + 1]; /* the first selector of the newest one */
    enum error_code stream_result;                   /* of the next stream_create() */
};

extern struct fakes fakes;

/* A broker with the default configuration; call before and after each test. */
int fakes_begin(void **state);
int fakes_end(void **state);

struct connection *fakes_connection(void);

/* Delivers the letters that the worker has put into its own mailbox. */
void fakes_turn(void);

/* As if these bytes came from the socket. */
void fakes_receive(const char *text);
void fakes_receive_bytes(struct span bytes);

/* As if the socket took everything. */
void fakes_drain_socket(void);

/* Moves the clock, and tells the protocol if its deadline has come. */
void fakes_pass(uint64_t ms);

/* The connection's end: on_closed. */
void fakes_hang_up(void);

/* What was sent holds this text. */
bool fakes_has_sent(const char *text);
void fakes_forget_sent(void);

/* Answers the publish that waits longest: with the next offset, or with an error. */
void fakes_answer_publish(enum error_code code);

/* Answers all that wait, in one turn. */
void fakes_answer_all(void);

/* Answers the read that waits with fakes.page, or with an error. */
void fakes_answer_read(enum error_code code);

/* As if something came that is watched for, or the time was over. */
void fakes_end_watch(void);

/* --- requests without a connection ---------------------------------------------------------- */

/* A request for routes_admit(): headers is "Name: value\n…" or NULL. */
struct request *fakes_request(const char *method, const char *path, const char *query,
                              const char *headers);

/* A request as its port would answer it, with `assets` or none; the status. The caller destroys
 * `ret_request`. */
unsigned fakes_ask(const char *method, const char *path, const char *headers, bool is_operator,
                   const struct static_assets *assets, struct request **ret_request);

/* The status alone, on the public port. */
unsigned fakes_status_of(const char *method, const char *path, const struct static_assets *assets);

/* How often the request's reply came. */
unsigned fakes_replied(void);

/* The reply's header, or an empty span. */
struct span fakes_reply_header(const struct request *request, const char *name);
