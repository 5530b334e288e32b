/* SPDX-License-Identifier: Apache-2.0 */
/* One turn: draw what is due and hand it to the connections, send what each has in one write, wait
 * until the next message is due or something comes. A publish of several messages of one channel
 * is collected by channel; one that may hold several channels, by connection.
 *
 * Where there are as many channels as connections, a channel always goes over the same one, so
 * that its messages have one order; else each connection counts its own (a lane). */
#include "clients/bench/publishers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "clients/bench/fail.h"
#include "clients/bench/moment.h"
#include "clients/bench/random.h"

#define EVENTS_MAX 256
#define TURN_NS 50000000ull
#define DRAWS_MAX 10000           /* a turn: between them answers are read */
#define FILLS_MAX 256             /* publishes of a connection a turn, in the closed model */
#define CLOSED_OUTPUT_BYTES 65536 /* of a connection without answers, which has no other measure */
#define TIMER_SLACK_NS 1000ul     /* the kernel's own is 50 us, as much as a fast server needs */
#define EVENT_ERRAND UINT64_MAX

struct publishers_mirror {
    atomic_uint_fast64_t expected;
    atomic_uint_fast64_t under_way;
    atomic_uint_fast64_t open;
    atomic_uint_fast64_t settled;
    atomic_bool is_done;
};

struct publishers {
    struct publishers_order order;
    struct outlet_common common;
    struct outlet *outlets;
    uint32_t count;
    uint32_t *listed; /* outlets to be pumped */
    uint32_t listed_count;
    uint32_t *collected; /* by channel: messages of its next publish */
    struct publishers_task task;
    bool is_begun;
    bool is_over; /* no more is drawn */
    uint64_t next_due_ns;
    uint64_t due;
    uint64_t drawn; /* of the stage */
    uint64_t draws; /* state of random channels */
    uint64_t next_retry_ns;
    int epoll;
    pthread_t thread;
    bool is_stopping;
    struct errand errand;
    struct publishers_mirror mirror;
    uint8_t *buffer;
};

static void list(struct publishers *publishers, struct outlet *outlet) {
    if (!outlet->is_listed) {
        outlet->is_listed = true;
        publishers->listed[publishers->listed_count++] = outlet->index;
    }
}

static bool is_random(const struct publishers *publishers) {
    return strcmp(publishers->order.settings->spread, "random") == 0;
}

/* --- the open model -------------------------------------------------------------------------- */

static struct outlet *outlet_of(struct publishers *publishers, uint32_t channel) {
    bool is_channels_own = publishers->order.lanes == 1;
    uint64_t turn = (publishers->drawn - 1) / publishers->common.composer.batch;
    return &publishers
                ->outlets[is_channels_own ? channel % publishers->count : turn % publishers->count];
}

/* One message has come due. */
static void take_due(struct publishers *publishers, uint64_t due_ns) {
    uint32_t channels = publishers->common.composer.channels;
    uint64_t number = is_random(publishers) ? random_draw(&publishers->draws) : publishers->drawn;
    struct ring_entry entry = {
        .due_ns = due_ns, .channel = (uint32_t)(number % channels), .count = 1};
    publishers->drawn++;
    publishers->due++;
    if (!publishers->common.is_mixed) {
        uint32_t *collected = &publishers->collected[entry.channel];
        if (++*collected < publishers->common.composer.batch) {
            return;
        }
        entry.count = *collected;
        *collected = 0;
    }
    struct outlet *outlet = outlet_of(publishers, entry.channel);
    outlet_put_due(outlet, entry);
    list(publishers, outlet);
}

/* The schedule has come to its end: publishes that are not full go out as they are. */
static void send_rest(struct publishers *publishers) {
    publishers->is_over = true;
    publishers->common.is_sending_rest = true;
    uint64_t now_ns = moment_now_ns();
    for (uint32_t channel = 0;
         !publishers->common.is_mixed && channel < publishers->common.composer.channels;
         channel++) {
        if (publishers->collected[channel] > 0) {
            struct ring_entry entry = {
                .due_ns = now_ns, .channel = channel, .count = publishers->collected[channel]};
            publishers->collected[channel] = 0;
            outlet_put_due(outlet_of(publishers, channel), entry);
        }
    }
    for (uint32_t index = 0; index < publishers->count; index++) {
        list(publishers, &publishers->outlets[index]);
    }
}

static uint64_t next_of_schedule(struct publishers *publishers) {
    uint64_t next = schedule_next(&publishers->task.schedule);
    return next == UINT64_MAX ? MOMENT_NEVER : publishers->task.begin_ns + next;
}

static void draw_due(struct publishers *publishers, uint64_t now_ns) {
    for (unsigned draws = 0; draws < DRAWS_MAX && publishers->next_due_ns <= now_ns &&
                             publishers->common.waiting < PUBLISHERS_WAITING_MAX;
         draws++) {
        take_due(publishers, publishers->next_due_ns);
        publishers->next_due_ns = next_of_schedule(publishers);
    }
    if (publishers->next_due_ns == MOMENT_NEVER) {
        send_rest(publishers);
    }
}

/* --- the closed model ------------------------------------------------------------------------ */

/* How many publishes may be put at once. */
static uint64_t fills_of(const struct publishers *publishers, const struct outlet *outlet) {
    if (!outlet_has_room(outlet) || outlet->due.count > 0) {
        return 0;
    }
    uint64_t in_flight = publishers->task.in_flight;
    uint64_t fills = outlet->flight.count < in_flight ? in_flight - outlet->flight.count : 0;
    if (!publishers->order.protocol->is_answered) {
        fills = outlet->link.output.length < CLOSED_OUTPUT_BYTES ? FILLS_MAX : 0;
    }
    return fills < FILLS_MAX ? fills : FILLS_MAX;
}

/* The next of the channels that are this connection's. */
static uint32_t own_channel(struct publishers *publishers, struct outlet *outlet) {
    uint32_t channels = publishers->common.composer.channels;
    bool is_shared = publishers->order.lanes > 1;
    uint32_t first = is_shared ? 0 : outlet->index;
    uint32_t step = is_shared ? 1 : publishers->count;
    uint32_t own = (channels - first + step - 1) / step;
    uint64_t number = is_random(publishers) ? random_draw(&publishers->draws) : outlet->cursor++;
    return first + (uint32_t)(number % own) * step;
}

static uint64_t left_of_limit(const struct publishers *publishers) {
    uint64_t limit = publishers->task.limit;
    return limit == 0 ? UINT64_MAX : limit - publishers->drawn;
}

static void fill_one(struct publishers *publishers, struct outlet *outlet) {
    uint64_t now_ns = moment_now_ns(); /* its own: filling the others took time */
    uint64_t fills = fills_of(publishers, outlet);
    uint32_t batch = (uint32_t)publishers->common.composer.batch;
    for (; fills > 0 && !publishers->is_over; fills--) {
        uint64_t left = left_of_limit(publishers);
        uint32_t count = left < batch ? (uint32_t)left : batch;
        bool is_mixed = publishers->common.is_mixed;
        struct ring_entry entry = {.due_ns = now_ns, .count = is_mixed ? 1 : count};
        for (uint32_t index = 0; index < (is_mixed ? count : 1); index++) {
            entry.channel = own_channel(publishers, outlet);
            outlet_put_due(outlet, entry);
        }
        publishers->drawn += count;
        publishers->due += count;
        publishers->is_over = left == count;
    }
    outlet_pump(outlet);
}

/* --- the thread ------------------------------------------------------------------------------ */

static void pump_listed(struct publishers *publishers) {
    bool is_filling = publishers->is_begun && publishers->task.is_closed && !publishers->is_over;
    uint32_t count = publishers->listed_count;
    publishers->listed_count = 0;
    for (uint32_t index = 0; index < count; index++) {
        struct outlet *outlet = &publishers->outlets[publishers->listed[index]];
        outlet->is_listed = false;
        outlet_pump(outlet);
        if (is_filling) {
            fill_one(publishers, outlet);
        }
        /* Without answers nothing tells when to go on but the socket. */
        bool is_sent = is_filling && !publishers->order.protocol->is_answered &&
                       outlet_has_room(outlet) && outlet->link.output.length == 0;
        if (is_sent || outlet_is_ready(outlet)) {
            list(publishers, outlet); /* the socket took all: more at the next turn */
        }
    }
}

static void retry_some(struct publishers *publishers, uint64_t now_ns) {
    if (now_ns < publishers->next_retry_ns) {
        return;
    }
    publishers->next_retry_ns = now_ns + TURN_NS;
    for (uint32_t index = 0; index < publishers->count; index++) {
        struct outlet *outlet = &publishers->outlets[index];
        if (outlet->link.state == LINK_CLOSED && now_ns >= outlet->retry_ns) {
            outlet_connect(outlet, now_ns);
        }
    }
}

static void tell_progress(struct publishers *publishers) {
    struct publishers_mirror *mirror = &publishers->mirror;
    uint64_t open = 0;
    uint64_t settled = 0;
    bool is_sent = true;
    bool is_told_done = atomic_load_explicit(&mirror->is_done, memory_order_relaxed);
    bool is_done = publishers->is_over && publishers->common.waiting == 0;
    atomic_store_explicit(&mirror->expected, publishers->common.composer.expected,
                          memory_order_relaxed);
    atomic_store_explicit(&mirror->under_way, publishers->common.under_way, memory_order_relaxed);
    if (publishers->is_begun && (!is_done || is_told_done)) {
        return; /* walking over all is for the beginning and the end */
    }
    for (uint32_t index = 0; index < publishers->count; index++) {
        const struct outlet *outlet = &publishers->outlets[index];
        open += outlet->link.state == LINK_OPEN;
        settled += outlet->is_settled;
        is_sent &= outlet->link.state != LINK_OPEN || outlet->link.output.length == 0;
    }
    atomic_store_explicit(&mirror->open, open, memory_order_relaxed);
    atomic_store_explicit(&mirror->settled, settled, memory_order_relaxed);
    atomic_store_explicit(&mirror->is_done, is_done && is_sent, memory_order_release);
}

static void go_on(struct publishers *publishers, uint64_t now_ns) {
    if (!publishers->is_begun) {
        return;
    }
    bool is_closed = publishers->task.is_closed;
    if (!publishers->is_over && !is_closed) {
        draw_due(publishers, now_ns);
    } else if (!publishers->is_over && now_ns >= publishers->task.end_ns) {
        publishers->is_over = true;
    }
}

static uint64_t next_ns(const struct publishers *publishers, uint64_t now_ns) {
    uint64_t next = publishers->listed_count > 0 ? now_ns : now_ns + TURN_NS;
    if (!publishers->is_begun || publishers->is_over) {
        return next;
    }
    if (publishers->task.is_closed) {
        return publishers->task.end_ns < next ? publishers->task.end_ns : next;
    }
    bool is_waiting = publishers->common.waiting >= PUBLISHERS_WAITING_MAX;
    return !is_waiting && publishers->next_due_ns < next ? publishers->next_due_ns : next;
}

static void *run(void *context) {
    struct publishers *publishers = context;
    struct epoll_event events[EVENTS_MAX];
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    while (!publishers->is_stopping) {
        uint64_t now_ns = moment_now_ns();
        retry_some(publishers, now_ns);
        go_on(publishers, now_ns);
        pump_listed(publishers);
        tell_progress(publishers);
        int count = moment_wait(publishers->epoll, events, EVENTS_MAX, next_ns(publishers, now_ns));
        for (int index = 0; index < count; index++) {
            if (events[index].data.u64 != EVENT_ERRAND) {
                struct outlet *outlet = &publishers->outlets[events[index].data.u64];
                outlet_on_event(outlet, events[index].events, publishers->buffer);
                list(publishers, outlet);
            }
        }
        errand_look(&publishers->errand, publishers);
    }
    return NULL;
}

/* --- its life -------------------------------------------------------------------------------- */

static void create_outlets(struct publishers *publishers) {
    const struct publishers_order *order = &publishers->order;
    for (uint32_t index = 0; index < publishers->count; index++) {
        struct outlet *outlet = &publishers->outlets[index];
        *outlet = (struct outlet){.common = &publishers->common,
                                  .index = index,
                                  .lane = order->lanes > 1 ? index : 0,
                                  .cursor = index};
        struct protocol_link talk = {.host = order->target->host,
                                     .path = order->target->path,
                                     .token = order->token,
                                     .is_publisher = true,
                                     .index = index,
                                     .run = order->run,
                                     .selector_count = 1};
        size_t ignored;
        talk.selectors = audience_selectors(order->audience, index, &ignored);
        link_init(&outlet->link, order->protocol, &talk, publishers->epoll, index);
    }
}

static void need_all(struct publishers *publishers) {
    publishers->epoll = epoll_create1(EPOLL_CLOEXEC);
    publishers->buffer = malloc(2 * LINK_READ_BYTES);
    publishers->outlets = calloc(publishers->count, sizeof(publishers->outlets[0]));
    publishers->listed = calloc(publishers->count, sizeof(publishers->listed[0]));
    publishers->collected =
        calloc(publishers->common.composer.channels, sizeof(publishers->collected[0]));
    publishers->common.answer = histogram_create();
    if (publishers->epoll < 0 || publishers->buffer == NULL || publishers->outlets == NULL ||
        publishers->listed == NULL || publishers->collected == NULL ||
        publishers->common.answer == NULL) {
        bench_fail("the thread that publishes: %s", strerrordesc_np(errno));
    }
}

struct publishers *publishers_create(const struct publishers_order *order) {
    struct publishers *publishers = calloc(1, sizeof(*publishers));
    if (publishers == NULL) {
        bench_fail("out of memory");
    }
    publishers->order = *order;
    publishers->count = (uint32_t)order->settings->publishers;
    publishers->draws = order->settings->seed;
    publishers->common.target = order->target;
    publishers->common.is_mixed = order->protocol->is_mixed;
    if (!composer_init(&publishers->common.composer, order->settings, order->audience,
                       order->sendings, order->run)) {
        free(publishers);
        return NULL;
    }
    need_all(publishers);
    create_outlets(publishers);
    errand_init(&publishers->errand);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = EVENT_ERRAND};
    if (epoll_ctl(publishers->epoll, EPOLL_CTL_ADD, publishers->errand.event, &event) != 0 ||
        pthread_create(&publishers->thread, NULL, run, publishers) != 0) {
        bench_fail("the thread that publishes cannot be started");
    }
    return publishers;
}

static void on_stop_thread(void *owner, void *argument) {
    (void)argument;
    ((struct publishers *)owner)->is_stopping = true;
}

void publishers_destroy(struct publishers *publishers) {
    if (publishers == NULL) {
        return;
    }
    errand_run(&publishers->errand, on_stop_thread, NULL);
    pthread_join(publishers->thread, NULL);
    for (uint32_t index = 0; index < publishers->count; index++) {
        outlet_finish(&publishers->outlets[index]);
    }
    close(publishers->epoll);
    errand_finish(&publishers->errand);
    composer_finish(&publishers->common.composer);
    free(publishers->common.answer);
    free(publishers->collected);
    free(publishers->listed);
    free(publishers->outlets);
    free(publishers->buffer);
    free(publishers);
}

/* --- errands --------------------------------------------------------------------------------- */

static void on_begin(void *owner, void *argument) {
    struct publishers *publishers = owner;
    publishers->task = *(const struct publishers_task *)argument;
    publishers->common.from_ns = publishers->task.begin_ns;
    publishers->common.is_sending_rest = publishers->task.is_closed;
    publishers->is_begun = true;
    publishers->is_over = false;
    publishers->drawn = 0;
    atomic_store(&publishers->mirror.is_done, false);
    if (!publishers->task.is_closed) {
        publishers->next_due_ns = next_of_schedule(publishers);
    }
    for (uint32_t index = 0; index < publishers->count; index++) {
        outlet_give_up(&publishers->outlets[index]);
        list(publishers, &publishers->outlets[index]);
    }
}

void publishers_begin(struct publishers *publishers, const struct publishers_task *task) {
    struct publishers_task copy = *task;
    errand_run(&publishers->errand, on_begin, &copy);
}

static void on_stop(void *owner, void *argument) {
    struct publishers *publishers = owner;
    (void)argument;
    const struct publishers_task *task = &publishers->task;
    bool is_behind = !task->is_closed && publishers->next_due_ns != MOMENT_NEVER &&
                     moment_now_ns() >= task->begin_ns + task->schedule.duration_ns;
    publishers->due += is_behind ? 1 + schedule_left(&task->schedule) : 0;
    publishers->next_due_ns = MOMENT_NEVER;
    publishers->is_over = true;
    for (uint32_t index = 0; index < publishers->count; index++) {
        outlet_give_up(&publishers->outlets[index]);
    }
    memset(publishers->collected, 0,
           publishers->common.composer.channels * sizeof(publishers->collected[0]));
}

void publishers_stop(struct publishers *publishers) {
    errand_run(&publishers->errand, on_stop, NULL);
}

static double own_cpu_s(void) {
    struct timespec spent = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (double)spent.tv_sec + (double)spent.tv_nsec / (double)MOMENT_SECOND_NS;
}

static void on_collect(void *owner, void *argument) {
    struct publishers *publishers = owner;
    struct publishers_figures *figures = argument;
    struct outlet_common *common = &publishers->common;
    struct histogram *answer = figures->answer;
    const char *refusal = common->refusal[0] != '\0' ? common->refusal : NULL;
    *figures = (struct publishers_figures){.due = publishers->due,
                                           .published = common->composer.count,
                                           .expected = common->composer.expected,
                                           .answered = common->answered,
                                           .refused = common->refused,
                                           .last_ns = common->last_ns,
                                           .cpu_s = own_cpu_s(),
                                           .troubles = common->troubles,
                                           .refusal = refusal,
                                           .answer = answer};
    if (publishers->order.protocol->is_answered) {
        figures->unanswered = figures->published - figures->answered - figures->refused;
    }
    if (answer != NULL) {
        histogram_merge(answer, common->answer);
    }
    memset(common->answer, 0, sizeof(*common->answer));
}

void publishers_collect(struct publishers *publishers, struct publishers_figures *figures) {
    errand_run(&publishers->errand, on_collect, figures);
}

struct publishers_progress publishers_look(const struct publishers *publishers) {
    const struct publishers_mirror *mirror = &publishers->mirror;
    struct publishers_progress progress = {0};
    /* First: when it is true, what was told with it is final. */
    progress.is_done = atomic_load_explicit(&mirror->is_done, memory_order_acquire);
    progress.expected = atomic_load_explicit(&mirror->expected, memory_order_relaxed);
    progress.under_way = atomic_load_explicit(&mirror->under_way, memory_order_relaxed);
    progress.open = atomic_load_explicit(&mirror->open, memory_order_relaxed);
    progress.settled = atomic_load_explicit(&mirror->settled, memory_order_relaxed);
    return progress;
}
