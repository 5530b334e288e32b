/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of MQTT: each message is a PUBLISH of its own, and many are on their way at once.
 *
 * A shipment waits in `waiting` until the other broker takes one more, then in `sent` until its
 * PUBACK. Its packet identifier is the number of its slot and one: so many slots are free, so many
 * may be sent, and an acknowledgement finds its shipment without a search. With QoS 0 nothing is
 * acknowledged: it is delivered once the system has it.
 *
 * A refusal that is about the message alone settles that one, and the others go on. Any other
 * ends the connection, so that what follows does not overtake: all comes back, and goes again from
 * the sink's place. A broker that hangs up on a message, as those of 3.1.1 do where it is too
 * large, says nothing of it: the message that stood first both times counts an attempt. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/id.h"
#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/string_map.h"
#include "protocols/mqtt/mapping.h"
#include "protocols/mqtt/topic.h"
#include "protocols/sinks/answer.h"
#include "protocols/sinks/format.h"
#include "protocols/sinks/loop.h"
#include "protocols/sinks/mqtt_link.h"
#include "protocols/sinks/mqtt_row.h"
#include "protocols/sinks/template.h"
#include "protocols/sinks/via.h"

#define ID_PROPERTY "tidings-id"
#define OFFSET_PROPERTY "tidings-offset"
#define SCRATCH_BYTES_MAX (64 * 1024 * 1024) /* a CloudEvent of the largest message, in base64 */

static const char *const topic_words[] = {"channel", NULL};

/* Those that wait for their PUBACK: packet identifier 1 is the first. */
struct slots {
    struct shipment *shipments[MQTT_SINK_PIPELINE_MAX];
    uint16_t free[MQTT_SINK_PIPELINE_MAX]; /* a stack … */
    size_t free_count;                     /* … of so many */
};

struct mqtt_sink {
    struct sink_link link;
    struct mqtt_link *mqtt;
    char client_id[MQTT_CLIENT_ID_BYTES];
    struct list waiting;
    struct list sent;
    struct list faulty; /* never sent; settled at the end of the turn with … */
    struct loop_chore chore;
    struct loop_timer silence; /* from the first of `sent`, or the last PUBACK, on */
    size_t sent_count;
    size_t window;
    struct slots *slots;       /* while it is up */
    uint64_t suspect_position; /* stood first when the connection was lost; 0: none */
    bool has_progress;         /* something was taken since it came up */
    bool is_wanted;            /* between start and stop */
    bool is_out_of_memory;
    struct buffer topic, headers, properties, body, via; /* scratch */
};

/* --- the end of shipments -------------------------------------------------------------------- */

static struct shipment *shipment_of(struct list *node) {
    return CONTAINER_OF(node, struct shipment, in_driver);
}

/* Which slot it has: `state` is the slot's address. NULL: none. */
static void free_slot(struct mqtt_sink *sink, struct shipment *shipment) {
    if (shipment->state != NULL) {
        struct shipment **slot = shipment->state;
        INVARIANT(*slot == shipment);
        *slot = NULL;
        sink->slots->free[sink->slots->free_count++] = (uint16_t)(slot - sink->slots->shipments);
        shipment->state = NULL;
    }
}

static void settle(struct mqtt_sink *sink, struct shipment *shipment,
                   const struct verdict *verdict) {
    list_remove(&shipment->in_driver);
    free_slot(sink, shipment);
    sink_on_settled(shipment, verdict);
}

static const char *explain(enum error_code code) {
    switch ((int)code) {
    case ERR_FULL:
        return "it has passed 16 logs: a loop of bridges";
    case ERR_BAD_CHANNEL:
        return "its channel makes no topic of MQTT";
    case ERR_TOO_LARGE:
        return "the packet is larger than the broker there takes";
    default:
        return error_row(code)->title;
    }
}

/* Those that could not be sent: never, whatever the state of the connection. */
static void settle_faulty(struct mqtt_sink *sink) {
    while (!list_is_empty(&sink->faulty)) {
        struct shipment *shipment = shipment_of(sink->faulty.next);
        enum error_code code = (enum error_code)(uintptr_t)shipment->state;
        struct verdict verdict = {.outcome = OUTCOME_REFUSED};
        snprintf(verdict.detail, sizeof(verdict.detail), "%s", explain(code));
        shipment->state = NULL;
        settle(sink, shipment, &verdict);
    }
}

static void count_off(struct mqtt_sink *sink) {
    INVARIANT(sink->sent_count > 0);
    sink->sent_count--;
}

static void abandon_list(struct mqtt_sink *sink, struct list *shipments) {
    const struct verdict verdict = {.outcome = OUTCOME_ABANDONED};
    while (!list_is_empty(shipments)) {
        settle(sink, shipment_of(shipments->next), &verdict);
    }
}

/* In order; also what the sink ships while it hears of this. */
static void abandon_all(struct mqtt_sink *sink) {
    settle_faulty(sink);
    sink->sent_count = 0;
    loop_take_chore_back(&sink->chore);
    loop_disarm(sink->link.loop, &sink->silence);
    abandon_list(sink, &sink->sent);
    abandon_list(sink, &sink->waiting);
    free(sink->slots);
    sink->slots = NULL;
    buffer_finish(&sink->topic);
    buffer_finish(&sink->headers);
    buffer_finish(&sink->properties);
    buffer_finish(&sink->body);
    buffer_finish(&sink->via);
}

/* Twice the same message stood first when the connection was lost, and nothing was taken between:
 * it may be the reason, so it counts an attempt and is a dead letter in the end. */
static void suspect_first(struct mqtt_sink *sink, const struct verdict *verdict) {
    if (list_is_empty(&sink->sent)) {
        return;
    }
    struct shipment *first = shipment_of(sink->sent.next);
    uint64_t position = first->messages[0]->place.position;
    bool is_again = position != 0 && !sink->has_progress && position == sink->suspect_position;
    sink->suspect_position = is_again ? 0 : position;
    if (is_again) {
        struct verdict failed = *verdict;
        char text[SINK_DETAIL_BYTES];
        failed.outcome = OUTCOME_FAILED;
        snprintf(text, sizeof(text), "the connection was lost twice while this stood first: %.100s",
                 verdict->detail);
        answer_put_detail(failed.detail, span_of_string(text));
        settle(sink, first, &failed);
    }
}

/* --- a message as a PUBLISH ------------------------------------------------------------------ */

static bool is_own_header(struct span name) {
    return span_is_equal(name, SPAN(ID_PROPERTY)) || span_is_equal(name, SPAN(OFFSET_PROPERTY)) ||
           span_is_equal(name, SPAN(VIA_HEADER));
}

/* The message's headers but those that are written anew. */
static enum error_code put_headers(struct mqtt_sink *sink, const struct message *message) {
    uint8_t digits[SPAN_U64_DIGITS];
    char id[ID_TEXT_BYTES_MAX];
    struct span rest = message->fields.headers, name, value;
    enum error_code code = OK;
    buffer_clear(&sink->headers);
    while (code == OK && string_map_next(&rest, &name, &value)) {
        code = is_own_header(name) ? OK : string_map_put(&sink->headers, name, value);
    }
    buffer_clear(&sink->via);
    if (code == OK) {
        code =
            via_put(&sink->via, via_find(message->fields.headers), log_id(sink->link.broker->log));
    }
    if (code == OK) {
        code = string_map_put(&sink->headers, SPAN(VIA_HEADER), buffer_borrow(&sink->via));
    }
    if (code != OK || message->place.position == 0) {
        return code; /* a test has no place */
    }
    code = string_map_put(&sink->headers, SPAN(OFFSET_PROPERTY),
                          span_format_u64(message->place.offset, digits));
    return code != OK ? code
                      : string_map_put(&sink->headers, SPAN(ID_PROPERTY),
                                       span_of(id, id_format(&message->place, id)));
}

static enum error_code put_topic(struct mqtt_sink *sink, const struct message *message,
                                 struct span *ret_topic) {
    const struct template_value value = {"channel", scope_visible(message->fields.channel), 0, 0};
    buffer_clear(&sink->topic);
    enum error_code code =
        template_put(&sink->topic, span_of_string(sink->link.row->mqtt_topic), &value, 1);
    *ret_topic = buffer_borrow(&sink->topic);
    bool is_topic = code == OK && ret_topic->length > 0 &&
                    ret_topic->length <= MQTT_STRING_BYTES_MAX &&
                    !mqtt_topic_has_wildcard(*ret_topic);
    return code == OK && !is_topic ? ERR_BAD_CHANNEL : code;
}

/* `envelope` is MQTT's own: payload and properties, as every subscriber here gets it. */
static enum error_code put_event(struct mqtt_sink *sink, struct message *message,
                                 struct mqtt_publish *publish) {
    const struct format format = {.format = SINK_FORMAT_CLOUDEVENTS};
    buffer_clear(&sink->body);
    enum error_code code = format_put(&sink->body, &format, &message, 1);
    if (code == OK) {
        publish->payload = buffer_borrow(&sink->body);
        mqtt_set_payload_format_indicator(&publish->properties, 1);
        mqtt_set_content_type(&publish->properties, format_media_type(&format, message));
    }
    return code;
}

/* By its publisher's word, or by its channel's rule. */
static bool is_retained(const struct mqtt_sink *sink, const struct message *message) {
    const struct rules *rules = atomic_load(&sink->link.broker->rules);
    return (message->fields.flags & MESSAGE_RETAIN) != 0 ||
           rules_find(rules, message->fields.channel)->retain == RETAIN_LATEST;
}

/* ERR_FULL: it has passed too many logs. ERR_BAD_CHANNEL: no topic. ERR_TOO_LARGE, ERR_MEMORY. */
static enum error_code make_publish(struct mqtt_sink *sink, struct message *message,
                                    struct mqtt_publish *ret_publish) {
    struct message shown = {.place = message->place,
                            .time_ms = message->time_ms,
                            .expiry_ms = message->expiry_ms,
                            .fields = message->fields};
    struct span topic;
    enum error_code code = put_headers(sink, message);
    if (code != OK) {
        return code;
    }
    shown.fields.headers = buffer_borrow(&sink->headers);
    buffer_clear(&sink->properties);
    code = mapping_give(&shown, clock_wall_ms(), &(struct mapping_extras){0}, &sink->properties,
                        ret_publish);
    if (code == OK) {
        code = put_topic(sink, message, &topic);
    }
    if (code == OK) {
        ret_publish->topic = topic;
        ret_publish->is_retained = is_retained(sink, message) && mqtt_link_has_retain(sink->mqtt);
        ret_publish->qos = (uint8_t)sink->link.row->mqtt_qos;
    }
    bool is_event = code == OK && sink->link.row->format == SINK_FORMAT_CLOUDEVENTS;
    return is_event ? put_event(sink, message, ret_publish) : code;
}

/* --- on the way ------------------------------------------------------------------------------ */

static void await(struct mqtt_sink *sink) {
    loop_arm(sink->link.loop, &sink->silence, loop_now_ms(sink->link.loop) + MQTT_SINK_SILENCE_MS);
}

/* False: no memory; it stays first, and the chore ends the connection, to try again later. */
static bool send_one(struct mqtt_sink *sink, struct shipment *shipment) {
    struct slots *slots = sink->slots;
    struct mqtt_publish publish;
    enum error_code code = make_publish(sink, shipment->messages[0], &publish);
    if (code == OK && publish.qos > 0) {
        publish.packet_id = (uint16_t)(slots->free[slots->free_count - 1] + 1);
    }
    code = code == OK ? mqtt_link_publish(sink->mqtt, &publish) : code;
    if (code != OK) {
        sink->is_out_of_memory = code == ERR_MEMORY;
        loop_put_chore(sink->link.loop, &sink->chore);
        if (sink->is_out_of_memory) {
            return false;
        }
        list_remove(&shipment->in_driver);
        shipment->state = (void *)(uintptr_t)code;
        list_put_tail(&sink->faulty, &shipment->in_driver);
        return true;
    }
    list_remove(&shipment->in_driver);
    if (publish.qos > 0) {
        struct shipment **slot = &slots->shipments[slots->free[--slots->free_count]];
        *slot = shipment;
        shipment->state = slot;
    }
    list_put_tail(&sink->sent, &shipment->in_driver);
    if (sink->sent_count++ == 0) {
        await(sink);
    }
    return true;
}

static void send_what_may(struct mqtt_sink *sink) {
    while (!list_is_empty(&sink->waiting) && sink->sent_count < sink->window &&
           mqtt_link_has_room(sink->mqtt) && send_one(sink, shipment_of(sink->waiting.next))) {
    }
}

static void ship(void *state, struct shipment *shipment) {
    struct mqtt_sink *sink = state;
    INVARIANT(shipment->count == 1);
    shipment->state = NULL;
    list_init(&shipment->in_driver);
    list_put_tail(&sink->waiting, &shipment->in_driver);
    if (mqtt_link_is_up(sink->mqtt)) {
        send_what_may(sink);
    }
}

/* --- what the other broker says -------------------------------------------------------------- */

static void tell_down(struct mqtt_sink *sink, const struct verdict *verdict) {
    abandon_all(sink);
    if (sink->is_wanted) {
        sink_on_down(sink->link.sink, verdict);
    }
}

static void give_up(struct mqtt_sink *sink) {
    const struct verdict verdict = {.outcome = OUTCOME_UNREACHED, .detail = "out of memory"};
    sink->is_out_of_memory = false;
    mqtt_link_stop(sink->mqtt);
    tell_down(sink, &verdict);
}

static void on_turn(struct loop_chore *chore) {
    struct mqtt_sink *sink = CONTAINER_OF(chore, struct mqtt_sink, chore);
    settle_faulty(sink);
    if (sink->is_out_of_memory) {
        give_up(sink);
    }
}

static void on_up(void *context, bool is_session_present) {
    (void)is_session_present;
    struct mqtt_sink *sink = context;
    sink->slots = calloc(1, sizeof(*sink->slots));
    if (sink->slots == NULL) {
        give_up(sink);
        return;
    }
    for (uint16_t i = 0; i < MQTT_SINK_PIPELINE_MAX; i++) {
        sink->slots->free[i] = (uint16_t)(MQTT_SINK_PIPELINE_MAX - 1 - i);
    }
    sink->slots->free_count = MQTT_SINK_PIPELINE_MAX;
    uint16_t there = mqtt_link_receive_maximum(sink->mqtt);
    sink->window = there < MQTT_SINK_PIPELINE_MAX ? there : MQTT_SINK_PIPELINE_MAX;
    sink->has_progress = false;
    sink_on_up(sink->link.sink, NULL, 0);
}

/* What PUBACK says of a message. */
static enum outcome outcome_of(uint8_t reason) {
    switch (reason) {
    case MQTT_REASON_TOPIC_NAME_INVALID:
    case MQTT_REASON_PAYLOAD_FORMAT_INVALID:
    case MQTT_REASON_PACKET_TOO_LARGE:
        return OUTCOME_REFUSED;
    case MQTT_REASON_QUOTA_EXCEEDED:
    case MQTT_REASON_MESSAGE_RATE_TOO_HIGH:
    case MQTT_REASON_SERVER_BUSY:
        return OUTCOME_THROTTLED;
    default:
        return reason < MQTT_REASON_FAILURE ? OUTCOME_DELIVERED : OUTCOME_FAILED;
    }
}

static void explain_refusal(uint8_t reason, struct span text, char ret_detail[SINK_DETAIL_BYTES]) {
    char said[2 * SINK_DETAIL_BYTES];
    const struct mqtt_reason_row *row = mqtt_reason_row(reason);
    snprintf(said, sizeof(said), "PUBACK 0x%02X (%s) %.*s", reason,
             row == NULL ? "unknown" : row->text,
             (int)(text.length < SINK_DETAIL_BYTES ? text.length : SINK_DETAIL_BYTES),
             text.length == 0 ? "" : (const char *)text.bytes);
    answer_put_detail(ret_detail, span_of_string(said));
}

static void on_acknowledged(void *context, uint16_t packet_id, uint8_t reason, struct span text) {
    struct mqtt_sink *sink = context;
    bool is_known = packet_id >= 1 && packet_id <= MQTT_SINK_PIPELINE_MAX;
    struct shipment *shipment = is_known ? sink->slots->shipments[packet_id - 1] : NULL;
    if (shipment == NULL) {
        return; /* of something that is settled already: harmless */
    }
    struct verdict verdict = {.outcome = outcome_of(reason), .status = reason};
    if (verdict.outcome != OUTCOME_DELIVERED) {
        explain_refusal(reason, text, verdict.detail);
    }
    bool is_over = verdict.outcome == OUTCOME_FAILED || verdict.outcome == OUTCOME_THROTTLED;
    sink->has_progress = true;
    count_off(sink);
    await(sink);
    if (is_over) {
        mqtt_link_stop(sink->mqtt);
    }
    settle(sink, shipment, &verdict);
    if (is_over) {
        tell_down(sink, &verdict);
    } else if (mqtt_link_is_up(sink->mqtt)) {
        send_what_may(sink);
    }
}

/* With QoS 0 that is all that is ever known. */
static void on_sent(void *context) {
    struct mqtt_sink *sink = context;
    if (sink->link.row->mqtt_qos == 0) {
        const struct verdict verdict = {.outcome = OUTCOME_DELIVERED};
        struct list sent;
        list_init(&sent);
        list_put_all(&sent, &sink->sent);
        sink->sent_count = 0;
        while (!list_is_empty(&sent)) {
            settle(sink, shipment_of(sent.next), &verdict);
        }
    }
    if (mqtt_link_is_up(sink->mqtt)) {
        send_what_may(sink);
    }
}

static void on_down(void *context, const struct verdict *verdict) {
    struct mqtt_sink *sink = context;
    suspect_first(sink, verdict);
    tell_down(sink, verdict);
}

/* It answers pings and takes no message: the same as one that hung up. */
static void on_silence(struct loop_timer *timer) {
    struct mqtt_sink *sink = CONTAINER_OF(timer, struct mqtt_sink, silence);
    struct verdict verdict = {.outcome = OUTCOME_UNREACHED};
    if (sink->sent_count > 0) {
        snprintf(verdict.detail, sizeof(verdict.detail), "no PUBACK within %d ms",
                 MQTT_SINK_SILENCE_MS);
        mqtt_link_stop(sink->mqtt);
        on_down(sink, &verdict);
    }
}

static const struct mqtt_link_events link_events = {
    .on_up = on_up, .on_acknowledged = on_acknowledged, .on_sent = on_sent, .on_down = on_down};

/* --- the driver ------------------------------------------------------------------------------ */

static void check(const struct sink_row *row, const char *source, const char *key,
                  struct config_faults *faults) {
    const struct mqtt_row mqtt = {&row->place, row->mqtt_url, row->mqtt_ca};
    struct error why = {0};
    mqtt_check_row(&mqtt, source, key, faults);
    if (row->mqtt_topic != NULL &&
        template_check(span_of_string(row->mqtt_topic), topic_words, &why) != OK) {
        config_faults_add(faults, source, row->place.line, row->place.column, key,
                          "`mqtt.topic`: %s", why.detail);
    } else if (row->mqtt_topic != NULL &&
               mqtt_topic_has_wildcard(span_of_string(row->mqtt_topic))) {
        config_faults_add(faults, source, row->place.line, row->place.column, key,
                          "`mqtt.topic` has `+` or `#`, and nothing can be published to a filter");
    }
}

/* A source has it from there by 3.1.1, where a message cannot say which logs it has passed. */
static bool passes_over(const struct sink_row *row, const struct message *message) {
    struct span via = via_find(message->fields.headers);
    return via.length > 0 && via_has(via, mqtt_place_id(row->mqtt_url));
}

static void close_sink(void *state) {
    struct mqtt_sink *sink = state;
    if (sink == NULL) {
        return;
    }
    INVARIANT(list_is_empty(&sink->sent));
    INVARIANT(list_is_empty(&sink->waiting));
    mqtt_link_destroy(sink->mqtt);
    free(sink);
}

static enum error_code open_sink(const struct sink_link *link, void **ret_state,
                                 struct error *why) {
    struct mqtt_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the sink %s", link->row->name);
    }
    sink->link = *link;
    list_init(&sink->waiting);
    list_init(&sink->sent);
    list_init(&sink->faulty);
    loop_chore_init(&sink->chore, on_turn);
    sink->silence.on_due = on_silence;
    buffer_init(&sink->topic, MQTT_STRING_BYTES_MAX);
    buffer_init(&sink->headers, SCRATCH_BYTES_MAX);
    buffer_init(&sink->properties, SCRATCH_BYTES_MAX);
    buffer_init(&sink->body, SCRATCH_BYTES_MAX);
    buffer_init(&sink->via, MQTT_STRING_BYTES_MAX);
    mqtt_name_client(link->broker, link->row->mqtt_client_id, link->row->name, "", sink->client_id);
    const struct mqtt_link_options options = {.url = link->row->mqtt_url,
                                              .client_id = sink->client_id,
                                              .username = link->row->mqtt_username,
                                              .password = link->row->mqtt_password,
                                              .authorities = link->row->mqtt_ca,
                                              .receive_maximum = 1,
                                              .events = &link_events,
                                              .context = sink};
    if (mqtt_link_create(link->loop, &options, &sink->mqtt) != OK) {
        free(sink);
        return error_set(why, ERR_MEMORY, "no memory for the sink %s", link->row->name);
    }
    *ret_state = sink;
    return OK;
}

static void get_terms(const void *state, struct terms *ret_terms) {
    (void)state;
    *ret_terms = (struct terms){.messages_max = 1,
                                .bytes_max = SINK_WINDOW_BYTES_MAX,
                                .shipments_max = MQTT_SINK_PIPELINE_MAX,
                                .is_pipelined = true};
}

static void start(void *state) {
    struct mqtt_sink *sink = state;
    sink->is_wanted = true;
    mqtt_link_start(sink->mqtt);
}

static void stop(void *state) {
    struct mqtt_sink *sink = state;
    sink->is_wanted = false;
    mqtt_link_stop(sink->mqtt);
    abandon_all(sink);
    sink_on_stopped(sink->link.sink);
}

const struct driver mqtt_driver = {.kind = "mqtt",
                                   .check = check,
                                   .passes_over = passes_over,
                                   .open = open_sink,
                                   .get_terms = get_terms,
                                   .start = start,
                                   .ship = ship,
                                   .stop = stop,
                                   .close = close_sink};
