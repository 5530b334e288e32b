/* SPDX-License-Identifier: Apache-2.0 */
/* load.h — what the load is to be, and what came of it.
 *
 * Place:   filled by load.c from the command line; read by readers.c and publisher.c.
 * Thread:  options are constant once the threads run; each result has one writer.
 * Bounds:  as asked for on the command line.
 */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

enum load_kind { LOAD_WEBSOCKET, LOAD_EVENTS, LOAD_NATS, LOAD_MQTT_QOS0, LOAD_MQTT_QOS1 };

static inline bool load_is_mqtt(enum load_kind kind) {
    return kind == LOAD_MQTT_QOS0 || kind == LOAD_MQTT_QOS1;
}

/* Added to the time in a payload, so that it has TIME_DIGITS digits without leading zeros, which
 * would not be JSON. */
#define LOAD_TIME_BASE_US 1000000000000000ull

struct load_options {
    enum load_kind kind;
    struct sockaddr_in address;
    const char *host; /* "127.0.0.1:8080", for the Host header */
    const char *channel;
    uint32_t readers;
    uint32_t publishers; /* connections */
    double rate_per_s;
    double seconds;
    uint32_t payload_bytes;
};

struct load_results {
    atomic_uint_fast64_t published;
    atomic_uint_fast64_t answered;
    atomic_bool is_published; /* the publisher has come to its end */
};

uint64_t load_now_us(void);

/* A connected TCP socket without delay; ends the program where there is none. `index` spreads the
 * client's end over 127.0.0.2 to 127.0.0.9, because one address has 28,000 ports. */
int load_connect(const struct load_options *options, uint32_t index);

/* Writes all of it, waiting where it must. */
void load_write(int file, const void *bytes, size_t length);

noreturn void load_fail(const char *what);
