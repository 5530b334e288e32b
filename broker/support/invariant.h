/* SPDX-License-Identifier: Apache-2.0 */
/* invariant.h — claims that hold in every build, and the check that an object is on its thread.
 *
 * Place:   called by everyone; prints to standard error and aborts.
 * Thread:  any.
 * Bounds:  none. A check costs about 1 ns, so it stays on (measured: about 5 ns per delivery in
 *          all).
 *
 * Never used on input: what comes from outside is refused with an error, not asserted.
 */
#pragma once

#include <pthread.h>

#define INVARIANT(claim)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(claim), 0)) {                                                       \
            invariant_failed(#claim, __FILE__, __LINE__);                                          \
        }                                                                                          \
    } while (0)

/* Prints the broken claim and where it stands, then aborts. */
__attribute__((noreturn)) void invariant_failed(const char *claim, const char *file, int line);

/* The thread that may change an object. Embedded by value in what one thread owns. */
struct owner {
    pthread_t thread;
};

/* Makes the calling thread the owner. */
static inline void owner_claim(struct owner *owner) {
    owner->thread = pthread_self();
}

#define OWNER_CHECK(object) INVARIANT(pthread_equal((object)->owner.thread, pthread_self()))
