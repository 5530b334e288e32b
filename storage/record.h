/* SPDX-License-Identifier: Apache-2.0 */
/* record.h — a message as bytes: the frames of the journal and the bodies in LMDB, version 1.
 *
 * Place:   used by the journal, by recovery, by apply and by reads.
 * Thread:  pure: bytes in, structs out; spans point into the bytes handed in.
 * Bounds:  a body of RECORD_BODY_BYTES_MAX; nothing is allocated but the message asked for.
 *
 * The byte layout stands at the top of record.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

#define RECORD_FRAME_HEAD_BYTES 8
#define RECORD_BODY_HEAD_BYTES 52
#define RECORD_BODY_BYTES_MAX 33554432 /* twice the largest payload: more is damage */

/* What a body says. Spans point into the body. */
struct record {
    struct place place;  /* its log_id is 0: a log's records do not repeat it */
    uint32_t group_rest; /* records of the same publish that follow */
    uint64_t time_ms;
    uint64_t expiry_ms;
    struct message_fields fields;
};

enum record_found {
    RECORD_FOUND,
    RECORD_END,   /* nothing more: no byte is left */
    RECORD_SHORT, /* the bytes end before the frame does: what a cut-off write leaves */
    RECORD_BAD,   /* the checksum, the length or the body is wrong */
};

/* Bytes of a body; LMDB keeps the channel's name once and leaves it out here. */
size_t record_body_size(const struct message *message, bool with_channel);

/* Writes record_body_size() bytes; returns the byte behind them. */
uint8_t *record_write_body(const struct message *message, bool with_channel, uint8_t *to);

/* Reads a body. False: it is no body of version 1. Unknown fields are skipped. */
MUST_USE bool record_read_body(struct span body, struct record *ret_record);

/* Leaves of a body what says where it stood, RECORD_BODY_HEAD_BYTES long: the stub of a message
 * that was deleted. Its kind is MESSAGE_DELETE, and it has no fields. */
void record_make_stub(uint8_t *body);

/* Bytes of a frame with its body, name and all. */
size_t record_frame_size(const struct message *message);

/* Writes record_frame_size() bytes; returns the byte behind them. */
uint8_t *record_write_frame(const struct message *message, uint8_t *to);

/* Reads the frame at the front of `rest`, which moves behind it when one is found. */
MUST_USE enum record_found record_next_frame(struct span *rest, struct record *ret_record);

/* A message of its own, in its place in log `log_id`; `channel` names it where the record does not.
 * NULL: out of memory. */
MUST_USE struct message *record_create_message(const struct record *record, uint64_t log_id,
                                               struct span channel);

/* What a channel's limit in bytes counts: payload, type, event, key and headers. */
uint64_t record_counted_bytes(const struct message_fields *fields);
