/* SPDX-License-Identifier: Apache-2.0 */
/* What was in flight is read again in the order in which it was sent first [MQTT-4.6.0-1]: a page
 * from the oldest on, and the next one where an entry's message is on none of it. A page is let go
 * when the socket or the window takes nothing more, and asked for again. */
#include <stdlib.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "protocols/mqtt/asking.h"
#include "protocols/mqtt/outbound_private.h"

struct resend {
    struct outbound *outbound;
    struct asking *asking; /* NULL: no page is under way */
};

/* The oldest that is to be sent on this connection and was not; NULL: there is none. */
static struct inflight_entry *next_entry(const struct outbound *outbound) {
    const struct inflight *inflight = &outbound->mqtt->session->inflight;
    struct inflight_entry *entry = inflight_next(inflight, NULL);
    while (entry != NULL &&
           (entry->is_on_link || entry->share != 0 || outbound_is_waiting(entry))) {
        entry = inflight_next(inflight, entry);
    }
    return entry;
}

void resend_finish(struct outbound *outbound) {
    if (outbound->resend != NULL) {
        asking_cancel(outbound->resend->asking);
        free(outbound->resend);
        outbound->resend = NULL;
    }
}

/* New subscriptions have waited with their retained messages, or two would share the window. */
static enum error_code end(struct outbound *outbound) {
    resend_finish(outbound);
    enum error_code code = outbound_reopen(outbound);
    if (code == OK) {
        retained_go_on(outbound);
    }
    return code;
}

static const struct message *find_message(const struct storage_page *page, uint64_t position) {
    size_t index = storage_page_find_after(page, position - 1);
    bool is_there = index < page->count && page->messages[index]->place.position == position;
    return is_there ? page->messages[index] : NULL;
}

static enum error_code send_again(struct outbound *outbound, struct inflight_entry *entry,
                                  const struct message *message) {
    uint32_t identifiers[SELECTORS_MAX];
    struct publishing publishing;
    struct buffer frame;
    buffer_init(&frame, FRAME_BYTES_MAX);
    IGNORE_RESULT(own_choose(outbound, message, identifiers, &publishing)); /* it goes to its end
                                                                             * without a filter */
    publishing.is_websocket = false; /* mqtt_write() makes the frame */
    publishing.qos = entry->qos;
    publishing.packet_id = entry->packet_id;
    publishing.is_retained = entry->is_retained;
    publishing.is_repeated = true;
    enum error_code code = publishing_put(&frame, message, &publishing);
    if (code == OK && frame.length == 0) {
        outbound_take(outbound, entry); /* this connection takes smaller packets */
    } else if (code == OK) {
        outbound_note_sent(outbound, entry);
        mqtt_write(outbound->mqtt, buffer_borrow(&frame));
    }
    buffer_finish(&frame);
    return code;
}

/* What was started for a filter that is not allowed any more is not finished; for one that the
 * client itself has dropped it is [MQTT-3.10.4-3]. */
static bool is_withheld(const struct outbound *outbound, const struct message *message) {
    const struct mqtt *mqtt = outbound->mqtt;
    return mqtt->has_lost_filters &&
           !filters_read(&mqtt->session->filters, message->fields.channel);
}

/* Sends what the page has; what should stand on it and does not is gone. */
static enum error_code send_page(struct outbound *outbound, const struct read *read) {
    const struct storage_page *page = &read->page;
    uint64_t from = read->query.place.position;
    uint64_t to = page->at_head ? UINT64_MAX : page->end.position;
    struct inflight_entry *entry;
    enum error_code code = OK;
    while (code == OK && (entry = next_entry(outbound)) != NULL && entry->position > from &&
           entry->position <= to && outbound_room(outbound) > 0 &&
           !connection_is_blocked(outbound->mqtt->connection)) {
        const struct message *message = find_message(page, entry->position);
        if (message == NULL || is_withheld(outbound, message)) {
            outbound_take(outbound, entry);
            keeping_note(outbound);
        } else {
            code = send_again(outbound, entry, message);
        }
    }
    return code;
}

static void on_page(void *context, const struct read *read) {
    struct resend *resend = context;
    struct outbound *outbound = resend->outbound;
    struct mqtt *mqtt = outbound->mqtt;
    resend->asking = NULL;
    enum error_code code = read->result == OK ? send_page(outbound, read) : read->result;
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
        return;
    }
    if (mqtt->outbound != NULL && outbound->resend != NULL) {
        resend_go_on(outbound);
    }
}

/* All channels of the client's tenant: its filters may be others by now. */
static enum error_code ask(struct resend *resend, uint64_t position) {
    struct outbound *outbound = resend->outbound;
    struct buffer pattern;
    struct storage_query query = {.start = STORAGE_AFTER_PLACE,
                                  .place = outbound->mqtt->session->place,
                                  .limit = CATCH_UP_PAGE_MESSAGES_MAX,
                                  .bytes_max = CATCH_UP_PAGE_BYTES_MAX};
    query.place.position = position - 1;
    query.place.channel_id = 0;
    query.place.offset = 0;
    buffer_init(&pattern, SCOPED_BYTES_MAX);
    enum error_code code = scope_put(&pattern, mqtt_tenant(outbound->mqtt), SPAN("**"));
    if (code == OK) {
        struct storage_selector all = {.text = buffer_borrow(&pattern), .is_pattern = true};
        code = asking_submit(outbound->mqtt->worker, &query, &all, 1, on_page, resend,
                             &resend->asking);
    }
    buffer_finish(&pattern);
    return code;
}

void resend_go_on(struct outbound *outbound) {
    struct resend *resend = outbound->resend;
    struct mqtt *mqtt = outbound->mqtt;
    if (resend == NULL || resend->asking != NULL) {
        return;
    }
    const struct inflight_entry *entry = next_entry(outbound);
    enum error_code code = OK;
    if (entry == NULL) {
        code = end(outbound);
    } else if (connection_is_blocked(mqtt->connection)) {
        connection_want_writable(mqtt->connection);
    } else if (outbound_room(outbound) > 0) {
        code = ask(resend, entry->position);
    }
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
    }
}

enum error_code resend_begin(struct outbound *outbound) {
    if (next_entry(outbound) == NULL) {
        return end(outbound);
    }
    struct resend *resend = calloc(1, sizeof(*resend));
    if (resend == NULL) {
        return ERR_MEMORY;
    }
    resend->outbound = outbound;
    outbound->resend = resend;
    resend_go_on(outbound);
    return OK;
}
