/* SPDX-License-Identifier: Apache-2.0 */
/* A Kafka cluster that fails as it is told: librdkafka's mock, as a process. Prints its first
 * brokers as HOST:PORT,…, then answers each line of its input with `ok` or `error: …`, and ends
 * with the input. Brokers are numbered from 1; -1 means all of them, or of a leader none.
 *
 *     mock_kafka [BROKERS]
 *
 * It keeps the last 5 MiB of a partition, knows no Admin API, and shows records of transactions
 * that were aborted: those are claims for a real Kafka.
 */
#include <stdio.h>
#include <stdlib.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "broker/support/macros.h"
#include "broker/support/span.h"

#define WORDS_MAX 66
#define ERRORS_MAX 64

struct words {
    char texts[WORDS_MAX][256]; /* behind the last they are empty */
    size_t count;
};

/* Apache Kafka's protocol, "API keys". */
static const struct {
    const char *name;
    int16_t key;
} apis[] = {
    {"produce", 0},           {"fetch", 1},
    {"list_offsets", 2},      {"metadata", 3},
    {"find_coordinator", 10}, {"init_producer_id", 22},
    {"add_partitions", 24},   {"end_txn", 26},
};

static bool read_number(const char *text, int *ret_number) {
    char *end;
    long number = strtol(text, &end, 10);
    if (*text == 0 || *end != 0) {
        return false;
    }
    *ret_number = (int)number;
    return true;
}

static bool read_api(const char *text, int16_t *ret_key) {
    for (size_t index = 0; index < ARRAY_COUNT(apis); index++) {
        if (strcmp(apis[index].name, text) == 0) {
            *ret_key = apis[index].key;
            return true;
        }
    }
    return false;
}

/* As the library names them: "LEADER_NOT_AVAILABLE"; "_TRANSPORT" ends the connection. */
static bool read_error(const char *text, rd_kafka_resp_err_t *ret_error) {
    const struct rd_kafka_err_desc *rows;
    size_t count;
    rd_kafka_get_err_descs(&rows, &count);
    for (size_t index = 0; index < count; index++) {
        if (rows[index].name != NULL && strcmp(rows[index].name, text) == 0) {
            *ret_error = rows[index].code;
            return true;
        }
    }
    return false;
}

static const char *do_topic(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    int partitions;
    if (!read_number(words->texts[2], &partitions)) {
        return "no number of partitions";
    }
    rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(mock, words->texts[1], partitions, 1);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(error);
}

static const char *do_topic_error(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    rd_kafka_resp_err_t error;
    if (!read_error(words->texts[2], &error)) {
        return "no such error";
    }
    rd_kafka_mock_topic_set_error(mock, words->texts[1], error);
    return NULL;
}

static const char *do_leader(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    int partition, broker;
    if (!read_number(words->texts[2], &partition) || !read_number(words->texts[3], &broker)) {
        return "no number";
    }
    rd_kafka_resp_err_t error =
        rd_kafka_mock_partition_set_leader(mock, words->texts[1], partition, broker);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(error);
}

static const char *do_errors(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    int16_t key;
    rd_kafka_resp_err_t errors[ERRORS_MAX];
    if (!read_api(words->texts[1], &key)) {
        return "no such request";
    }
    size_t count = words->count - 2;
    for (size_t index = 0; index < count; index++) {
        if (!read_error(words->texts[index + 2], &errors[index])) {
            return "no such error";
        }
    }
    rd_kafka_mock_push_request_errors_array(mock, key, count, errors);
    return NULL;
}

static const char *do_clear(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    int16_t key;
    if (!read_api(words->texts[1], &key)) {
        return "no such request";
    }
    rd_kafka_mock_clear_request_errors(mock, key);
    return NULL;
}

static const char *do_rtt(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    int broker, milliseconds;
    if (!read_number(words->texts[1], &broker) || !read_number(words->texts[2], &milliseconds)) {
        return "no number";
    }
    rd_kafka_resp_err_t error = rd_kafka_mock_broker_set_rtt(mock, broker, milliseconds);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(error);
}

static const char *do_down(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    int broker;
    if (!read_number(words->texts[1], &broker)) {
        return "no number of a broker";
    }
    rd_kafka_resp_err_t error = rd_kafka_mock_broker_set_down(mock, broker);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(error);
}

static const char *do_up(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    int broker;
    if (!read_number(words->texts[1], &broker)) {
        return "no number of a broker";
    }
    rd_kafka_resp_err_t error = rd_kafka_mock_broker_set_up(mock, broker);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(error);
}

static const struct {
    const char *name;
    size_t words_min, words_max; /* with the name */
    const char *(*run)(rd_kafka_mock_cluster_t *mock, const struct words *words); /* NULL: done */
} commands[] = {
    {"topic", 3, 3, do_topic},             /* topic NAME PARTITIONS */
    {"topic_error", 3, 3, do_topic_error}, /* topic_error NAME ERROR; NO_ERROR ends it */
    {"leader", 4, 4, do_leader},           /* leader TOPIC PARTITION BROKER */
    {"errors", 3, WORDS_MAX, do_errors},   /* errors REQUEST ERROR…: of the next such requests */
    {"clear", 2, 2, do_clear},             /* clear REQUEST */
    {"rtt", 3, 3, do_rtt},                 /* rtt BROKER MILLISECONDS */
    {"down", 2, 2, do_down},               /* down BROKER: its connections end, none is taken */
    {"up", 2, 2, do_up},                   /* up BROKER */
};

static const char *run(rd_kafka_mock_cluster_t *mock, const struct words *words) {
    for (size_t index = 0; index < ARRAY_COUNT(commands); index++) {
        if (strcmp(commands[index].name, words->texts[0]) == 0) {
            if (words->count < commands[index].words_min ||
                words->count > commands[index].words_max) {
                return "words are missing, or too many";
            }
            return commands[index].run(mock, words);
        }
    }
    return "no such command";
}

static void split(struct span line, struct words *ret_words) {
    ret_words->count = 0;
    line = span_trim(line);
    while (line.length > 0 && ret_words->count < WORDS_MAX) {
        struct span word = span_split(&line, ' ');
        snprintf(ret_words->texts[ret_words->count++], sizeof(ret_words->texts)[0], "%.*s",
                 SPAN_PRINTF(word));
    }
    for (size_t index = ret_words->count; index < WORDS_MAX; index++) {
        ret_words->texts[index][0] = 0;
    }
}

static void serve(rd_kafka_mock_cluster_t *mock) {
    struct words words;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        if (line[length - 1] == '\n') {
            length--;
        }
        split(span_of(line, (size_t)length), &words);
        const char *why = run(mock, &words);
        printf("%s%s\n", why == NULL ? "ok" : "error: ", why == NULL ? "" : why);
        fflush(stdout);
    }
    free(line);
}

int main(int argument_count, char **arguments) {
    int brokers = 1;
    if (argument_count > 2 || (argument_count == 2 && !read_number(arguments[1], &brokers)) ||
        brokers < 1 || brokers > 16) {
        fputs("mock_kafka [BROKERS]\n", stderr);
        return 2;
    }
    char why[512];
    rd_kafka_conf_t *options = rd_kafka_conf_new();
    rd_kafka_conf_set(options, "log_level", "3", NULL, 0); /* it has no brokers, and says so */
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, options, why, sizeof(why));
    if (kafka == NULL) {
        rd_kafka_conf_destroy(options);
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    rd_kafka_mock_cluster_t *mock = rd_kafka_mock_cluster_new(kafka, brokers);
    if (mock == NULL) {
        rd_kafka_destroy(kafka);
        fputs("the mock does not start\n", stderr);
        return 1;
    }
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(mock));
    fflush(stdout);
    serve(mock);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(kafka);
    return 0;
}
