/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/publications.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/runtime/log.h"
#include "broker/support/invariant.h"
#include "protocols/message_admission.h"

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

enum error_code publications_submit(struct publications *publications,
                                    const struct message_fields *fields,
                                    struct span idempotency_key, struct span ref,
                                    struct error *why) {
    struct message_fields checked = *fields;
    uint8_t hash_bytes[IDEMPOTENCY_HASH_BYTES];
    INVARIANT(publications->count < PUBLICATIONS_MAX);
    enum error_code code = message_admit(publications->broker->rules, &checked, why);
    if (code == OK && idempotency_key.length > 0) {
        code = message_hash(&checked, idempotency_key, hash_bytes);
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
