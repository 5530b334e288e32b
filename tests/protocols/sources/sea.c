/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sources/sea.h"

#include <stdio.h>

#include "tests/unit.h"

static char topic[] = SEA_TOPIC;

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *line) {
    (void)client;
    (void)level;
    (void)facility;
    (void)line;
}

static void start(struct sea *sea, int partitions) {
    char fault[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    EXPECT_EQ(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", fault, sizeof(fault)), 0);
    EXPECT_EQ(rd_kafka_conf_set(conf, "linger.ms", "0", fault, sizeof(fault)), 0);
    rd_kafka_conf_set_log_cb(conf, on_log);
    sea->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, fault, sizeof(fault));
    EXPECT_NOT_NULL(sea->producer);
    sea->cluster = rd_kafka_handle_mock_cluster(sea->producer);
    EXPECT_EQ(rd_kafka_mock_topic_create(sea->cluster, SEA_TOPIC, partitions, 1), 0);
    snprintf(sea->brokers, sizeof(sea->brokers), "%s",
             rd_kafka_mock_cluster_bootstraps(sea->cluster));
}

static void stop(struct sea *sea) {
    rd_kafka_destroy(sea->producer);
}

/* Without librdkafka's macros, which clang does not take as C17. */
static void put(struct sea *sea, int32_t partition, struct span key, struct span value,
                const char *header, struct span header_value) {
    const rd_kafka_vu_t words[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = SEA_TOPIC},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(intptr_t)key.bytes, key.length}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(intptr_t)value.bytes, value.length}},
        {.vtype = RD_KAFKA_VTYPE_HEADER,
         .u.header = {header, header_value.bytes, (ssize_t)header_value.length}},
    };
    EXPECT_NULL(rd_kafka_produceva(sea->producer, words, ARRAY_COUNT(words)));
}

void sea_put(struct sea *sea, int32_t partition, const char *key, const char *value,
             size_t length) {
    put(sea, partition, span_of_string(key), span_of(value, length), "trace", SPAN("t1"));
}

void sea_put_marked(struct sea *sea, const char *header, struct span value) {
    put(sea, 0, SPAN("k"), SPAN("marked"), header, value);
}

void sea_flush(struct sea *sea) {
    EXPECT_EQ(rd_kafka_flush(sea->producer, 30000), 0);
}

/* Numbers from `first` to `last`, into one partition. */
void sea_count(struct sea *sea, int32_t partition, uint64_t first, uint64_t last) {
    char text[24];
    for (uint64_t i = first; i <= last; i++) {
        int length = snprintf(text, sizeof(text), "%llu", (unsigned long long)i);
        sea_put(sea, partition, "k", text, (size_t)length);
    }
    sea_flush(sea);
}

char *sea_topics[] = {topic};
static char wait_less[] = "fetch.wait.max.ms=5"; /* the mock waits as long as it may */
static char *options[] = {wait_less};

void sea_prepare(struct dock *dock, struct sea *sea, int partitions) {
    start(sea, partitions);
    dock_init(dock, NULL);
    dock->row.kafka_brokers = sea->brokers;
    dock->row.kafka_topics = (struct config_list){sea_topics, 1, true};
    dock->row.kafka_options = (struct config_list){options, 1, true};
}

void sea_begin_anew(struct sea *sea, int partitions) {
    stop(sea);
    start(sea, partitions);
}

void sea_prepare_read(struct dock *dock, struct sea *sea, uint64_t count) {
    sea_prepare(dock, sea, 1);
    sea_count(sea, 0, 1, count);
    dock_start(dock);
    dock_wait_count(dock, SEA_CHANNEL, count);
}

void sea_finish(struct dock *dock, struct sea *sea) {
    dock_stop(dock);
    dock_finish(dock);
    stop(sea);
}

struct counted {
    uint64_t next;
};

static void expect_next(void *context, const struct message *message) {
    struct counted *counted = context;
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)counted->next++);
    EXPECT_SPAN(message->fields.payload, text);
}

void sea_expect_counted(struct dock *dock, uint64_t first, uint64_t last) {
    struct counted counted = {first};
    dock_each(dock, SEA_CHANNEL, expect_next, &counted);
    EXPECT_EQ(counted.next, last + 1);
}
