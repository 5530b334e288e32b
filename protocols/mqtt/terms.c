/* SPDX-License-Identifier: Apache-2.0 */
/* Each filter of a SUBSCRIBE is refused, or made with the options of the packet. */
#include <stdlib.h>
#include <string.h>

#include "broker/channels/pattern.h"
#include "broker/channels/since.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/subscribe_private.h"
#include "protocols/rest/reading.h"
#include "protocols/starting.h"

/* The user properties of a SUBSCRIBE that mean something here. */
static enum error_code take_since(struct subscribing *subscribing, struct span value,
                                  struct filter_options *options) {
    struct since since = {0};
    (void)options;
    enum error_code code = since_parse(value, &since, &subscribing->why);
    if (code == OK) {
        starting_set_query(&subscribing->start, &since, clock_wall_ms());
        subscribing->has_since = since.kind != SINCE_NOW;
        subscribing->is_of_one_channel = since.kind == SINCE_OFFSET;
        subscribing->needs_history = subscribing->has_since && since.kind != SINCE_PLACE;
    }
    return code;
}

static enum error_code take_on_lag(struct subscribing *subscribing, struct span value,
                                   struct filter_options *options) {
    enum on_lag on_lag = ON_LAG_AUTO;
    bool is_known = reading_parse_on_lag(value, &on_lag);
    options->on_lag = (uint8_t)on_lag;
    return is_known ? OK
                    : error_set(&subscribing->why, ERR_BAD_REQUEST,
                                "on_lag is catch_up, conflate, drop or disconnect");
}

static enum error_code take_offset(struct subscribing *subscribing, struct span value,
                                   struct filter_options *options) {
    bool is_true = span_is_equal(value, SPAN("true"));
    if (!is_true && !span_is_equal(value, SPAN("false"))) {
        return error_set(&subscribing->why, ERR_BAD_REQUEST, "offset and id are true or false");
    }
    options->asks_offset |= is_true;
    return OK;
}

static const struct parameter {
    const char *name;
    enum error_code (*take)(struct subscribing *subscribing, struct span value,
                            struct filter_options *options);
} PARAMETERS[] = {
    {"since", take_since}, {"on_lag", take_on_lag}, {"offset", take_offset}, {"id", take_offset}};

static enum error_code take_parameters(struct subscribing *subscribing,
                                       const struct mqtt_properties *properties,
                                       struct filter_options *options) {
    struct span rest = properties->user_properties;
    struct span name;
    struct span value;
    enum error_code code = OK;
    while (code == OK && mqtt_user_property_next(&rest, &name, &value)) {
        for (size_t i = 0; code == OK && i < ARRAY_COUNT(PARAMETERS); i++) {
            if (span_is_equal(name, span_of_string(PARAMETERS[i].name))) {
                code = PARAMETERS[i].take(subscribing, value, options);
            }
        }
    }
    return code;
}

static bool begins_with_level(struct span filter, struct span level) {
    return span_has_prefix(filter, level) &&
           (filter.length == level.length || filter.bytes[level.length] == '/');
}

/* 0: nothing of that name can be subscribed to. */
static uint8_t choose_kind(const struct mqtt_subscription *subscription) {
    bool is_reserved = subscription->pattern.length > 0 && subscription->pattern.bytes[0] == '$';
    if (subscription->share.length > 0) {
        return is_reserved ? 0 : FILTER_SHARED;
    }
    if (!is_reserved) {
        return FILTER_LOG;
    }
    if (begins_with_level(subscription->filter, SPAN("$SYS"))) {
        return FILTER_SYS;
    }
    return begins_with_level(subscription->filter, SPAN("$gap")) ? FILTER_GAP : 0;
}

static void parse_row(struct subscribing *subscribing, struct row *row,
                      const struct mqtt_subscription *subscription,
                      const struct filter_options *common) {
    struct filter_options options = *common;
    enum error_code code = OK;
    options.kind = choose_kind(subscription);
    options.qos = subscription->qos;
    options.is_no_local = subscription->is_no_local;
    options.is_retained_as_published = subscription->is_retained_as_published;
    if (options.kind == FILTER_SHARED && options.qos > 1) {
        options.qos = 1; /* a lease ends with one acknowledgement */
    }
    if (options.kind == 0) {
        code = error_set(&subscribing->why, ERR_BAD_CHANNEL,
                         "Topics that begin with $ are the broker's own");
    }
    if (code == OK) {
        code = filter_create(subscription->filter, mqtt_tenant(subscribing->mqtt), &options,
                             &row->filter, &subscribing->why);
    }
    if (code == OK && subscribing->is_of_one_channel &&
        pattern_is_pattern(filter_pattern(row->filter))) {
        free(row->filter);
        row->filter = NULL;
        code = error_set(&subscribing->why, ERR_BAD_SINCE,
                         "An offset counts in one channel; start at an id or a time");
    }
    row->retain_handling = subscription->retain_handling;
    row->reason = code == OK ? options.qos : (uint8_t)subscribing_reason_of(code);
}

/* Of a filter that stands twice in the packet the last one counts [MQTT-3.8.4-4]. */
static void drop_doubles(struct subscribing *subscribing, uint32_t index) {
    struct span text = filter_text(subscribing->rows[index].filter);
    for (uint32_t i = 0; i < index; i++) {
        struct row *row = &subscribing->rows[i];
        if (row->filter != NULL && span_is_equal(filter_text(row->filter), text)) {
            free(row->filter);
            row->filter = NULL;
        }
    }
}

void terms_parse(struct subscribing *subscribing, const struct mqtt_request *request) {
    struct filter_options common = {.identifier = request->properties.subscription_identifier,
                                    .on_lag = ON_LAG_AUTO};
    struct mqtt_subscription subscription;
    struct span rest = request->filters;
    enum error_code code = take_parameters(subscribing, &request->properties, &common);
    for (uint32_t i = 0; mqtt_subscription_next(&rest, &subscription); i++) {
        INVARIANT(i < subscribing->count);
        struct row *row = &subscribing->rows[i];
        row->reason = (uint8_t)subscribing_reason_of(code);
        if (code == OK) {
            parse_row(subscribing, row, &subscription, &common);
        }
        if (row->filter != NULL) {
            drop_doubles(subscribing, i);
        }
    }
}
