/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/sink_rules.h"

#include "broker/config/value.h"

#define MANY_KINDS (SINK_KIND_MQTT + 1)

/* X(kind, its section, the key that says it, what such a sink is called) */
#define KIND_TABLE(X)                                                                              \
    X(SINK_KIND_WEBHOOK, "webhook.", "webhook.url", "for a webhook")                               \
    X(SINK_KIND_KAFKA, "kafka.", "kafka.brokers", "for Kafka")                                     \
    X(SINK_KIND_MQTT, "mqtt.", "mqtt.url", "for MQTT")

static const struct kind {
    enum sink_kind kind;
    const char *section;
    const char *key;
    const char *text;
} kinds[] = {
#define KIND(kind, section, key, text) {kind, section, key, text},
    KIND_TABLE(KIND)
#undef KIND
};

/* Where faults of one row go. */
struct place_of_faults {
    const struct config_scope *scope;
    const struct config_place *place;
    const char *source;
    const char *key;
    struct config_faults *faults;
};

#define RULE_FAULT(to, ...)                                                                        \
    config_faults_add((to)->faults, (to)->source, (to)->place->line, (to)->place->column,          \
                      (to)->key, __VA_ARGS__)

static bool is_given(const struct place_of_faults *to, const char *path) {
    const struct config_row *row = config_scope_find(to->scope, span_of_string(path));
    return row != NULL && ((to->place->given >> (row - to->scope->rows)) & 1) != 0;
}

static enum sink_kind kind_of(const struct place_of_faults *to) {
    enum sink_kind kind = SINK_KIND_NONE;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (is_given(to, kinds[i].key)) {
            kind = kind == SINK_KIND_NONE ? kinds[i].kind : (enum sink_kind)MANY_KINDS;
        }
    }
    return kind;
}

enum sink_kind sink_rules_kind(const struct sink_row *row) {
    bool has_webhook = row->webhook_url != NULL;
    bool has_kafka = row->kafka_brokers != NULL;
    bool has_mqtt = row->mqtt_url != NULL;
    if (has_webhook + has_kafka + has_mqtt != 1) {
        return SINK_KIND_NONE;
    }
    return has_webhook ? SINK_KIND_WEBHOOK : has_kafka ? SINK_KIND_KAFKA : SINK_KIND_MQTT;
}

/* Kafka and MQTT are handed one message after the other, and their libraries make batches. */
static bool is_for_webhooks(struct span path) {
    return span_has_prefix(path, SPAN("batch.")) || span_is_equal(path, SPAN("concurrency"));
}

bool sink_rules_has_key(const struct config_row *row, enum sink_kind kind) {
    struct span path = span_of_string(row->path);
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (span_has_prefix(path, span_of_string(kinds[i].section))) {
            return kinds[i].kind == kind;
        }
    }
    return kind == SINK_KIND_WEBHOOK || !is_for_webhooks(path);
}

static void check_kind(const struct place_of_faults *to, const char *what, bool may_be_webhook) {
    enum sink_kind kind = kind_of(to);
    const char *either = may_be_webhook ? "`webhook.url`, `kafka.brokers` or `mqtt.url`"
                                        : "`kafka.brokers` or `mqtt.url`";
    if (kind == SINK_KIND_NONE) {
        RULE_FAULT(to, "needs one of %s: they say what kind of %s it is", either, what);
        return;
    }
    if ((int)kind == MANY_KINDS) {
        RULE_FAULT(to, "has more than one of %s: make a %s of each", either, what);
        return;
    }
    const char *text = kinds[kind - SINK_KIND_WEBHOOK].text;
    for (size_t i = 0; i < to->scope->row_count; i++) {
        const struct config_row *row = &to->scope->rows[i];
        if (((to->place->given >> i) & 1) != 0 && !sink_rules_has_key(row, kind)) {
            RULE_FAULT(to, "has `%s`, and is a %s %s: nothing would heed it", row->path, what,
                       text);
        }
    }
}

/* A password alone is one whose user was forgotten. */
static void check_user(const struct place_of_faults *to, const char *user, const char *password) {
    if (is_given(to, password) && !is_given(to, user)) {
        RULE_FAULT(to, "has `%s` without `%s`", password, user);
    }
}

static void check_kafka_user(const struct place_of_faults *to) {
    check_user(to, "kafka.username", "kafka.password");
    if (is_given(to, "kafka.username") && !is_given(to, "kafka.password")) {
        RULE_FAULT(to, "has `kafka.username` without `kafka.password`");
    }
}

/* librdkafka takes a port of any size, and connects to another. Each may have a protocol. */
static void check_brokers(const struct place_of_faults *to, const char *brokers) {
    struct span rest = span_of_string(brokers);
    while (rest.length > 0) {
        struct span broker = span_trim(span_split(&rest, ','));
        const uint8_t *protocol = memmem(broker.bytes, broker.length, "://", 3);
        size_t begin = protocol == NULL ? 0 : (size_t)(protocol - broker.bytes) + 3;
        struct span place = span_of(broker.bytes + begin, broker.length - begin);
        if (broker.length > 0 && !value_is_host_and_port(place)) {
            RULE_FAULT(to, "has \"%.*s\" in `kafka.brokers`, which is no host and port",
                       VALUE_SHOWN(place));
        }
    }
}

static void check_batch(const struct place_of_faults *to, const struct sink_row *row) {
    if (row->batch_age_ms > 0 && row->batch_count == 1 && is_given(to, "batch.age")) {
        RULE_FAULT(to, "waits `batch.age` for more messages, and `batch.count` allows no more");
    }
    if (row->format == SINK_FORMAT_CLOUDEVENTS && row->batch_form == SINK_BATCH_NDJSON) {
        RULE_FAULT(to, "a list of CloudEvents is a JSON array: `batch.form` cannot be `ndjson`");
    }
}

void sink_rules_check(const struct sink_row *row, const char *source, const char *key,
                      struct config_faults *faults) {
    struct place_of_faults to = {&config_scope_sink, &row->place, source, key, faults};
    check_kind(&to, "sink", true);
    if (is_given(&to, "channels") && row->channels.count == 0 && !row->place.has_fault) {
        RULE_FAULT(&to, "has no channel in `channels`");
    }
    if (row->mode == SINK_MODE_PARALLEL && row->order != SINK_ORDER_CHANNEL) {
        RULE_FAULT(&to, "keeps no `order` in `mode: parallel`");
    }
    check_batch(&to, row);
    if (is_given(&to, "webhook.secret_previous") && !is_given(&to, "webhook.secret")) {
        RULE_FAULT(&to, "has `webhook.secret_previous` without `webhook.secret`");
    }
    check_brokers(&to, row->kafka_brokers);
    check_kafka_user(&to);
    check_user(&to, "mqtt.username", "mqtt.password");
}

static void check_topics(const struct place_of_faults *to, const char *kind_key, const char *key,
                         const struct config_list *topics) {
    if (is_given(to, kind_key) && topics->count == 0 && !to->place->has_fault) {
        RULE_FAULT(to, "has no topic in `%s`", key);
    }
}

void sink_rules_check_source(const struct source_row *row, const char *source, const char *key,
                             struct config_faults *faults) {
    struct place_of_faults to = {&config_scope_source, &row->place, source, key, faults};
    check_kind(&to, "source", false);
    if (row->mqtt_url != NULL && is_given(&to, "start")) {
        RULE_FAULT(&to, "has `start`, and is a source for MQTT, whose session has no past");
    }
    check_topics(&to, "kafka.brokers", "kafka.topics", &row->kafka_topics);
    check_topics(&to, "mqtt.url", "mqtt.topics", &row->mqtt_topics);
    check_brokers(&to, row->kafka_brokers);
    check_kafka_user(&to);
    check_user(&to, "mqtt.username", "mqtt.password");
}
