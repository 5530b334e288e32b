/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_options.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "broker/limits.h"

#define NAME_BYTES_MAX 128
#define REASON_BYTES 256 /* of the library's */

enum whose { BOTH, PRODUCER, CONSUMER };

/* Properties that a row may not set. A name that ends with `.` stands for all that begin so. */
static const struct reserved {
    const char *name;
    enum whose whose;
    const char *why;
} reserved[] = {
    {"bootstrap.servers", BOTH, "kafka.brokers says it"},
    {"metadata.broker.list", BOTH, "kafka.brokers says it"},
    {"sasl.username", BOTH, "kafka.username says it"},
    {"sasl.password", BOTH, "kafka.password says it, which is shown to nobody"},
    {"sasl.oauthbearer.config", BOTH, "it may hold a secret, and options are shown"},
    {"sasl.oauthbearer.client.secret", BOTH, "it is a secret, and options are shown"},
    {"ssl.key.password", BOTH, "it is a secret, and options are shown"},
    {"ssl.key.pem", BOTH, "it is a secret, and options are shown: name a file"},
    {"ssl.keystore.password", BOTH, "it is a secret, and options are shown"},
    {"sasl.kerberos.kinit.cmd", BOTH, "it runs a program"},
    {"plugin.library.paths", BOTH, "it runs code of others"},
    {"ssl.engine.location", BOTH, "it runs code of others"},
    {"debug", BOTH, "it prints to standard error"},
    {"log_level", BOTH, "the library's lines are not printed"},
    {"log.", BOTH, "the library's lines are not printed"},
    {"statistics.interval.ms", BOTH, "nobody reads them"},
    {"enabled_events", BOTH, "the broker hears what it needs"},
    {"internal.termination.signal", BOTH, "signals are the broker's"},
    {"test.", BOTH, "it is for tests of the library"},
    {"enable.idempotence", PRODUCER, "order and no repeats are promised"},
    {"enable.gapless.guarantee", PRODUCER, "order and no repeats are promised"},
    {"acks", PRODUCER, "what is said to be delivered is on all replicas in sync"},
    {"request.required.acks", PRODUCER, "what is said to be delivered is on all replicas in sync"},
    {"max.in.flight", PRODUCER, "order and no repeats are promised"},
    {"max.in.flight.requests.per.connection", PRODUCER, "order and no repeats are promised"},
    {"retries", PRODUCER, "a record that is given up would leave a hole"},
    {"message.send.max.retries", PRODUCER, "a record that is given up would leave a hole"},
    {"message.timeout.ms", PRODUCER, "a record that is given up would leave a hole"},
    {"delivery.timeout.ms", PRODUCER, "a record that is given up would leave a hole"},
    {"partitioner", PRODUCER, "keys go where the Java client would put them"},
    {"queuing.strategy", PRODUCER, "order is promised"},
    {"queue.buffering.max.messages", PRODUCER, "the broker's memory is bounded"},
    {"queue.buffering.max.kbytes", PRODUCER, "the broker's memory is bounded"},
    {"delivery.report.only.error", PRODUCER, "the sink's place follows what is delivered"},
    {"transactional.id", PRODUCER, "kafka.delivery says it"},
    {"enable.auto.commit", CONSUMER, "the position is kept in the log"},
    {"enable.auto.offset.store", CONSUMER, "the position is kept in the log"},
    {"enable.partition.eof", CONSUMER, "the broker hears what it needs"},
    {"auto.offset.reset", CONSUMER, "`start` says it"},
    {"group.id", CONSUMER, "no group is joined: the position is kept in the log"},
};

/* Of a producer. */
static const char *const promises[][2] = {
    {"enable.idempotence", "true"}, /* with it acks=all, and at most five requests under way */
    /* As the Java client does: records without a key, of which there are none, at random. */
    {"partitioner", "murmur2_random"},
    /* More than a sink may have under way, so that this is never what refuses. */
    {"queue.buffering.max.messages", "40000"},
    {"queue.buffering.max.kbytes", KAFKA_QUEUE_KBYTES},
};
static_assert(SINK_PIPELINE_MAX < 40000, "the library's queue holds a sink's window");

/* Unless the row says otherwise. */
static const char *const defaults[][2] = {
    {"client.id", "tidings"},
    /* How long a topic that nobody knows may still be on its way; the library's 30 s keep a sink
     * in the dark for too long. */
    {"topic.metadata.propagation.max.ms", "5000"},
    {"reconnect.backoff.max.ms", "2000"},
};

/* Of a consumer, likewise: what was aborted was never said, and the mark that ends a transaction is
 * seen soon. What is fetched and nobody has taken is bounded, by 100,000 records, 32 MiB and one
 * answer. librdkafka 2.0.2 fetches nothing for a second when that is reached, so it is also what
 * is read in a second by a source that lags: measured, of records of 100 bytes, 79,000 a second
 * with half of it, 171,000 with this, 263,000 with four times as much (and 80 MiB more memory). */
static const char *const consumer_defaults[][2] = {
    {"isolation.level", "read_committed"},
    {"queued.max.messages.kbytes", "32768"},
    {"queued.min.messages", "100000"},
    {"fetch.max.bytes", "8388608"},
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.wait.max.ms", "100"},
    {"topic.metadata.refresh.interval.ms", "60000"},
};

/* … and whatever the row says. */
static const char *const consumer_promises[][2] = {
    {"auto.offset.reset", "error"}, /* a position that is lost is told, not passed over */
    {"enable.partition.eof", "true"},
};

static bool is_named(const char *name, const char *row) {
    size_t length = strlen(row);
    return row[length - 1] == '.' ? strncmp(name, row, length) == 0 : strcmp(name, row) == 0;
}

static const struct reserved *find_reserved(const char *name, bool is_consumer) {
    for (size_t index = 0; index < ARRAY_COUNT(reserved); index++) {
        const struct reserved *row = &reserved[index];
        bool is_meant = row->whose == BOTH || (row->whose == CONSUMER) == is_consumer;
        if (is_meant && is_named(name, row->name)) {
            return row;
        }
    }
    return NULL;
}

/* Parts `name=value` into a terminated name and what stands behind it. */
static bool split(const char *option, char ret_name[NAME_BYTES_MAX], const char **ret_value) {
    const char *equals = strchr(option, '=');
    if (equals == NULL || equals == option || equals - option >= NAME_BYTES_MAX) {
        return false;
    }
    struct span name = span_trim(span_of(option, (size_t)(equals - option)));
    snprintf(ret_name, NAME_BYTES_MAX, "%.*s", SPAN_PRINTF(name));
    *ret_value = equals + 1 + strspn(equals + 1, " \t");
    return name.length > 0;
}

static bool has_option(const struct kafka_access *access, const char *name, const char *alias) {
    char found[NAME_BYTES_MAX];
    const char *value;
    for (size_t index = 0; index < access->options->count; index++) {
        if (split(access->options->items[index], found, &value) &&
            (strcmp(found, name) == 0 || strcmp(found, alias) == 0)) {
            return true;
        }
    }
    return false;
}

static enum error_code put_option(const struct kafka_access *access, rd_kafka_conf_t *conf,
                                  const char *option, struct error *why) {
    char name[NAME_BYTES_MAX], reason[REASON_BYTES] = "";
    const char *value;
    if (!split(option, name, &value)) {
        return error_set(why, ERR_CONFIG, "\"%.60s\" is not `name=value`", option);
    }
    const struct reserved *row = find_reserved(name, access->is_consumer);
    if (row != NULL) {
        return error_set(why, ERR_CONFIG, "`%s` cannot be set: %s", name, row->why);
    }
    switch (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason))) {
    case RD_KAFKA_CONF_OK:
        return OK;
    case RD_KAFKA_CONF_UNKNOWN:
        return error_set(why, ERR_CONFIG, "librdkafka has no property `%s`", name);
    case RD_KAFKA_CONF_INVALID:
    default:
        return error_set(why, ERR_CONFIG, "`%s`: %s", name, reason);
    }
}

void kafka_options_check(const struct kafka_access *access, const char *source, const char *key,
                         struct config_faults *faults) {
    char path[NAME_BYTES_MAX];
    struct config_place place = access->place;
    snprintf(path, sizeof(path), "%s%skafka.options", key, *key == 0 ? "" : ".");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t index = 0; index < access->options->count; index++) {
        struct error why = {0};
        if (put_option(access, conf, access->options->items[index], &why) != OK) {
            config_faults_add(faults, source, place.line, place.column, path, "%s", why.detail);
        }
    }
    rd_kafka_conf_destroy(conf);
    bool has_user = access->username != NULL && access->username[0] != 0;
    if (has_user && !has_option(access, "security.protocol", "security.protocol")) {
        config_faults_add(faults, source, place.line, place.column, path,
                          "kafka.username needs `security.protocol=sasl_ssl` here, or "
                          "`sasl_plaintext` where the network is trusted");
    }
}

static enum error_code put_rows(rd_kafka_conf_t *conf, const char *const rows[][2], size_t count,
                                struct error *why) {
    enum error_code code = OK;
    for (size_t index = 0; code == OK && index < count; index++) {
        code = kafka_options_set(conf, rows[index][0], rows[index][1], why);
    }
    return code;
}

static enum error_code put_user(const struct kafka_access *access, rd_kafka_conf_t *conf,
                                struct error *why) {
    if (access->username == NULL || access->username[0] == 0) {
        return OK;
    }
    enum error_code code = kafka_options_set(conf, "sasl.username", access->username, why);
    if (code == OK && access->password != NULL) {
        code = kafka_options_set(conf, "sasl.password", access->password, why);
    }
    if (code == OK && !has_option(access, "sasl.mechanisms", "sasl.mechanism")) {
        code = kafka_options_set(conf, "sasl.mechanisms", "PLAIN", why);
    }
    return code;
}

enum error_code kafka_options_create(const struct kafka_access *access, rd_kafka_conf_t **ret_conf,
                                     struct error *why) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum error_code code = put_rows(conf, defaults, ARRAY_COUNT(defaults), why);
    if (code == OK && access->is_consumer) {
        code = put_rows(conf, consumer_defaults, ARRAY_COUNT(consumer_defaults), why);
    }
    for (size_t index = 0; code == OK && index < access->options->count; index++) {
        code = put_option(access, conf, access->options->items[index], why);
    }
    if (code == OK) {
        code = kafka_options_set(conf, "bootstrap.servers", access->brokers, why);
    }
    if (code == OK && access->is_consumer) {
        code = put_rows(conf, consumer_promises, ARRAY_COUNT(consumer_promises), why);
    }
    if (code == OK) {
        code = put_user(access, conf, why);
    }
    if (code != OK) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    rd_kafka_conf_set_log_cb(conf, NULL); /* what matters comes as an event */
    *ret_conf = conf;
    return OK;
}

enum error_code kafka_options_promise(rd_kafka_conf_t *conf, struct error *why) {
    return put_rows(conf, promises, ARRAY_COUNT(promises), why);
}

enum error_code kafka_options_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                                  struct error *why) {
    char reason[REASON_BYTES] = "";
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK) {
        return error_set(why, ERR_CONFIG, "%s", reason);
    }
    return OK;
}
