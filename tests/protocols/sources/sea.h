/* SPDX-License-Identifier: Apache-2.0 */
/* sea.h — librdkafka's mock cluster in this process, and a dock whose source reads it.
 *
 * Place:   tests of the Kafka source.
 * Thread:  the test's.
 * Bounds:  the mock keeps SEA_PARTITION_BYTES of a partition.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "tests/protocols/sources/dock.h"

#define SEA_TOPIC "sea.north"
#define SEA_CHANNEL "sea/north"
#define SEA_BROKER 1
#define SEA_PARTITION_BYTES 5242880

struct sea {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    char brokers[100];
};

extern char *sea_topics[]; /* of the row: SEA_TOPIC alone */

void sea_prepare(struct dock *dock, struct sea *sea, int partitions);

/* The same with one partition, of whose `count` numbers the source has read all. */
void sea_prepare_read(struct dock *dock, struct sea *sea, uint64_t count);
void sea_finish(struct dock *dock, struct sea *sea); /* stops the dock, too */

/* Another cluster, whose topic has no record yet; the dock is stopped. */
void sea_begin_anew(struct sea *sea, int partitions);

/* One record, with the header "trace". */
void sea_put(struct sea *sea, int32_t partition, const char *key, const char *value, size_t length);

/* One of the value "marked", with that header. */
void sea_put_marked(struct sea *sea, const char *header, struct span value);
void sea_flush(struct sea *sea);

/* Numbers from `first` to `last`, into one partition. */
void sea_count(struct sea *sea, int32_t partition, uint64_t first, uint64_t last);

/* The channel has the numbers `first` to `last`, each once and in order. */
void sea_expect_counted(struct dock *dock, uint64_t first, uint64_t last);
