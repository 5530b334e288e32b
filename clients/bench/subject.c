/* SPDX-License-Identifier: Apache-2.0 */
/* The process's CPU clock counts nanoseconds, of threads that have ended too; the figures of
 * /proc/PID/stat are the same in steps of 10 ms, too coarse for a second of an idle server. */
#include "clients/bench/subject.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 64
#define STAT_BYTES 256      /* up to the state: an id, a name of up to 64 bytes, a letter */
#define CHILDREN_BYTES 4096 /* of one process's list: 256 ids of up to eight digits, or more */

struct family {
    uint64_t pids[SUBJECT_CHILDREN_MAX];
    size_t count;
};

static void add_children(struct family *family, uint64_t pid, const char *thread) {
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof(path), "/proc/%" PRIu64 "/task/%s/children", pid, thread);
    FILE *file = length < PATH_BYTES ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return; /* it has ended, or the kernel has no such list */
    }
    char text[CHILDREN_BYTES];
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = '\0';
    char *at = text;
    while (family->count < SUBJECT_CHILDREN_MAX) {
        char *end;
        uint64_t child = strtoull(at, &end, 10);
        if (end == at) {
            break;
        }
        family->pids[family->count++] = child;
        at = end;
    }
}

/* A child is its thread's who started it. */
static void add_children_of_threads(struct family *family, uint64_t pid) {
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%" PRIu64 "/task", pid);
    DIR *threads = opendir(path);
    const struct dirent *thread;
    while (threads != NULL && (thread = readdir(threads)) != NULL) {
        if (thread->d_name[0] != '.') {
            add_children(family, pid, thread->d_name);
        }
    }
    if (threads != NULL) {
        closedir(threads);
    }
}

static void collect(struct family *family, uint64_t pid) {
    family->count = 0;
    if (pid == 0) {
        return;
    }
    family->pids[family->count++] = pid;
    for (size_t index = 0; index < family->count; index++) {
        add_children_of_threads(family, family->pids[index]);
    }
}

static bool read_cpu_s(uint64_t pid, double *ret_seconds) {
    clockid_t clock;
    struct timespec spent;
    if (clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &spent) != 0) {
        return false;
    }
    *ret_seconds = (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
    return true;
}

static uint64_t read_rss_bytes(uint64_t pid) {
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%" PRIu64 "/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    char text[PATH_BYTES] = ""; /* pages: all, resident, … */
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    char *second;
    strtoull(text, &second, 10);
    return strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* It has ended, and its parent has not asked how: "PID (NAME) Z …". A name may have a ')', too. */
static bool is_ended(uint64_t pid) {
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return true;
    }
    char text[STAT_BYTES];
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end == NULL || strncmp(name_end, ") Z", 3) == 0;
}

bool subject_exists(uint64_t pid) {
    double seconds;
    return pid != 0 && read_cpu_s(pid, &seconds) && !is_ended(pid);
}

double subject_get_cpu_s(uint64_t pid) {
    struct family family;
    collect(&family, pid);
    double all = 0;
    if (!subject_exists(pid)) {
        return SUBJECT_NOT_MEASURED;
    }
    for (size_t index = 0; index < family.count; index++) {
        double seconds;
        if (read_cpu_s(family.pids[index], &seconds)) {
            all += seconds;
        }
    }
    return all;
}

double subject_get_cpu_between_s(double before_s, double after_s) {
    bool is_measured = before_s >= 0 && after_s >= before_s;
    return is_measured ? after_s - before_s : SUBJECT_NOT_MEASURED;
}

uint64_t subject_get_rss_bytes(uint64_t pid) {
    struct family family;
    collect(&family, pid);
    uint64_t all = 0;
    for (size_t index = 0; index < family.count; index++) {
        all += read_rss_bytes(family.pids[index]);
    }
    return all;
}
