/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/errand.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clients/bench/fail.h"

void errand_init(struct errand *errand) {
    *errand = (struct errand){.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (errand->event < 0) {
        bench_fail("eventfd: %s", strerrordesc_np(errno));
    }
    pthread_mutex_init(&errand->mutex, NULL);
    pthread_cond_init(&errand->done, NULL);
}

void errand_finish(struct errand *errand) {
    close(errand->event);
    pthread_cond_destroy(&errand->done);
    pthread_mutex_destroy(&errand->mutex);
}

void errand_run(struct errand *errand, errand_function *function, void *argument) {
    pthread_mutex_lock(&errand->mutex);
    errand->function = function;
    errand->argument = argument;
    atomic_store(&errand->is_asked, true);
    eventfd_write(errand->event, 1);
    while (errand->function != NULL) {
        pthread_cond_wait(&errand->done, &errand->mutex);
    }
    pthread_mutex_unlock(&errand->mutex);
}

void errand_look(struct errand *errand, void *owner) {
    if (!atomic_load_explicit(&errand->is_asked, memory_order_acquire)) {
        return;
    }
    eventfd_t ignored;
    pthread_mutex_lock(&errand->mutex);
    /* Within the lock: before it the flag may be there already, and the event only afterwards; it
     * would stay readable, and the thread would spin until the next errand. */
    (void)eventfd_read(errand->event, &ignored);
    atomic_store(&errand->is_asked, false);
    if (errand->function != NULL) {
        errand->function(owner, errand->argument);
        errand->function = NULL;
    }
    pthread_cond_signal(&errand->done);
    pthread_mutex_unlock(&errand->mutex);
}
