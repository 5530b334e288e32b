/* SPDX-License-Identifier: Apache-2.0 */
/* QoS 0 is enough: within a connection nothing is lost, and behind it the subscription begins
 * `since` the id of the last message that was written. Nothing is read from the socket while a
 * message is being written, so a slow output slows the broker's sending, and nothing piles up. */
#include "clients/cli/paho_sub.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clients/cli/envelope.h"
#include "clients/cli/http.h"
#include "clients/cli/output.h"
#include "clients/cli/paho.h"
#include "clients/cli/paho_message.h"

#define BACKOFF_BASE_MS 500
#define BACKOFF_CEILING_MS 30000
#define STEADY_AFTER_MS 5000 /* a connection that lasted so long was no failed attempt */
#define RECEIVE_WAIT_MS 99UL /* a signal waits so long; Paho sleeps longer than asked from 100 on */
#define CUTS_MAX 5           /* subscriptions in a row that ended their connection */
#define GAP_TOPIC "$gap"

struct paho_sub {
    struct paho_sub_options options;
    char *filters[PAHO_FILTERS_MAX];
    char since
        [PAHO_TEXT_BYTES]; /* an id, once there is one; Paho's thread writes it while connected */
    uint64_t left;
    unsigned cuts;
    bool has_failed;
    bool is_over; /* told to stop, or nothing is left to write */
    bool has_messages;
};

static void keep_id(struct paho_sub *sub, const char *bytes, size_t length) {
    if (length > 0 && length < sizeof(sub->since)) {
        memcpy(sub->since, bytes, length);
        sub->since[length] = '\0';
    }
}

/* What is missing is told with the id to go on from. */
static void on_gap(struct paho_sub *sub, const MQTTClient_message *message) {
    struct envelope_value id;
    const char *text = message->payload;
    size_t length = (size_t)message->payloadlen;
    output_gap(stderr, sub->options.label, text, length);
    if (envelope_find(text, length, "id", &id) && id.length >= 2) {
        keep_id(sub, id.bytes + 1, id.length - 2);
    }
}

static void on_output_failed(struct paho_sub *sub, int number) {
    if (number == EPIPE) {
        return; /* the reader of a pipe may go when it has enough */
    }
    sub->has_failed = true;
    fprintf(stderr, "tidings: %s: standard output cannot be written: %s%s%s\n", sub->options.label,
            strerrordesc_np(number),
            *sub->since == '\0' ? "" : "; what is not written is behind --since ", sub->since);
}

static bool write_message(struct paho_sub *sub, const char *topic, size_t topic_length,
                          const MQTTClient_message *message) {
    size_t length = 0;
    char *envelope = paho_envelope_of(topic, topic_length, message, &length);
    bool is_written =
        envelope != NULL && output_message(stdout, envelope, length, sub->options.is_whole);
    if (!is_written) {
        on_output_failed(sub, envelope == NULL ? ENOMEM : errno);
    }
    free(envelope);
    return is_written;
}

static void take(struct paho_sub *sub, const struct paho_delivery *delivery) {
    const MQTTClient_message *message = delivery->message;
    size_t prefix = strlen(GAP_TOPIC);
    sub->has_messages = true;
    if (delivery->topic_length >= prefix && memcmp(delivery->topic, GAP_TOPIC, prefix) == 0) {
        on_gap(sub, message);
        return;
    }
    if (!write_message(sub, delivery->topic, delivery->topic_length, message)) {
        sub->is_over = true;
        return;
    }
    const MQTTLenString *id = paho_find_property(&message->properties, "id");
    if (id != NULL) {
        keep_id(sub, id->data, (size_t)id->len);
    }
    sub->left -= sub->left != UINT64_MAX;
    sub->is_over = sub->left == 0;
}

/* Paho's synchronous client drops a DISCONNECT unread, so its reason is not known. What is refused
 * with one is refused again each time; a broker that goes down does so once. */
static void count_cut(struct paho_sub *sub, bool is_cut, struct paho_answer *answer) {
    sub->cuts = is_cut ? sub->cuts + 1 : 0;
    if (sub->cuts >= CUTS_MAX) {
        answer->reason = MQTTREASONCODE_PROTOCOL_ERROR;
        snprintf(answer->text, sizeof(answer->text),
                 "the broker closed the connection %d times when this was subscribed to; its log "
                 "says why",
                 CUTS_MAX);
    }
}

static struct paho *subscribe(struct paho_sub *sub, struct paho_answer *ret_answer) {
    MQTTProperties properties = MQTTProperties_initializer;
    struct paho *paho = paho_create(sub->options.url, &sub->options.trust, ret_answer);
    if (paho == NULL) {
        return NULL;
    }
    bool is_good = paho_add_property(&properties, "offset", "true") &&
                   (*sub->since == '\0' || paho_add_property(&properties, "since", sub->since)) &&
                   paho_subscribe(paho, sub->filters, (int)sub->options.channel_count, &properties,
                                  ret_answer);
    count_cut(sub, !is_good && ret_answer->is_cut, ret_answer);
    MQTTProperties_free(&properties);
    if (!is_good) {
        paho_destroy(paho);
        return NULL;
    }
    return paho;
}

/* Waits for a signal or the end of the output. */
static void wait_for_end(struct paho_sub *sub, int timeout_ms) {
    struct signalfd_siginfo taken;
    struct pollfd waits[] = {{.fd = sub->options.signal_descriptor, .events = POLLIN},
                             {.fd = STDOUT_FILENO}};
    if (poll(waits, 2, timeout_ms) <= 0) {
        return;
    }
    bool is_told_to_stop =
        read(sub->options.signal_descriptor, &taken, sizeof(taken)) == (ssize_t)sizeof(taken);
    if (is_told_to_stop || (waits[1].revents & POLLERR) != 0) {
        sub->is_over = true;
    }
}

/* Until the connection is lost, or nothing more is wanted. */
static void follow(struct paho_sub *sub, struct paho *paho) {
    bool is_open = true;
    while (is_open && !sub->is_over) {
        struct paho_delivery delivery;
        is_open = paho_receive(paho, RECEIVE_WAIT_MS, &delivery);
        if (delivery.message != NULL) {
            take(sub, &delivery);
        }
        paho_free(&delivery);
        wait_for_end(sub, 0);
    }
}

/* One connection, from its beginning to its end. False: trying again makes no sense. */
static bool run_once(struct paho_sub *sub, unsigned *attempt) {
    struct paho_answer answer;
    uint64_t begin_ms = http_now_ms();
    sub->has_messages = false;
    struct paho *paho = subscribe(sub, &answer);
    if (paho == NULL && !paho_is_passing(&answer)) {
        fprintf(stderr, "tidings: %s: %s\n", sub->options.label, answer.text);
        sub->has_failed = true;
        return false;
    }
    if (paho != NULL) {
        follow(sub, paho);
        paho_destroy(paho);
        snprintf(answer.text, sizeof(answer.text), "the connection was lost");
        if (sub->has_messages || http_now_ms() - begin_ms >= STEADY_AFTER_MS) {
            *attempt = 0;
        }
    }
    if (!sub->is_over && *attempt == 0) {
        fprintf(stderr, "tidings: %s: %s; reconnecting\n", sub->options.label, answer.text);
    }
    return !sub->is_over;
}

/* False: it was complained about. */
static bool prepare(struct paho_sub *sub) {
    bool is_good = true;
    for (size_t i = 0; i < sub->options.channel_count; i++) {
        const char *channel = sub->options.channels[i];
        sub->filters[i] = paho_filter_of(channel);
        if (sub->filters[i] == NULL) {
            fputs("tidings: out of memory\n", stderr);
            return false;
        }
        if (!paho_is_filter(sub->filters[i])) {
            fprintf(stderr,
                    "tidings: %s: over MQTT a wildcard (`*` or `+`, `**` or `#`) is a whole "
                    "segment, and `**` or `#` the last one\n",
                    channel);
            is_good = false;
        }
    }
    return is_good;
}

bool paho_sub_run(const struct paho_sub_options *options) {
    struct paho_sub sub = {.options = *options, .left = options->left};
    if (options->since != NULL) {
        keep_id(&sub, options->since, strlen(options->since));
    }
    sub.has_failed = !prepare(&sub);
    for (unsigned attempt = 0; !sub.has_failed && run_once(&sub, &attempt); attempt++) {
        wait_for_end(&sub, (int)http_backoff_ms(BACKOFF_BASE_MS, BACKOFF_CEILING_MS, attempt,
                                                http_random()));
        if (sub.is_over) {
            break;
        }
    }
    for (size_t i = 0; i < options->channel_count; i++) {
        free(sub.filters[i]);
    }
    return !sub.has_failed;
}
