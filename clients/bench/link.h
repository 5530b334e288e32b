/* SPDX-License-Identifier: Apache-2.0 */
/* link.h — one connection of a load: a socket that never blocks, what waits to be sent, and what
 * came of a unit that is cut.
 *
 * Place:   crew.c and outlet.c have one a connection; what bytes mean is the protocol's.
 * Thread:  its owner's.
 * Bounds:  LINK_READ_BYTES a read; the rest of a cut unit is the protocol's bound and one read.
 *
 * Bytes are read into a buffer that the thread has once. Only what is left of a cut unit is
 * copied, to the connection and back in front of the next read: a small price for connections
 * that have no buffer of their own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/bench/protocol.h"
#include "clients/bench/secure.h"
#include "clients/bench/target.h"

#define LINK_READ_BYTES 262144

/* The handshake of TLS is part of connecting. */
enum link_state { LINK_CLOSED, LINK_CONNECTING, LINK_GREETING, LINK_OPEN };

struct link {
    const struct protocol *protocol;
    struct protocol_link talk;
    struct bytes output;
    struct bytes cut;
    const struct target *target;
    struct ssl_st *session; /* of TLS; NULL: in the clear, or not connected yet */
    uint64_t begun_ns;      /* of connecting */
    uint64_t token;         /* of its events */
    int file;
    int epoll;
    enum link_state state;
    bool is_watched;       /* by epoll */
    bool is_write_watched; /* … for room to write, too */
};

/* What is to be looked at: the rest of the last read, and the new one. */
struct link_input {
    const uint8_t *bytes;
    size_t length;
};

enum link_result { LINK_GOT, LINK_NOTHING, LINK_ENDED };

/* `talk` is copied; it is fresh again at each link_connect. */
void link_init(struct link *link, const struct protocol *protocol, const struct protocol_link *talk,
               int epoll, uint64_t token);

/* Stops and goes on reading. */
void link_pause(struct link *link);
void link_resume(struct link *link);

/* Begins to connect to a target that stays; a receive buffer of `receive_bytes` unless 0. NULL, or
 * why not. */
const char *link_connect(struct link *link, const struct target *target, uint32_t index,
                         uint32_t receive_bytes, uint64_t now_ns);

/* Takes a socket that a listener accepted. */
void link_adopt(struct link *link, int file, uint64_t now_ns);

/* Something came while it connects, or it can write: it shakes hands and says hello, or goes on
 * writing. NULL, or why it failed. */
const char *link_continue(struct link *link);

void link_close(struct link *link);
void link_finish(struct link *link);

/* Sends what waits; the rest when there is room. NULL, or why it failed. */
const char *link_flush(struct link *link);

/* Reads up to `limit` bytes, LINK_READ_BYTES at most, into `buffer`, which has room for twice as
 * much. */
enum link_result link_read(struct link *link, uint8_t *buffer, size_t limit,
                           struct link_input *ret_input);

/* There is something to read, whatever epoll tells. */
bool link_has_more(const struct link *link);

/* The next unit of the input, behind the `used` bytes of it, which are more then. PROTOCOL_MORE:
 * there is none that is whole. */
enum protocol_told link_take(struct link *link, struct link_input input, size_t *used,
                             struct protocol_unit *ret_unit);

/* What was not used of the input: kept for the next read. */
void link_keep(struct link *link, struct link_input input, size_t used);
