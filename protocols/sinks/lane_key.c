/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/lane_key.h"

#include <string.h>

#include "broker/support/hash.h"

static size_t put_part(uint8_t *key, size_t length, struct span part) {
    size_t room = LANE_KEY_BYTES_MAX - length;
    size_t put = part.length < room ? part.length : room;
    if (put > 0) {
        memcpy(key + length, part.bytes, put);
    }
    return length + put;
}

/* No channel's name has a zero in it. */
size_t lane_key_make(enum sink_order order, const struct message *message,
                     uint8_t ret_key[LANE_KEY_BYTES_MAX]) {
    size_t length = 0;
    switch (order) {
    case SINK_ORDER_ALL:
        break;
    case SINK_ORDER_CHANNEL:
        length = put_part(ret_key, length, message->fields.channel);
        break;
    case SINK_ORDER_KEY:
        length = put_part(ret_key, length, message->fields.channel);
        length = put_part(ret_key, length, SPAN("\0"));
        length = put_part(ret_key, length, message->fields.key);
        break;
    }
    return length;
}

/* The key of the hash is no secret: it has to be the same behind a restart. Who makes two names
 * meet has messages of the one sent once more where the other fails, and nothing else. */
uint64_t lane_key_hash(enum sink_order order, const struct message *message) {
    static const struct hash_key same_for_ever = {{0x74696469, 0x6e67736c}};
    uint8_t key[LANE_KEY_BYTES_MAX];
    size_t length = lane_key_make(order, message, key);
    return hash_bytes(&same_for_ever, span_of(key, length));
}
