/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule is fixed when the run begins: message n leaves at n / rate. A publisher that is late
 * sends all that is due at once, so a slow server cannot slow the load it is measured under. */
#include "tests/bench/publisher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/mqtt.h"

#define PUBLISHER_HEAD_BYTES 512
#define PUBLISHER_CONNECTIONS_MAX 64

struct link {
    int file;
    int match; /* how much of "HTTP/1.1 200" has been seen in a row */
};

struct batch {
    char bytes[PUBLISHER_HEAD_BYTES + PUBLISHER_BYTES_MAX];
};

static size_t put_payload(char *bytes, uint32_t length) {
    int head = snprintf(bytes, 64, "{\"t\":%llu,\"x\":\"",
                        (unsigned long long)(LOAD_TIME_BASE_US + load_now_us()));
    size_t used = (size_t)head;
    while (used + 2 < length) {
        bytes[used++] = 'x';
    }
    memcpy(bytes + used, "\"}", 2);
    return used + 2;
}

/* One message as the server wants it: a request, or a PUB. */
static size_t put_message(const struct load_options *options, struct batch *batch,
                          uint64_t number) {
    static const char least[] = "{\"t\":1000000000000000,\"x\":\"\"}";
    uint32_t length = options->payload_bytes;
    if (length < sizeof(least) - 1) {
        length = sizeof(least) - 1;
    }
    int head;
    if (load_is_mqtt(options->kind)) {
        head = (int)mqtt_put_publish((uint8_t *)batch->bytes, options->channel,
                                     options->kind == LOAD_MQTT_QOS1,
                                     (uint16_t)(number % UINT16_MAX + 1), length);
    } else if (options->kind == LOAD_NATS) {
        head =
            snprintf(batch->bytes, PUBLISHER_HEAD_BYTES, "PUB %s %u\r\n", options->channel, length);
    } else {
        head = snprintf(batch->bytes, PUBLISHER_HEAD_BYTES,
                        "POST /channels/%s HTTP/1.1\r\nHost: %s\r\n"
                        "Content-Type: application/json\r\nContent-Length: %u\r\n\r\n",
                        options->channel, options->host, length);
    }
    size_t used = (size_t)head;
    used += put_payload(batch->bytes + used, length);
    if (options->kind == LOAD_NATS) {
        memcpy(batch->bytes + used, "\r\n", 2);
        used += 2;
    }
    return used;
}

/* Reads what has come and counts the answers that say 200, or acknowledge. */
static void count_answers(struct publisher *publisher, struct link *link) {
    const char *good = load_is_mqtt(publisher->options->kind) ? "\x40\x02" : "HTTP/1.1 200";
    char bytes[16384];
    ssize_t count;
    while ((count = recv(link->file, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        for (ssize_t index = 0; index < count; index++) {
            link->match =
                bytes[index] == good[link->match] ? link->match + 1 : (bytes[index] == good[0]);
            if (good[link->match] == '\0') {
                atomic_fetch_add(&publisher->results->answered, 1);
                link->match = 0;
            }
        }
    }
    if (count == 0) {
        load_fail("the server closed a publisher");
    }
}

static void wait_until(uint64_t moment_us) {
    uint64_t now = load_now_us();
    if (moment_us > now) {
        struct timespec pause = {.tv_sec = (time_t)((moment_us - now) / 1000000),
                                 .tv_nsec = (long)((moment_us - now) % 1000000) * 1000};
        nanosleep(&pause, NULL);
    }
}

/* The last answers. nats-server sends none, but needs the time: what it has not read when we close
 * is lost with the connection. */
static void wait_for_answers(struct publisher *publisher, struct link *links, uint32_t link_count,
                             uint64_t total) {
    bool is_answered =
        publisher->options->kind != LOAD_NATS && publisher->options->kind != LOAD_MQTT_QOS0;
    uint64_t end = load_now_us() + (is_answered ? 20000000 : 1000000);
    while (load_now_us() < end &&
           (!is_answered || atomic_load(&publisher->results->answered) < total)) {
        wait_until(load_now_us() + 1000);
        for (uint32_t index = 0; index < link_count; index++) {
            count_answers(publisher, &links[index]);
        }
    }
}

static void greet(const struct load_options *options, const struct link *link) {
    uint8_t bytes[MQTT_HEAD_BYTES_MAX];
    if (options->kind == LOAD_NATS) {
        load_write(link->file, "CONNECT {\"verbose\":false}\r\n", 27);
    } else if (load_is_mqtt(options->kind)) {
        load_write(link->file, bytes, mqtt_put_connect(bytes));
        if (recv(link->file, bytes, 4, MSG_WAITALL) != 4) {
            load_fail("CONNACK");
        }
    }
}

void *publisher_run(void *context) {
    struct publisher *publisher = context;
    const struct load_options *options = publisher->options;
    struct batch *batch = malloc(sizeof(*batch));
    struct link links[PUBLISHER_CONNECTIONS_MAX] = {0};
    uint32_t link_count = options->publishers > PUBLISHER_CONNECTIONS_MAX
                              ? PUBLISHER_CONNECTIONS_MAX
                              : options->publishers;
    for (uint32_t index = 0; index < link_count; index++) {
        links[index].file = load_connect(options, index);
        greet(options, &links[index]);
    }
    uint64_t begin = load_now_us();
    uint64_t total = (uint64_t)(options->rate_per_s * options->seconds);
    for (uint64_t number = 0; number < total && batch != NULL; number++) {
        struct link *link = &links[number % link_count];
        wait_until(begin + (uint64_t)((double)number * 1e6 / options->rate_per_s));
        load_write(link->file, batch->bytes, put_message(options, batch, number));
        atomic_fetch_add(&publisher->results->published, 1);
        count_answers(publisher, link);
    }
    wait_for_answers(publisher, links, link_count, total);
    for (uint32_t index = 0; index < link_count; index++) {
        close(links[index].file);
    }
    free(batch);
    atomic_store(&publisher->results->is_published, true);
    return NULL;
}
