/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"

#include "tests/fuzz/fuzz.h"

#define PACKET_BYTES_MAX_FUZZED 6000

/* The strings that are checked are strings, and lists are as long as they are said to be. */
static void claim_properties(const struct mqtt_properties *properties) {
    struct span rest = properties->user_properties, name, value;
    uint32_t count = 0, identifier = 0;
    while (mqtt_user_property_next(&rest, &name, &value)) {
        CLAIM(mqtt_string_check(name) == MQTT_FAULT_NONE);
        CLAIM(mqtt_string_check(value) == MQTT_FAULT_NONE);
        count++;
    }
    CLAIM(count == properties->user_property_count);
    CLAIM(count <= MQTT_USER_PROPERTIES_MAX);
    CLAIM((count > 0) == mqtt_has(properties, MQTT_PROPERTY_USER_PROPERTY));
    rest = properties->subscription_identifiers;
    while (mqtt_subscription_identifier_next(&rest, &identifier)) {
        CLAIM(identifier > 0);
    }
}

static void claim_request(const struct mqtt_packet *packet) {
    struct span rest = packet->request.filters, filter;
    struct mqtt_subscription subscription;
    uint32_t count = 0;
    if (packet->type == MQTT_SUBSCRIBE) {
        for (; mqtt_subscription_next(&rest, &subscription); count++) {
            CLAIM(subscription.qos < 3);
            CLAIM(subscription.retain_handling < 3);
            CLAIM(subscription.pattern.length > 0);
        }
    } else {
        for (; mqtt_filter_next(&rest, &filter); count++) {
            CLAIM(filter.length > 0);
        }
    }
    CLAIM(rest.length == 0);
    CLAIM(count == packet->request.filter_count);
    claim_properties(&packet->request.properties);
}

static void claim_packet(const struct mqtt_packet *packet) {
    if (packet->type == MQTT_CONNECT) {
        claim_properties(&packet->connect.properties);
        claim_properties(&packet->connect.will.properties);
    } else if (packet->type == MQTT_PUBLISH) {
        claim_properties(&packet->publish.properties);
        CLAIM((packet->publish.qos > 0) == (packet->publish.packet_id != 0));
    } else if (packet->type == MQTT_SUBSCRIBE || packet->type == MQTT_UNSUBSCRIBE) {
        claim_request(packet);
    }
}

static enum error_code take(struct span bytes, const struct mqtt_dialect *dialect,
                            struct mqtt_packet *ret_packet, size_t *ret_length) {
    struct mqtt_frame frame;
    struct mqtt_refusal refusal = {0};
    struct error why;
    enum error_code code = mqtt_frame_read(bytes, dialect, &frame, &refusal, &why);
    *ret_length = 0;
    if (code == OK && frame.is_whole) {
        *ret_length = frame.packet_length;
        code = mqtt_decode(&frame, dialect, ret_packet, &refusal, &why);
    }
    CLAIM(code == OK || refusal.reason >= MQTT_REASON_FAILURE);
    CLAIM(code == OK || refusal.statement != NULL);
    return code;
}

/* What was decoded is encoded to a packet that is decoded and encoded to the same bytes, which are
 * no more than those that came. */
static void claim_round(const struct mqtt_packet *packet, const struct mqtt_dialect *dialect,
                        size_t length_at_most) {
    struct buffer once, twice;
    struct mqtt_packet again;
    size_t length;
    buffer_init(&once, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&twice, FUZZ_BUFFER_BYTES_MAX);
    CLAIM(mqtt_encode(&once, dialect, packet) == OK);
    CLAIM(once.length <= length_at_most);
    CLAIM(take(buffer_borrow(&once), dialect, &again, &length) == OK);
    CLAIM(length == once.length);
    CLAIM(again.type == packet->type);
    CLAIM(mqtt_encode(&twice, dialect, &again) == OK);
    CLAIM(span_is_equal(buffer_borrow(&once), buffer_borrow(&twice)));
    if (packet->type == MQTT_PUBLISH) {
        CLAIM(mqtt_publish_size(dialect, &packet->publish) == once.length);
    }
    buffer_finish(&once);
    buffer_finish(&twice);
}

/* One packet after the other, as a connection would take them. */
static void take_all(struct span input, struct mqtt_dialect dialect) {
    struct mqtt_packet packet;
    size_t length;
    while (take(input, &dialect, &packet, &length) == OK && length > 0) {
        struct mqtt_dialect known = dialect;
        known.version = packet.type == MQTT_CONNECT ? packet.connect.version : dialect.version;
        claim_packet(&packet);
        claim_round(&packet, &known, length);
        dialect.version = dialect.version == MQTT_VERSION_NONE ? known.version : dialect.version;
        input = span_of(input.bytes + length, input.length - length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const enum mqtt_version versions[] = {MQTT_VERSION_NONE, MQTT_VERSION_3_1_1,
                                                 MQTT_VERSION_5};
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        for (uint8_t sender = MQTT_CLIENT; sender <= MQTT_SERVER; sender++) {
            take_all(span_of(bytes, length),
                     (struct mqtt_dialect){versions[i], sender, PACKET_BYTES_MAX_FUZZED});
        }
    }
    return 0;
}
