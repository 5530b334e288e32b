/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/page.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/id.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/reads.h"
#include "broker/support/invariant.h"
#include "protocols/envelope.h"
#include "protocols/http/head.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"

/* A read under way. */
struct paging {
    struct request *request;
    struct buffer if_none_match; /* copied: the request's headers do not live so long */
    struct read read;
};

static void on_state_finish(void *state) {
    struct paging *paging = state;
    buffer_finish(&paging->if_none_match);
    free(paging);
}

/* --- the tag ---------------------------------------------------------------------------------- */

void page_format_tag(const struct storage_page *page, char ret_tag[PAGE_TAG_BYTES]) {
    char end[ID_TEXT_BYTES_MAX];
    size_t end_length = id_format(&page->end, end);
    uint64_t first = page->count == 0 ? 0 : page->messages[0]->place.offset;
    snprintf(ret_tag, PAGE_TAG_BYTES, "\"%.*s.%llu.%zu.%llu.%llu.%d%d\"", (int)end_length, end,
             (unsigned long long)first, page->count, (unsigned long long)page->first,
             (unsigned long long)page->last, page->at_head, page->has_gap);
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

/* --- the body --------------------------------------------------------------------------------- */

enum error_code page_put(struct buffer *buffer, const struct storage_query *query,
                         const struct storage_page *page) {
    struct storage_gap gap;
    size_t gap_index = 0;
    bool has_gap = storage_page_next_gap(page, query, &gap_index, &gap);
    /* Before the first message of this page stands all that is older. An empty page has only its
     * start, at which the reader stands already. */
    const struct place *prev = page->count > 0 ? &page->messages[0]->place : &page->start;
    struct envelope_page tail = {.first = page->first,
                                 .last = page->last,
                                 .prev = prev,
                                 .next = &page->end,
                                 .at_head = page->at_head,
                                 .gap = has_gap ? &gap : NULL};
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

static void reply_with_page(struct request *request, const struct paging *paging) {
    struct reply *reply = &request->reply;
    const struct storage_page *page = &paging->read.page;
    char tag[PAGE_TAG_BYTES];
    page_format_tag(page, tag);
    bool is_known = page_tag_is_in(buffer_borrow(&paging->if_none_match), span_of_string(tag));
    reply->status = is_known ? 304 : 200;
    if (!is_known) {
        enum error_code code = page_put(&reply->body, &paging->read.query, page);
        if (code != OK) {
            request_refuse(request, code, NULL);
            return;
        }
        reply_add_header(reply, "Content-Type", "application/json");
    }
    reply_add_header(reply, "ETag", "%s", tag);
    reply_add_header(reply, "Cache-Control", "private, no-cache");
}

/* --- the read --------------------------------------------------------------------------------- */

static void on_read(struct read *read) {
    struct paging *paging = CONTAINER_OF(read, struct paging, read);
    struct request *request = paging->request;
    if (request_is_wanted(request)) {
        if (read->result == OK) {
            reply_with_page(request, paging);
        } else {
            request_refuse(request, read->result, &read->why);
        }
    }
    reads_release(request->broker->reads, read);
    request_answer(request);
}

static enum error_code begin(struct request *request) {
    struct paging *paging = calloc(1, sizeof(*paging));
    struct span known = {0};
    if (paging == NULL) {
        return ERR_MEMORY;
    }
    request->state = paging;
    request->on_state_finish = on_state_finish;
    paging->request = request;
    buffer_init(&paging->if_none_match, HTTP_HEAD_BYTES_MAX);
    if (request_find_header(request, "If-None-Match", &known) &&
        buffer_put(&paging->if_none_match, known) != OK) {
        return ERR_MEMORY;
    }
    paging->read.reply_to = request->reply_to;
    paging->read.on_read = on_read;
    reading_get_query(request->reading, &paging->read.query);
    paging->read.query.bytes_max = PAGE_BYTES_MAX;
    return OK;
}

void page_handle(struct request *request) {
    INVARIANT(request->reading != NULL);
    enum error_code code = begin(request);
    if (code != OK) {
        request_refuse(request, code, NULL);
        request_answer(request);
        return;
    }
    struct paging *paging = request->state;
    request_wait(request);
    reads_submit(request->broker->reads, &paging->read);
}
