/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/permission.h"

#include <stdlib.h>

#include "broker/runtime/access.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/mqtt_private.h"

struct question {
    struct inquiry inquiry;
    struct mqtt *mqtt; /* NULL: nobody waits for the answer */
    permission_on_answer *on_answer;
    void *context;
};

/* Whoever it is now is who the connection is. Everyone is nobody in particular: where no
 * credentials are configured a connection keeps nothing for that. */
static enum error_code take_identity(struct mqtt *mqtt, struct identity *identity,
                                     struct error *why) {
    bool is_somebody = identity->facts.kind != IDENTITY_EVERYONE;
    enum error_code code = is_somebody ? connection_admit(mqtt->connection, identity, why) : OK;
    mqtt->is_identified = code == OK;
    identity_unref(identity);
    return code == ERR_RATE ? ERR_FULL : code; /* of connections: 0x97, and not 0x9F of a rate */
}

static void on_answered(struct inquiry *inquiry) {
    struct question *question = CONTAINER_OF(inquiry, struct question, inquiry);
    struct mqtt *mqtt = question->mqtt;
    enum error_code code = inquiry->result;
    if (mqtt == NULL) {
        identity_unref(inquiry->identity);
    } else {
        mqtt->question = NULL;
        if (code == OK && inquiry->identity != NULL) {
            code = take_identity(mqtt, inquiry->identity, &inquiry->why);
        }
        question->on_answer(mqtt, question->context, code, &inquiry->why);
    }
    free(question);
}

static struct question *create(struct mqtt *mqtt, permission_on_answer *on_answer, void *context) {
    INVARIANT(mqtt->question == NULL);
    struct question *question = calloc(1, sizeof(*question));
    if (question != NULL) {
        question->mqtt = mqtt;
        question->on_answer = on_answer;
        question->context = context;
        question->inquiry.on_answered = on_answered;
        question->inquiry.reply_to = worker_mailbox(mqtt->worker);
    }
    return question;
}

/* It is kept while it is under way. */
static enum error_code settle(struct mqtt *mqtt, struct question *question, enum error_code code) {
    if (code == ERR_AGAIN) {
        mqtt->question = question;
    } else {
        free(question);
    }
    return code;
}

enum error_code permission_identify(struct mqtt *mqtt, const struct credentials *credentials,
                                    permission_on_answer *on_answer, void *context,
                                    struct error *why) {
    struct question *question = create(mqtt, on_answer, context);
    struct identity *identity = NULL;
    if (question == NULL) {
        return ERR_MEMORY;
    }
    enum error_code code = access_identify(worker_access(mqtt->worker), credentials,
                                           &question->inquiry, &identity, why);
    if (code == OK) {
        code = take_identity(mqtt, identity, why);
    }
    return settle(mqtt, question, code);
}

enum error_code permission_ask(struct mqtt *mqtt, enum action action, struct span text,
                               permission_on_answer *on_answer, void *context, struct error *why) {
    struct access *access = worker_access(mqtt->worker);
    struct identity *identity = connection_identity(mqtt->connection);
    INVARIANT(mqtt->is_identified);
    if (identity == NULL) {
        return OK;
    }
    if (mqtt->phase == MQTT_PHASE_LEFT) {
        return access_permit(access, identity, action, text, NULL, why);
    }
    struct question *question = create(mqtt, on_answer, context);
    return question == NULL
               ? ERR_MEMORY
               : settle(mqtt, question,
                        access_permit(access, identity, action, text, &question->inquiry, why));
}

void permission_cancel(struct mqtt *mqtt) {
    if (mqtt->question != NULL) {
        mqtt->question->mqtt = NULL;
        inquiry_abandon(&mqtt->question->inquiry);
        mqtt->question = NULL;
    }
}
