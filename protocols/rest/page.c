/* SPDX-License-Identifier: Apache-2.0 */
/* One request is one or more reads, each from where the one before ended:
 *
 *     read --page--> something is there, or nobody waits ........ answer
 *       ^            nothing yet, and the log goes on ........... read on
 *       |            nothing, up to the head, and there is time . watch
 *       +--- something came, the time is over, the broker goes down
 *
 * Encoding and compressing happen where the page is read: 4 MiB take longer than a worker may be
 * away from its sockets. */
#include "protocols/rest/page.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/id.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/watch.h"
#include "broker/runtime/worker.h"
#include "broker/support/clock.h"
#include "broker/support/hash.h"
#include "broker/support/invariant.h"
#include "protocols/envelope.h"
#include "protocols/http/head.h"
#include "protocols/rest/joined.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"

#define CODED_BYTES_MIN 1024 /* what is smaller fits one packet anyway */
#define READS_MAX 64 /* of one request; then the page is empty, with a place to go on from */

struct paging {
    struct request *request;
    struct watch *watch;    /* NULL: nothing is waited for */
    uint64_t wait_until_ms; /* monotonic; 0: not at all */
    unsigned read_count;
    struct buffer if_none_match; /* copied: the request's headers do not live so long */
    enum encoding encoding;      /* that the client asks for … */
    bool must_code;              /* … and insists on */
    /* Made on the read thread. */
    bool is_known;            /* the client has this page */
    bool is_coded;            /* `body` is in `encoding` */
    char tag[PAGE_TAG_BYTES]; /* of what `body` is, or of what the client has */
    struct buffer body;
    struct read read;
};

static void on_state_finish(void *state) {
    struct paging *paging = state;
    INVARIANT(paging->watch == NULL);
    buffer_finish(&paging->if_none_match);
    buffer_finish(&paging->body);
    free(paging);
}

/* --- the tag ---------------------------------------------------------------------------------- */

static uint64_t hash_gap(uint64_t hash, const struct gap *gap, const struct place *after,
                         const struct place *resumed) {
    struct hash_key key = {{1, hash}}; /* no secret: it has to be the same on any day */
    uint64_t words[] = {gap->reason, gap->from, gap->to, after->position, resumed->position};
    return hash_bytes(&key, span_of(words, sizeof(words)));
}

static uint64_t hash_gaps(const struct storage_page *page) {
    uint64_t hash = page->has_gap ? hash_gap(0, &page->gap, &page->start, &page->start) : 0;
    for (size_t i = 0; i < page->gap_count; i++) {
        const struct storage_gap *gap = &page->gaps[i];
        hash = hash_gap(hash, &gap->gap, &gap->after, &gap->resumed);
    }
    return hash;
}

void page_format_tag(const struct storage_page *page, enum encoding encoding,
                     char ret_tag[PAGE_TAG_BYTES]) {
    char end[ID_TEXT_BYTES_MAX];
    size_t end_length = id_format(&page->end, end);
    uint64_t first = page->count == 0 ? 0 : page->messages[0]->place.position;
    bool is_coded = encoding != ENCODING_IDENTITY;
    int length = snprintf(ret_tag, PAGE_TAG_BYTES, "\"%.*s.%llu.%zu.%llu.%llu.%d.%llx%s%s\"",
                          (int)end_length, end, (unsigned long long)first, page->count,
                          (unsigned long long)page->first, (unsigned long long)page->last,
                          page->at_head, (unsigned long long)hash_gaps(page), is_coded ? "-" : "",
                          is_coded ? encoding_name(encoding) : "");
    INVARIANT(length < PAGE_TAG_BYTES);
}

bool page_tag_is_in(struct span if_none_match, struct span tag) {
    struct span element;
    while (head_list_next(&if_none_match, &element)) {
        if (span_has_prefix(element, SPAN("W/"))) {
            element = span_of(element.bytes + 2, element.length - 2);
        }
        if (span_is_equal(element, tag) || span_is_equal(element, SPAN("*"))) {
            return true;
        }
    }
    return false;
}

/* Does the client have the page, in whatever coding? Leaves the tag of what it has, else that of
 * the plain page. */
static bool find_known(struct paging *paging) {
    struct span if_none_match = buffer_borrow(&paging->if_none_match);
    for (unsigned i = 0; i < ENCODING_COUNT && if_none_match.length > 0; i++) {
        page_format_tag(&paging->read.page, (enum encoding)i, paging->tag);
        if (page_tag_is_in(if_none_match, span_of_string(paging->tag))) {
            return true;
        }
    }
    page_format_tag(&paging->read.page, ENCODING_IDENTITY, paging->tag);
    return false;
}

/* --- the body, on a read thread --------------------------------------------------------------- */

enum error_code page_put(struct buffer *buffer, const struct storage_query *query,
                         const struct storage_page *page) {
    struct storage_gap gap;
    size_t gap_index = 0;
    bool has_gap = storage_page_next_gap(page, query, &gap_index, &gap);
    bool has_offsets = query->selector_count == 0; /* several channels have none in common */
    if (!has_gap && page->gap_count > 0) {
        gap = page->gaps[0]; /* of the one channel, in the middle of the page */
        has_gap = true;
    }
    /* Before the first message of this page stands all that is older. An empty page has only its
     * start, at which the reader stands already. */
    const struct place *prev = page->count > 0 ? &page->messages[0]->place : &page->start;
    struct envelope_page tail = {.first = has_offsets ? page->first : 0,
                                 .last = has_offsets ? page->last : 0,
                                 .prev = prev,
                                 .next = &page->end,
                                 .at_head = page->at_head,
                                 .gap = has_gap ? &gap : NULL,
                                 .gaps = page->gaps,
                                 .gap_count = page->gap_count};
    enum error_code code = envelope_put_page_head(buffer);
    for (size_t i = 0; code == OK && i < page->count; i++) {
        if (i > 0) {
            code = buffer_put(buffer, SPAN(","));
        }
        if (code == OK) {
            code = envelope_put(buffer, page->messages[i], NULL);
        }
    }
    return code != OK ? code : envelope_put_page_tail(buffer, &tail);
}

/* Puts the coded body in the place of the plain one, where it is smaller or the client insists. */
static void code_body(struct paging *paging) {
    struct buffer coded;
    bool is_worth_it = paging->body.length >= CODED_BYTES_MIN || paging->must_code;
    paging->is_coded = false;
    if (paging->encoding == ENCODING_IDENTITY || !is_worth_it) {
        return;
    }
    buffer_init(&coded, paging->must_code ? REPLY_BODY_BYTES_MAX : paging->body.length - 1);
    if (encoding_put(&coded, paging->encoding, buffer_borrow(&paging->body)) != OK) {
        buffer_finish(&coded); /* the plain one does it, too */
        return;
    }
    buffer_finish(&paging->body);
    paging->body = coded;
    paging->is_coded = true;
    page_format_tag(&paging->read.page, paging->encoding, paging->tag);
}

/* At the head storage ends a page where the log does. A page of one channel ends at its last
 * message, so that it stays the same page while others are published to. */
static void settle_end(const struct storage_query *query, struct storage_page *page) {
    const struct place *last = page->count > 0 ? &page->messages[page->count - 1]->place : NULL;
    if (query->selector_count == 0 && last != NULL && page->end.offset == last->offset) {
        page->end = *last;
    }
}

static enum error_code on_work(struct read *read, struct storage *storage) {
    struct paging *paging = CONTAINER_OF(read, struct paging, read);
    enum error_code code = joined_read(storage, &read->query, &read->page, &read->why);
    if (code != OK) {
        return code;
    }
    settle_end(&read->query, &read->page);
    paging->is_known = find_known(paging);
    if (paging->is_known) {
        return OK;
    }
    buffer_finish(&paging->body);
    buffer_init(&paging->body, REPLY_BODY_BYTES_MAX);
    code = page_put(&paging->body, &read->query, &read->page);
    if (code != OK) {
        storage_page_finish(&read->page);
        return error_set(&read->why, code, "the page has become too large for one reply");
    }
    code_body(paging);
    read->made_bytes = paging->body.capacity;
    return OK;
}

/* --- the reply -------------------------------------------------------------------------------- */

static void reply_with_page(struct request *request, struct paging *paging) {
    struct reply *reply = &request->reply;
    reply->status = paging->is_known ? 304 : 200;
    if (!paging->is_known) {
        buffer_finish(&reply->body);
        reply->body = paging->body;
        buffer_init(&paging->body, REPLY_BODY_BYTES_MAX);
        reply_add_header(reply, "Content-Type", "application/json");
        if (paging->is_coded) {
            reply_add_header(reply, "Content-Encoding", "%s", encoding_name(paging->encoding));
        }
    }
    reply_add_header(reply, "ETag", "%s", paging->tag);
    reply_add_header(reply, "Cache-Control", "private, no-cache");
}

/* --- reading, and waiting --------------------------------------------------------------------- */

enum next_step { STEP_ANSWER, STEP_READ_ON, STEP_WATCH };

static enum next_step next_step_of(const struct paging *paging) {
    const struct storage_page *page = &paging->read.page;
    bool has_something = page->count > 0 || page->has_gap || page->gap_count > 0;
    if (has_something || paging->read.query.has_before || paging->read_count >= READS_MAX) {
        return STEP_ANSWER;
    }
    if (!page->at_head) {
        return STEP_READ_ON; /* the walk through the log has a budget, and is not over */
    }
    bool may_wait = clock_monotonic_ms() < paging->wait_until_ms && !paging->request->is_hurried &&
                    !atomic_load(&paging->request->broker->is_stopping);
    return may_wait ? STEP_WATCH : STEP_ANSWER;
}

static void read_on(struct paging *paging) {
    paging->read_count++;
    reads_submit(paging->request->broker->reads, &paging->read);
}

static void answer(struct paging *paging) {
    struct request *request = paging->request;
    if (request_is_wanted(request) && paging->read.result == OK) {
        reply_with_page(request, paging);
    }
    request_end(request, paging->read.result, &paging->read.why);
}

static void on_watched(void *context) {
    struct paging *paging = context;
    paging->watch = NULL;
    if (request_is_wanted(paging->request)) {
        read_on(paging);
    } else {
        request_answer(paging->request);
    }
}

static void on_hurried(struct request *request) {
    struct paging *paging = request->state;
    if (paging->watch != NULL) {
        watch_cancel(paging->watch);
    }
}

/* The request's own worker, so that nothing crosses a border; any for the operator's port. */
static struct worker *choose_worker(const struct request *request) {
    const struct broker *broker = request->broker;
    for (size_t i = 0; i < broker->worker_count; i++) {
        if (worker_mailbox(broker->workers[i]) == request->reply_to) {
            return broker->workers[i];
        }
    }
    INVARIANT(broker->worker_count > 0);
    return broker->workers[0];
}

static void watch(struct paging *paging) {
    const struct reading *reading = paging->request->reading;
    uint64_t now_ms = clock_monotonic_ms();
    struct watch_options options = {
        .worker = choose_worker(paging->request),
        .reply_to = paging->request->reply_to,
        .selectors = reading->selectors,
        .selector_count = reading->selector_count,
        .place = paging->read.query.place,
        .wait_ms = paging->wait_until_ms > now_ms ? paging->wait_until_ms - now_ms : 1,
        .on_done = on_watched,
        .context = paging,
    };
    enum error_code code = watch_create(&options, &paging->watch);
    if (code != OK) {
        paging->read.result = error_set(&paging->read.why, code, "too many wait already");
        answer(paging);
    }
}

static void on_read(struct read *read) {
    struct paging *paging = CONTAINER_OF(read, struct paging, read);
    bool has_page = request_is_wanted(paging->request) && read->result == OK;
    enum next_step step = has_page ? next_step_of(paging) : STEP_ANSWER;
    if (step != STEP_ANSWER) {
        read->query.start = STORAGE_AFTER_PLACE;
        read->query.place = read->page.end;
    }
    reads_release(paging->request->broker->reads, read);
    switch (step) {
    case STEP_ANSWER:
        answer(paging);
        break;
    case STEP_READ_ON:
        read_on(paging);
        break;
    case STEP_WATCH:
        watch(paging);
        break;
    }
}

static enum error_code begin(struct request *request) {
    struct paging *paging = calloc(1, sizeof(*paging));
    const struct reading *reading = request->reading;
    struct span value = {0};
    if (paging == NULL) {
        return ERR_MEMORY;
    }
    request->state = paging;
    request->on_state_finish = on_state_finish;
    request->on_hurried = on_hurried;
    paging->request = request;
    buffer_init(&paging->body, REPLY_BODY_BYTES_MAX);
    buffer_init(&paging->if_none_match, HTTP_HEAD_BYTES_MAX);
    if (request_find_header(request, "If-None-Match", &value) &&
        buffer_put(&paging->if_none_match, value) != OK) {
        return ERR_MEMORY;
    }
    if (request_find_header(request, "Accept-Encoding", &value)) {
        paging->encoding = encoding_choose(value, &paging->must_code);
    }
    request->counted_as = reading->wait_ms == 0 ? METRICS_ROUTE_PAGE : METRICS_ROUTE_POLL;
    paging->wait_until_ms = reading->wait_ms == 0 ? 0 : clock_monotonic_ms() + reading->wait_ms;
    paging->read.reply_to = request->reply_to;
    paging->read.on_read = on_read;
    paging->read.on_work = on_work;
    reading_get_query(reading, &paging->read.query);
    paging->read.query.bytes_max = PAGE_BYTES_MAX;
    return OK;
}

void page_handle(struct request *request) {
    INVARIANT(request->reading != NULL);
    enum error_code code = begin(request);
    if (code != OK) {
        request_end(request, code, NULL);
        return;
    }
    request_wait(request);
    read_on(request->state);
}
