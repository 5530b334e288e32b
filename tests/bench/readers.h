/* SPDX-License-Identifier: Apache-2.0 */
/* readers.h — many readers of one channel in one epoll loop, which count what they are sent.
 *
 * Place:   run by load.c on the main thread.
 * Thread:  the main one.
 * Bounds:  one struct a reader; bytes are looked at where they arrive and never kept.
 */
#pragma once

#include "tests/bench/histogram.h"
#include "tests/bench/load.h"

struct readers;

/* Connects and shakes hands with all of them; ends the program where one is refused. */
struct readers *readers_create(const struct load_options *options);
void readers_destroy(struct readers *readers);

/* Waits up to wait_ms and reads what has come. */
void readers_turn(struct readers *readers, int wait_ms);

uint64_t readers_get_delivered(const struct readers *readers);
uint64_t readers_get_closed(const struct readers *readers);
const struct histogram *readers_borrow_latencies(const struct readers *readers);
