/* SPDX-License-Identifier: Apache-2.0 */
/* intake.h — what a client publishes: from PUBLISH and PUBREL to their acknowledgements.
 *
 * Place:   called by mqtt.c; submits to the log.
 * Thread:  its connection's worker.
 * Bounds:  MQTT_PUBLICATIONS_MAX and MQTT_PUBLICATIONS_BYTES_MAX under way: mqtt.c stops reading;
 *          MQTT_PUBLICATIONS_LAST_MAX where the network has failed.
 *          QoS 2 packet ids that were not released: mqtt.receive_max.
 *
 * Acknowledgements go out in the order in which the packets came [MQTT-4.6.0-2] [MQTT-4.6.0-3],
 * whoever is answered first. A message of QoS 2 goes into the log as soon as it comes, together
 * with the step that says so of the session: so it is there once, however often it is sent again
 * until it is released.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mqtt;
struct mqtt_frame;

/* Too much is under way: nothing is to be read. */
bool intake_is_full(const struct mqtt *mqtt);

/* The log was busy: tries again. */
void intake_retry(struct mqtt *mqtt);

/* Frees what was not submitted yet. */
void intake_abandon(struct mqtt *mqtt);

/* Steps of QoS 2 that the log was given and the session does not know of yet, in order: a snapshot
 * of the session that is handed to the log now stands behind them. Where the log refuses one after
 * all, the next snapshot follows at once. */
typedef void intake_on_pending(void *context, uint16_t packet_id, bool is_release);
void intake_each_pending(struct mqtt *mqtt, intake_on_pending *on_pending, void *context);

void intake_on_publish(struct mqtt *mqtt, const struct mqtt_frame *frame);
void intake_on_pubrel(struct mqtt *mqtt, const struct mqtt_frame *frame);
