/* SPDX-License-Identifier: Apache-2.0 */
/* paho_pub.h — `tidings pub` over MQTT: QoS 1, each message stored once.
 *
 * Place:   pub.c, where --url is mqtt://.
 * Thread:  main.
 * Bounds:  one message at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "clients/cli/trust.h"

struct paho_pub;

struct paho_pub_options {
    const char *url;
    const char *channel;
    const char *key; /* NULL, as the others below: not given */
    const char *event;
    const char *type;
    bool is_quiet;
    struct trust trust;
};

/* Not connected yet; the options are borrowed. NULL: out of memory. */
struct paho_pub *paho_pub_create(const struct paho_pub_options *options);

/* Accepts NULL. */
void paho_pub_destroy(struct paho_pub *pub);

/* Publishes, waits for the acknowledgement and writes offset and id. An input_on_message: false, it
 * was complained about. */
bool paho_pub_message(void *pub, const char *body, size_t length);
