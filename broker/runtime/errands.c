/* SPDX-License-Identifier: Apache-2.0 */
/* An errand is a publish that the log thread makes for itself, so it is answered on that thread. It
 * goes behind what was submitted before, in one order with the workers' own. One that fails names
 * its session and no bytes: when it is tried again, what is to be stored follows from what the
 * session is by then, so an old state never overwrites a newer one. */
#include <stdlib.h>

#include "broker/channels/scope.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/log.h"
#include "broker/runtime/registry_private.h"
#include "broker/runtime/session_record.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

#define RETRY_MS 1000

struct errand {
    struct publish publish;
    struct list in_failed;
    struct registry *registry;
    struct message *messages[2];
    struct message *will; /* a reference; NULL: none, or not any more */
    bool has_step;        /* it is about the state of a session too */
    uint16_t client_id_length;
    uint8_t client_id[];
};

/* --- messages ------------------------------------------------------------------------------- */

static struct message *put_record(struct span client_id, struct session_record *record) {
    if (session_record_size(record) > STORAGE_OBJECT_BYTES_MAX) {
        record->has_will = false; /* the session is worth more */
    }
    size_t size = session_record_size(record);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return NULL;
    }
    session_record_put(record, bytes);
    struct message *message = storage_object_message(STORAGE_OBJECT_SESSION, STORAGE_OBJECT_PUT,
                                                     client_id, span_of(bytes, size));
    free(bytes);
    return message;
}

struct message *registry_put_message(struct span client_id, const struct session_release *release) {
    INVARIANT(release->state_length <= SESSION_STATE_BYTES_MAX);
    struct session_record record = {
        .is_held = true,
        .has_shares = release->has_shares,
        .owner = release->owner,
        .expiry_ms = release->expiry_ms,
        .has_will = release->will != NULL,
        .will_due_ms = release->will_delay_ms,
        .state = span_of(release->state, release->state_length),
    };
    if (record.has_will) {
        record.will = release->will->fields;
    }
    return put_record(client_id, &record);
}

static struct message *put_entry(const struct registry_entry *entry) {
    const struct absence *absence = entry->absence;
    INVARIANT(absence != NULL);
    struct session_record record = {
        .has_shares = entry->has_shares,
        .owner = absence->owner,
        .expiry_ms = absence->expiry_ms,
        .released_ms = absence->released_ms,
        .has_will = absence->will != NULL,
        .will_due_ms = absence->will_due_ms,
        .state = span_of(absence->state, absence->state_length),
    };
    if (record.has_will) {
        record.will = absence->will->fields;
    }
    return put_record(registry_client_id(entry), &record);
}

/* What is to be said to the storage of a session as it is now: nothing while somebody has it. */
static struct message *make_step(struct span client_id, const struct registry_entry *entry) {
    return entry == NULL ? storage_object_message(STORAGE_OBJECT_SESSION, STORAGE_OBJECT_DELETE,
                                                  client_id, (struct span){0})
                         : put_entry(entry);
}

/* --- errands -------------------------------------------------------------------------------- */

static void drop_messages(struct errand *errand) {
    for (size_t i = 0; i < errand->publish.count; i++) {
        message_unref(errand->messages[i]);
    }
    errand->publish.count = 0;
}

static void destroy(struct errand *errand) {
    drop_messages(errand);
    message_unref(errand->will);
    free(errand);
}

static size_t size_of(const struct errand *errand) {
    return sizeof(*errand) + (errand->will == NULL ? 0 : message_size(errand->will));
}

/* To be tried again. A disk that stays full does not fill the memory too: then an errand is given
 * up, and a session may come back at the next start as it was stored before. */
static void fail(struct errand *errand) {
    struct registry *registry = errand->registry;
    if (registry->failed_bytes + size_of(errand) > ERRANDS_BYTES_MAX) {
        struct span client_id = span_of(errand->client_id, errand->client_id_length);
        log_event(SESSION_NOT_STORED, .client_id = scope_visible(client_id),
                  .tenant = scope_tenant(client_id),
                  .code = error_row(errand->publish.result)->slug);
        destroy(errand);
        return;
    }
    drop_messages(errand);
    registry->failed_bytes += size_of(errand);
    if (list_is_empty(&registry->failed)) {
        registry->retry_ms = clock_monotonic_ms() + RETRY_MS;
    }
    list_put_tail(&registry->failed, &errand->in_failed);
}

/* A will is a publish by MQTT, though nobody waits for its answer. */
static void count_will(const struct errand *errand) {
    struct metrics_shard *metrics = errand->registry->options.metrics;
    metrics_add_at(metrics, METRIC_PUBLISHED_MESSAGES, METRICS_PROTOCOL_MQTT, 1);
    metrics_add_at(metrics, METRIC_PUBLISHED_BYTES, METRICS_PROTOCOL_MQTT,
                   errand->will->fields.payload.length);
}

static void on_answered(struct publish *publish);

static struct message *copy_will(const struct message *will) {
    struct message_fields fields = will->fields;
    fields.idempotency_hash = (struct span){0}; /* it goes out once anyway */
    return message_create(&fields);
}

static bool put_message(struct errand *errand, struct message *message) {
    errand->messages[errand->publish.count] = message;
    errand->publish.count += message != NULL;
    return message != NULL;
}

/* Hands the errand to the log with what it is about as that is now. A message is ordered once, so
 * each try has copies of its own. */
static void submit(struct errand *errand, struct registry_entry *entry) {
    struct registry *registry = errand->registry;
    struct span client_id = span_of(errand->client_id, errand->client_id_length);
    errand->publish = (struct publish){.on_answered = on_answered, .messages = errand->messages};
    bool has_step = errand->has_step;
    if (entry != NULL && entry->holder != NULL) {
        entry->is_stored = true; /* what there is of it: the holder stores over it, or it goes … */
        has_step = false;        /* … when the holder does */
    }
    bool is_whole = (errand->will == NULL || put_message(errand, copy_will(errand->will))) &&
                    (!has_step || put_message(errand, make_step(client_id, entry)));
    if (!is_whole) {
        errand->publish.result = ERR_MEMORY;
        fail(errand);
    } else if (errand->publish.count == 0) {
        destroy(errand);
    } else {
        list_put_tail(registry->options.publishes, &errand->publish.in_list);
    }
}

/* As its session is by now. */
static void resubmit(struct errand *errand) {
    struct span client_id = span_of(errand->client_id, errand->client_id_length);
    submit(errand, errand->has_step ? registry_find(errand->registry, client_id) : NULL);
}

/* There are too many channels for the will's, or its tenant has enough: that does not pass by
 * itself, and the session is not to wait for it. */
static void drop_will(struct errand *errand) {
    struct span channel = errand->will->fields.channel;
    log_event(PUBLISH_FAILED, .channel = scope_visible(channel), .tenant = scope_tenant(channel),
              .code = error_row(errand->publish.result)->slug,
              .detail = errand->publish.why.detail);
    drop_messages(errand);
    message_unref(errand->will);
    errand->will = NULL;
    resubmit(errand);
}

static void on_answered(struct publish *publish) {
    struct errand *errand = CONTAINER_OF(publish, struct errand, publish);
    bool is_refused = publish->result == ERR_FULL || publish->result == ERR_QUOTA;
    if (is_refused && errand->will != NULL) {
        drop_will(errand);
    } else if (publish->result != OK) {
        fail(errand);
    } else {
        if (errand->will != NULL) {
            count_will(errand);
        }
        destroy(errand);
    }
}

/* Takes the will. Without memory for an errand: NULL, and the will is lost. */
static struct errand *create(struct registry *registry, struct span client_id, bool has_step,
                             struct message *will) {
    struct errand *errand = calloc(1, sizeof(*errand) + client_id.length);
    if (errand == NULL) {
        message_unref(will);
        return NULL;
    }
    errand->registry = registry;
    errand->will = will;
    errand->has_step = has_step;
    errand->client_id_length = (uint16_t)client_id.length;
    if (client_id.length > 0) {
        memcpy(errand->client_id, client_id.bytes, client_id.length);
    }
    list_init(&errand->in_failed);
    return errand;
}

void errands_store(struct registry *registry, struct registry_entry *entry, struct message *will) {
    struct errand *errand = create(registry, registry_client_id(entry), true, will);
    if (errand != NULL) {
        submit(errand, entry);
    }
}

void errands_delete(struct registry *registry, struct span client_id, struct message *will) {
    struct errand *errand = create(registry, client_id, true, will);
    if (errand != NULL) {
        submit(errand, NULL);
    }
}

void errands_publish(struct registry *registry, struct message *will) {
    struct errand *errand = create(registry, (struct span){0}, false, will);
    if (errand != NULL) {
        submit(errand, NULL);
    }
}

void errands_retry(struct registry *registry) {
    if (list_is_empty(&registry->failed) || clock_monotonic_ms() < registry->retry_ms) {
        return;
    }
    struct list failed;
    list_init(&failed);
    list_put_all(&failed, &registry->failed);
    registry->failed_bytes = 0;
    for (struct list *node; (node = list_take_head(&failed)) != NULL;) {
        resubmit(CONTAINER_OF(node, struct errand, in_failed));
    }
}

void errands_finish(struct registry *registry) {
    for (struct list *node; (node = list_take_head(&registry->failed)) != NULL;) {
        destroy(CONTAINER_OF(node, struct errand, in_failed));
    }
}
