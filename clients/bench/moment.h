/* SPDX-License-Identifier: Apache-2.0 */
/* moment.h — the load's clock, and waiting by it.
 *
 * Place:   the threads of a load.
 * Thread:  any.
 * Bounds:  none.
 */
#pragma once

#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

#define MOMENT_SECOND_NS 1000000000ull
#define MOMENT_NEVER UINT64_MAX

static inline uint64_t moment_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * MOMENT_SECOND_NS + (uint64_t)now.tv_nsec;
}

/* epoll_wait until a moment. */
static inline int moment_wait(int epoll, struct epoll_event *events, int count, uint64_t until_ns) {
    uint64_t now_ns = moment_now_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / MOMENT_SECOND_NS),
                            .tv_nsec = (long)(left_ns % MOMENT_SECOND_NS)};
    return epoll_pwait2(epoll, events, count, until_ns == MOMENT_NEVER ? NULL : &left, NULL);
}
