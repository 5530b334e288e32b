/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of sources that subscribe to another MQTT broker, with a session that is kept there.
 *
 * A PUBLISH of QoS 1 is acknowledged once it is in the log, and acknowledgements leave in the order
 * in which the messages came [MQTT-4.6.0-2]: `deliveries` is that order. What was not acknowledged
 * comes again with the next connection. Of that, this is known to be a repeat, and dropped:
 *
 *   - in a session that goes on, what is in the log and was never acknowledged: its packet
 *     identifier still belongs to it, so nothing else can come with it
 *   - what has topic and `tidings-id` of one of the last that were published here (seen.h). They
 *     are journaled with the messages, so a kill of this broker repeats none of them. It is not
 *     asked whether the packet is marked as a repeat (DUP): a sink that was killed sends again
 *     what it does not know of, to the broker between us for the first time.
 *
 * WEAKNESS: what has no `tidings-id` is at least once, as QoS 1 says: behind a kill, or where an
 * acknowledgement was lost with its connection, it is published twice; cure: none in MQTT, for its
 * packet identifier may belong to another message by then. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/invariant.h"
#include "broker/support/list.h"
#include "broker/support/string_map.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/mapping.h"
#include "protocols/mqtt/topic.h"
#include "protocols/sinks/loop.h"
#include "protocols/sinks/mqtt_link.h"
#include "protocols/sinks/mqtt_row.h"
#include "protocols/sinks/via.h"
#include "protocols/sources/seen.h"
#include "protocols/sources/source.h"

#define ID_PROPERTY "tidings-id"
#define POSITION_NAME_BYTES 16
#define RETAINED_IF_NEW 1 /* retain handling: they come when a subscription is new */

/* One that was handed to the source and is not acknowledged. */
struct delivery {
    struct list in_source;
    struct mqtt_source *source;
    uint16_t packet_id;
    bool is_done; /* it is in the log, or passed over */
    bool is_old;  /* of a connection that is no more */
};

struct mqtt_source {
    struct source *source;
    const struct source_row *row;
    struct broker *broker;
    struct loop *loop;
    struct loop_chore end;     /* of a source that stops */
    struct loop_timer silence; /* armed while a SUBACK is awaited */
    struct mqtt_link *mqtt;
    char client_id[MQTT_CLIENT_ID_BYTES];
    struct list deliveries; /* in the order of their acknowledgements; old ones first */
    size_t awaited_count;   /* those that are not old */
    struct seen seen;
    bool is_starved;    /* a PUBLISH found no room */
    bool is_stopping;   /* as soon as what is under way is acknowledged */
    bool is_subscribed; /* once: in 3.1.1 again only where the session is new */
    struct buffer headers;
};

/* --- acknowledgements ------------------------------------------------------------------------ */

static void forget(struct delivery *delivery) {
    delivery->source->awaited_count -= delivery->is_old ? 0 : 1;
    list_remove(&delivery->in_source);
    free(delivery);
}

/* Those of the connection before this one may still be asked for; older ones are not. */
static void age_deliveries(struct mqtt_source *source) {
    LIST_EACH(&source->deliveries, node) {
        struct delivery *delivery = CONTAINER_OF(node, struct delivery, in_source);
        if (delivery->is_old && delivery->is_done) {
            forget(delivery);
        } else {
            delivery->is_old = true;
        }
    }
    source->awaited_count = 0;
}

static void hang_up(struct mqtt_source *source) {
    loop_disarm(source->loop, &source->silence);
    mqtt_link_stop(source->mqtt);
    age_deliveries(source);
}

static void go_down(struct mqtt_source *source, const struct verdict *verdict) {
    hang_up(source);
    if (source->is_stopping) {
        loop_put_chore(source->loop, &source->end);
    } else {
        source_on_down(source->source, verdict);
    }
}

static void run_out(struct mqtt_source *source) {
    go_down(source, &(struct verdict){.outcome = OUTCOME_UNREACHED,
                                      .detail = "out of memory, or nothing is read there"});
}

/* Something of this connection is still under way in the log. */
static bool is_awaited(const struct mqtt_source *source) {
    const struct list *last = source->deliveries.previous;
    return last != &source->deliveries &&
           !CONTAINER_OF(last, const struct delivery, in_source)->is_old;
}

/* What is done, up to the first that is not. */
static void acknowledge_what_may(struct mqtt_source *source) {
    LIST_EACH(&source->deliveries, node) {
        struct delivery *delivery = CONTAINER_OF(node, struct delivery, in_source);
        if (delivery->is_old) {
            continue;
        }
        if (!delivery->is_done || !mqtt_link_is_up(source->mqtt)) {
            return;
        }
        if (mqtt_link_acknowledge(source->mqtt, delivery->packet_id) != OK) {
            run_out(source);
            return;
        }
        forget(delivery);
    }
}

static void on_answered(void *context, enum error_code result) {
    struct delivery *delivery = context;
    struct mqtt_source *source = delivery->source;
    if (result == ERR_DRAINING) {
        forget(delivery); /* not in the log: it comes again */
    } else {
        delivery->is_done = true;
        acknowledge_what_may(source);
    }
    if (source->is_stopping && !is_awaited(source)) {
        loop_put_chore(source->loop, &source->end);
    }
}

/* The session that knew their packet identifiers is gone: they are nobody's now. */
static void forget_old(struct mqtt_source *source) {
    LIST_EACH(&source->deliveries, node) {
        struct delivery *delivery = CONTAINER_OF(node, struct delivery, in_source);
        if (delivery->is_old && delivery->is_done) {
            forget(delivery);
        } else {
            delivery->packet_id = 0;
        }
    }
}

static struct delivery *find_old(struct mqtt_source *source, uint16_t packet_id) {
    LIST_EACH(&source->deliveries, node) {
        struct delivery *delivery = CONTAINER_OF(node, struct delivery, in_source);
        if (!delivery->is_old) {
            return NULL; /* old ones stand first */
        }
        if (delivery->packet_id == packet_id) {
            return delivery;
        }
    }
    return NULL;
}

/* --- messages -------------------------------------------------------------------------------- */

/* A level of a filter or a topic. False: there is none any more. */
static bool next_level(struct span text, size_t *at, struct span *ret_level) {
    if (*at > text.length) {
        return false;
    }
    size_t end = *at;
    while (end < text.length && text.bytes[end] != '/') {
        end++;
    }
    *ret_level = span_of(text.bytes + *at, end - *at);
    *at = end + 1;
    return true;
}

/* `ret_rest`: what the first wildcard of the filter and all behind it stand for; without one, the
 * topic. */
static bool matches(struct span filter, struct span topic, struct span *ret_rest) {
    struct span share, pattern, level, here;
    size_t in_pattern = 0, in_topic = 0;
    bool has_wildcard = false;
    mqtt_filter_split(filter, &share, &pattern);
    *ret_rest = topic;
    while (next_level(pattern, &in_pattern, &level)) {
        bool is_all = span_is_equal(level, SPAN("#"));
        bool is_one = span_is_equal(level, SPAN("+"));
        if ((is_all || is_one) && !has_wildcard) {
            size_t start = in_topic < topic.length ? in_topic : topic.length;
            *ret_rest = span_of(topic.bytes + start, topic.length - start);
            has_wildcard = true;
        }
        if (is_all) {
            return true;
        }
        if (!next_level(topic, &in_topic, &here) || (!is_one && !span_is_equal(level, here))) {
            return false;
        }
    }
    return in_topic > topic.length;
}

static bool find_rest(const struct mqtt_source *source, struct span topic, struct span *ret_rest) {
    const struct config_list *filters = &source->row->mqtt_topics;
    for (size_t i = 0; i < filters->count; i++) {
        if (matches(span_of_string(filters->items[i]), topic, ret_rest)) {
            return true;
        }
    }
    return false;
}

static struct span find_id(const struct mqtt_publish *publish) {
    struct span rest = publish->properties.user_properties, name, value;
    while (mqtt_user_property_next(&rest, &name, &value)) {
        if (span_is_equal(name, SPAN(ID_PROPERTY))) {
            return value;
        }
    }
    return (struct span){0};
}

/* In 3.1.1 it has no headers that could say where it has been: that is written down here, so that
 * no sink sends it back there. */
static enum error_code put_place(struct mqtt_source *source, struct message_fields *fields) {
    char place[VIA_ID_BYTES];
    via_format(mqtt_place_id(source->row->mqtt_url), place);
    buffer_clear(&source->headers);
    enum error_code code =
        string_map_put(&source->headers, SPAN(VIA_HEADER), span_of(place, sizeof(place)));
    fields->headers = buffer_borrow(&source->headers);
    return code;
}

/* A publisher elsewhere cannot be told that it sent no JSON: the message is taken as what it is. */
static enum error_code take(struct mqtt_source *source, const struct mqtt_publish *publish,
                            struct message_fields *fields, struct error *why) {
    struct span key;
    struct mqtt_publish untyped = *publish;
    enum error_code code =
        mapping_take(publish, publish->topic, &source->headers, fields, &key, why);
    if (code == ERR_BAD_JSON) {
        untyped.properties.present &= ~MQTT_PROPERTY_BIT(MQTT_PROPERTY_CONTENT_TYPE);
        code = mapping_take(&untyped, publish->topic, &source->headers, fields, &key, why);
    }
    return code;
}

/* Puts the record, or what is to be said of it. */
static enum error_code put(struct mqtt_source *source, const struct mqtt_publish *publish,
                           struct source_record *record, struct span rest) {
    struct error why = {0};
    enum error_code code = take(source, publish, &record->fields, &why);
    if (code == OK && mqtt_link_version(source->mqtt) != MQTT_VERSION_5) {
        code = put_place(source, &record->fields);
    }
    record->topic = publish->topic;
    record->rest = rest;
    record->key = record->fields.key;
    if (code == ERR_MEMORY) {
        return code;
    }
    if (code != OK) {
        return source_pass_over(source->source, record, code, &why);
    }
    if (via_has(via_find(record->fields.headers), log_id(source->broker->log))) {
        return source_pass_over(source->source, record, OK, NULL);
    }
    return source_put(source->source, record);
}

static struct span name_position(size_t index, char name[POSITION_NAME_BYTES]) {
    return span_of(name, (size_t)snprintf(name, POSITION_NAME_BYTES, "ids-%zu", index));
}

/* With its id, by which it is known when it comes again. */
static enum error_code put_known(struct mqtt_source *source, const struct mqtt_publish *publish,
                                 struct source_record *record, struct span rest,
                                 const char key[SEEN_KEY_BYTES]) {
    char name[POSITION_NAME_BYTES];
    struct seen_page page;
    size_t index = seen_plan(&source->seen, key, &page);
    record->position_name = name_position(index, name);
    record->position = span_of(page.text, page.length);
    enum error_code code = put(source, publish, record, rest);
    if (code == OK) {
        seen_put(&source->seen, index, &page);
    }
    return code;
}

/* ERR_AGAIN: it has been published before. */
static enum error_code put_once(struct mqtt_source *source, const struct mqtt_publish *publish,
                                struct delivery *delivery, struct span rest) {
    struct source_record record = {.on_answered = delivery == NULL ? NULL : on_answered,
                                   .context = delivery};
    struct span id = find_id(publish);
    char key[SEEN_KEY_BYTES];
    if (delivery == NULL || id.length == 0) {
        return put(source, publish, &record, rest);
    }
    if (seen_hash(publish->topic, id, key) != OK) {
        return ERR_MEMORY;
    }
    return seen_has(&source->seen, key) ? ERR_AGAIN
                                        : put_known(source, publish, &record, rest, key);
}

static struct delivery *add_delivery(struct mqtt_source *source, uint16_t packet_id) {
    struct delivery *delivery = calloc(1, sizeof(*delivery));
    if (delivery != NULL) {
        delivery->source = source;
        delivery->packet_id = packet_id;
        list_put_tail(&source->deliveries, &delivery->in_source);
        source->awaited_count++;
    }
    return delivery;
}

/* It is there already, and was never acknowledged. */
static bool take_again(struct mqtt_source *source, const struct mqtt_publish *publish) {
    struct delivery *delivery = find_old(source, publish->packet_id);
    if (delivery == NULL || !publish->is_repeated) {
        return false;
    }
    list_remove(&delivery->in_source);
    list_put_tail(&source->deliveries, &delivery->in_source);
    delivery->is_old = false;
    source->awaited_count++;
    acknowledge_what_may(source);
    return true;
}

/* What nobody here wants takes no room of the source's, and is acknowledged behind what does: while
 * the log waits, a broker that heeds no bound would have us remember packets without end. In 3.1.1
 * the bound is that of packet identifiers. */
static bool is_overrun(const struct mqtt_source *source) {
    bool is_told = mqtt_link_version(source->mqtt) == MQTT_VERSION_5;
    return source->awaited_count >= (is_told ? MQTT_SOURCE_RECEIVE_MAX : UINT16_MAX);
}

static bool on_publish(void *context, const struct mqtt_publish *publish) {
    struct mqtt_source *source = context;
    struct delivery *delivery = NULL;
    struct span rest;
    if (publish->qos > 0 && is_overrun(source)) {
        go_down(source, &(struct verdict){.outcome = OUTCOME_FAILED,
                                          .detail = "it sends more at once than it may"});
        return true;
    }
    if (publish->qos > 0 && take_again(source, publish)) {
        return true;
    }
    if (source->is_stopping) {
        return false;
    }
    if (!source_has_room(source->source)) {
        source->is_starved = true;
        return false;
    }
    if (publish->qos > 0 && (delivery = add_delivery(source, publish->packet_id)) == NULL) {
        run_out(source);
        return true;
    }
    /* What no filter of the row wants is of an earlier one: the session there remembers it. */
    enum error_code code = find_rest(source, publish->topic, &rest)
                               ? put_once(source, publish, delivery, rest)
                               : ERR_AGAIN;
    if (code == ERR_AGAIN && delivery != NULL) {
        delivery->is_done = true;
        acknowledge_what_may(source);
    } else if (code == ERR_MEMORY) {
        if (delivery != NULL) {
            forget(delivery);
        }
        run_out(source);
    }
    return true;
}

/* --- the subscriptions ----------------------------------------------------------------------- */

static enum error_code put_filters(const struct mqtt_source *source, struct buffer *filters) {
    bool is_old = mqtt_link_version(source->mqtt) != MQTT_VERSION_5;
    for (size_t i = 0; i < source->row->mqtt_topics.count; i++) {
        struct span filter = span_of_string(source->row->mqtt_topics.items[i]);
        struct mqtt_subscription subscription = {
            .filter = filter,
            .qos = (uint8_t)source->row->mqtt_qos,
            .retain_handling = is_old ? 0 : RETAINED_IF_NEW,
            .is_no_local = !is_old && !mqtt_filter_is_shared(filter),
            .is_retained_as_published = !is_old,
        };
        enum error_code code = mqtt_subscription_put(filters, &subscription);
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

static void await_grants(struct mqtt_source *source) {
    loop_arm(source->loop, &source->silence, loop_now_ms(source->loop) + MQTT_SOURCE_SILENCE_MS);
}

/* It answers pings, and a SUBSCRIBE it does not. While nothing is read, for want of room, the
 * SUBACK may have come. */
static void on_silence(struct loop_timer *timer) {
    struct mqtt_source *source = CONTAINER_OF(timer, struct mqtt_source, silence);
    struct verdict verdict = {.outcome = OUTCOME_UNREACHED};
    if (source->is_starved) {
        await_grants(source);
        return;
    }
    snprintf(verdict.detail, sizeof(verdict.detail), "no SUBACK within %d ms",
             MQTT_SOURCE_SILENCE_MS);
    go_down(source, &verdict);
}

static void on_up(void *context, bool is_session_present) {
    struct mqtt_source *source = context;
    struct buffer filters;
    if (!is_session_present) {
        forget_old(source);
    }
    /* Subscribing again in 3.1.1 would bring all retained messages again. */
    if (is_session_present && source->is_subscribed &&
        mqtt_link_version(source->mqtt) != MQTT_VERSION_5) {
        source_on_up(source->source);
        return;
    }
    buffer_init(&filters, MQTT_LINK_QUEUE_BYTES_MAX);
    enum error_code code = put_filters(source, &filters);
    if (code == OK) {
        code = mqtt_link_subscribe(source->mqtt, buffer_borrow(&filters),
                                   (uint32_t)source->row->mqtt_topics.count);
    }
    buffer_finish(&filters);
    if (code != OK) {
        run_out(source);
    } else {
        await_grants(source);
    }
}

static void on_granted(void *context, struct span reasons) {
    struct mqtt_source *source = context;
    const struct config_list *filters = &source->row->mqtt_topics;
    loop_disarm(source->loop, &source->silence);
    for (size_t i = 0; i < reasons.length && i < filters->count; i++) {
        if (reasons.bytes[i] >= MQTT_REASON_FAILURE) {
            const struct mqtt_reason_row *row = mqtt_reason_row(reasons.bytes[i]);
            struct verdict verdict = {.outcome = OUTCOME_FAILED, .status = reasons.bytes[i]};
            snprintf(verdict.detail, sizeof(verdict.detail),
                     "the filter %.100s was refused: 0x%02X (%s)", filters->items[i],
                     reasons.bytes[i], row == NULL ? "unknown" : row->text);
            go_down(source, &verdict);
            return;
        }
    }
    source->is_subscribed = true;
    source_on_up(source->source);
}

static void on_down(void *context, const struct verdict *verdict) {
    go_down(context, verdict);
}

static const struct mqtt_link_events link_events = {
    .on_up = on_up, .on_publish = on_publish, .on_granted = on_granted, .on_down = on_down};

/* --- the driver ------------------------------------------------------------------------------ */

static void check(const struct source_row *row, const char *source, const char *key,
                  struct config_faults *faults) {
    const struct mqtt_row mqtt = {&row->place, row->mqtt_url, row->mqtt_ca};
    mqtt_check_row(&mqtt, source, key, faults);
    source_check_channel(row, source, key, faults);
    for (size_t i = 0; i < row->mqtt_topics.count; i++) {
        struct span filter = span_of_string(row->mqtt_topics.items[i]);
        if (mqtt_filter_check(filter, MQTT_VERSION_5) != MQTT_FAULT_NONE) {
            config_faults_add(faults, source, row->place.line, row->place.column, key,
                              "`mqtt.topics`: %.100s is no topic filter of MQTT",
                              row->mqtt_topics.items[i]);
        }
    }
}

static void on_end(struct loop_chore *chore) {
    struct mqtt_source *source = CONTAINER_OF(chore, struct mqtt_source, end);
    source->is_stopping = false;
    hang_up(source);
    source_on_stopped(source->source);
}

static void close_source(void *state) {
    struct mqtt_source *source = state;
    if (source == NULL) {
        return;
    }
    mqtt_link_destroy(source->mqtt);
    loop_disarm(source->loop, &source->silence);
    loop_take_chore_back(&source->end);
    LIST_EACH(&source->deliveries, node) {
        forget(CONTAINER_OF(node, struct delivery, in_source));
    }
    buffer_finish(&source->headers);
    free(source);
}

static enum error_code open_source(struct source *owner, const struct source_row *row,
                                   struct broker *broker, struct loop *loop, void **ret_state,
                                   struct error *why) {
    struct mqtt_source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the source %s", row->name);
    }
    source->source = owner;
    source->row = row;
    source->broker = broker;
    source->loop = loop;
    loop_chore_init(&source->end, on_end);
    source->silence.on_due = on_silence;
    list_init(&source->deliveries);
    buffer_init(&source->headers, 2 * MESSAGE_HEADERS_BYTES_MAX);
    mqtt_name_client(broker, row->mqtt_client_id, row->name, "-source", source->client_id);
    const struct mqtt_link_options options = {.url = row->mqtt_url,
                                              .client_id = source->client_id,
                                              .username = row->mqtt_username,
                                              .password = row->mqtt_password,
                                              .authorities = row->mqtt_ca,
                                              .session_expiry_s = MQTT_SOURCE_SESSION_S,
                                              .receive_maximum = MQTT_SOURCE_RECEIVE_MAX,
                                              .events = &link_events,
                                              .context = source};
    if (mqtt_link_create(loop, &options, &source->mqtt) != OK) {
        free(source);
        return error_set(why, ERR_MEMORY, "no memory for the source %s", row->name);
    }
    *ret_state = source;
    return OK;
}

/* All that was put before has been answered, so what is stored is what was published. */
static void start(void *state) {
    struct mqtt_source *source = state;
    source->seen = (struct seen){0};
    for (size_t i = 0; i < SEEN_PAGES; i++) {
        char name[POSITION_NAME_BYTES];
        struct span text = source_position(source->source, name_position(i, name));
        seen_learn(&source->seen, i, text);
    }
    mqtt_link_start(source->mqtt);
}

static void on_room(void *state) {
    struct mqtt_source *source = state;
    if (source->is_starved) {
        source->is_starved = false;
        if (loop_is_armed(&source->silence)) {
            await_grants(source); /* from now on it is heard again */
        }
        mqtt_link_resume(source->mqtt);
    }
}

/* What the log has by now is acknowledged before the goodbye, so that it does not come again. */
static void stop(void *state) {
    struct mqtt_source *source = state;
    source->is_stopping = true;
    if (!is_awaited(source)) {
        loop_put_chore(source->loop, &source->end);
    }
}

const struct source_driver mqtt_source_driver = {.kind = "mqtt",
                                                 .check = check,
                                                 .open = open_source,
                                                 .start = start,
                                                 .on_room = on_room,
                                                 .stop = stop,
                                                 .close = close_source};
