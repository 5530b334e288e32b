/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PROC_TEXT_BYTES 8192 /* /proc/self/status is about 1.5 KiB */
#define STAT_VIRTUAL_BYTES 23
#define STAT_USER_TICKS 14
#define STAT_SYSTEM_TICKS 15
#define STAT_THREADS 20
#define STAT_START_TICKS 22

/* What fits of a file; empty where it cannot be read. */
static struct span read_file(const char *path, uint8_t *bytes, size_t bytes_max) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return (struct span){0};
    }
    size_t length = 0;
    ssize_t more;
    while ((more = read(file, bytes + length, bytes_max - length)) > 0) {
        length += (size_t)more;
    }
    close(file);
    return span_of(bytes, length);
}

/* -1: unknown. The one that the count itself opens is left out. */
static int64_t count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        return -1;
    }
    int64_t count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count - 1;
}

/* When the machine was started, in milliseconds since 1970. */
static uint64_t boot_time_ms(void) {
    struct timespec wall;
    struct timespec since_boot;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    return (uint64_t)(wall.tv_sec - since_boot.tv_sec) * 1000 +
           (uint64_t)((wall.tv_nsec - since_boot.tv_nsec) / 1000000);
}

/* Once: a wall clock that is put right must not look like a restart. */
static void collect_start(struct metrics_shard *shard, uint64_t start_ms) {
    atomic_uint_fast64_t *slot = metrics_slot_of(shard, METRIC_PROCESS_START, 0);
    if (atomic_load_explicit(slot, memory_order_relaxed) == 0) {
        metrics_set(shard, METRIC_PROCESS_START, boot_time_ms() + start_ms);
    }
}

static void collect_stat(struct metrics_shard *shard) {
    uint8_t bytes[PROC_TEXT_BYTES];
    struct span stat = read_file("/proc/self/stat", bytes, sizeof(bytes));
    uint64_t user;
    uint64_t system;
    uint64_t value;
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    if (process_find_stat(stat, STAT_USER_TICKS, &user) &&
        process_find_stat(stat, STAT_SYSTEM_TICKS, &system)) {
        metrics_set(shard, METRIC_PROCESS_CPU, (user + system) * 1000 / ticks);
    }
    if (process_find_stat(stat, STAT_VIRTUAL_BYTES, &value)) {
        metrics_set(shard, METRIC_PROCESS_VIRTUAL, value);
    }
    if (process_find_stat(stat, STAT_THREADS, &value)) {
        metrics_set(shard, METRIC_PROCESS_THREADS, value);
    }
    if (process_find_stat(stat, STAT_START_TICKS, &value)) {
        collect_start(shard, value * 1000 / ticks);
    }
}

void process_collect(struct metrics_shard *shard) {
    uint8_t bytes[PROC_TEXT_BYTES];
    struct span status = read_file("/proc/self/status", bytes, sizeof(bytes));
    uint64_t kilobytes;
    if (process_find_kilobytes(status, "VmRSS:", &kilobytes)) {
        metrics_set(shard, METRIC_PROCESS_RESIDENT, kilobytes * 1024);
    }
    if (process_find_kilobytes(status, "RssAnon:", &kilobytes)) {
        metrics_set(shard, METRIC_MEMORY_ANONYMOUS, kilobytes * 1024);
    }
    collect_stat(shard);
    int64_t descriptors = count_descriptors();
    if (descriptors >= 0) {
        metrics_set(shard, METRIC_PROCESS_OPEN_FDS, (uint64_t)descriptors);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        metrics_set(shard, METRIC_PROCESS_MAX_FDS, limit.rlim_cur);
    }
    if (getrlimit(RLIMIT_AS, &limit) == 0) {
        metrics_set(shard, METRIC_PROCESS_VIRTUAL_MAX, limit.rlim_cur); /* RLIM_INFINITY is -1 */
    }
}

bool process_find_kilobytes(struct span status, const char *name, uint64_t *ret_kilobytes) {
    while (status.length > 0) {
        struct span value = span_split(&status, '\n');
        if (span_has_prefix(value, span_of_string(name))) {
            size_t length = strlen(name);
            value = span_trim(span_of(value.bytes + length, value.length - length));
            return span_parse_u64(span_split(&value, ' '), ret_kilobytes);
        }
    }
    return false;
}

bool process_find_stat(struct span stat, unsigned number, uint64_t *ret_value) {
    size_t at = stat.length;
    while (at > 0 && stat.bytes[at - 1] != ')') {
        at--;
    }
    if (at == 0 || at == stat.length) {
        return false;
    }
    struct span rest = span_of(stat.bytes + at + 1, stat.length - at - 1); /* behind ") " */
    rest = span_split(&rest, '\n');
    struct span field = {0};
    for (unsigned i = 3; i <= number; i++) {
        field = span_split(&rest, ' ');
    }
    return span_parse_u64(field, ret_value);
}
