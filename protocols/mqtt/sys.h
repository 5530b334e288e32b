/* SPDX-License-Identifier: Apache-2.0 */
/* sys.h — the topics under $SYS: what the broker says about itself to clients that ask for it.
 *
 * Place:   what is sent to a filter of `$SYS/…`, at its SUBSCRIBE and each SYS_INTERVAL_MS; never
 *          in the log. Reads the counters of all threads, and no disk.
 * Thread:  any.
 * Bounds:  the rows of sys.c; each payload is a text of SYS_PAYLOAD_BYTES at most.
 *
 * Names and units are Mosquitto's. Its `load/…` is a rate that a counter already gives, and what is
 * stored and retained takes a read of the disk to count: for these there is `/metrics`.
 */
#pragma once

#include "broker/support/span.h"

struct broker;

#define SYS_PAYLOAD_BYTES 64

/* Both live for the call. */
typedef void sys_on_topic(void *context, struct span topic, struct span payload);

/* Calls on_topic for each topic that the pattern stands for. */
void sys_each(const struct broker *broker, struct span pattern, sys_on_topic *on_topic,
              void *context);
