/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/message_admission.h"

#include "broker/admission/identity.h"
#include "broker/channels/name.h"

enum error_code message_admit(const struct rules *rules, struct message_fields *fields,
                              struct error *why) {
    enum error_code code = channel_name_check(fields->channel, true, why);
    if (code != OK) {
        return error_blame(why, code, "channel");
    }
    if (channel_name_is_reserved(fields->channel)) {
        return error_set_field(why, ERR_FORBIDDEN, "channel",
                               "channels that begin with $ are the broker's own");
    }
    const struct channel_rule *rule = rules_find(rules, fields->channel);
    if (fields->payload.length > rule->message_bytes_max) {
        return error_set_field(why, ERR_TOO_LARGE, "data",
                               "a message of this channel may have %llu bytes",
                               (unsigned long long)rule->message_bytes_max);
    }
    fields->kind = MESSAGE_DATA;
    fields->match = rule->metrics_match;
    fields->flags |= rule->durability == DURABILITY_FSYNC ? MESSAGE_FSYNC : 0;
    return OK;
}

enum error_code message_hash(const struct identity *identity, const struct message_fields *fields,
                             struct span idempotency_key,
                             uint8_t ret_hash[IDEMPOTENCY_HASH_BYTES]) {
    uint8_t ttl[8];
    uint8_t who[IDENTITY_HASH_BYTES];
    struct span scope = SPAN(IDEMPOTENCY_SCOPE_ANONYMOUS);
    if (identity != NULL) {
        identity_hash(identity, who);
        scope = span_of(who, sizeof(who));
    }
    for (size_t i = 0; i < sizeof(ttl); i++) {
        ttl[i] = (uint8_t)(fields->ttl_ms >> 8 * i);
    }
    const struct span parts[] = {
        fields->channel, fields->type,           fields->event,       fields->key,
        fields->headers, fields->response_topic, fields->correlation, span_of(ttl, sizeof(ttl)),
        fields->payload,
    };
    return idempotency_hash(scope, idempotency_key, parts, ARRAY_COUNT(parts), ret_hash);
}
