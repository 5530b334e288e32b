/* SPDX-License-Identifier: Apache-2.0 */
/* replay.h — recorded bytes through a protocol of the load, cut at every border.
 *
 * Place:   the tests of clients/bench's protocols.
 * Thread:  the test's.
 * Bounds:  none.
 *
 * What was told is text: "ready; message {…}; answer; refused answer: why: what it said;
 * end; refused: why; ".
 */
#pragma once

#include "clients/bench/protocol.h"

/* What a link says first; the caller finishes `ret_output`. */
void replay_hello(const char *protocol, struct protocol_link link, struct bytes *ret_output);

/* Says hello, takes `bytes` as a whole, in two pieces cut at every border, and byte by byte: each
 * time `told` is told and the same is put. The caller finishes `ret_output`, which is what was put
 * behind the hello; NULL: it does not matter. */
void replay_expect(const char *protocol, struct protocol_link link, const void *bytes,
                   size_t length, const char *told, struct bytes *ret_output);

/* One publish of `count` messages, and the bytes it is to be. */
void replay_expect_publish(const char *protocol, struct protocol_link *link,
                           const struct protocol_message *messages, size_t count, const void *bytes,
                           size_t length);

/* The payload of each masked frame in `bytes`, a line each, with its opcode in front. */
void replay_unmask(const struct bytes *bytes, struct bytes *ret_text);

/* With the zero at its end, so that it is a string. */
const char *replay_text(struct bytes *bytes);

#define REPLAY(protocol, link, text, told)                                                         \
    replay_expect(protocol, link, text, sizeof(text) - 1, told, NULL)
#define REPLAY_PUBLISH(protocol, link, messages, count, text)                                      \
    replay_expect_publish(protocol, link, messages, count, text, sizeof(text) - 1)
