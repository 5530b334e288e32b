/* SPDX-License-Identifier: Apache-2.0 */
/* publisher.h — publishes at a rate that does not wait for answers (an open loop).
 *
 * Place:   a thread that load.c starts.
 * Thread:  its own.
 * Bounds:  a payload of PUBLISHER_BYTES_MAX; requests under way are the kernel's to hold.
 *
 * Each payload is JSON that begins with {"t":<microseconds, 16 digits>, the moment it left.
 */
#pragma once

#include "tests/bench/load.h"

#define PUBLISHER_BYTES_MAX 65536

struct publisher {
    const struct load_options *options;
    struct load_results *results;
};

/* For pthread_create(); the argument is a struct publisher. */
void *publisher_run(void *context);
