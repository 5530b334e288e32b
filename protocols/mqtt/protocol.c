/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/protocol.h"

#include <stddef.h>

#include "broker/support/macros.h"

static const struct mqtt_type_row type_rows[MQTT_TYPE_COUNT] = {
#define TYPE_ROW(name, number, text, flags, senders_311, senders_5, bytes_311, bytes_5)            \
    [number] = {text, flags, senders_311, senders_5, bytes_311, bytes_5},
    MQTT_TYPE_TABLE(TYPE_ROW)
#undef TYPE_ROW
};

static const struct mqtt_reason_row reason_rows[] = {
#define REASON_ROW(name, value, client, server, return_code, text)                                 \
    [value] = {client, server, return_code, text},
    MQTT_REASON_TABLE(REASON_ROW)
#undef REASON_ROW
};

/* What a 3.1.1 return code says in the words of 5.0; several reasons share a return code. */
static const enum mqtt_reason connack_reasons[] = {
    MQTT_REASON_SUCCESS,
    MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION,
    MQTT_REASON_CLIENT_IDENTIFIER_NOT_VALID,
    MQTT_REASON_SERVER_UNAVAILABLE,
    MQTT_REASON_BAD_USER_NAME_OR_PASSWORD,
    MQTT_REASON_NOT_AUTHORIZED,
};

const struct mqtt_type_row *mqtt_type_row(uint8_t type) {
    return type < ARRAY_COUNT(type_rows) && type_rows[type].text != NULL ? &type_rows[type] : NULL;
}

const struct mqtt_reason_row *mqtt_reason_row(uint8_t value) {
    return value < ARRAY_COUNT(reason_rows) && reason_rows[value].text != NULL ? &reason_rows[value]
                                                                               : NULL;
}

bool mqtt_reason_is_legal(uint8_t value, enum mqtt_type type, const struct mqtt_dialect *dialect) {
    const struct mqtt_reason_row *row = mqtt_reason_row(value);
    if (row == NULL) {
        return false;
    }
    if (dialect->version != MQTT_VERSION_5) {
        return value <= (type == MQTT_SUBACK ? MQTT_REASON_GRANTED_QOS_2 : MQTT_REASON_SUCCESS) ||
               (type == MQTT_SUBACK && value == MQTT_REASON_UNSPECIFIED_ERROR);
    }
    uint32_t packets = dialect->sender == MQTT_CLIENT ? row->from_client : row->from_server;
    return (packets & MQTT_BIT(type)) != 0;
}

uint8_t mqtt_reason_to_connack_311(enum mqtt_reason reason) {
    const struct mqtt_reason_row *row = mqtt_reason_row((uint8_t)reason);
    return row == NULL ? MQTT_CONNACK_SILENT : row->connack_311;
}

bool mqtt_reason_from_connack_311(uint8_t return_code, enum mqtt_reason *ret_reason) {
    if (return_code >= ARRAY_COUNT(connack_reasons)) {
        return false;
    }
    *ret_reason = connack_reasons[return_code];
    return true;
}
