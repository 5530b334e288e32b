/* SPDX-License-Identifier: Apache-2.0 */
/* limit fanout PORT                            a raw server: readers and publishers, nothing kept
 * limit publish PORT [--file FILE] [--fsync]   the same, which appends what is published to FILE
 *                                              before it answers, with one write a turn; with
 *                                              --fsync one fdatasync a turn (group commit)
 * limit append --file FILE --bytes N --count N [--fsync] [--ahead BYTES]
 *                                              appends N bytes, COUNT times; --ahead writes BYTES
 *                                              of zeros first, so that no append grows the file
 *
 * What the machine can do: the load that measures the broker measures this beside it. A server
 * prints "ready PORT" and runs until it is ended; `append` prints one line of JSON. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/support/clock.h"
#include "clients/bench/histogram.h"
#include "tests/bench/raw.h"

#define BLOCK_BYTES 65536

struct options {
    const char *path;
    uint64_t bytes;
    uint64_t count;
    uint64_t ahead_bytes;
    bool has_sync;
};

static noreturn void usage(void) {
    fputs("limit fanout PORT\n"
          "limit publish PORT [--file FILE] [--fsync]\n"
          "limit append --file FILE --bytes N --count N [--fsync] [--ahead BYTES]\n",
          stderr);
    exit(2);
}

static uint64_t parse_number(const char *text) {
    char *end = NULL;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        usage();
    }
    return number;
}

/* The words that are no option stay in `words` from optind on. */
static struct options parse(int count, char **words) {
    static const struct option rows[] = {
        {"file", required_argument, NULL, 'f'},  {"bytes", required_argument, NULL, 'b'},
        {"count", required_argument, NULL, 'c'}, {"ahead", required_argument, NULL, 'a'},
        {"fsync", no_argument, NULL, 's'},       {0}};
    struct options options = {0};
    int found;
    while ((found = getopt_long(count, words, "", rows, NULL)) != -1) {
        switch (found) {
        case 'f':
            options.path = optarg;
            break;
        case 'b':
            options.bytes = parse_number(optarg);
            break;
        case 'c':
            options.count = parse_number(optarg);
            break;
        case 'a':
            options.ahead_bytes = parse_number(optarg);
            break;
        case 's':
            options.has_sync = true;
            break;
        default:
            usage();
        }
    }
    return options;
}

static int open_file(const char *path) {
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (file < 0) {
        raw_fail(path);
    }
    return file;
}

static void write_ahead(int file, uint64_t bytes) {
    static const char zeros[BLOCK_BYTES];
    for (uint64_t at = 0; at < bytes; at += BLOCK_BYTES) {
        if (pwrite(file, zeros, sizeof(zeros), (off_t)at) != (ssize_t)sizeof(zeros)) {
            raw_fail("the bytes ahead");
        }
    }
    if (fsync(file) != 0) {
        raw_fail("fsync");
    }
}

static void append(const struct options *options) {
    struct histogram *histogram = histogram_create();
    char *bytes = malloc(options->bytes);
    int file = open_file(options->path);
    if (histogram == NULL || bytes == NULL) {
        raw_fail("memory");
    }
    memset(bytes, 'x', options->bytes);
    write_ahead(file, options->ahead_bytes);
    uint64_t begin_us = clock_monotonic_us();
    for (uint64_t i = 0; i < options->count; i++) {
        uint64_t from_us = clock_monotonic_us();
        if (write(file, bytes, options->bytes) != (ssize_t)options->bytes ||
            (options->has_sync && fdatasync(file) != 0)) {
            raw_fail(options->path);
        }
        histogram_add(histogram, clock_monotonic_us() - from_us);
    }
    double seconds = (double)(clock_monotonic_us() - begin_us) / 1e6;
    printf("{\"bytes\":%llu,\"count\":%llu,\"fsync\":%s,\"ahead\":%llu,\"per_second\":%.0f,"
           "\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu}\n",
           (unsigned long long)options->bytes, (unsigned long long)options->count,
           options->has_sync ? "true" : "false", (unsigned long long)options->ahead_bytes,
           (double)options->count / seconds,
           (unsigned long long)histogram_percentile(histogram, 50),
           (unsigned long long)histogram_percentile(histogram, 99),
           (unsigned long long)histogram->highest);
    close(file);
    free(bytes);
    free(histogram);
}

static noreturn void serve(const struct options *options, const char *port) {
    uint64_t number = parse_number(port);
    struct raw_options raw = {.port = (uint16_t)number, .journal = -1};
    if (number > UINT16_MAX) {
        usage();
    }
    if (options->path != NULL) {
        raw.journal = open_file(options->path);
        raw.has_sync = options->has_sync;
    }
    raw_run(&raw);
}

int main(int count, char **words) {
    struct options options = parse(count, words);
    const char *mode = optind < count ? words[optind] : "";
    const char *port = optind + 1 < count ? words[optind + 1] : "";
    if (strcmp(mode, "append") == 0 && options.path != NULL && options.bytes > 0) {
        append(&options);
    } else if (strcmp(mode, "publish") == 0 || strcmp(mode, "fanout") == 0) {
        serve(&options, port);
    } else {
        usage();
    }
    return 0;
}
