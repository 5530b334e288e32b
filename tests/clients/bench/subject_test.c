/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/subject.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit.h"

#define LARGE_BYTES (64u << 20)

/* Touches much memory, tells so, and lives until `hold` is closed. */
static void be_large(int told, int hold) {
    char letter = 'x';
    char *memory =
        mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        memset(memory, 1, LARGE_BYTES);
        if (write(told, &letter, 1) == 1) {
            (void)!read(hold, &letter, 1);
        }
    }
    _exit(0);
}

struct pipes {
    int told[2];
    int hold[2];
    uint64_t rss_bytes;
};

static void *start_child(void *context) {
    struct pipes *pipes = context;
    char letter;
    pid_t child = fork();
    if (child == 0) {
        close(pipes->hold[1]);
        be_large(pipes->told[1], pipes->hold[0]);
    }
    if (read(pipes->told[0], &letter, 1) == 1) {
        pipes->rss_bytes = subject_get_rss_bytes((uint64_t)getpid());
    }
    close(pipes->hold[1]);
    waitpid(child, NULL, 0);
    return NULL;
}

TEST(children_that_another_thread_started_are_counted) {
    struct pipes pipes = {0};
    pthread_t thread;
    uint64_t before_bytes = subject_get_rss_bytes((uint64_t)getpid());
    EXPECT_EQ(pipe(pipes.told) + pipe(pipes.hold), 0);
    EXPECT_EQ(pthread_create(&thread, NULL, start_child, &pipes), 0);
    pthread_join(thread, NULL);
    EXPECT_TRUE(before_bytes > 0);
    EXPECT_TRUE(pipes.rss_bytes >= before_bytes + LARGE_BYTES);
    close(pipes.told[0]);
    close(pipes.told[1]);
    close(pipes.hold[0]);
}

TEST(a_process_that_is_gone_has_no_cpu_time) {
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    siginfo_t ended; /* it stays a zombie until its parent asks */
    EXPECT_EQ(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
    EXPECT_FALSE(subject_exists((uint64_t)child));
    waitpid(child, NULL, 0);
    EXPECT_FALSE(subject_exists((uint64_t)child));
    EXPECT_TRUE(subject_get_cpu_s((uint64_t)child) < 0);
    EXPECT_TRUE(subject_get_cpu_s(0) < 0);
    EXPECT_TRUE(subject_get_cpu_s((uint64_t)getpid()) > 0);
}

TEST(cpu_time_is_not_measured_where_some_of_it_ended) {
    EXPECT_TRUE(subject_get_cpu_between_s(1, 1.5) == 0.5);
    EXPECT_TRUE(subject_get_cpu_between_s(1, 0.5) < 0);
    EXPECT_TRUE(subject_get_cpu_between_s(SUBJECT_NOT_MEASURED, 0.5) < 0);
    EXPECT_TRUE(subject_get_cpu_between_s(1, SUBJECT_NOT_MEASURED) < 0);
}

UNIT_TESTS(UNIT(children_that_another_thread_started_are_counted),
           UNIT(a_process_that_is_gone_has_no_cpu_time),
           UNIT(cpu_time_is_not_measured_where_some_of_it_ended))
