/* SPDX-License-Identifier: Apache-2.0 */
/* errand.h — main asks a thread of the load to do something between two of its turns, and waits.
 *
 * Place:   stage.c and load.c ask; crews and publishers look once a turn.
 * Thread:  errand_run is main's, errand_look the asked thread's.
 * Bounds:  one errand at a time.
 *
 * So everything that a thread measures is touched by that thread alone, and costs it no lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef void errand_function(void *owner, void *argument);

struct errand {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    errand_function *function; /* NULL: nothing to do */
    void *argument;
    atomic_bool is_asked;
    int event; /* an eventfd for the asked thread's epoll: readable when asked */
};

/* Ends the program where there is no eventfd. */
void errand_init(struct errand *errand);
void errand_finish(struct errand *errand);

/* Has `function` called in the other thread and returns when it was. */
void errand_run(struct errand *errand, errand_function *function, void *argument);

/* Does what was asked, if something was. */
void errand_look(struct errand *errand, void *owner);
