/* SPDX-License-Identifier: Apache-2.0 */
/* Where a partition begins:
 *
 *   its position is stored             there
 *   else the topic has begun before    at its first record: it was added to the topic
 *   else `start: earliest`             at its first record
 *   else (`now`)                       at its end, which is measured and stored at once: what
 *                                      comes while the broker is down is read later
 *
 * A topic has begun when that is settled for all the partitions it had; a position of its own,
 * under the topic's name, says so. Those of partitions are "<next offset> <time of the last>".
 *
 * A position that Kafka does not have (`auto.offset.reset=error` says so) is below what is kept: a
 * gap, told, and it goes on with the first that is kept. Or it is above the end: the topic was
 * deleted and made again, or lost its tail with its leader. Then it goes on with the first record
 * that is younger than the last one read: all of a new topic, nothing of an old one twice.
 *
 * A topic that was made again and already has more records than were read of the old one has such
 * a position too, and the record before it is another one. So a start at a stored position reads
 * that record again, its witness: where it has another time than the one that was read, it is as
 * if the position were above the end, but never goes forward. Where the witness is gone (deleted,
 * compacted) or has no time, there is nothing to be said against the position. Topic ids (KIP-516)
 * and the leader's epoch would say the same without it; librdkafka 2.0.2 tells neither.
 *
 * WEAKNESS: a record of the same millisecond at the same offset is taken for the one that was read,
 * and what was deleted and made again while it is being read is seen at the next start. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/support/invariant.h"
#include "protocols/sources/kafka_source_private.h"

#define BEGUN "begun"

/* --- positions ------------------------------------------------------------------------------- */

struct span kafka_position_name(const struct kafka_partition *partition,
                                char ret_text[KAFKA_POSITION_BYTES]) {
    int length = snprintf(ret_text, KAFKA_POSITION_BYTES, "%s/%d", partition->topic->name,
                          (int)partition->number);
    INVARIANT(length > 0);
    INVARIANT(length < KAFKA_POSITION_BYTES);
    return span_of(ret_text, (size_t)length);
}

struct span kafka_position_text(int64_t next, int64_t time_ms,
                                char ret_text[KAFKA_POSITION_BYTES]) {
    int length =
        snprintf(ret_text, KAFKA_POSITION_BYTES, "%lld %lld", (long long)next, (long long)time_ms);
    INVARIANT(length > 0);
    return span_of(ret_text, (size_t)length);
}

/* False: none is stored that can be read. */
static bool read_position(struct kafka_source *kafka, struct kafka_partition *partition) {
    char name[KAFKA_POSITION_BYTES];
    struct span rest = source_position(kafka->source, kafka_position_name(partition, name));
    uint64_t next;
    uint64_t time_ms = 0;
    struct span first = span_split(&rest, ' ');
    if (!span_parse_u64(first, &next) || next > INT64_MAX) {
        return false;
    }
    IGNORE_RESULT(span_parse_u64(rest, &time_ms)); /* 0: it is not known */
    partition->next = (int64_t)next;
    partition->time_ms = time_ms <= INT64_MAX ? (int64_t)time_ms : 0;
    return true;
}

struct kafka_partition *kafka_find_partition(struct kafka_topic *topic, int32_t number) {
    return number >= 0 && (size_t)number < topic->count ? &topic->partitions[number] : NULL;
}

/* --- reading --------------------------------------------------------------------------------- */

static void read_from(struct kafka_source *kafka, struct kafka_partition *partition,
                      int64_t offset) {
    if (rd_kafka_consume_start_queue(partition->topic->handle, partition->number, offset,
                                     kafka->queue) != 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        kafka_trouble(kafka, code, "%s/%d: %s", partition->topic->name, (int)partition->number,
                      rd_kafka_err2str(code));
        return;
    }
    partition->state = PARTITION_READ;
    partition->end = 0;
}

static void begin_partition(struct kafka_source *kafka, struct kafka_partition *partition) {
    const struct kafka_topic *topic = partition->topic;
    if (read_position(kafka, partition)) {
        partition->has_witness = partition->next > 0 && partition->time_ms > 0;
        read_from(kafka, partition, partition->next - (partition->has_witness ? 1 : 0));
    } else if (topic->has_begun || strcmp(kafka->row->start, "earliest") == 0) {
        read_from(kafka, partition, RD_KAFKA_OFFSET_BEGINNING);
    } else {
        partition->state = PARTITION_UNMEASURED;
    }
}

/* Says that the topic has begun, once that is settled of all its partitions. */
static void note_begun(struct kafka_source *kafka, struct kafka_topic *topic) {
    if (topic->has_begun || topic->count == 0) {
        return;
    }
    for (size_t i = 0; i < topic->count; i++) {
        if (topic->partitions[i].state < PARTITION_LOST) {
            return;
        }
    }
    topic->has_begun =
        source_put_position(kafka->source, span_of_string(topic->name), SPAN(BEGUN)) == OK;
}

void kafka_begin_topics(struct kafka_source *kafka) {
    for (size_t i = 0; i < kafka->topic_count; i++) {
        struct kafka_topic *topic = &kafka->topics[i];
        topic->has_begun = source_position(kafka->source, span_of_string(topic->name)).length > 0;
    }
}

/* --- a look ---------------------------------------------------------------------------------- */

static const struct rd_kafka_metadata_topic *find_topic(const struct rd_kafka_metadata *metadata,
                                                        const char *name) {
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strcmp(metadata->topics[i].topic, name) == 0) {
            return &metadata->topics[i];
        }
    }
    return NULL;
}

/* Numbers of partitions have no holes. False: no memory. */
static bool grow(struct kafka_topic *topic, size_t count) {
    if (count <= topic->count) {
        return true;
    }
    struct kafka_partition *partitions =
        realloc(topic->partitions, count * sizeof(topic->partitions[0]));
    if (partitions == NULL) {
        return false;
    }
    topic->partitions = partitions;
    for (; topic->count < count; topic->count++) {
        partitions[topic->count] =
            (struct kafka_partition){.topic = topic, .number = (int32_t)topic->count};
    }
    return true;
}

/* What is wrong with a topic as Kafka shows it; NO_ERROR: nothing. */
static rd_kafka_resp_err_t fault_of(const struct rd_kafka_metadata_topic *seen) {
    if (seen == NULL) {
        return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }
    for (int i = 0; seen->err == RD_KAFKA_RESP_ERR_NO_ERROR && i < seen->partition_cnt; i++) {
        if (seen->partitions[i].err != RD_KAFKA_RESP_ERR_NO_ERROR &&
            seen->partitions[i].leader < 0) {
            return seen->partitions[i].err;
        }
    }
    return seen->err;
}

/* False: something is amiss, and was told. */
static bool look_at(struct kafka_source *kafka, struct kafka_topic *topic,
                    const struct rd_kafka_metadata_topic *seen) {
    rd_kafka_resp_err_t fault = fault_of(seen);
    size_t count = seen == NULL || seen->partition_cnt < 0 ? 0 : (size_t)seen->partition_cnt;
    if (count > KAFKA_PARTITIONS_MAX || !grow(topic, count)) {
        kafka_trouble(kafka, fault, "%s: too many partitions", topic->name);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (topic->partitions[i].state == PARTITION_NEW) {
            begin_partition(kafka, &topic->partitions[i]);
        }
    }
    note_begun(kafka, topic);
    if (fault != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_trouble(kafka, fault, "%s: %s", topic->name, rd_kafka_err2str(fault));
    }
    return fault == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* All that Kafka showed is read: `now` is settled. */
static void tell_if_up(struct kafka_source *kafka) {
    for (size_t i = 0; i < kafka->topic_count; i++) {
        for (size_t k = 0; k < kafka->topics[i].count; k++) {
            if (kafka->topics[i].partitions[k].state != PARTITION_READ) {
                return;
            }
        }
    }
    if (kafka->is_well) {
        kafka->reason[0] = '\0';
        source_on_up(kafka->source);
    }
}

void kafka_on_looked(struct kafka_source *kafka) {
    const struct kafka_scout *scout = &kafka->scout;
    bool is_well = scout->code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!is_well) {
        kafka_trouble(kafka, scout->code, "%s",
                      kafka->reason[0] == '\0' ? rd_kafka_err2str(scout->code) : kafka->reason);
        return;
    }
    for (size_t i = 0; i < kafka->topic_count; i++) {
        struct kafka_topic *topic = &kafka->topics[i];
        is_well &= look_at(kafka, topic, find_topic(scout->metadata, topic->name));
    }
    kafka->is_well = is_well;
    tell_if_up(kafka);
}

/* --- measuring ------------------------------------------------------------------------------- */

static bool is_wanted(const struct kafka_partition *partition, bool is_end) {
    return is_end ? partition->state == PARTITION_READ
                  : partition->state == PARTITION_UNMEASURED || partition->state == PARTITION_LOST;
}

static enum error_code list_reaches(struct kafka_source *kafka, bool is_end) {
    size_t count = 0;
    for (size_t i = 0; i < kafka->topic_count; i++) {
        for (size_t k = 0; k < kafka->topics[i].count; k++) {
            count += is_wanted(&kafka->topics[i].partitions[k], is_end);
        }
    }
    struct kafka_reach *reaches = calloc(count + 1, sizeof(*reaches));
    free(kafka->scout.reaches);
    kafka->scout.reaches = reaches;
    kafka->scout.reach_count = 0;
    for (size_t i = 0; reaches != NULL && i < kafka->topic_count; i++) {
        for (size_t k = 0; k < kafka->topics[i].count; k++) {
            const struct kafka_partition *partition = &kafka->topics[i].partitions[k];
            if (is_wanted(partition, is_end)) {
                reaches[kafka->scout.reach_count++] = (struct kafka_reach){
                    .context = partition->topic,
                    .topic = partition->topic->handle,
                    .partition = partition->number,
                    .is_to_stop = partition->state == PARTITION_LOST,
                    .after_ms = partition->state == PARTITION_LOST ? partition->time_ms : 0};
            }
        }
    }
    return reaches == NULL ? ERR_MEMORY : OK;
}

enum error_code kafka_list_read(struct kafka_source *kafka) {
    return list_reaches(kafka, true);
}

bool kafka_measure(struct kafka_source *kafka) {
    if (loop_is_armed(&kafka->look) || list_reaches(kafka, false) != OK ||
        kafka->scout.reach_count == 0) {
        return false; /* what was amiss just now is not asked for without a pause */
    }
    kafka_send_scout(kafka, KAFKA_MEASURE);
    return true;
}

/* Where a position leads that Kafka does not have, and how many records are missing. */
static int64_t find_next(const struct kafka_partition *partition, const struct kafka_reach *reach,
                         uint64_t *ret_missing) {
    *ret_missing = 0;
    if (partition->next < reach->low) {
        *ret_missing = (uint64_t)(reach->low - partition->next);
        return reach->low;
    }
    if (partition->is_other && reach->behind < partition->next) {
        return reach->behind;
    }
    return partition->next > reach->high ? reach->behind : partition->next;
}

/* False: no memory. */
static bool leave_lost(struct kafka_source *kafka, struct kafka_partition *partition,
                       const struct kafka_reach *reach) {
    char name[KAFKA_POSITION_BYTES];
    char text[KAFKA_POSITION_BYTES];
    char detail[160];
    uint64_t missing;
    int64_t next = find_next(partition, reach, &missing);
    if (next != partition->next) {
        const char *where = missing > 0                      ? "before what Kafka keeps"
                            : partition->next <= reach->high ? "of a topic that was made again"
                                                             : "behind what Kafka keeps";
        snprintf(detail, sizeof(detail), "offset %lld is %s (%lld to %lld); it goes on at %lld",
                 (long long)partition->next, where, (long long)reach->low, (long long)reach->high,
                 (long long)next);
        if (source_put_gap(kafka->source, kafka_position_name(partition, name),
                           kafka_position_text(next, partition->time_ms, text), missing,
                           detail) != OK) {
            return false;
        }
    }
    partition->next = next;
    partition->is_other = false;
    return true;
}

static bool leave_unmeasured(struct kafka_source *kafka, struct kafka_partition *partition,
                             const struct kafka_reach *reach) {
    char name[KAFKA_POSITION_BYTES];
    char text[KAFKA_POSITION_BYTES];
    partition->next = reach->high;
    return source_put_position(kafka->source, kafka_position_name(partition, name),
                               kafka_position_text(partition->next, 0, text)) == OK;
}

static void on_reach(struct kafka_source *kafka, const struct kafka_reach *reach) {
    struct kafka_topic *topic = reach->context;
    struct kafka_partition *partition = kafka_find_partition(topic, reach->partition);
    INVARIANT(partition != NULL);
    if (reach->code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_trouble(kafka, reach->code, "%s/%d: %s", topic->name, (int)reach->partition,
                      rd_kafka_err2str(reach->code));
        return;
    }
    bool is_settled = partition->state == PARTITION_LOST
                          ? leave_lost(kafka, partition, reach)
                          : leave_unmeasured(kafka, partition, reach);
    if (is_settled) {
        read_from(kafka, partition, partition->next);
    }
}

void kafka_on_measured(struct kafka_source *kafka) {
    for (size_t i = 0; i < kafka->scout.reach_count; i++) {
        on_reach(kafka, &kafka->scout.reaches[i]);
    }
    for (size_t i = 0; i < kafka->topic_count; i++) {
        note_begun(kafka, &kafka->topics[i]);
    }
    tell_if_up(kafka);
}
