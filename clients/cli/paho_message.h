/* SPDX-License-Identifier: Apache-2.0 */
/* paho_message.h — between MQTT's form of a message and the envelope that everything else prints.
 *
 * Place:   paho_pub.c and paho_sub.c.
 * Thread:  pure.
 * Bounds:  one message.
 */
#pragma once

#include <MQTTClient.h>
#include <stdbool.h>
#include <stddef.h>

/* The topic filter of a channel or pattern: `*` is `+` there, and `**` is `#`. The caller frees.
 * NULL: out of memory. */
char *paho_filter_of(const char *pattern);

/* False: MQTT has no such filter (version 5, 4.7.1), and a broker closes the connection on it. */
bool paho_is_filter(const char *filter);

/* The message as {"channel":…,"offset":…,"id":…,"data":…}: a payload without a content type is JSON
 * if it parses, else text, else bytes, as everywhere. There is no `time`: MQTT has none. The caller
 * frees. NULL: out of memory. */
char *paho_envelope_of(const char *topic, size_t topic_length, const MQTTClient_message *message,
                       size_t *ret_length);
