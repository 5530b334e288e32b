/* SPDX-License-Identifier: Apache-2.0 */
/* raw.h — the least that a server can do for the load: one epoll loop, no library, no promise.
 *
 * Place:   run by limit.c; the load talks to it like to the broker.
 * Thread:  its caller's, for ever.
 * Bounds:  as many connections as descriptors; RAW_LOG_BYTES_MAX unread bytes a channel, above
 *          which the readers that lack them are cut off; a request of RAW_REQUEST_BYTES_MAX.
 *
 * One turn: all that is readable is read; each POST is appended to the log of its channel, as a
 * ready-made WebSocket frame, and to the journal; one write (and one fdatasync) for all of the
 * turn; then its answers, one send a connection; then each reader of a touched channel is sent
 * all that it lacks, with one send.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define RAW_LOG_BYTES_MAX 67108864
#define RAW_REQUEST_BYTES_MAX 33554432

struct raw_options {
    uint16_t port; /* 0: a free one, which is printed */
    int journal;   /* a file to append to; -1: none */
    bool has_sync; /* fdatasync before answering */
};

noreturn void raw_run(const struct raw_options *options);

/* Ends the program with what errno says. */
noreturn void raw_fail(const char *what);
