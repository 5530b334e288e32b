/* SPDX-License-Identifier: Apache-2.0 */
/* message.h — one record of the log: immutable once ordered, counted, shared by all threads.
 *
 * Place:   made by protocols/ (and by storage/ when it reads), ordered by the log, carried by all.
 * Thread:  until message_order() by its maker alone; after it immutable, the count is atomic.
 * Bounds:  one allocation; its size is checked against MESSAGE_BYTES_MAX by whoever makes it.
 *
 * All spans of `fields` point into the message's own allocation and live as long as it does.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "broker/support/span.h"

/* Where something stands: everything that an id carries. Positions and offsets count from 1; a
 * place is exclusive when it is a start ("after"). Position 0 is before the first record. */
struct place {
    uint64_t log_id;     /* drawn at random when the data directory is made; never 0 */
    uint32_t generation; /* one more at each unclean start */
    uint64_t position;   /* the record's number in the whole log */
    uint64_t channel_id; /* the channel that `offset` counts in; 0: `offset` is unknown */
    uint64_t offset;     /* the last offset of that channel at or before `position` */
};

enum message_kind {
    MESSAGE_DATA = 1,    /* what a publisher sent */
    MESSAGE_TICK = 2,    /* nothing but time, so that windows close in a silent log */
    MESSAGE_TRIM = 3,    /* a channel's first offset moves up to `offset` */
    MESSAGE_DELETE = 4,  /* offsets of a channel are deleted: message_get_deleted() */
    MESSAGE_COMMAND = 5, /* a step of the registry: sessions, revocations, … */
};

enum payload_kind {
    PAYLOAD_JSON = 0,
    PAYLOAD_TEXT = 1,   /* UTF-8 */
    PAYLOAD_BINARY = 2, /* goes out as data_base64 */
};

enum message_flag {
    MESSAGE_RETAIN = 1 << 0, /* the channel's retained message from now on */
    MESSAGE_FSYNC = 1 << 1,  /* neither answered nor delivered before it is on the disk */
    MESSAGE_MQTT = 1 << 2,   /* came by MQTT: `qos` is the most that it is delivered with */
    MESSAGE_UTF8 = 1 << 3,   /* its MQTT publisher said that the payload is UTF-8 */
};

/* What a publisher says. Empty spans mean "not given". */
struct message_fields {
    enum message_kind kind;
    enum payload_kind payload_kind;
    uint32_t flags;  /* enum message_flag */
    uint8_t qos;     /* as published over MQTT */
    uint8_t match;   /* of a rule that asks for metrics: its series + 1; not stored; 0: none */
    uint64_t ttl_ms; /* 0: lives as long as its channel keeps it */
    struct span channel;
    struct span type; /* media type; empty: application/json */
    struct span event;
    struct span key;
    struct span headers; /* a string map: see string_map.h */
    struct span publisher;
    struct span response_topic;
    struct span correlation;
    struct span idempotency_hash; /* empty, or 64 bytes: SHA-256 of scope and key, of the body */
    struct span payload;
};

struct message {
    atomic_uint reference_count;
    uint32_t bytes;      /* of all spans */
    struct place place;  /* zero until ordered */
    uint32_t group_rest; /* records of the same publish that follow: it counts with all of them */
    uint64_t time_ms;    /* since the epoch, UTC; never before the previous record's */
    uint64_t expiry_ms;  /* 0: none, else time_ms + ttl_ms */
    struct message_fields fields;
};

/* Copies all fields into one allocation; the caller holds the only reference. NULL: out of
 * memory. */
MUST_USE struct message *message_create(const struct message_fields *fields);

/* Gives the message its place and time. Once, before it is shared. */
void message_order(struct message *message, const struct place *place, uint64_t time_ms);

/* The payload of a MESSAGE_DELETE: offsets `from` through `to`, little-endian. Writes
 * MESSAGE_DELETE_BYTES. `to` may lie ahead: what counts ends at the record's own place.offset, the
 * channel's last offset when it was ordered (a delete has no offset of its own). */
#define MESSAGE_DELETE_BYTES 16
void message_put_deleted(uint64_t from, uint64_t to, uint8_t ret_payload[MESSAGE_DELETE_BYTES]);

/* The offsets that an ordered delete takes away; `from` above `to`: none. False: its payload is
 * none of a delete. */
MUST_USE bool message_get_deleted(const struct message *message, uint64_t *ret_from,
                                  uint64_t *ret_to);

/* One more reference; returns `message`. */
struct message *message_ref(struct message *message);

/* One reference less; the last one frees. Accepts NULL. */
void message_unref(struct message *message);

/* What it takes in memory: the struct and all its bytes. */
size_t message_size(const struct message *message);
