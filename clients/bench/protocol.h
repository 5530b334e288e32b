/* SPDX-License-Identifier: Apache-2.0 */
/* protocol.h — what a load needs of a protocol: bytes to put, and what stands in bytes that came.
 *
 * Place:   one row a protocol in protocol.c, its functions in a file of its name; link.c moves the
 *          bytes, crew.c and outlet.c act on what is told.
 * Thread:  pure: no sockets, no clock, no memory beyond the `struct bytes` handed in and `held`.
 * Bounds:  a unit of PROTOCOL_UNIT_BYTES_MAX; what claims to be longer is PROTOCOL_REFUSED.
 *
 * A protocol costs less than what it measures: lengths are believed, nothing is validated that the
 * load does not need. Where servers have no wildcards, `*` and `**` go out as they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/bench/bytes.h"

#define PROTOCOL_UNIT_BYTES_MAX (32u << 20)

/* What a protocol knows of one connection. To connect again: protocol_reset(). */
struct protocol_link {
    const char *host;             /* "127.0.0.1:8080", for a Host header */
    const char *path;             /* of the URL, without a slash at the end; "" mostly */
    const char *token;            /* a bearer's token, API key or password; NULL: none */
    const char *since;            /* where a reader begins; NULL: at the head */
    const char *const *selectors; /* what a reader subscribes to */
    size_t selector_count;
    bool is_publisher;
    uint32_t index;     /* of the connection; makes client ids unique */
    uint32_t run;       /* of the load; likewise */
    bool is_open;       /* PROTOCOL_READY was told */
    bool is_ending;     /* the server closes behind this answer: nothing more is to be said */
    uint32_t awaited;   /* the protocol's own from here on; zeroed at the start */
    uint32_t packet_id; /* the last one; or a count of another kind */
    uint32_t phase;     /* what comes next: a head, a body, … */
    uint64_t left;      /* bytes of what carries the units: a body, a chunk, a frame */
    bool is_chunked;
    bool is_framed;    /* what is sent goes into WebSocket frames */
    bool is_held_told; /* `held` was told, and begins anew */
    struct bytes held; /* a unit that goes over the border of what carries it */
    struct bytes said; /* what the server says of a refusal, as far as it came */
};

enum protocol_told {
    PROTOCOL_MORE,    /* the unit is cut: call again with more behind the same bytes */
    PROTOCOL_NOTHING, /* a unit that tells nothing */
    PROTOCOL_READY,   /* the connection is open, and subscribed */
    PROTOCOL_MESSAGE, /* a message; the stamp is somewhere in `payload` */
    PROTOCOL_ANSWER,  /* `count` publishes were answered: taken, or (is_refused) not */
    PROTOCOL_REFUSED, /* the handshake or the connection: `why` says it; the link is closed */
    PROTOCOL_END,     /* a pull reader has all there is; put_hello() begins again */
};

/* `length` is set with all but PROTOCOL_MORE and PROTOCOL_REFUSED; the others where they belong. */
struct protocol_unit {
    size_t length;          /* bytes to go on behind; can be 0 with PROTOCOL_END only */
    const uint8_t *payload; /* MESSAGE, and what an ANSWER that refuses says: in `bytes`, or … */
    size_t payload_length;  /* … valid until the next call */
    uint32_t count;         /* ANSWER */
    bool is_refused;        /* … */
    const char *why;        /* REFUSED, and an ANSWER that refuses: constant text */
};

struct protocol_message {
    const char *channel;
    const uint8_t *payload;
    size_t length;
};

struct protocol {
    const char *name;          /* --publish NAME, --read NAME */
    const char *summary;       /* for --help */
    const char *scheme;        /* of a URL without port: "http", "mqtt", … */
    uint16_t port;             /* that of the scheme */
    const char *secure_scheme; /* the same inside of TLS; NULL: there is none */
    uint16_t secure_port;
    bool is_answered;   /* each publish gets an answer; else the closed model counts it as sent */
    bool is_listening;  /* the server connects to the load (webhook) */
    uint32_t batch_max; /* messages a publish: 1 mostly */
    bool is_mixed;      /* … which may be of several channels */
    uint32_t selectors_max; /* that a reader has on a connection; 0: as many as one likes */
    /* What a new connection sends first; a reader subscribes here or in take(). NULL: nothing, and
     * the link is ready when it is connected. */
    void (*put_hello)(struct protocol_link *link, struct bytes *output);
    /* One publish, which will be one answer: `count` messages of up to `batch_max`. NULL: it cannot
     * publish. */
    void (*put_publish)(struct protocol_link *link, const struct protocol_message *messages,
                        size_t count, struct bytes *output);
    /* Looks at the unit at the front of `bytes` (never empty); what must be said in return (pong,
     * PUBACK, the next request) is put into `output`. */
    enum protocol_told (*take)(struct protocol_link *link, const uint8_t *bytes, size_t length,
                               struct bytes *output, struct protocol_unit *ret_unit);
    bool can_read;
};

/* What take() gives back when it cannot go on; `why` is constant text. */
static inline enum protocol_told protocol_refuse(struct protocol_unit *ret_unit, const char *why) {
    ret_unit->why = why;
    return PROTOCOL_REFUSED;
}

/* NULL: there is none of that name. */
const struct protocol *protocol_find(const char *name);

/* The row of `index`; NULL behind the last. */
const struct protocol *protocol_at(size_t index);

/* Forgets what was said on a connection, for the next one or the end. */
void protocol_reset(struct protocol_link *link);
