/* SPDX-License-Identifier: Apache-2.0 */
/* One turn: wait for events, read once from each connection that has something, and between turns
 * what time brings: readers that are to connect, to churn, or may read on. Whoever is found to be
 * over the time to connect, or to go, is found by walking over all four times a second. */
#include "clients/bench/crew_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/bench/churn.h"
#include "clients/bench/fail.h"
#include "clients/bench/moment.h"

#define EVENTS_MAX 512
#define TURN_NS 100000000ull     /* a thread looks up at least so often */
#define LOOK_NS 250000000ull     /* … and so often for who is over its time */
#define SLOW_TICK_NS 20000000ull /* a slow reader reads its share at a time */
#define SLOW_RECEIVE_BYTES 4096  /* asked of the kernel, which has its own least */
#define EVENT_ERRAND UINT64_MAX
#define EVENT_LISTENER (UINT64_MAX - 1)
#define LISTEN_BACKLOG 128

/* --- what a reader becomes ------------------------------------------------------------------- */

uint64_t crew_gap_ns(const struct crew *crew, double rate) {
    return (uint64_t)((double)MOMENT_SECOND_NS * crew->order.crews / rate);
}

static void settle_reader(struct crew *crew, struct reader *reader) {
    if (reader->state == READER_CONNECTING) {
        crew->connecting--;
    }
    if (!reader->is_settled) {
        reader->is_settled = true;
        crew->settled++;
    }
}

void crew_leave(struct crew *crew, struct reader *reader, enum reader_state state) {
    churn_cancel(crew, reader);
    if (reader->state == READER_READY) {
        crew->ready--;
    }
    settle_reader(crew, reader);
    link_close(&reader->link);
    reader->state = state;
}

/* The connection is no more, and nobody asked for that. */
static void lose(struct crew *crew, struct reader *reader, const char *why) {
    if (reader->state == READER_READY) {
        crew->figures.closed += crew->order.protocol->is_listening ? 0 : 1;
    } else {
        crew->figures.unconnected += reader->is_missed ? 0 : 1;
    }
    if (why != NULL && !reader->is_missed) {
        troubles_note(&crew->figures.troubles, why, 1);
    }
    crew_leave(crew, reader, READER_CLOSED);
}

static bool is_held_back(const struct crew *crew, const struct reader *reader) {
    return crew->is_begun && reader->inbox.is_slow;
}

static void greet(struct crew *crew, struct reader *reader, uint64_t now_ns) {
    settle_reader(crew, reader);
    reader->state = READER_READY;
    reader->is_missed = false;
    crew->ready++;
    crew->figures.connected++;
    if (crew->order.protocol->is_listening) {
        return; /* it connects to us when it has something: nobody waits for that */
    }
    histogram_add(crew->connect, now_ns > reader->due_ns ? now_ns - reader->due_ns : 0);
    reader->inbox.ready_ns = now_ns;
    receipt_begin(&crew->receipt, &reader->inbox, reader->is_from_start);
    if (is_held_back(crew, reader)) {
        reader->allowance = 0;
        link_pause(&reader->link);
    }
}

/* --- what comes ------------------------------------------------------------------------------ */

/* One unit; false: the connection is at its end. */
static bool act(struct crew *crew, struct reader *reader, enum protocol_told told,
                const struct protocol_unit *unit, uint64_t now_ns) {
    if (told == PROTOCOL_MESSAGE) {
        receipt_take(&crew->receipt, &reader->inbox, unit->payload, unit->payload_length, now_ns);
    } else if (told == PROTOCOL_REFUSED) {
        (void)link_flush(&reader->link); /* what a close is answered with; it ends either way */
        lose(crew, reader, unit->why);
    } else if (told == PROTOCOL_END) {
        crew_leave(crew, reader, READER_ENDED);
    } else if (told == PROTOCOL_READY) {
        reader->link.talk.is_open = true;
        reader->link.state = LINK_OPEN;
    }
    if (reader->link.talk.is_open && reader->state == READER_CONNECTING) {
        greet(crew, reader, now_ns);
    }
    return told != PROTOCOL_REFUSED && told != PROTOCOL_END;
}

static void take_all(struct crew *crew, struct reader *reader, struct link_input input) {
    struct link *link = &reader->link;
    uint64_t now_ns = moment_now_ns();
    size_t used = 0;
    struct protocol_unit unit;
    enum protocol_told told;
    while ((told = link_take(link, input, &used, &unit)) != PROTOCOL_MORE) {
        if (!act(crew, reader, told, &unit, now_ns)) {
            return;
        }
    }
    link_keep(link, input, used);
    const char *why = link->output.length > 0 ? link_flush(link) : NULL;
    if (why != NULL) {
        lose(crew, reader, why);
    }
}

/* False: there is nothing more, or it may not read more now. */
static bool read_once(struct crew *crew, struct reader *reader) {
    bool is_held = reader->state == READER_READY && is_held_back(crew, reader);
    size_t limit = is_held ? reader->allowance : LINK_READ_BYTES;
    struct link_input input = {0};
    enum link_result result =
        limit == 0 ? LINK_NOTHING : link_read(&reader->link, crew->buffer, limit, &input);
    if (result == LINK_ENDED) {
        lose(crew, reader,
             crew->order.protocol->is_listening ? NULL : "the server closed the connection");
        return false;
    }
    size_t came = input.length;
    if (result == LINK_GOT) {
        take_all(crew, reader, input);
        churn_look(crew, reader, moment_now_ns());
    }
    if (is_held && reader->state == READER_READY) {
        reader->allowance -= came < reader->allowance ? came : reader->allowance;
        if (reader->allowance == 0) {
            link_pause(&reader->link);
        }
    }
    return result == LINK_GOT && reader->link.is_watched;
}

static void read_some(struct crew *crew, struct reader *reader) {
    while (read_once(crew, reader) && link_has_more(&reader->link)) {
    }
}

static void on_event(struct crew *crew, struct reader *reader, uint32_t events) {
    if (reader->link.state == LINK_CLOSED) {
        return;
    }
    if ((events & EPOLLOUT) != 0 || reader->link.state == LINK_CONNECTING) {
        const char *why = link_continue(&reader->link);
        if (why != NULL) {
            lose(crew, reader, why);
            return;
        }
        if (reader->link.talk.is_open && reader->state == READER_CONNECTING) {
            greet(crew, reader, moment_now_ns()); /* a protocol without a hello */
        }
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 || link_has_more(&reader->link)) {
        read_some(crew, reader);
    }
}

/* A server connects to us. */
static void admit_guest(struct crew *crew) {
    int file = accept4(crew->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (file < 0 && (errno == EMFILE || errno == ENFILE)) {
        /* It would stay ready to accept: nobody is let in any more. */
        troubles_note(&crew->figures.troubles, strerrordesc_np(errno), 1);
        epoll_ctl(crew->epoll, EPOLL_CTL_DEL, crew->listener, NULL);
    }
    if (file < 0) {
        return;
    }
    for (uint32_t index = 0; index < crew->count; index++) {
        struct reader *reader = &crew->readers[index];
        if (reader->link.state == LINK_CLOSED) {
            link_adopt(&reader->link, file, moment_now_ns());
            reader->state = READER_CONNECTING;
            crew->connecting++;
            greet(crew, reader, reader->link.begun_ns);
            return;
        }
    }
    troubles_note(&crew->figures.troubles, "the server connected too often", 1);
    close(file);
}

/* --- what time brings ------------------------------------------------------------------------ */

/* Its time to be ready counts from when it was due. */
void crew_connect_reader(struct crew *crew, struct reader *reader, uint64_t due_ns,
                         uint64_t now_ns) {
    reader->state = READER_CONNECTING;
    reader->due_ns = due_ns;
    reader->inbox.ready_ns = MOMENT_NEVER;
    crew->connecting++;
    const char *why = link_connect(&reader->link, crew->order.target, reader->inbox.reader,
                                   reader->inbox.is_slow ? SLOW_RECEIVE_BYTES : 0, now_ns);
    if (why != NULL) {
        lose(crew, reader, why);
    }
}

static void connect_some(struct crew *crew, uint64_t now_ns) {
    double rate = crew->order.settings->connect_rate;
    while (crew->preloaded != NULL && crew->next < crew->count && crew->listener < 0 &&
           crew->connecting < CREW_CONNECTING_MAX && now_ns >= crew->next_connect_ns) {
        bool is_first = crew->next_connect_ns == 0;
        uint64_t due_ns = rate > 0 && !is_first ? crew->next_connect_ns : now_ns;
        crew_connect_reader(crew, &crew->readers[crew->next++], due_ns, now_ns);
        if (rate > 0) {
            crew->next_connect_ns = due_ns + crew_gap_ns(crew, rate);
        }
    }
}

static void let_slow_read(struct crew *crew, uint64_t now_ns) {
    if (!crew->is_slow_at_all || !crew->is_begun || now_ns < crew->next_slow_ns) {
        return;
    }
    crew->next_slow_ns = now_ns + SLOW_TICK_NS;
    uint64_t bytes = crew->order.settings->slow_bytes;
    uint64_t share = bytes * SLOW_TICK_NS / MOMENT_SECOND_NS;
    share += bytes > 0 && share == 0 ? 1 : 0;
    for (uint32_t index = 0; index < crew->count; index++) {
        struct reader *reader = &crew->readers[index];
        if (reader->inbox.is_slow && reader->state == READER_READY && share > 0) {
            reader->allowance = share;
            link_resume(&reader->link);
        }
    }
}

static void look_for_late(struct crew *crew, uint64_t now_ns) {
    if (now_ns < crew->next_look_ns || crew->connecting + crew->leaving == 0) {
        return;
    }
    crew->next_look_ns = now_ns + LOOK_NS;
    for (uint32_t index = 0; index < crew->count; index++) {
        struct reader *reader = &crew->readers[index];
        if (reader->state == READER_CONNECTING &&
            now_ns - reader->link.begun_ns > CREW_CONNECT_TIMEOUT_NS) {
            lose(crew, reader, "the server does not answer");
        } else {
            churn_look(crew, reader, now_ns);
        }
    }
}

static uint64_t earlier(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

static uint64_t next_ns(const struct crew *crew, uint64_t now_ns) {
    uint64_t next = now_ns + TURN_NS;
    if (crew->preloaded != NULL && crew->next < crew->count && crew->listener < 0 &&
        crew->connecting < CREW_CONNECTING_MAX) {
        next = earlier(next, crew->next_connect_ns);
    }
    if (crew->is_begun && crew->order.settings->churn > 0 && crew->next_churn_ns > now_ns) {
        next = earlier(next, crew->next_churn_ns);
    }
    if (crew->is_begun && crew->is_slow_at_all) {
        next = earlier(next, crew->next_slow_ns);
    }
    return next;
}

/* --- the thread ------------------------------------------------------------------------------ */

/* Those that churned, of all that connect: the others do so for the first time. */
static uint64_t count_coming(const struct crew *crew) {
    return crew->listener >= 0 ? 0 : crew->connecting - (crew->next - crew->settled);
}

static void tell_progress(struct crew *crew) {
    struct crew_progress *progress = &crew->progress;
    uint64_t alive = crew->listener >= 0 ? 1 : crew->ready + crew->connecting;
    atomic_store_explicit(&progress->unique, crew->receipt.counts.unique, memory_order_relaxed);
    atomic_store_explicit(&progress->ready, crew->ready, memory_order_relaxed);
    atomic_store_explicit(&progress->settled, crew->settled, memory_order_relaxed);
    atomic_store_explicit(&progress->alive, alive, memory_order_relaxed);
    atomic_store_explicit(&progress->coming, count_coming(crew), memory_order_relaxed);
    atomic_store_explicit(&progress->unconnected, crew->figures.unconnected, memory_order_relaxed);
    atomic_store_explicit(&progress->closed, crew->figures.closed, memory_order_relaxed);
}

static void *run(void *context) {
    struct crew *crew = context;
    struct epoll_event events[EVENTS_MAX];
    while (!crew->is_stopping) {
        uint64_t now_ns = moment_now_ns();
        connect_some(crew, now_ns);
        churn_some(crew, now_ns);
        let_slow_read(crew, now_ns);
        look_for_late(crew, now_ns);
        tell_progress(crew);
        int count = moment_wait(crew->epoll, events, EVENTS_MAX, next_ns(crew, now_ns));
        for (int index = 0; index < count; index++) {
            uint64_t token = events[index].data.u64;
            if (token == EVENT_LISTENER) {
                admit_guest(crew);
            } else if (token != EVENT_ERRAND) {
                on_event(crew, &crew->readers[token], events[index].events);
            }
        }
        tell_progress(crew);
        errand_look(&crew->errand, crew);
    }
    return NULL;
}

/* --- its life -------------------------------------------------------------------------------- */

static bool is_slow(const struct settings *settings, uint32_t reader) {
    /* Spread evenly: each at which the share passes another whole one. */
    return (uint64_t)((reader + 1.0) * settings->slow) > (uint64_t)(reader * settings->slow);
}

static void init_reader(struct crew *crew, uint32_t index, uint32_t number, size_t *used) {
    const struct crew_order *order = &crew->order;
    struct reader *reader = &crew->readers[index];
    const char *since = order->settings->since;
    struct protocol_link talk = {.host = order->target->host,
                                 .path = order->target->path,
                                 .token = order->token,
                                 .since = since,
                                 .index = number,
                                 .run = order->run};
    talk.selectors = audience_selectors(order->audience, number, &talk.selector_count);
    link_init(&reader->link, order->protocol, &talk, crew->epoll, index);
    reader->is_from_start = since != NULL && strcmp(since, "earliest") == 0;
    reader->inbox = (struct inbox){.tallies = crew->tallies + *used,
                                   .reader = number,
                                   .is_slow = is_slow(order->settings, number)};
    receipt_reset(&crew->receipt, &reader->inbox);
    crew->is_slow_at_all |= reader->inbox.is_slow;
    if (!order->protocol->is_listening) {
        *used += (size_t)audience_count(order->audience, number) * order->lanes;
    }
}

static void create_readers(struct crew *crew, uint32_t number) {
    const struct crew_order *order = &crew->order;
    bool is_listening = order->protocol->is_listening;
    uint64_t all = order->settings->readers;
    crew->count = is_listening ? CREW_GUESTS_MAX
                               : (uint32_t)((all + order->crews - 1 - number) / order->crews);
    size_t tallies = (size_t)audience_count(order->audience, 0) * order->lanes;
    if (!is_listening) {
        tallies = 0;
        for (uint32_t index = 0; index < crew->count; index++) {
            tallies += (size_t)audience_count(order->audience, number + index * order->crews) *
                       order->lanes;
        }
    }
    crew->readers = calloc(crew->count + 1, sizeof(crew->readers[0]));
    crew->tallies = calloc(tallies + 1, sizeof(crew->tallies[0]));
    if (crew->readers == NULL || crew->tallies == NULL) {
        bench_fail("out of memory for %u readers", crew->count);
    }
    size_t used = 0;
    for (uint32_t index = 0; index < crew->count; index++) {
        init_reader(crew, index, is_listening ? 0 : number + index * order->crews, &used);
    }
}

static void watch(const struct crew *crew, int file, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};
    if (epoll_ctl(crew->epoll, EPOLL_CTL_ADD, file, &event) != 0) {
        bench_fail("epoll_ctl: %s", strerrordesc_np(errno));
    }
}

static int listen_at(const struct target *target) {
    int one = 1;
    int file = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file < 0 || setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(file, (const struct sockaddr *)&target->address, target->address_length) != 0 ||
        listen(file, LISTEN_BACKLOG) != 0) {
        bench_fail("listen on %s: %s", target->host, strerrordesc_np(errno));
    }
    return file;
}

struct crew *crew_create(const struct crew_order *order, uint32_t number) {
    struct crew *crew = bench_need(1, sizeof(*crew));
    crew->order = *order;
    crew->listener = -1;
    crew->epoll = epoll_create1(EPOLL_CLOEXEC);
    crew->buffer = malloc(2 * LINK_READ_BYTES);
    crew->connect = histogram_create();
    crew->receipt = (struct receipt){.from_ns = MOMENT_NEVER, /* nothing is measured yet */
                                     .audience = order->audience,
                                     .sendings = order->sendings,
                                     .run = order->run,
                                     .lanes = order->lanes,
                                     .delivery = histogram_create()};
    if (crew->epoll < 0 || crew->buffer == NULL || crew->connect == NULL ||
        crew->receipt.delivery == NULL) {
        bench_fail("a thread that reads: %s", strerrordesc_np(errno));
    }
    errand_init(&crew->errand);
    watch(crew, crew->errand.event, EVENT_ERRAND);
    create_readers(crew, number);
    if (order->protocol->is_listening) {
        crew->listener = listen_at(order->target);
        watch(crew, crew->listener, EVENT_LISTENER);
    }
    return crew;
}

void crew_start(struct crew *crew) {
    if (pthread_create(&crew->thread, NULL, run, crew) != 0) {
        bench_fail("a thread that reads cannot be started");
    }
}

static void on_stop(void *owner, void *argument) {
    (void)argument;
    ((struct crew *)owner)->is_stopping = true;
}

void crew_destroy(struct crew *crew) {
    if (crew == NULL) {
        return;
    }
    errand_run(&crew->errand, on_stop, NULL);
    pthread_join(crew->thread, NULL);
    for (uint32_t index = 0; index < crew->count; index++) {
        churn_cancel(crew, &crew->readers[index]);
        link_finish(&crew->readers[index].link);
    }
    if (crew->listener >= 0) {
        close(crew->listener);
    }
    close(crew->epoll);
    errand_finish(&crew->errand);
    free(crew->receipt.delivery);
    free(crew->connect);
    free(crew->buffer);
    free(crew->tallies);
    free(crew->readers);
    free(crew);
}

struct crew_progress *crew_get_progress(struct crew *crew) {
    return &crew->progress;
}

struct errand *crew_get_errand(struct crew *crew) {
    return &crew->errand;
}

/* --- errands --------------------------------------------------------------------------------- */

/* All of them have one count, which begins now. */
static void begin_guests(struct crew *crew, uint64_t now_ns) {
    receipt_begin(&crew->receipt, &crew->readers[0].inbox, crew->order.settings->since != NULL);
    for (uint32_t index = 0; index < crew->count; index++) {
        crew->readers[index].inbox.ready_ns = now_ns;
    }
}

void crew_errand_connect(void *owner, void *argument) {
    struct crew *crew = owner;
    crew->preloaded = argument;
    if (crew->order.protocol->is_listening) {
        begin_guests(crew, moment_now_ns());
    }
}

void crew_errand_mark(void *owner, void *argument) {
    struct crew *crew = owner;
    crew->receipt.stage_ns = *(const uint64_t *)argument;
}

void crew_errand_begin(void *owner, void *argument) {
    struct crew *crew = owner;
    const uint64_t *from_ns = argument;
    crew->receipt.from_ns = *from_ns;
    crew->is_begun = true;
    crew->next_churn_ns = *from_ns;
    crew->next_slow_ns = 0;
    for (uint32_t index = 0; crew->is_slow_at_all && index < crew->count; index++) {
        struct reader *reader = &crew->readers[index];
        if (reader->inbox.is_slow && reader->state == READER_READY) {
            reader->allowance = 0;
            link_pause(&reader->link);
        }
    }
}

void crew_errand_calm(void *owner, void *argument) {
    struct crew *crew = owner;
    (void)argument;
    crew->is_begun = false;
    for (uint32_t index = 0; crew->is_slow_at_all && index < crew->count; index++) {
        link_resume(&crew->readers[index].link);
    }
    for (uint32_t index = 0; crew->leaving > 0 && index < crew->count; index++) {
        churn_cancel(crew, &crew->readers[index]);
    }
}

void crew_errand_miss(void *owner, void *argument) {
    struct crew *crew = owner;
    (void)argument;
    for (uint32_t index = 0; count_coming(crew) > 0 && index < crew->count; index++) {
        struct reader *reader = &crew->readers[index];
        if (reader->state == READER_CONNECTING && reader->is_settled && !reader->is_missed) {
            reader->is_missed = true;
            crew->figures.unconnected++;
            troubles_note(&crew->figures.troubles, "the server did not answer in time", 1);
        }
    }
}

void crew_errand_collect(void *owner, void *argument) {
    struct crew *crew = owner;
    struct crew_collection *collection = argument;
    struct timespec spent = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    crew->figures.cpu_s = (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
    crew->figures.counts = crew->receipt.counts;
    collection->figures = crew->figures;
    struct histogram *full = crew->receipt.delivery;
    crew->receipt.delivery = collection->delivery;
    collection->delivery = full;
    full = crew->connect;
    crew->connect = collection->connect;
    collection->connect = full;
}

/* One that has read to the end lacks what was there before. */
void crew_errand_settle(void *owner, void *argument) {
    struct crew *crew = owner;
    struct crew_settlement *settlement = argument;
    uint32_t count = crew->order.protocol->is_listening ? 1 : crew->count;
    settlement->lost += crew->closed_lost;
    settlement->unique += crew->receipt.counts.unique;
    for (uint32_t index = 0; index < count; index++) {
        const struct reader *reader = &crew->readers[index];
        bool is_ended = reader->state == READER_ENDED && crew->preloaded != NULL;
        settlement->lost += receipt_lost(&crew->receipt, &reader->inbox,
                                         is_ended ? crew->preloaded : settlement->published);
    }
}
