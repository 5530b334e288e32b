/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/publications.h"

#include <stdlib.h>
#include <string.h>

#include "broker/admission/identity.h"
#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/log.h"
#include "broker/runtime/throttle.h"
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

struct publications {
    struct list under_way; /* the log has not answered … */
    struct list answered;  /* … it has in this turn, and the owner does not know */
    size_t count;
    struct worker *worker;
    const struct publications_owner *owner;
    void *context;
    struct chore chore; /* some are answered */
};

static void destroy_publication(struct publication *publication) {
    message_unref(publication->message);
    free(publication);
}

static void on_answered(struct publish *publish) {
    struct publication *publication = CONTAINER_OF(publish, struct publication, publish);
    struct publications *owner = publication->owner;
    if (owner == NULL) {
        destroy_publication(publication);
        return;
    }
    if (publish->result == ERR_UNPROCESSABLE) { /* the log names the header of HTTP */
        error_blame(&publish->why, publish->result, "idempotency_key");
    }
    list_remove(&publication->in_publications);
    list_put_tail(&owner->answered, &publication->in_publications);
    worker_put_chore(owner->worker, &owner->chore);
}

static void tell(struct publications *publications, struct publication *publication,
                 struct buffer *out) {
    const struct publication_answer answer = {
        .ref = span_of(publication->ref, publication->ref_length),
        .code = publication->publish.result,
        .message = publication->message,
        .why = &publication->publish.why,
    };
    INVARIANT(publications->count > 0);
    publications->count--;
    publications->owner->on_answered(publications->context, &answer, out);
    destroy_publication(publication);
}

static void on_chore(struct chore *chore) {
    struct publications *publications = CONTAINER_OF(chore, struct publications, chore);
    struct buffer *out = worker_borrow_scratch(publications->worker);
    for (struct list *node; (node = list_take_head(&publications->answered)) != NULL;) {
        tell(publications, CONTAINER_OF(node, struct publication, in_publications), out);
    }
    publications->owner->on_all_answered(publications->context, out);
}

enum error_code publications_create(struct worker *worker, const struct publications_owner *owner,
                                    void *context, struct publications **ret_publications) {
    struct publications *publications = calloc(1, sizeof(*publications));
    if (publications == NULL) {
        return ERR_MEMORY;
    }
    list_init(&publications->under_way);
    list_init(&publications->answered);
    chore_init(&publications->chore, on_chore);
    publications->worker = worker;
    publications->owner = owner;
    publications->context = context;
    *ret_publications = publications;
    return OK;
}

void publications_destroy(struct publications *publications) {
    struct list *node;
    if (publications == NULL) {
        return;
    }
    while ((node = list_take_head(&publications->under_way)) != NULL) {
        CONTAINER_OF(node, struct publication, in_publications)->owner = NULL;
    }
    while ((node = list_take_head(&publications->answered)) != NULL) {
        destroy_publication(CONTAINER_OF(node, struct publication, in_publications));
    }
    chore_take_back(&publications->chore);
    free(publications);
}

bool publications_is_full(const struct publications *publications) {
    return publications != NULL && publications->count >= PUBLICATIONS_MAX;
}

/* The message, in the scope of its tenant. */
static enum error_code make_message(const struct identity *identity, struct message_fields *fields,
                                    struct message **ret_message) {
    struct buffer channel;
    buffer_init(&channel, SCOPED_BYTES_MAX);
    enum error_code code = OK;
    if (identity != NULL && identity->facts.tenant.length > 0) {
        code = scope_put(&channel, identity->facts.tenant, fields->channel);
        fields->channel = buffer_borrow(&channel);
    }
    *ret_message = code == OK ? message_create(fields) : NULL;
    buffer_finish(&channel);
    return *ret_message == NULL ? ERR_MEMORY : OK;
}

enum error_code publications_submit(struct publications *publications,
                                    struct connection *connection,
                                    const struct message_fields *fields,
                                    struct span idempotency_key, struct span ref,
                                    struct error *why) {
    struct message_fields checked = *fields;
    uint8_t hash_bytes[IDEMPOTENCY_HASH_BYTES];
    struct broker *broker = worker_broker(publications->worker);
    struct identity *identity = connection_identity(connection);
    INVARIANT(publications->count < PUBLICATIONS_MAX);
    enum error_code code = message_admit(broker->rules, &checked, why);
    if (code == ERR_TOO_LARGE) {
        throttle_note(connection, METRICS_LIMIT_MESSAGE_BYTES,
                      rules_find(broker->rules, checked.channel)->message_bytes_max);
    }
    if (code == OK && idempotency_key.length > 0) {
        code = message_hash(identity, &checked, idempotency_key, hash_bytes);
        checked.idempotency_hash = span_of(hash_bytes, sizeof(hash_bytes));
    }
    if (code != OK) {
        return code;
    }
    struct publication *publication = calloc(1, sizeof(*publication) + ref.length);
    struct message *message = NULL;
    code = make_message(identity, &checked, &message);
    if (publication == NULL || code != OK) {
        error_set(why, ERR_MEMORY, "there was no memory for the message");
        code = ERR_MEMORY;
        goto refuse;
    }
    const struct throttle_offer offer = {
        .count = 1, .bytes = checked.payload.length, .messages = &message};
    code = throttle_publish(connection, identity, &offer, NULL, why);
    if (code != OK) {
        goto refuse;
    }
    publication->owner = publications;
    publication->message = message;
    publication->ref_length = ref.length;
    if (ref.length > 0) {
        memcpy(publication->ref, ref.bytes, ref.length);
    }
    publication->publish = (struct publish){.reply_to = worker_mailbox(publications->worker),
                                            .on_answered = on_answered,
                                            .counted_as = METRICS_PROTOCOL_WEBSOCKET,
                                            .messages = &publication->message,
                                            .count = 1};
    code = log_submit_quietly(broker->log, &publication->publish);
    if (code != OK) {
        error_set(why, code, "the log takes nothing more at the moment");
        goto refuse;
    }
    list_put_tail(&publications->under_way, &publication->in_publications);
    publications->count++;
    return OK;
refuse:
    message_unref(message);
    free(publication);
    return code;
}
