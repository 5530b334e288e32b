/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/rider.h"

#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

/* A page that is asked for. One allocation: the struct, the selectors, their texts. */
struct page_read {
    struct read read;
    struct list in_feed; /* of the feed whose readers may ride; else in no list */
    struct list riders;
    struct worker *worker;
    rider_on_page *on_page;
    struct storage_selector selectors[];
};

void rider_init(struct rider *rider) {
    *rider = (struct rider){.reach = UINT64_MAX};
    list_init(&rider->in_riders);
}

bool rider_is_waiting(const struct rider *rider) {
    return rider->page_read != NULL;
}

/* One that came to the head would have come there from anywhere. */
static uint64_t reach_of(const struct read *read) {
    uint64_t from = read->query.place.position;
    if (read->result != OK || read->page.at_head) {
        return UINT64_MAX;
    }
    return read->page.end.position > from ? read->page.end.position - from : 0;
}

static void on_read(struct read *read) {
    struct page_read *page_read = CONTAINER_OF(read, struct page_read, read);
    struct list *node;
    list_remove(&page_read->in_feed);
    metrics_add(page_read->worker->metrics, METRIC_PAGES_READ, 1);
    if (read->result != OK && read->result != ERR_DRAINING) { /* once, however many ride on it */
        log_event(READ_FAILED, .code = error_row(read->result)->slug, .detail = read->why.detail);
    }
    while ((node = list_take_head(&page_read->riders)) != NULL) {
        struct rider *rider = CONTAINER_OF(node, struct rider, in_riders);
        rider->page_read = NULL;
        rider->reach = reach_of(read);
        page_read->on_page(rider, read);
    }
    reads_release(page_read->worker->broker->reads, read);
    free(page_read);
}

/* Copies what is read, because the page outlives the reader. */
static struct page_read *create(const struct reader *reader, struct worker *worker) {
    size_t bytes = 0;
    for (size_t i = 0; i < reader->link_count; i++) {
        bytes += feed_selector(reader->links[i].feed).text.length;
    }
    struct page_read *page_read =
        malloc(sizeof(*page_read) + reader->link_count * sizeof(struct storage_selector) + bytes);
    if (page_read == NULL) {
        return NULL;
    }
    uint8_t *text = (uint8_t *)&page_read->selectors[reader->link_count];
    for (size_t i = 0; i < reader->link_count; i++) {
        struct storage_selector selector = feed_selector(reader->links[i].feed);
        memcpy(text, selector.text.bytes, selector.text.length);
        selector.text.bytes = text;
        page_read->selectors[i] = selector;
        text += selector.text.length;
    }
    list_init(&page_read->in_feed);
    list_init(&page_read->riders);
    page_read->worker = worker;
    page_read->read =
        (struct read){.reply_to = worker_mailbox(worker), .on_read = on_read, .context = page_read};
    return page_read;
}

static void join(struct rider *rider, struct page_read *page_read) {
    rider->page_read = page_read;
    list_put_tail(&page_read->riders, &rider->in_riders);
}

/* A page under way that begins at the reader's place, or near enough before it to reach it. */
static struct page_read *find(const struct feed *feed, const struct reader *reader,
                              uint64_t reach) {
    LIST_EACH(&feed->reads, node) {
        struct page_read *page_read = CONTAINER_OF(node, struct page_read, in_feed);
        uint64_t from = page_read->read.query.place.position;
        if (from <= reader->place.position && reader->place.position - from <= reach) {
            return page_read;
        }
    }
    return NULL;
}

enum error_code rider_ask(struct rider *rider, const struct reader *reader, struct worker *worker,
                          const struct storage_query *query, bool may_share,
                          rider_on_page *on_page) {
    struct feed *feed = reader->link_count == 1 ? reader->one.feed : NULL;
    bool is_shared = may_share && feed != NULL;
    INVARIANT(rider->page_read == NULL);
    struct page_read *page_read = is_shared ? find(feed, reader, rider->reach) : NULL;
    if (page_read != NULL) {
        INVARIANT(page_read->on_page == on_page);
        join(rider, page_read);
        return OK;
    }
    page_read = create(reader, worker);
    if (page_read == NULL) {
        return ERR_MEMORY;
    }
    page_read->on_page = on_page;
    struct storage_query *own = &page_read->read.query;
    *own = *query;
    own->limit = query->limit > 0 ? query->limit : CATCH_UP_PAGE_MESSAGES_MAX;
    own->bytes_max = CATCH_UP_PAGE_BYTES_MAX;
    if (feed != NULL && !feed->is_pattern) {
        own->channel = page_read->selectors[0].text;
    } else {
        own->selectors = page_read->selectors;
        own->selector_count = reader->link_count;
    }
    if (is_shared) {
        list_put_tail(&feed->reads, &page_read->in_feed);
    }
    join(rider, page_read);
    reads_submit(worker->broker->reads, &page_read->read);
    return OK;
}

void rider_leave(struct rider *rider) {
    if (rider->page_read == NULL) {
        return;
    }
    list_remove(&rider->in_riders);
    if (list_is_empty(&rider->page_read->riders)) {
        list_remove(&rider->page_read->in_feed); /* the feed may go before the page comes */
    }
    rider->page_read = NULL;
}
