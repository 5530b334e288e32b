/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/mqtt_private.h"

/* What the log has not answered. */
struct submission {
    struct publish publish;
    struct mqtt *mqtt;
    mqtt_on_done *on_done;
    void *context;
    struct message *messages[];
};

static void on_answered(struct publish *publish) {
    struct submission *submission = CONTAINER_OF(publish, struct submission, publish);
    struct mqtt *mqtt = submission->mqtt;
    INVARIANT(mqtt->answer_count > 0);
    submission->on_done(mqtt, submission->context, publish->result, &publish->why,
                        submission->messages, publish->count);
    for (size_t i = 0; i < publish->count; i++) {
        message_unref(submission->messages[i]);
    }
    free(submission);
    mqtt->answer_count--;
    mqtt_settle(mqtt);
}

enum error_code mqtt_submit(struct mqtt *mqtt, struct message *const *messages, size_t count,
                            mqtt_on_done *on_done, void *context) {
    struct submission *submission =
        calloc(1, sizeof(*submission) + count * sizeof(submission->messages[0]));
    INVARIANT(count > 0);
    if (submission == NULL) {
        return ERR_MEMORY;
    }
    submission->mqtt = mqtt;
    submission->on_done = on_done;
    submission->context = context;
    for (size_t i = 0; i < count; i++) {
        submission->messages[i] = messages[i];
    }
    submission->publish = (struct publish){.reply_to = worker_mailbox(mqtt->worker),
                                           .on_answered = on_answered,
                                           .counted_as = METRICS_PROTOCOL_MQTT,
                                           .messages = submission->messages,
                                           .count = count};
    enum error_code code = log_submit_quietly(mqtt_broker(mqtt)->log, &submission->publish);
    if (code != OK) {
        free(submission);
        return code;
    }
    mqtt->answer_count++;
    return OK;
}
