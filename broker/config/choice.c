/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/choice.h"

#include "broker/config/value.h"
#include "broker/support/invariant.h"

/* What may be typed for an enum. */
struct choice {
    const char *name;
    int value;
};

static const struct choice durability_choices[] = {
    {"async", DURABILITY_ASYNC},
    {"fsync", DURABILITY_FSYNC},
    {NULL, 0},
};
static const struct choice on_lag_choices[] = {
    {"auto", ON_LAG_AUTO}, {"catch_up", ON_LAG_CATCH_UP},     {"conflate", ON_LAG_CONFLATE},
    {"drop", ON_LAG_DROP}, {"disconnect", ON_LAG_DISCONNECT}, {NULL, 0},
};
static const struct choice retain_choices[] = {
    {"flagged", RETAIN_FLAGGED},
    {"latest", RETAIN_LATEST},
    {NULL, 0},
};
static const struct choice log_level_choices[] = {
    {"debug", LOG_LEVEL_DEBUG},
    {"info", LOG_LEVEL_INFO},
    {"warning", LOG_LEVEL_WARNING},
    {"error", LOG_LEVEL_ERROR},
    {NULL, 0},
};
static const struct choice log_format_choices[] = {
    {"logfmt", LOG_FORMAT_LOGFMT},
    {"json", LOG_FORMAT_JSON},
    {NULL, 0},
};
static const struct choice when_down_choices[] = {
    {"deny", WHEN_DOWN_DENY},
    {"allow", WHEN_DOWN_ALLOW},
    {NULL, 0},
};

static const struct choice sink_format_choices[] = {
    {"envelope", SINK_FORMAT_ENVELOPE},
    {"data", SINK_FORMAT_DATA},
    {"cloudevents", SINK_FORMAT_CLOUDEVENTS},
    {NULL, 0},
};
static const struct choice sink_mode_choices[] = {
    {"ordered", SINK_MODE_ORDERED},
    {"parallel", SINK_MODE_PARALLEL},
    {NULL, 0},
};
static const struct choice sink_order_choices[] = {
    {"channel", SINK_ORDER_CHANNEL},
    {"key", SINK_ORDER_KEY},
    {"all", SINK_ORDER_ALL},
    {NULL, 0},
};
static const struct choice sink_batch_choices[] = {
    {"array", SINK_BATCH_ARRAY},
    {"ndjson", SINK_BATCH_NDJSON},
    {NULL, 0},
};
static const struct choice sink_delivery_choices[] = {
    {"at_least_once", SINK_DELIVERY_AT_LEAST_ONCE},
    {"exactly_once", SINK_DELIVERY_EXACTLY_ONCE},
    {NULL, 0},
};

static const struct choice *const choices_of[CONFIG_TYPE_COUNT] = {
    [CONFIG_DURABILITY] = durability_choices,
    [CONFIG_ON_LAG] = on_lag_choices,
    [CONFIG_RETAIN] = retain_choices,
    [CONFIG_LOG_LEVEL] = log_level_choices,
    [CONFIG_LOG_FORMAT] = log_format_choices,
    [CONFIG_WHEN_DOWN] = when_down_choices,
    [CONFIG_SINK_FORMAT] = sink_format_choices,
    [CONFIG_SINK_MODE] = sink_mode_choices,
    [CONFIG_SINK_ORDER] = sink_order_choices,
    [CONFIG_SINK_BATCH] = sink_batch_choices,
    [CONFIG_SINK_DELIVERY] = sink_delivery_choices,
};

bool choice_is(enum config_type type) {
    INVARIANT(type < CONFIG_TYPE_COUNT);
    return choices_of[type] != NULL;
}

enum error_code choice_parse(enum config_type type, struct span text, int *ret_value,
                             struct error *why) {
    char known[128] = "";
    size_t length = 0;
    for (const struct choice *choice = choices_of[type]; choice->name != NULL; choice++) {
        if (span_is_equal(span_of_string(choice->name), text)) {
            *ret_value = choice->value;
            return OK;
        }
        length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s",
                                   length == 0 ? "" : ", ", choice->name);
        INVARIANT(length < sizeof(known));
    }
    return error_set(why, ERR_CONFIG, "\"%.*s\" is not one of: %s", VALUE_SHOWN(text), known);
}

const char *choice_name(enum config_type type, int value) {
    const struct choice *choice = choices_of[type];
    while (choice->name != NULL && choice->value != value) {
        choice++;
    }
    INVARIANT(choice->name != NULL);
    return choice->name;
}
