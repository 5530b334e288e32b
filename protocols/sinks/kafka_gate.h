/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_gate.h — which keys a producer has written, so that nothing of a key passes its first.
 *
 * Place:   of kafka.c, made and ended with a producer whose batches have several records;
 *          kafka_ship.c asks.
 * Thread:  pure; the sinks thread's.
 * Bounds:  KAFKA_GATE_KEYS hashes of 8 bytes.
 *
 * Kafka takes a batch only behind the one before it, by its sequence number, but where it knows a
 * partition nothing of the producer yet: there it takes any. So if a producer's first batch for a
 * partition is refused, a second that is under way stands before it. Therefore one record is under
 * way of a key that has not arrived yet; once it has, its partition knows the producer, and what
 * follows may be under way together. A key that gave its room to another is as a new one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/span.h"

#define KAFKA_GATE_KEYS 16384 /* as large as the library's own producer */

struct kafka_gate;

/* ERR_MEMORY. */
MUST_USE enum error_code kafka_gate_create(struct kafka_gate **ret_gate);
void kafka_gate_destroy(struct kafka_gate *gate); /* accepts NULL */

/* What the others call a key of a topic. */
uint64_t kafka_gate_name(const struct kafka_gate *gate, struct span topic, struct span key);

/* Whether a record of it may be given to the producer now. */
bool kafka_gate_is_open(const struct kafka_gate *gate, uint64_t name);

/* One was given to it, which was open; one has arrived. */
void kafka_gate_note_sent(struct kafka_gate *gate, uint64_t name);
void kafka_gate_note_taken(struct kafka_gate *gate, uint64_t name);

/* Whether it waits for any: else no arrival is worth a name. */
bool kafka_gate_is_waiting(const struct kafka_gate *gate);
