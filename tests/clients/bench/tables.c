/* SPDX-License-Identifier: Apache-2.0 */
/* Protocols and measures for the tests of settings, which hold whatever the real tables have. */
#include <string.h>

#include "clients/bench/protocol.h"
#include "clients/bench/verdict.h"

static void put_publish(struct protocol_link *link, const struct protocol_message *messages,
                        size_t count, struct bytes *output) {
    (void)link;
    (void)messages;
    (void)count;
    (void)output;
}

static const struct protocol protocols[] = {
    {.name = "rest",
     .summary = "A protocol",
     .scheme = "http",
     .secure_scheme = "https",
     .batch_max = 10,
     .put_publish = put_publish},
    {.name = "websocket",
     .summary = "A protocol",
     .scheme = "http",
     .secure_scheme = "https",
     .selectors_max = 1,
     .can_read = true},
    {.name = "history",
     .summary = "A protocol",
     .scheme = "http",
     .secure_scheme = "https",
     .can_read = true},
    {.name = "webhook",
     .summary = "A protocol",
     .scheme = "http",
     .secure_scheme = "https",
     .can_read = true,
     .is_listening = true},
    {.name = "mqtt",
     .summary = "A protocol",
     .scheme = "mqtt",
     .secure_scheme = "mqtts",
     .batch_max = 1,
     .put_publish = put_publish,
     .can_read = true},
    {.name = "nats",
     .summary = "A protocol",
     .scheme = "nats",
     .batch_max = 1,
     .put_publish = put_publish,
     .can_read = true},
};

const struct protocol *protocol_at(size_t index) {
    return index < sizeof(protocols) / sizeof(protocols[0]) ? &protocols[index] : NULL;
}

const struct protocol *protocol_find(const char *name) {
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (strcmp(protocols[i].name, name) == 0) {
            return &protocols[i];
        }
    }
    return NULL;
}

const char *verdict_check(const char *assertion) {
    return strstr(assertion, "<") == NULL ? "has no comparison" : NULL;
}

void verdict_write_help(FILE *stream) {
    fputs("  p99\n", stream);
}
