/* SPDX-License-Identifier: Apache-2.0 */
/* Each message carries an idempotency key of its own. So one whose acknowledgement was lost with
 * its connection is sent again, and stored once. */
#include "clients/cli/paho_pub.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/http.h"
#include "clients/cli/paho.h"

#define ATTEMPTS_MAX 8
#define BACKOFF_BASE_MS 250
#define BACKOFF_CEILING_MS 15000
#define IDEMPOTENCY_KEY_BYTES (2 * 16 + 1)

struct paho_pub {
    struct paho_pub_options options;
    struct paho *paho; /* NULL: not connected */
    bool has_told;     /* that it tries again */
};

struct paho_pub *paho_pub_create(const struct paho_pub_options *options) {
    struct paho_pub *pub = calloc(1, sizeof(*pub));
    if (pub != NULL) {
        pub->options = *options;
    }
    return pub;
}

void paho_pub_destroy(struct paho_pub *pub) {
    if (pub != NULL) {
        paho_destroy(pub->paho);
        free(pub);
    }
}

static bool connect_once(struct paho_pub *pub, struct paho_answer *ret_answer) {
    if (pub->paho != NULL && paho_is_open(pub->paho)) {
        return true;
    }
    paho_destroy(pub->paho);
    pub->paho = paho_create(pub->options.url, &pub->options.trust, ret_answer);
    return pub->paho != NULL;
}

static bool write_stored(const struct paho_pub *pub, const struct paho_answer *answer) {
    if (!pub->options.is_quiet && answer->offset[0] != '\0') {
        printf("%s %s\n", answer->offset, answer->id);
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr,
                "tidings: %s: standard output cannot be written: %s; the message is stored\n",
                pub->options.channel, strerrordesc_np(errno));
        return false;
    }
    return true;
}

/* Waits before the next attempt; says so once an outage. */
static void wait_for_attempt(struct paho_pub *pub, const struct paho_answer *answer,
                             unsigned attempt) {
    if (!pub->has_told) {
        uint64_t sum_ms =
            http_backoff_sum_ms(BACKOFF_BASE_MS, BACKOFF_CEILING_MS, ATTEMPTS_MAX - 1);
        pub->has_told = true;
        fprintf(stderr,
                "tidings: %s: %s; trying again, %d times at most, with waits of %" PRIu64
                " s at most in all\n",
                pub->options.channel, answer->text, ATTEMPTS_MAX - 1, (sum_ms + 999) / 1000);
    }
    poll(NULL, 0,
         (int)http_backoff_ms(BACKOFF_BASE_MS, BACKOFF_CEILING_MS, attempt, http_random()));
}

static bool add_properties(const struct paho_pub_options *options, const char *idempotency_key,
                           MQTTProperties *properties) {
    MQTTProperty type = {.identifier = MQTTPROPERTY_CODE_CONTENT_TYPE};
    if (options->type != NULL) {
        type.value.data.data = (char *)(uintptr_t)options->type;
        type.value.data.len = (int)strlen(options->type);
    }
    return (options->type == NULL || MQTTProperties_add(properties, &type) == 0) &&
           (options->key == NULL || paho_add_property(properties, "tidings-key", options->key)) &&
           (options->event == NULL ||
            paho_add_property(properties, "tidings-event", options->event)) &&
           paho_add_property(properties, "idempotency-key", idempotency_key);
}

/* One attempt. Paho keeps account of its memory from the first client to the last: properties are
 * made and freed while there is one. */
static bool publish_once(struct paho_pub *pub, MQTTClient_message *message,
                         const char *idempotency_key, struct paho_answer *ret_answer) {
    if (!connect_once(pub, ret_answer)) {
        return false;
    }
    message->properties = (MQTTProperties)MQTTProperties_initializer;
    bool is_done = add_properties(&pub->options, idempotency_key, &message->properties);
    if (!is_done) {
        *ret_answer =
            (struct paho_answer){.reason = MQTTREASONCODE_NOT_AUTHORIZED, .text = "out of memory"};
    } else {
        is_done = paho_publish(pub->paho, pub->options.channel, message, ret_answer);
    }
    MQTTProperties_free(&message->properties);
    return is_done;
}

/* The broker closes the connection on it, and MQTT has no words for why. */
static bool is_topic(const char *channel) {
    bool is_good = channel[0] != '\0' && strpbrk(channel, "+#") == NULL;
    if (!is_good) {
        fprintf(stderr, "tidings: %s: a channel to publish to has no `+`, no `#`, and a name\n",
                channel);
    }
    return is_good;
}

bool paho_pub_message(void *context, const char *body, size_t length) {
    struct paho_pub *pub = context;
    if (!is_topic(pub->options.channel)) {
        return false;
    }
    char idempotency_key[IDEMPOTENCY_KEY_BYTES];
    struct paho_answer answer;
    MQTTClient_message message = MQTTClient_message_initializer;
    snprintf(idempotency_key, sizeof(idempotency_key), "%016" PRIx64 "%016" PRIx64, http_random(),
             http_random());
    message.payload = (void *)(uintptr_t)body;
    message.payloadlen = (int)length;
    message.qos = 1;
    for (unsigned attempt = 0;; attempt++) {
        if (publish_once(pub, &message, idempotency_key, &answer)) {
            pub->has_told &= attempt > 0;
            return write_stored(pub, &answer);
        }
        if (!paho_is_passing(&answer) || attempt + 1 == ATTEMPTS_MAX) {
            fprintf(stderr, "tidings: %s: %s\n", pub->options.channel, answer.text);
            return false;
        }
        wait_for_attempt(pub, &answer, attempt);
    }
}
