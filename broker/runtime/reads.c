/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/reads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/metrics/thread.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"

struct read_thread {
    pthread_t thread;
    struct reads *reads;
    struct metrics_shard *metrics;
};

struct reads {
    struct read_thread threads[READ_THREADS];
    size_t thread_count;
    struct storage *storage;
    pthread_mutex_t mutex; /* guards the queue and is_stopping; held for a few instructions */
    pthread_cond_t has_work;
    struct list queue;
    size_t held_bytes; /* of pages that are with their makers */
    bool is_stopping;
    atomic_size_t waiting;
};

static void on_delivered(struct letter *letter, void *consumer) {
    (void)consumer;
    struct read *read = CONTAINER_OF(letter, struct read, letter);
    read->on_read(read);
}

static void answer(struct read *read) {
    mailbox_put_answer(read->reply_to, &read->letter);
}

/* Waits for the oldest question. NULL: the threads end. */
static struct read *take(const struct read_thread *thread) {
    struct reads *reads = thread->reads;
    thread_sleep(thread->metrics);
    pthread_mutex_lock(&reads->mutex);
    while ((list_is_empty(&reads->queue) || reads->held_bytes >= PAGES_BYTES_MAX) &&
           !reads->is_stopping) {
        pthread_cond_wait(&reads->has_work, &reads->mutex);
    }
    struct list *node = reads->is_stopping ? NULL : list_take_head(&reads->queue);
    pthread_mutex_unlock(&reads->mutex);
    thread_wake(thread->metrics);
    return node == NULL ? NULL : CONTAINER_OF(node, struct read, in_queue);
}

/* Before the answer: whoever gets it may release it at once. */
static void hold(struct reads *reads, struct read *read) {
    if (read->result != OK) {
        return;
    }
    read->held_bytes = read->page.bytes + read->made_bytes;
    pthread_mutex_lock(&reads->mutex);
    reads->held_bytes += read->held_bytes;
    pthread_mutex_unlock(&reads->mutex);
}

static void work(const struct read_thread *thread, struct read *read) {
    struct storage *storage = thread->reads->storage;
    uint64_t begin_us = clock_monotonic_us();
    metrics_observe(thread->metrics, METRIC_READ_WAIT, begin_us - read->submitted_us);
    read->result = read->on_work != NULL
                       ? read->on_work(read, storage)
                       : storage_read(storage, &read->query, &read->page, &read->why);
    metrics_observe(thread->metrics, METRIC_READ, clock_monotonic_us() - begin_us);
}

static void *read_thread(void *argument) {
    const struct read_thread *thread = argument;
    struct reads *reads = thread->reads;
    thread_begin(thread->metrics);
    for (struct read *read = take(thread); read != NULL; read = take(thread)) {
        atomic_fetch_sub_explicit(&reads->waiting, 1, memory_order_relaxed);
        work(thread, read);
        hold(reads, read);
        answer(read);
    }
    return NULL;
}

enum error_code reads_create(struct storage *storage, struct metrics *metrics,
                             struct reads **ret_reads, struct error *why) {
    struct reads *reads = calloc(1, sizeof(*reads));
    if (reads == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the read threads");
    }
    reads->storage = storage;
    list_init(&reads->queue);
    pthread_mutex_init(&reads->mutex, NULL);
    pthread_cond_init(&reads->has_work, NULL);
    for (size_t i = 0; i < READ_THREADS; i++) {
        struct read_thread *thread = &reads->threads[i];
        thread->reads = reads;
        thread->metrics = metrics_shard(metrics, METRICS_READS + i);
        if (pthread_create(&thread->thread, NULL, read_thread, thread) != 0) {
            reads_destroy(reads);
            return error_set(why, ERR_MEMORY, "a read thread does not start");
        }
        reads->thread_count++;
    }
    *ret_reads = reads;
    return OK;
}

void reads_stop(struct reads *reads) {
    if (reads == NULL) {
        return;
    }
    pthread_mutex_lock(&reads->mutex);
    reads->is_stopping = true;
    pthread_cond_broadcast(&reads->has_work);
    pthread_mutex_unlock(&reads->mutex);
    for (size_t i = 0; i < reads->thread_count; i++) {
        pthread_join(reads->threads[i].thread, NULL);
    }
    reads->thread_count = 0;
    struct list *node;
    while ((node = list_take_head(&reads->queue)) != NULL) {
        struct read *read = CONTAINER_OF(node, struct read, in_queue);
        read->result = error_set(&read->why, ERR_DRAINING, "the broker goes down");
        answer(read);
    }
}

void reads_destroy(struct reads *reads) {
    if (reads == NULL) {
        return;
    }
    reads_stop(reads);
    pthread_cond_destroy(&reads->has_work);
    pthread_mutex_destroy(&reads->mutex);
    free(reads);
}

void reads_submit(struct reads *reads, struct read *read) {
    INVARIANT(read->reply_to != NULL);
    INVARIANT(read->on_read != NULL);
    read->letter.on_delivered = on_delivered;
    read->page = (struct storage_page){0};
    read->made_bytes = 0;
    read->held_bytes = 0;
    read->submitted_us = clock_monotonic_us();
    list_init(&read->in_queue);
    atomic_fetch_add_explicit(&reads->waiting, 1, memory_order_relaxed);
    pthread_mutex_lock(&reads->mutex);
    list_put_tail(&reads->queue, &read->in_queue);
    pthread_cond_signal(&reads->has_work);
    pthread_mutex_unlock(&reads->mutex);
}

void reads_release(struct reads *reads, struct read *read) {
    storage_page_finish(&read->page);
    if (read->held_bytes == 0) {
        return;
    }
    pthread_mutex_lock(&reads->mutex);
    INVARIANT(reads->held_bytes >= read->held_bytes);
    bool was_full = reads->held_bytes >= PAGES_BYTES_MAX;
    reads->held_bytes -= read->held_bytes;
    read->held_bytes = 0;
    if (was_full) {
        pthread_cond_broadcast(&reads->has_work);
    }
    pthread_mutex_unlock(&reads->mutex);
}

size_t reads_waiting(const struct reads *reads) {
    return atomic_load_explicit(&reads->waiting, memory_order_relaxed);
}
