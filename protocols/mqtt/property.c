/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/property.h"

#include "broker/support/invariant.h"
#include "protocols/mqtt/topic.h"

static_assert(MQTT_PROPERTY_COUNT <= 64, "a set of properties is a 64-bit number");

static const struct mqtt_property_row property_rows[MQTT_PROPERTY_COUNT] = {
#define PROPERTY_ROW(field, name, identifier, kind, packets)                                       \
    [identifier] = {#field, MQTT_KIND_##kind, packets, offsetof(struct mqtt_properties, field)},
    MQTT_SINGLE_PROPERTY_TABLE(PROPERTY_ROW)
#undef PROPERTY_ROW
        [MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER] = {"subscription_identifier", MQTT_KIND_VARINT,
                                                   MQTT_BIT(MQTT_PUBLISH) |
                                                       MQTT_BIT(MQTT_SUBSCRIBE),
                                                   offsetof(struct mqtt_properties,
                                                            subscription_identifier)},
    [MQTT_PROPERTY_USER_PROPERTY] = {"user_property", MQTT_KIND_PAIR, MQTT_IN_EVERY,
                                     offsetof(struct mqtt_properties, user_property_count)},
};

void mqtt_set_user_properties(struct mqtt_properties *properties, struct span bytes) {
    properties->user_properties = bytes;
    if (bytes.length > 0) {
        properties->present |= MQTT_PROPERTY_BIT(MQTT_PROPERTY_USER_PROPERTY);
    }
}

void mqtt_set_subscription_identifiers(struct mqtt_properties *properties, struct span bytes) {
    properties->subscription_identifiers = bytes;
    if (bytes.length > 0) {
        properties->present |= MQTT_PROPERTY_BIT(MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER);
    }
}

const struct mqtt_property_row *mqtt_property_row(uint32_t identifier) {
    return identifier < MQTT_PROPERTY_COUNT && property_rows[identifier].kind != MQTT_KIND_NONE
               ? &property_rows[identifier]
               : NULL;
}

/* --- decoding --------------------------------------------------------------------------------- */

/* Takes a value of its kind into a field of that kind. */
typedef enum mqtt_fault take_value(struct mqtt_reader *reader, void *field);

static enum mqtt_fault take_boolean(struct mqtt_reader *reader, void *field) {
    uint8_t *value = field;
    if (!mqtt_take_u8(reader, value)) {
        return MQTT_FAULT_PROPERTY_SHORT;
    }
    return *value > 1 ? MQTT_FAULT_PROPERTY_BOOLEAN : MQTT_FAULT_NONE;
}

static enum mqtt_fault take_u16(struct mqtt_reader *reader, void *field) {
    return mqtt_take_u16(reader, field) ? MQTT_FAULT_NONE : MQTT_FAULT_PROPERTY_SHORT;
}

static enum mqtt_fault take_positive(struct mqtt_reader *reader, void *field) {
    uint16_t *value = field;
    enum mqtt_fault fault = take_u16(reader, value);
    return fault == MQTT_FAULT_NONE && *value == 0 ? MQTT_FAULT_PROPERTY_ZERO : fault;
}

static enum mqtt_fault take_u32(struct mqtt_reader *reader, void *field) {
    return mqtt_take_u32(reader, field) ? MQTT_FAULT_NONE : MQTT_FAULT_PROPERTY_SHORT;
}

static enum mqtt_fault take_size(struct mqtt_reader *reader, void *field) {
    uint32_t *value = field;
    enum mqtt_fault fault = take_u32(reader, value);
    return fault == MQTT_FAULT_NONE && *value == 0 ? MQTT_FAULT_PROPERTY_ZERO : fault;
}

static enum mqtt_fault take_binary(struct mqtt_reader *reader, void *field) {
    return mqtt_take_binary(reader, field) ? MQTT_FAULT_NONE : MQTT_FAULT_PROPERTY_SHORT;
}

static enum mqtt_fault take_string(struct mqtt_reader *reader, void *field) {
    struct span *string = field;
    enum mqtt_fault fault = take_binary(reader, string);
    return fault == MQTT_FAULT_NONE ? mqtt_string_check(*string) : fault;
}

static enum mqtt_fault take_topic(struct mqtt_reader *reader, void *field) {
    struct span *topic = field;
    enum mqtt_fault fault = take_string(reader, topic);
    if (fault == MQTT_FAULT_NONE && topic->length == 0) {
        return MQTT_FAULT_RESPONSE_TOPIC_EMPTY;
    }
    return fault == MQTT_FAULT_NONE && mqtt_topic_has_wildcard(*topic) ? MQTT_FAULT_RESPONSE_TOPIC
                                                                       : fault;
}

/* The field keeps the first one. */
static enum mqtt_fault take_varint(struct mqtt_reader *reader, void *field) {
    uint32_t *first = field, value = 0;
    bool is_shortest = false;
    enum mqtt_varint_state state = mqtt_take_varint(reader, &value, &is_shortest);
    if (state != MQTT_VARINT_WHOLE) {
        return state == MQTT_VARINT_CUT ? MQTT_FAULT_PROPERTY_SHORT : MQTT_FAULT_LENGTH_ENDLESS;
    }
    *first = *first == 0 ? value : *first;
    if (!is_shortest) {
        return MQTT_FAULT_LENGTH_NOT_SHORTEST;
    }
    return value == 0 ? MQTT_FAULT_PROPERTY_ZERO : MQTT_FAULT_NONE;
}

/* The field counts them. */
static enum mqtt_fault take_pair(struct mqtt_reader *reader, void *field) {
    uint32_t *count = field;
    struct span string;
    if (*count == MQTT_USER_PROPERTIES_MAX) {
        return MQTT_FAULT_USER_PROPERTIES;
    }
    (*count)++;
    enum mqtt_fault fault = take_string(reader, &string);
    return fault == MQTT_FAULT_NONE ? take_string(reader, &string) : fault;
}

static take_value *const takers[] = {
    [MQTT_KIND_BOOLEAN] = take_boolean,   [MQTT_KIND_U16] = take_u16,
    [MQTT_KIND_POSITIVE] = take_positive, [MQTT_KIND_U32] = take_u32,
    [MQTT_KIND_SIZE] = take_size,         [MQTT_KIND_STRING] = take_string,
    [MQTT_KIND_TOPIC] = take_topic,       [MQTT_KIND_BINARY] = take_binary,
    [MQTT_KIND_VARINT] = take_varint,     [MQTT_KIND_PAIR] = take_pair,
};

/* May this property stand in this packet, of this sender, (once more)? */
static enum mqtt_fault check_place(const struct mqtt_property_row *row, uint8_t identifier,
                                   uint32_t where, uint8_t sender,
                                   const struct mqtt_properties *properties) {
    bool is_publish = where == MQTT_BIT(MQTT_PUBLISH);
    bool is_servers = identifier == MQTT_PROPERTY_SERVER_REFERENCE;
    if ((row->packets & where) == 0 || (is_servers && sender == MQTT_CLIENT)) {
        return MQTT_FAULT_PROPERTY_MISPLACED;
    }
    if (row->kind == MQTT_KIND_VARINT && is_publish && sender == MQTT_CLIENT) {
        return MQTT_FAULT_SUBSCRIPTION_ID_SENT;
    }
    if (identifier == MQTT_PROPERTY_SESSION_EXPIRY_INTERVAL && sender == MQTT_SERVER &&
        where == MQTT_IN_DISCONNECT) {
        return MQTT_FAULT_SERVER_SESSION_EXPIRY;
    }
    bool may_repeat = row->kind == MQTT_KIND_PAIR || (row->kind == MQTT_KIND_VARINT && is_publish);
    return !may_repeat && mqtt_has(properties, (enum mqtt_property)identifier)
               ? MQTT_FAULT_PROPERTY_REPEATED
               : MQTT_FAULT_NONE;
}

static enum mqtt_fault take_property(struct mqtt_reader *reader, uint32_t where, uint8_t sender,
                                     struct mqtt_properties *properties) {
    uint8_t identifier = 0;
    if (!mqtt_take_u8(reader, &identifier)) {
        return MQTT_FAULT_PROPERTY_SHORT;
    }
    const struct mqtt_property_row *row = mqtt_property_row(identifier);
    if (row == NULL) {
        return MQTT_FAULT_PROPERTY_UNKNOWN;
    }
    enum mqtt_fault fault = check_place(row, identifier, where, sender, properties);
    if (fault != MQTT_FAULT_NONE) {
        return fault;
    }
    properties->present |= MQTT_PROPERTY_BIT(identifier);
    fault = takers[row->kind](reader, (uint8_t *)properties + row->offset);
    return fault == MQTT_FAULT_PROPERTY_ZERO && identifier == MQTT_PROPERTY_TOPIC_ALIAS
               ? MQTT_FAULT_TOPIC_ALIAS_ZERO
               : fault;
}

enum mqtt_fault mqtt_properties_decode(struct mqtt_reader *reader, uint32_t where, uint8_t sender,
                                       struct mqtt_properties *ret_properties) {
    *ret_properties = (struct mqtt_properties){0};
    uint32_t length = 0;
    bool is_shortest = false;
    enum mqtt_varint_state state = mqtt_take_varint(reader, &length, &is_shortest);
    if (state != MQTT_VARINT_WHOLE) {
        return state == MQTT_VARINT_CUT ? MQTT_FAULT_BODY_SHORT : MQTT_FAULT_LENGTH_ENDLESS;
    }
    if (!is_shortest) {
        return MQTT_FAULT_LENGTH_NOT_SHORTEST;
    }
    struct span bytes;
    if (!mqtt_take_bytes(reader, length, &bytes)) {
        return MQTT_FAULT_PROPERTIES_LONG;
    }
    struct mqtt_reader inside = mqtt_reader_of(bytes);
    enum mqtt_fault fault = MQTT_FAULT_NONE;
    while (fault == MQTT_FAULT_NONE && mqtt_left(&inside) > 0) {
        fault = take_property(&inside, where, sender, ret_properties);
    }
    if (mqtt_has(ret_properties, MQTT_PROPERTY_USER_PROPERTY)) {
        ret_properties->user_properties = bytes;
    }
    if (mqtt_has(ret_properties, MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER)) {
        ret_properties->subscription_identifiers = bytes;
    }
    return fault;
}

/* --- those that may repeat ------------------------------------------------------------------- */

/* How long the value of a kind is, where it does not say so itself. */
static const uint8_t fixed_sizes[] = {
    [MQTT_KIND_BOOLEAN] = 1, [MQTT_KIND_U16] = 2,    [MQTT_KIND_POSITIVE] = 2,
    [MQTT_KIND_U32] = 4,     [MQTT_KIND_SIZE] = 4,   [MQTT_KIND_STRING] = 0,
    [MQTT_KIND_TOPIC] = 0,   [MQTT_KIND_BINARY] = 0, [MQTT_KIND_VARINT] = 0,
    [MQTT_KIND_PAIR] = 0,
};

/* Takes a property that has been checked, or that we have made. A pair's strings, or a number, come
 * out; false: the end, or bytes that are no property. */
static bool walk(struct mqtt_reader *reader, uint8_t *ret_identifier, struct span strings[2],
                 uint32_t *ret_number) {
    const struct mqtt_property_row *row = NULL;
    bool is_shortest;
    if (!mqtt_take_u8(reader, ret_identifier) ||
        (row = mqtt_property_row(*ret_identifier)) == NULL) {
        return false;
    }
    if (row->kind == MQTT_KIND_VARINT) {
        return mqtt_take_varint(reader, ret_number, &is_shortest) == MQTT_VARINT_WHOLE;
    }
    if (fixed_sizes[row->kind] > 0) {
        return mqtt_take_bytes(reader, fixed_sizes[row->kind], &strings[0]);
    }
    return mqtt_take_binary(reader, &strings[0]) &&
           (row->kind != MQTT_KIND_PAIR || mqtt_take_binary(reader, &strings[1]));
}

/* The next property of that identifier; the others are passed over. */
static bool find_next(struct span *rest, enum mqtt_property wanted, struct span strings[2],
                      uint32_t *ret_number) {
    struct mqtt_reader reader = mqtt_reader_of(*rest);
    uint8_t identifier = 0;
    while (walk(&reader, &identifier, strings, ret_number)) {
        if (identifier == wanted) {
            *rest = mqtt_rest(&reader);
            return true;
        }
    }
    *rest = span_of(NULL, 0);
    return false;
}

bool mqtt_user_property_next(struct span *rest, struct span *ret_name, struct span *ret_value) {
    struct span strings[2];
    uint32_t number;
    if (!find_next(rest, MQTT_PROPERTY_USER_PROPERTY, strings, &number)) {
        return false;
    }
    *ret_name = strings[0];
    *ret_value = strings[1];
    return true;
}

bool mqtt_subscription_identifier_next(struct span *rest, uint32_t *ret_identifier) {
    struct span strings[2];
    return find_next(rest, MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER, strings, ret_identifier);
}

enum error_code mqtt_user_property_put(struct buffer *buffer, struct span name, struct span value) {
    if (name.length > MQTT_STRING_BYTES_MAX || value.length > MQTT_STRING_BYTES_MAX) {
        return ERR_TOO_LARGE;
    }
    enum error_code code = buffer_reserve(buffer, 1 + 2 + name.length + 2 + value.length);
    if (code == OK) {
        mqtt_put_u8(buffer, MQTT_PROPERTY_USER_PROPERTY);
        mqtt_put_binary(buffer, name);
        mqtt_put_binary(buffer, value);
    }
    return code;
}

enum error_code mqtt_subscription_identifier_put(struct buffer *buffer, uint32_t identifier) {
    INVARIANT(identifier > 0);
    INVARIANT(identifier <= MQTT_LENGTH_MAX);
    enum error_code code = buffer_reserve(buffer, 1 + mqtt_varint_size(identifier));
    if (code == OK) {
        mqtt_put_u8(buffer, MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER);
        mqtt_put_varint(buffer, identifier);
    }
    return code;
}

/* --- encoding --------------------------------------------------------------------------------- */

#define REPEATABLE                                                                                 \
    (MQTT_PROPERTY_BIT(MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER) |                                    \
     MQTT_PROPERTY_BIT(MQTT_PROPERTY_USER_PROPERTY))

static bool is_chosen(const struct mqtt_properties *properties, uint64_t chosen,
                      enum mqtt_property property) {
    return (properties->present & chosen & MQTT_PROPERTY_BIT(property)) != 0;
}

/* Takes the lowest identifier out of a set that is not empty. */
static uint8_t take_lowest(uint64_t *set) {
    uint8_t identifier = (uint8_t)__builtin_ctzll(*set);
    *set &= *set - 1;
    return identifier;
}

static const void *field_of(const struct mqtt_properties *properties,
                            const struct mqtt_property_row *row) {
    return (const uint8_t *)properties + row->offset;
}

size_t mqtt_properties_size(const struct mqtt_properties *properties, uint64_t chosen) {
    size_t size = 0;
    for (uint64_t set = properties->present & chosen & ~REPEATABLE; set != 0;) {
        const struct mqtt_property_row *row = mqtt_property_row(take_lowest(&set));
        INVARIANT(row != NULL);
        size_t fixed = fixed_sizes[row->kind];
        const struct span *string = field_of(properties, row);
        size += 1 + (fixed > 0 ? fixed : 2 + string->length);
    }
    if (is_chosen(properties, chosen, MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER)) {
        struct span rest = properties->subscription_identifiers;
        for (uint32_t identifier; mqtt_subscription_identifier_next(&rest, &identifier);) {
            size += 1 + mqtt_varint_size(identifier);
        }
    }
    if (is_chosen(properties, chosen, MQTT_PROPERTY_USER_PROPERTY)) {
        struct span rest = properties->user_properties, name, value;
        while (mqtt_user_property_next(&rest, &name, &value)) {
            size += 1 + 2 + name.length + 2 + value.length;
        }
    }
    return size;
}

static void put_field(struct buffer *buffer, const struct mqtt_property_row *row,
                      const void *field) {
    const uint8_t *byte = field;
    const uint16_t *half = field;
    const uint32_t *word = field;
    const struct span *string = field;
    switch (fixed_sizes[row->kind]) {
    case 1:
        mqtt_put_u8(buffer, *byte);
        break;
    case 2:
        mqtt_put_u16(buffer, *half);
        break;
    case 4:
        mqtt_put_u32(buffer, *word);
        break;
    default:
        mqtt_put_binary(buffer, *string);
        break;
    }
}

void mqtt_properties_put(struct buffer *buffer, const struct mqtt_properties *properties,
                         uint64_t chosen) {
    for (uint64_t set = properties->present & chosen & ~REPEATABLE; set != 0;) {
        uint8_t identifier = take_lowest(&set);
        const struct mqtt_property_row *row = mqtt_property_row(identifier);
        INVARIANT(row != NULL);
        mqtt_put_u8(buffer, identifier);
        put_field(buffer, row, field_of(properties, row));
    }
    if (is_chosen(properties, chosen, MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER)) {
        struct span rest = properties->subscription_identifiers;
        for (uint32_t identifier; mqtt_subscription_identifier_next(&rest, &identifier);) {
            mqtt_put_u8(buffer, MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER);
            mqtt_put_varint(buffer, identifier);
        }
    }
    if (is_chosen(properties, chosen, MQTT_PROPERTY_USER_PROPERTY)) {
        struct span rest = properties->user_properties, name, value;
        while (mqtt_user_property_next(&rest, &name, &value)) {
            mqtt_put_u8(buffer, MQTT_PROPERTY_USER_PROPERTY);
            mqtt_put_binary(buffer, name);
            mqtt_put_binary(buffer, value);
        }
    }
}
