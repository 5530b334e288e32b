/* SPDX-License-Identifier: Apache-2.0 */
/* subscriber.h — the outbound side of an MQTT connection on fakes.h: what it writes is kept, what
 * it hands to the log is answered when a test says so, and its stream is the test's.
 *
 * Place:   tests of outbound.h's files.
 * Thread:  the test's.
 * Bounds:  SUBMITTED_MAX commands that wait for the log.
 */
#pragma once

#include "broker/runtime/sharing.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/outbound_private.h"
#include "tests/protocols/fakes.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/unit.h"

#define SUBMITTED_MAX 16

struct subscriber {
    struct mqtt mqtt;
    struct session_claim claim;
    struct span tenant;    /* of the client; empty: none */
    struct buffer written; /* packets, one after the other */
    struct message *submitted[SUBMITTED_MAX];
    mqtt_on_done *on_done[SUBMITTED_MAX];
    size_t submitted_count;
    enum error_code submit_result;
    unsigned hold_count;
    unsigned end_count;
    enum mqtt_reason reason;
    struct wheel_timer *timer;    /* that was armed last, of a reader of $SYS */
    uint64_t armed_ms;            /* when it was to be due, as it was told last */
    struct sharing_options share; /* of the newest member */
    unsigned leave_count;
    unsigned credit;
    uint64_t acknowledged_token;
    uint64_t readable; /* position */
    struct buffer frames;
    uint32_t ends[16];
    struct stream_item items[16];
    size_t frame_count;
};

extern struct subscriber subscriber;

/* A session of 5.0 that ends with its connection; and one that is kept. */
int subscriber_begin(void **state);
int subscriber_begin_kept(void **state);
int subscriber_end(void **state);

/* SUBSCRIBE of one filter, and what it asks for as user property (NULL: nothing). */
void subscriber_subscribe(const char *filter, uint8_t options, const char *name, const char *value);
void subscriber_unsubscribe(const char *filter);

/* The log's answer to what was handed over first. */
void subscriber_answer(enum error_code code);

/* The timer that was armed is due; or what is to be tried again, or to be stored. */
void subscriber_tick(void);

/* A message; the caller lets it go. */
struct message *subscriber_message(const char *channel, uint64_t position, uint8_t qos);

/* Frames messages as the stream would, those at `position` and behind it in the same channel, of
 * QoS 0, 1, 2 by the digits of `qos`. Returns how many the window lets go. */
size_t subscriber_prepare(const char *channel, uint64_t position, const char *qos);

/* So many of them left. */
void subscriber_leave(size_t count);

/* The packet id of a frame that was prepared; 0: QoS 0. */
uint16_t subscriber_id_of(size_t index);

/* Takes the first packet that was written: its type; 0: nothing was. `ret_reason` is its last byte,
 * nullable. */
enum mqtt_type subscriber_take_written(uint8_t *ret_reason);

#define SUBSCRIBER(name) cmocka_unit_test_setup_teardown(name, subscriber_begin, subscriber_end)
#define KEPT(name) cmocka_unit_test_setup_teardown(name, subscriber_begin_kept, subscriber_end)
