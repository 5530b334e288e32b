/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/subscriber.h"

#include <stdlib.h>

#include "broker/runtime/log.h"
#include "broker/runtime/worker.h"
#include "protocols/mqtt/intake.h"
#include "protocols/mqtt/sys.h"

struct subscriber subscriber;

/* --- what stands around it -------------------------------------------------------------------- */

struct broker *mqtt_broker(const struct mqtt *mqtt) {
    (void)mqtt;
    return &fakes.broker;
}

uint64_t mqtt_now_ms(const struct mqtt *mqtt) {
    (void)mqtt;
    return fakes.now_ms;
}

struct span mqtt_client_id(const struct mqtt *mqtt) {
    (void)mqtt;
    return SPAN("me");
}

struct span mqtt_tenant(const struct mqtt *mqtt) {
    (void)mqtt;
    return subscriber.tenant;
}

void mqtt_write(struct mqtt *mqtt, struct span packet) {
    (void)mqtt;
    EXPECT_EQ(buffer_put(&subscriber.written, packet), OK);
}

void mqtt_end(struct mqtt *mqtt, enum mqtt_reason reason, enum close_reason close_reason,
              const char *text) {
    (void)close_reason;
    (void)text;
    subscriber.end_count++;
    subscriber.reason = reason;
    mqtt->phase = MQTT_PHASE_LEFT;
    outbound_stop(mqtt);
}

void mqtt_end_failed(struct mqtt *mqtt, enum error_code code) {
    mqtt_end(mqtt, error_row(code)->mqtt_reason, CLOSE_INTERNAL, NULL);
}

void mqtt_hold(struct mqtt *mqtt) {
    (void)mqtt;
    subscriber.hold_count++;
}

void mqtt_unhold(struct mqtt *mqtt) {
    (void)mqtt;
    subscriber.hold_count--;
}

enum error_code mqtt_submit(struct mqtt *mqtt, struct message *const *messages, size_t count,
                            mqtt_on_done *on_done, void *context) {
    (void)mqtt;
    (void)context;
    EXPECT_EQ(count, 1);
    if (subscriber.submit_result == OK) {
        EXPECT_TRUE(subscriber.submitted_count < SUBMITTED_MAX);
        subscriber.submitted[subscriber.submitted_count] = messages[0];
        subscriber.on_done[subscriber.submitted_count++] = on_done;
    }
    return subscriber.submit_result;
}

void intake_each_pending(struct mqtt *mqtt, intake_on_pending *on_pending, void *context) {
    (void)mqtt;
    (void)on_pending;
    (void)context;
}

struct message *registry_put_message(struct span client_id, const struct session_release *release) {
    return storage_object_message(STORAGE_OBJECT_SESSION, STORAGE_OBJECT_PUT, client_id,
                                  span_of(release->state, release->state_length));
}

void worker_arm(struct worker *worker, struct wheel_timer *timer, uint64_t due_ms) {
    (void)worker;
    (void)due_ms;
    subscriber.timer = timer;
}

void worker_disarm(struct worker *worker, struct wheel_timer *timer) {
    (void)worker;
    if (subscriber.timer == timer) {
        subscriber.timer = NULL;
    }
}

void deadlines_arm(struct mqtt *mqtt) {
    subscriber.armed_ms = outbound_due_ms(mqtt);
    EXPECT_TRUE(subscriber.armed_ms > 0);
}

uint64_t log_position_readable(const struct log *log) {
    (void)log;
    return subscriber.readable;
}

uint64_t log_id(const struct log *log) {
    (void)log;
    return 7;
}

uint32_t log_generation(const struct log *log) {
    (void)log;
    return 1;
}

void stream_set_framing(struct stream *stream, const struct framing *framing) {
    (void)stream;
    fakes.stream_options.framing = framing;
}

enum error_code sharing_join(const struct sharing_options *options,
                             struct sharing_member **ret_member) {
    subscriber.share = *options;
    subscriber.credit = options->credit;
    *ret_member = (struct sharing_member *)&subscriber;
    return OK;
}

void sharing_set_credit(struct sharing_member *member, uint32_t credit) {
    (void)member;
    subscriber.credit = credit;
}

bool sharing_acknowledge(struct sharing_member *member, uint64_t token) {
    (void)member;
    subscriber.acknowledged_token = token;
    return true;
}

void sharing_leave(struct sharing_member *member) {
    (void)member;
    subscriber.leave_count++;
}

void sharing_leave_kept(struct sharing_member *member, uint64_t kept_ms) {
    (void)kept_ms;
    sharing_leave(member);
}

void sys_each(const struct broker *broker, struct span pattern, sys_on_topic *on_topic,
              void *context) {
    (void)broker;
    (void)pattern;
    on_topic(context, SPAN("$SYS/broker/version"), SPAN("1"));
}

/* --- life ------------------------------------------------------------------------------------- */

int subscriber_begin(void **state) {
    EXPECT_EQ(fakes_begin(state), 0);
    gate_begin();
    struct mqtt_dialect dialect = {
        .version = MQTT_VERSION_5, .sender = MQTT_SERVER, .packet_bytes_max = UINT32_MAX};
    subscriber = (struct subscriber){.readable = 100};
    subscriber.mqtt = (struct mqtt){.connection = fakes_connection(),
                                    .worker = connection_worker(fakes_connection()),
                                    .out = dialect,
                                    .receive_max_peer = 3,
                                    .wants_problem_information = true,
                                    .phase = MQTT_PHASE_OPEN,
                                    .is_identified = true,
                                    .session = session_create(),
                                    .claim = &subscriber.claim};
    buffer_init(&subscriber.written, 1048576);
    buffer_init(&subscriber.frames, 1048576);
    fakes.stream_place = (struct place){.log_id = 7, .generation = 1, .position = 100};
    return 0;
}

int subscriber_begin_kept(void **state) {
    EXPECT_EQ(subscriber_begin(state), 0);
    subscriber.mqtt.session_expiry_ms = 1000;
    return 0;
}

int subscriber_end(void **state) {
    outbound_stop(&subscriber.mqtt);
    while (subscriber.submitted_count > 0) {
        subscriber_answer(OK);
    }
    if (fakes.read != NULL) {
        fakes_answer_read(OK);
    }
    session_destroy(subscriber.mqtt.session);
    buffer_finish(&subscriber.written);
    buffer_finish(&subscriber.frames);
    EXPECT_NULL(subscriber.timer);
    gate_end();
    return fakes_end(state);
}

/* --- what a test does ------------------------------------------------------------------------- */

void subscriber_subscribe(const char *filter, uint8_t options, const char *name,
                          const char *value) {
    struct mqtt_subscription subscription = {.filter = span_of_string(filter),
                                             .qos = options & 3,
                                             .is_no_local = (options & 4) != 0,
                                             .retain_handling = (uint8_t)(options >> 4)};
    struct mqtt_request request = {.packet_id = 1, .filter_count = 1};
    struct buffer filters;
    struct buffer properties;
    buffer_init(&filters, 65536);
    buffer_init(&properties, 65536);
    EXPECT_EQ(mqtt_subscription_put(&filters, &subscription), OK);
    request.filters = buffer_borrow(&filters);
    if (name != NULL) {
        EXPECT_EQ(mqtt_user_property_put(&properties, span_of_string(name), span_of_string(value)),
                  OK);
        mqtt_set_user_properties(&request.properties, buffer_borrow(&properties));
    }
    outbound_on_subscribe(&subscriber.mqtt, &request);
    buffer_finish(&properties);
    buffer_finish(&filters);
}

void subscriber_unsubscribe(const char *filter) {
    struct mqtt_request request = {.packet_id = 1, .filter_count = 1};
    struct buffer filters;
    buffer_init(&filters, 65536);
    EXPECT_EQ(mqtt_filter_put(&filters, span_of_string(filter)), OK);
    request.filters = buffer_borrow(&filters);
    outbound_on_unsubscribe(&subscriber.mqtt, &request);
    buffer_finish(&filters);
}

void subscriber_answer(enum error_code code) {
    EXPECT_TRUE(subscriber.submitted_count > 0);
    struct message *message = subscriber.submitted[0];
    mqtt_on_done *on_done = subscriber.on_done[0];
    struct error why = {0};
    subscriber.submitted_count--;
    for (size_t i = 0; i < subscriber.submitted_count; i++) {
        subscriber.submitted[i] = subscriber.submitted[i + 1];
        subscriber.on_done[i] = subscriber.on_done[i + 1];
    }
    on_done(&subscriber.mqtt, NULL, code, &why, &message, 1);
    message_unref(message);
}

void subscriber_tick(void) {
    struct wheel_timer *timer = subscriber.timer;
    subscriber.timer = NULL;
    if (timer != NULL) {
        timer->on_due(timer);
        return;
    }
    EXPECT_EQ(subscriber.armed_ms, outbound_due_ms(&subscriber.mqtt));
    fakes.now_ms = subscriber.armed_ms - 1;
    outbound_on_deadline(&subscriber.mqtt); /* too early */
    EXPECT_EQ(subscriber.armed_ms, outbound_due_ms(&subscriber.mqtt));
    fakes.now_ms++;
    outbound_on_deadline(&subscriber.mqtt);
}

struct message *subscriber_message(const char *channel, uint64_t position, uint8_t qos) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .payload_kind = PAYLOAD_TEXT,
                                    .flags = MESSAGE_MQTT,
                                    .qos = qos,
                                    .channel = span_of_string(channel),
                                    .payload = SPAN("x")};
    struct message *message = message_create(&fields);
    EXPECT_NOT_NULL(message);
    struct place place = {.log_id = 7, .generation = 1, .position = position, .channel_id = 1};
    message_order(message, &place, 1000);
    return message;
}

size_t subscriber_prepare(const char *channel, uint64_t position, const char *qos) {
    const struct stream_options *options = &fakes.stream_options;
    buffer_clear(&subscriber.frames);
    subscriber.frame_count = strlen(qos);
    for (size_t i = 0; i < subscriber.frame_count; i++) {
        struct message *message =
            subscriber_message(channel, position + i, (uint8_t)(qos[i] - '0'));
        struct frame_options own = {.subscription = options->subscription,
                                    .context = options->framing->context};
        EXPECT_EQ(options->framing->put_message(&subscriber.frames, message, &own), OK);
        subscriber.ends[i] = (uint32_t)subscriber.frames.length;
        subscriber.items[i] = (struct stream_item){.place = message->place, .is_message = true};
        message_unref(message);
    }
    return options->window->prepare(options->context, subscriber.frames.bytes, subscriber.ends,
                                    subscriber.items, subscriber.frame_count);
}

void subscriber_leave(size_t count) {
    fakes.stream_options.window->on_left(fakes.stream_options.context, subscriber.items, count);
}

uint16_t subscriber_id_of(size_t index) {
    struct published published;
    uint32_t begin = index == 0 ? 0 : subscriber.ends[index - 1];
    frame_open(subscriber.frames.bytes + begin, subscriber.ends[index] - begin, false, &published);
    return published.qos == 0 ? 0
                              : (uint16_t)(published.packet_id[0] << 8 | published.packet_id[1]);
}

enum mqtt_type subscriber_take_written(uint8_t *ret_reason) {
    if (subscriber.written.length == 0) {
        return 0;
    }
    size_t length = 2 + (size_t)subscriber.written.bytes[1];
    enum mqtt_type type = subscriber.written.bytes[0] >> 4;
    EXPECT_TRUE(subscriber.written.bytes[1] < 0x80);
    if (ret_reason != NULL) {
        *ret_reason = subscriber.written.bytes[length - 1];
    }
    buffer_drop_front(&subscriber.written, length);
    return type;
}
