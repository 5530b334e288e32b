/* SPDX-License-Identifier: Apache-2.0 */
/* What is watched is level triggered, so an event that is thrown away comes again. That is used: a
 * callback may unwatch, close or free whatever it likes, also what the same epoll_wait() told of,
 * for unwatching forgets what is still to be told. */
#include "protocols/sinks/loop.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/metrics/thread.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"

#define EVENTS_MAX 128 /* of one turn: what is behind them comes with the next */

struct loop {
    struct metrics_shard *metrics;
    struct mailbox mailbox;
    int epoll_fd;
    struct epoll_event events[EVENTS_MAX];
    size_t event_next;
    size_t event_count;
    struct heap timers;
    struct list chores;
    void *shared[LOOP_SHARED_COUNT];
    uint64_t now_ms;
    pthread_t thread;
    atomic_bool is_running;
    bool is_over;
};

/* --- life ------------------------------------------------------------------------------------ */

static enum error_code open_set(struct loop *loop) {
    struct epoll_event event = {.events = EPOLLIN}; /* of nobody: letters are looked at anyway */
    if (mailbox_init(&loop->mailbox, MAILBOX_NODES_MAX) != OK) {
        return ERR_IO;
    }
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        mailbox_finish(&loop->mailbox);
        return ERR_IO;
    }
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->mailbox.event_fd, &event) != 0) {
        close(loop->epoll_fd);
        mailbox_finish(&loop->mailbox);
        return ERR_IO;
    }
    return OK;
}

enum error_code loop_create(struct metrics_shard *metrics, struct loop **ret_loop,
                            struct error *why) {
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL || heap_reserve(&loop->timers, LOOP_TIMERS_MAX) != OK) {
        free(loop);
        return error_set(why, ERR_MEMORY, "no memory for the loop of the sinks");
    }
    if (open_set(loop) != OK) {
        heap_finish(&loop->timers);
        free(loop);
        return error_set(why, ERR_IO, "no eventfd or epoll for the sinks");
    }
    loop->metrics = metrics;
    loop->now_ms = clock_monotonic_ms();
    list_init(&loop->chores);
    *ret_loop = loop;
    return OK;
}

void loop_destroy(struct loop *loop) {
    if (loop == NULL) {
        return;
    }
    INVARIANT(heap_first(&loop->timers) == NULL);
    INVARIANT(list_is_empty(&loop->chores));
    for (size_t i = 0; i < LOOP_SHARED_COUNT; i++) {
        INVARIANT(loop->shared[i] == NULL);
    }
    heap_finish(&loop->timers);
    close(loop->epoll_fd);
    mailbox_finish(&loop->mailbox);
    free(loop);
}

/* --- one turn -------------------------------------------------------------------------------- */

static int time_to_sleep(struct loop *loop) {
    const struct heap_node *first = heap_first(&loop->timers);
    uint64_t now_ms = clock_monotonic_ms();
    if (!list_is_empty(&loop->chores) || loop->is_over) {
        return 0;
    }
    if (first == NULL) {
        return -1;
    }
    uint64_t wait_ms = first->due > now_ms ? first->due - now_ms : 0;
    return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

static void sleep_until_told(struct loop *loop) {
    int timeout_ms = time_to_sleep(loop);
    thread_sleep(loop->metrics);
    bool does_sleep = timeout_ms != 0 && mailbox_sleep(&loop->mailbox);
    int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_MAX, does_sleep ? timeout_ms : 0);
    INVARIANT(count >= 0 || errno == EINTR);
    if (does_sleep) {
        mailbox_wake(&loop->mailbox);
    }
    thread_wake(loop->metrics);
    loop->event_next = 0;
    loop->event_count = count > 0 ? (size_t)count : 0;
    loop->now_ms = clock_monotonic_ms();
}

static void tell_watches(struct loop *loop) {
    while (loop->event_next < loop->event_count) {
        const struct epoll_event *event = &loop->events[loop->event_next++];
        struct loop_watch *watch = event->data.ptr;
        if (watch != NULL) {
            watch->on_ready(watch, event->events);
        }
    }
}

/* No more of them than there were: one that arms itself for now is not waited for for ever. */
static void tell_timers(struct loop *loop) {
    for (size_t left = loop->timers.count; left > 0; left--) {
        struct heap_node *first = heap_first(&loop->timers);
        if (first == NULL || first->due > loop->now_ms) {
            return;
        }
        struct loop_timer *timer = CONTAINER_OF(first, struct loop_timer, in_loop);
        heap_remove(&loop->timers, first);
        timer->on_due(timer);
    }
}

static void do_chores(struct loop *loop) {
    struct list chores;
    struct list *node;
    list_init(&chores);
    list_put_all(&chores, &loop->chores);
    while ((node = list_take_head(&chores)) != NULL) {
        struct loop_chore *chore = CONTAINER_OF(node, struct loop_chore, in_loop);
        chore->on_turn(chore);
    }
}

void loop_run(struct loop *loop) {
    loop->thread = pthread_self();
    atomic_store(&loop->is_running, true);
    thread_begin(loop->metrics);
    do {
        sleep_until_told(loop);
        metrics_add(loop->metrics, METRIC_LETTERS, mailbox_deliver_all(&loop->mailbox, loop));
        tell_watches(loop);
        tell_timers(loop);
        do_chores(loop);
    } while (!loop->is_over);
    loop->is_over = false;
    atomic_store(&loop->is_running, false);
}

void loop_end(struct loop *loop) {
    INVARIANT(loop_is_mine(loop));
    loop->is_over = true;
}

struct mailbox *loop_mailbox(struct loop *loop) {
    return &loop->mailbox;
}

void **loop_shared(struct loop *loop, enum loop_shared which) {
    INVARIANT(loop_is_mine(loop));
    INVARIANT(which < LOOP_SHARED_COUNT);
    return &loop->shared[which];
}

uint64_t loop_now_ms(const struct loop *loop) {
    return loop->now_ms;
}

bool loop_is_mine(const struct loop *loop) {
    return !atomic_load(&loop->is_running) || pthread_equal(loop->thread, pthread_self());
}

/* --- descriptors ----------------------------------------------------------------------------- */

static void forget_events(struct loop *loop, const struct loop_watch *watch) {
    for (size_t i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

enum error_code loop_watch(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events) {
    INVARIANT(watch->on_ready != NULL);
    INVARIANT(loop_is_mine(loop));
    if (events == 0 || watch->fd != fd) {
        loop_unwatch(loop, watch);
    }
    if (events == 0) {
        return OK;
    }
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int step = watch->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(loop->epoll_fd, step, fd, &event) != 0) {
        return errno == ENOMEM || errno == ENOSPC ? ERR_MEMORY : ERR_IO;
    }
    watch->fd = fd;
    watch->events = events;
    return OK;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch) {
    if (watch->events == 0) {
        return;
    }
    INVARIANT(loop_is_mine(loop));
    int failure = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    IGNORE_RESULT(failure != 0); /* a library may have closed it: then the kernel has done it */
    watch->events = 0;
    forget_events(loop, watch);
}

/* --- timers ---------------------------------------------------------------------------------- */

void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms) {
    INVARIANT(timer->on_due != NULL);
    INVARIANT(loop_is_mine(loop));
    heap_put(&loop->timers, &timer->in_loop, due_ms);
}

void loop_disarm(struct loop *loop, struct loop_timer *timer) {
    heap_remove(&loop->timers, &timer->in_loop);
}

bool loop_is_armed(const struct loop_timer *timer) {
    return timer->in_loop.place != 0;
}

/* --- chores ---------------------------------------------------------------------------------- */

void loop_chore_init(struct loop_chore *chore, void (*on_turn)(struct loop_chore *chore)) {
    list_init(&chore->in_loop);
    chore->on_turn = on_turn;
}

void loop_put_chore(struct loop *loop, struct loop_chore *chore) {
    INVARIANT(loop_is_mine(loop));
    if (list_is_empty(&chore->in_loop)) {
        list_put_tail(&loop->chores, &chore->in_loop);
    }
}

void loop_take_chore_back(struct loop_chore *chore) {
    list_remove(&chore->in_loop);
}
