/* SPDX-License-Identifier: Apache-2.0 */
/* load KIND HOST:PORT CHANNEL READERS RATE SECONDS BYTES [PUBLISHERS]
 *
 * KIND is websocket, events, nats, mqtt-qos0 or mqtt-qos1. Connects the readers, prints "ready" and
 * a line end, waits for a line on standard input, publishes, and prints one line of JSON. RATE 0
 * publishes nothing and holds the readers until standard input ends. bench.py runs it. */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/publisher.h"
#include "tests/bench/readers.h"

#define DRAIN_US 5000000 /* how long what is still under way may take */

noreturn void load_fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerrordesc_np(errno));
    exit(1);
}

uint64_t load_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

int load_connect(const struct load_options *options, uint32_t index) {
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in local = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(0x7f000002u + index % 8)};
    if (file < 0 || setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        setsockopt(file, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) != 0 ||
        bind(file, (struct sockaddr *)&local, sizeof(local)) != 0 ||
        connect(file, (const struct sockaddr *)&options->address, sizeof(options->address)) != 0) {
        load_fail("connect");
    }
    return file;
}

void load_write(int file, const void *bytes, size_t length) {
    const char *rest = bytes;
    while (length > 0) {
        ssize_t count = send(file, rest, length, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            load_fail("send");
        }
        rest += count > 0 ? count : 0;
        length -= count > 0 ? (size_t)count : 0;
    }
}

static enum load_kind parse_kind(const char *text) {
    static const char *const names[] = {[LOAD_WEBSOCKET] = "websocket",
                                        [LOAD_EVENTS] = "events",
                                        [LOAD_NATS] = "nats",
                                        [LOAD_MQTT_QOS0] = "mqtt-qos0",
                                        [LOAD_MQTT_QOS1] = "mqtt-qos1"};
    for (enum load_kind kind = LOAD_WEBSOCKET; kind <= LOAD_MQTT_QOS1; kind++) {
        if (strcmp(text, names[kind]) == 0) {
            return kind;
        }
    }
    errno = EINVAL;
    load_fail(text);
}

static struct load_options parse(int count, char **words) {
    if (count < 8) {
        fputs("load KIND HOST:PORT CHANNEL READERS RATE SECONDS BYTES [PUBLISHERS]\n", stderr);
        exit(2);
    }
    struct load_options options = {
        .kind = parse_kind(words[1]), .host = words[2], .channel = words[3]};
    char address[64];
    snprintf(address, sizeof(address), "%s", words[2]);
    char *colon = strrchr(address, ':');
    if (colon == NULL) {
        errno = EINVAL;
        load_fail(words[2]);
    }
    *colon = '\0';
    options.address.sin_family = AF_INET;
    options.address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, address, &options.address.sin_addr) != 1) {
        load_fail(words[2]);
    }
    options.readers = (uint32_t)strtoul(words[4], NULL, 10);
    options.rate_per_s = strtod(words[5], NULL);
    options.seconds = strtod(words[6], NULL);
    options.payload_bytes = (uint32_t)strtoul(words[7], NULL, 10);
    options.publishers = count > 8 ? (uint32_t)strtoul(words[8], NULL, 10) : 1;
    if (options.payload_bytes > PUBLISHER_BYTES_MAX || options.publishers == 0) {
        errno = ERANGE;
        load_fail("BYTES or PUBLISHERS");
    }
    return options;
}

/* Keeps the readers alive until a line or the end comes on standard input. */
static void hold(struct readers *readers) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    puts("ready");
    fflush(stdout);
    while (poll(&input, 1, 0) == 0) {
        readers_turn(readers, 20);
    }
    char line[16];
    if (fgets(line, sizeof(line), stdin) == NULL) {
        exit(0);
    }
}

static void print(const struct load_options *options, struct load_results *results,
                  struct readers *readers, uint64_t took_us) {
    const struct histogram *latencies = readers_borrow_latencies(readers);
    uint64_t published = atomic_load(&results->published);
    uint64_t delivered = readers_get_delivered(readers);
    printf("{\"readers\":%u,\"published\":%llu,\"answered\":%llu,\"expected\":%llu,"
           "\"delivered\":%llu,\"closed\":%llu,\"seconds\":%.3f,\"per_second\":%.0f,"
           "\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu,\"sampled\":%llu}\n",
           options->readers, (unsigned long long)published,
           (unsigned long long)atomic_load(&results->answered),
           (unsigned long long)(published * options->readers), (unsigned long long)delivered,
           (unsigned long long)readers_get_closed(readers), (double)took_us / 1e6,
           (double)delivered * 1e6 / (double)took_us,
           (unsigned long long)histogram_percentile(latencies, 50),
           (unsigned long long)histogram_percentile(latencies, 99),
           (unsigned long long)latencies->highest_us, (unsigned long long)latencies->total);
}

int main(int count, char **words) {
    struct load_options options = parse(count, words);
    struct load_results results = {0};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct readers *readers = readers_create(&options);
    hold(readers);
    struct publisher publisher = {.options = &options, .results = &results};
    pthread_t thread;
    uint64_t begin = load_now_us();
    if (pthread_create(&thread, NULL, publisher_run, &publisher) != 0) {
        load_fail("a thread");
    }
    uint64_t end = UINT64_MAX;
    while (load_now_us() < end) {
        uint64_t delivered = readers_get_delivered(readers);
        readers_turn(readers, 20);
        bool is_published = atomic_load(&results.is_published);
        if (is_published && delivered == atomic_load(&results.published) * options.readers) {
            break;
        }
        if (is_published && end == UINT64_MAX) {
            end = load_now_us() + DRAIN_US;
        }
    }
    uint64_t took_us = load_now_us() - begin;
    pthread_join(thread, NULL);
    print(&options, &results, readers, took_us);
    readers_destroy(readers);
    return 0;
}
