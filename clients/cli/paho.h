/* SPDX-License-Identifier: Apache-2.0 */
/* paho.h — one connection to a broker over MQTT 5, by Paho's client.
 *
 * Place:   paho_pub.c and paho_sub.c, for a --url of mqtt://.
 * Thread:  main; Paho starts none.
 * Bounds:  one request at a time; Paho holds the messages of one read.
 *
 * A connection is used until it is lost and then thrown away: the next one is a new struct paho.
 */
#pragma once

#include <MQTTClient.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/cli/trust.h"

#define PAHO_TEXT_BYTES 256
#define PAHO_FILTERS_MAX 64

struct paho;

/* How a request ended. */
struct paho_answer {
    bool is_done;                /* the broker did it */
    enum MQTTReasonCodes reason; /* else what it said; 0x80: nothing, there is no connection */
    bool is_cut;                 /* it ended the connection instead of an answer */
    char text[PAHO_TEXT_BYTES];  /* one line that says why not */
    char offset[32];             /* of a publish: the user properties of the acknowledgement */
    char id[PAHO_TEXT_BYTES];
};

/* Paho's memory, until paho_free(). No message: `message` is NULL. */
struct paho_delivery {
    char *topic;
    size_t topic_length;
    MQTTClient_message *message;
};

/* True for mqtt:// and mqtts://. */
bool paho_is_url(const char *url);

/* False: it is such a URL with something wrong, or of a scheme that is spoken by nobody here, which
 * is complained about. */
bool paho_takes_url(const char *url);

/* Connects. NULL: `ret_answer` says why. */
struct paho *paho_create(const char *url, const struct trust *trust,
                         struct paho_answer *ret_answer);

/* Says goodbye. Accepts NULL. */
void paho_destroy(struct paho *paho);

/* The connection is there. */
bool paho_is_open(struct paho *paho);

/* Publishes with QoS 1 and waits for the acknowledgement. False: see the answer. */
bool paho_publish(struct paho *paho, const char *topic, MQTTClient_message *message,
                  struct paho_answer *ret_answer);

/* Subscribes with QoS 0, all filters at once, with user properties. False: see the answer. */
bool paho_subscribe(struct paho *paho, char *const *filters, int count, MQTTProperties *properties,
                    struct paho_answer *ret_answer);

/* Waits up to timeout_ms for a message. False: the connection is lost. */
bool paho_receive(struct paho *paho, unsigned long timeout_ms, struct paho_delivery *ret_delivery);

/* Harmless where there is no message. */
void paho_free(struct paho_delivery *delivery);

/* Trying again makes sense. */
bool paho_is_passing(const struct paho_answer *answer);

/* Adds a user property, which copies both. False: out of memory. */
bool paho_add_property(MQTTProperties *properties, const char *name, const char *value);

/* The value of the last user property of that name, for the broker's stand behind the publisher's;
 * NULL: there is none. Borrowed, not terminated. */
const MQTTLenString *paho_find_property(const MQTTProperties *properties, const char *name);
