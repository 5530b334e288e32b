/* SPDX-License-Identifier: Apache-2.0 */
/* paho_sub.h — `tidings sub` over MQTT: reconnects, and resumes behind the last message written.
 *
 * Place:   sub.c, where --url is mqtt://.
 * Thread:  main.
 * Bounds:  one message.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/cli/trust.h"

struct paho_sub_options {
    const char *url;
    char *const *channels; /* and patterns */
    size_t channel_count;
    const char *label; /* what they are called in what is said about them */
    const char *since; /* NULL: now */
    bool is_whole;     /* the envelope is written, not the payload alone */
    uint64_t left;     /* messages until the end; UINT64_MAX: no limit */
    int signal_descriptor;
    struct trust trust;
};

/* Until a signal, the limit or the end of the output. False: it failed, which was said. */
bool paho_sub_run(const struct paho_sub_options *options);
