/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/publications.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admission/idempotency.h"
#include "broker/channels/name.h"
#include "broker/channels/rules.h"
#include "broker/runtime/log.h"
#include "broker/support/invariant.h"

/* Outlives a socket that is gone: the log holds its letter. */
struct publication {
    struct list in_publications;
    struct publications *owner; /* NULL: nobody waits any more */
    struct publish publish;
    struct message *message;
    size_t ref_length;
    uint8_t ref[];
};

void publications_init(struct publications *publications) {
    list_init(&publications->list);
    publications->count = 0;
}

static void on_answered(struct publish *publish) {
    struct publication *publication = CONTAINER_OF(publish, struct publication, publish);
    struct publications *owner = publication->owner;
    if (owner != NULL) {
        INVARIANT(owner->count > 0);
        list_remove(&publication->in_publications);
        owner->count--;
        if (publish->result == ERR_UNPROCESSABLE) { /* the log names the header of HTTP */
            snprintf(publish->why.field, sizeof(publish->why.field), "idempotency_key");
        }
        owner->on_answered(owner->context, span_of(publication->ref, publication->ref_length),
                           publish->result, publication->message, &publish->why);
    }
    message_unref(publication->message);
    free(publication);
}

static enum error_code check(const struct publications *publications, struct message_fields *fields,
                             struct error *why) {
    enum error_code code = channel_name_check(fields->channel, true, why);
    if (code != OK) {
        snprintf(why->field, sizeof(why->field), "channel");
        return code;
    }
    if (channel_name_is_reserved(fields->channel)) {
        return error_set_field(why, ERR_FORBIDDEN, "channel",
                               "channels that begin with $ are the broker's own");
    }
    const struct channel_rule *rule = rules_find(publications->broker->rules, fields->channel);
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

/* All that a publish says belongs to its body: a repeat that differs anywhere is another one. */
static enum error_code hash(const struct message_fields *fields, struct span idempotency_key,
                            uint8_t ret_hash[IDEMPOTENCY_HASH_BYTES]) {
    uint8_t ttl[8];
    for (size_t i = 0; i < sizeof(ttl); i++) {
        ttl[i] = (uint8_t)(fields->ttl_ms >> 8 * i);
    }
    const struct span parts[] = {
        fields->channel,           fields->type,    fields->event, fields->key, fields->headers,
        span_of(ttl, sizeof(ttl)), fields->payload,
    };
    return idempotency_hash(SPAN(IDEMPOTENCY_SCOPE_ANONYMOUS), idempotency_key, parts,
                            ARRAY_COUNT(parts), ret_hash);
}

enum error_code publications_submit(struct publications *publications,
                                    const struct message_fields *fields,
                                    struct span idempotency_key, struct span ref,
                                    struct error *why) {
    struct message_fields checked = *fields;
    uint8_t hash_bytes[IDEMPOTENCY_HASH_BYTES];
    INVARIANT(publications->count < PUBLICATIONS_MAX);
    enum error_code code = check(publications, &checked, why);
    if (code == OK && idempotency_key.length > 0) {
        code = hash(&checked, idempotency_key, hash_bytes);
        checked.idempotency_hash = span_of(hash_bytes, sizeof(hash_bytes));
    }
    if (code != OK) {
        return code;
    }
    struct publication *publication = calloc(1, sizeof(*publication) + ref.length);
    struct message *message = message_create(&checked);
    if (publication == NULL || message == NULL) {
        free(publication);
        message_unref(message);
        return error_set(why, ERR_MEMORY, "there was no memory for the message");
    }
    publication->owner = publications;
    publication->message = message;
    publication->ref_length = ref.length;
    if (ref.length > 0) {
        memcpy(publication->ref, ref.bytes, ref.length);
    }
    publication->publish = (struct publish){.reply_to = publications->reply_to,
                                            .on_answered = on_answered,
                                            .counted_as = METRICS_PROTOCOL_WEBSOCKET,
                                            .messages = &publication->message,
                                            .count = 1};
    code = log_submit(publications->broker->log, &publication->publish);
    if (code != OK) {
        message_unref(message);
        free(publication);
        return error_set(why, code, "the log takes nothing more at the moment");
    }
    list_put_tail(&publications->list, &publication->in_publications);
    publications->count++;
    return OK;
}

void publications_abandon(struct publications *publications) {
    struct list *node;
    while ((node = list_take_head(&publications->list)) != NULL) {
        CONTAINER_OF(node, struct publication, in_publications)->owner = NULL;
    }
    publications->count = 0;
}
