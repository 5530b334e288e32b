/* SPDX-License-Identifier: Apache-2.0 */
/* A watch is a reader that never goes live, so it holds nothing in a tail: that a feed is touched
 * is all it wants to know.
 *
 *     asked --letter--> worker: joins its feeds; can they have missed something behind `place`?
 *         no   waits for a touch or for its time
 *         yes  reads the log once (one message): something is there, or it waits from there on
 *     done --letter--> maker: on_done, and the end
 *
 * So a busy log in which nothing matches costs one read a watch, not one a commit. */
#include "broker/runtime/watch.h"

#include <stdlib.h>

#include "broker/delivery/reader.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/invariant.h"

/* One allocation: the struct, the selectors, their texts. */
struct watch {
    struct reader reader;
    struct worker *worker;
    struct mailbox *reply_to;
    struct list in_watches;
    struct letter asked;
    struct letter cancelled;    /* to the worker … */
    struct letter acknowledged; /* … and back: it may come behind `done` */
    struct letter done;
    struct wheel_timer timer;
    struct read read;
    uint64_t wait_ms;
    void (*on_done)(void *context);
    void *context;
    bool is_watching; /* its feeds are joined */
    bool is_reading;
    bool is_over;      /* something came, or it need not wait any more */
    bool is_cancelled; /* from here on the maker's: the letter was sent … */
    bool is_acknowledged;
    bool is_done;
    size_t selector_count;
    struct storage_selector selectors[];
};

/* --- the end -------------------------------------------------------------------------------- */

static void free_if_unused(struct watch *watch) {
    if (watch->is_done && watch->is_cancelled == watch->is_acknowledged) {
        free(watch);
    }
}

static void on_done_delivered(struct letter *letter, void *consumer) {
    struct watch *watch = CONTAINER_OF(letter, struct watch, done);
    (void)consumer;
    watch->on_done(watch->context);
    watch->is_done = true;
    free_if_unused(watch);
}

static void on_acknowledged(struct letter *letter, void *consumer) {
    struct watch *watch = CONTAINER_OF(letter, struct watch, acknowledged);
    (void)consumer;
    watch->is_acknowledged = true;
    free_if_unused(watch);
}

/* Says so, unless a letter or a read of it is still on its way: then when that has come. */
static void end(struct watch *watch) {
    watch->is_over = true;
    if (watch->is_watching) {
        list_remove(&watch->in_watches);
        wheel_disarm(&watch->worker->wheel, &watch->timer);
        reader_finish(&watch->reader);
        watch->is_watching = false;
        metrics_sub(watch->worker->metrics, METRIC_WATCHES, 1);
    }
    if (watch->is_reading) {
        return;
    }
    mailbox_put_answer(watch->reply_to, &watch->done);
}

static void on_time_over(struct wheel_timer *timer) {
    end(CONTAINER_OF(timer, struct watch, timer));
}

/* --- news ----------------------------------------------------------------------------------- */

static bool has_news(const struct watch *watch) {
    const struct reader *reader = &watch->reader;
    for (size_t i = 0; i < reader->link_count; i++) {
        if (reader->links[i].feed->newest.position > reader->place.position) {
            return true;
        }
    }
    return false;
}

/* The feeds know of everything behind the watch's place. */
static bool has_seen_all(const struct watch *watch) {
    const struct reader *reader = &watch->reader;
    for (size_t i = 0; i < reader->link_count; i++) {
        const struct feed *feed = reader->links[i].feed;
        bool is_known =
            feed->newest.position != 0 || reader->place.position >= feed->tail.floor_position;
        if (!is_known) {
            return false;
        }
    }
    return true;
}

static void ask_log(struct watch *watch);

static void on_read(struct read *read) {
    struct watch *watch = CONTAINER_OF(read, struct watch, read);
    struct reads *reads = watch->worker->broker->reads;
    watch->is_reading = false;
    bool has_something = read->result != OK || read->page.count > 0 || read->page.has_gap ||
                         read->page.gap_count > 0 || !read->page.at_head;
    if (!has_something && !watch->is_over) {
        watch->reader.place = read->page.end;
    }
    reads_release(reads, read);
    if (has_something || watch->is_over || has_news(watch)) {
        end(watch);
    } else if (!has_seen_all(watch)) { /* commits were missed after the page was read */
        ask_log(watch);
    }
}

static void ask_log(struct watch *watch) {
    watch->read = (struct read){
        .reply_to = worker_mailbox(watch->worker), .on_read = on_read, .context = watch};
    struct storage_query *query = &watch->read.query;
    if (watch->selector_count == 1 && !watch->selectors[0].is_pattern) {
        query->channel = watch->selectors[0].text;
    } else {
        query->selectors = watch->selectors;
        query->selector_count = watch->selector_count;
    }
    query->start = STORAGE_AFTER_PLACE;
    query->place = watch->reader.place;
    query->limit = 1;
    query->bytes_max = 1;
    watch->is_reading = true;
    reads_submit(watch->worker->broker->reads, &watch->read);
}

static void on_touched(struct reader *reader) {
    struct watch *watch = CONTAINER_OF(reader, struct watch, reader);
    if (watch->is_over || watch->is_reading) {
        return;
    }
    if (has_news(watch)) {
        end(watch);
    } else if (!has_seen_all(watch)) { /* a commit was missed */
        ask_log(watch);
    }
}

/* --- the beginning -------------------------------------------------------------------------- */

static void on_asked(struct letter *letter, void *consumer) {
    struct watch *watch = CONTAINER_OF(letter, struct watch, asked);
    struct worker *worker = consumer;
    struct place place = watch->reader.place;
    INVARIANT(worker == watch->worker);
    bool can_watch =
        !worker->is_stopping && reader_init(&watch->reader, &worker->feeds, watch->selectors,
                                            watch->selector_count, on_touched) == OK;
    if (!can_watch) {
        end(watch);
        return;
    }
    watch->reader.place = place;
    watch->is_watching = true;
    list_put_tail(&worker->watches, &watch->in_watches);
    metrics_add(worker->metrics, METRIC_WATCHES, 1);
    watch->timer.on_due = on_time_over;
    wheel_arm(&worker->wheel, &watch->timer, worker->now_ms + watch->wait_ms);
    if (has_news(watch)) {
        end(watch);
    } else if (!has_seen_all(watch)) {
        ask_log(watch);
    }
}

static void on_cancelled(struct letter *letter, void *consumer) {
    struct watch *watch = CONTAINER_OF(letter, struct watch, cancelled);
    (void)consumer;
    if (!watch->is_over) {
        end(watch);
    }
    mailbox_put_answer(watch->reply_to, &watch->acknowledged);
}

void watches_end_all(struct worker *worker) {
    LIST_EACH(&worker->watches, node) {
        end(CONTAINER_OF(node, struct watch, in_watches));
    }
}

static struct watch *allocate(const struct watch_options *options) {
    struct watch *watch = calloc(
        1, sizeof(*watch) + storage_selectors_size(options->selectors, options->selector_count));
    if (watch == NULL) {
        return NULL;
    }
    storage_selectors_copy(watch->selectors, options->selectors, options->selector_count);
    watch->selector_count = options->selector_count;
    return watch;
}

enum error_code watch_create(const struct watch_options *options, struct watch **ret_watch) {
    INVARIANT(options->selector_count > 0);
    INVARIANT(options->selector_count <= SELECTORS_MAX);
    struct watch *watch = allocate(options);
    if (watch == NULL) {
        return ERR_MEMORY;
    }
    watch->worker = options->worker;
    watch->reply_to = options->reply_to;
    watch->reader.place = options->place;
    watch->wait_ms = options->wait_ms;
    watch->on_done = options->on_done;
    watch->context = options->context;
    watch->asked.on_delivered = on_asked;
    watch->cancelled.on_delivered = on_cancelled;
    watch->acknowledged.on_delivered = on_acknowledged;
    watch->done.on_delivered = on_done_delivered;
    enum error_code code = mailbox_put(worker_mailbox(options->worker), &watch->asked);
    if (code != OK) {
        free(watch);
        return code;
    }
    *ret_watch = watch;
    return OK;
}

void watch_cancel(struct watch *watch) {
    if (!watch->is_cancelled) {
        watch->is_cancelled = true;
        mailbox_put_answer(worker_mailbox(watch->worker), &watch->cancelled);
    }
}
