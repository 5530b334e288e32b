/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_row.h — what a sink to another MQTT broker and a source from one have in common in the
 * configuration.
 *
 * Place:   mqtt_sink.c and mqtt_source.c.
 * Thread:  pure, but that files are looked at.
 * Bounds:  none of its own.
 */
#pragma once

#include "broker/config/config.h"

struct broker;

#define MQTT_CLIENT_ID_BYTES 256

/* Of both kinds of rows. */
struct mqtt_row {
    const struct config_place *place;
    const char *url;
    const char *authorities;
};

/* Adds what cannot be used. `key`: the row's, as "sinks[2]". What is NULL was not given. */
void mqtt_check_row(const struct mqtt_row *row, const char *source, const char *key,
                    struct config_faults *faults);

/* What the broker at that URL is called in `tidings-via` (via.h): of host and port, the same for
 * all rows that say them alike. */
uint64_t mqtt_place_id(const char *url);

/* `given`, or else "tidings-", eight digits of the log's id, and the name: two brokers whose sinks
 * are called alike are not thrown out by each other. */
void mqtt_name_client(const struct broker *broker, const char *given, const char *name,
                      const char *suffix, char ret_id[MQTT_CLIENT_ID_BYTES]);
