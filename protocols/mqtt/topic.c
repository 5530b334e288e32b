/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/topic.h"

#include <string.h>

#define SEPARATOR '/'
#define SINGLE_LEVEL '+'
#define MULTI_LEVEL '#'
#define SHARE_PREFIX SPAN("$share/")

static bool is_wildcard(uint8_t byte) {
    return byte == SINGLE_LEVEL || byte == MULTI_LEVEL;
}

bool mqtt_topic_has_wildcard(struct span topic) {
    return topic.length > 0 && (memchr(topic.bytes, SINGLE_LEVEL, topic.length) != NULL ||
                                memchr(topic.bytes, MULTI_LEVEL, topic.length) != NULL);
}

static enum mqtt_fault check_wildcards(struct span filter) {
    for (size_t i = 0; i < filter.length; i++) {
        uint8_t byte = filter.bytes[i];
        if (!is_wildcard(byte)) {
            continue;
        }
        bool is_first = i == 0 || filter.bytes[i - 1] == SEPARATOR;
        bool is_last = i + 1 == filter.length;
        if (byte == MULTI_LEVEL && !(is_first && is_last)) {
            return MQTT_FAULT_FILTER_MULTI;
        }
        if (byte == SINGLE_LEVEL && !(is_first && (is_last || filter.bytes[i + 1] == SEPARATOR))) {
            return MQTT_FAULT_FILTER_SINGLE;
        }
    }
    return MQTT_FAULT_NONE;
}

enum mqtt_fault mqtt_filter_check(struct span filter, enum mqtt_version version) {
    if (filter.length == 0) {
        return MQTT_FAULT_FILTER_EMPTY;
    }
    if (version == MQTT_VERSION_5 && mqtt_filter_is_shared(filter)) {
        struct span rest =
            span_of(filter.bytes + SHARE_PREFIX.length, filter.length - SHARE_PREFIX.length);
        struct span name = span_split(&rest, SEPARATOR);
        if (name.length == 0) {
            return MQTT_FAULT_SHARE_NAME_EMPTY;
        }
        if (rest.length == 0 || mqtt_topic_has_wildcard(name)) {
            return MQTT_FAULT_SHARE_NAME;
        }
    }
    return check_wildcards(filter);
}

bool mqtt_filter_is_shared(struct span filter) {
    return span_has_prefix(filter, SHARE_PREFIX);
}

void mqtt_filter_split(struct span filter, struct span *ret_share, struct span *ret_pattern) {
    *ret_share = span_of(NULL, 0);
    *ret_pattern = filter;
    if (!mqtt_filter_is_shared(filter)) {
        return;
    }
    struct span rest =
        span_of(filter.bytes + SHARE_PREFIX.length, filter.length - SHARE_PREFIX.length);
    struct span name = span_split(&rest, SEPARATOR);
    if (name.length > 0 && rest.length > 0 && !mqtt_topic_has_wildcard(name)) {
        *ret_share = name;
        *ret_pattern = rest;
    }
}
