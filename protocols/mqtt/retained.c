/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of retained messages, one filter after the other. What the socket or the window does not
 * take is let go, and asked for again from behind the last channel that was served. A message that
 * stands behind the boundary comes by the stream, and is left out here.
 *
 * QoS 2 of a stored session: the copies of a page are given ids (WAITING), the journal is told, and
 * the page is asked for again; then they find their entries.
 *
 * How far it has come stands with the filter, in the session: the next connection goes on there. */
#include <stdlib.h>
#include <string.h>

#include "broker/channels/pattern.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/asking.h"
#include "protocols/mqtt/outbound_private.h"

/* A filter that waits for its turn. */
struct wish {
    struct list in_wishes;
    uint64_t after_channel_id; /* it was served up to there */
    size_t length;
    uint8_t text[];
};

struct retained {
    struct outbound *outbound;
    struct asking *asking; /* NULL: no page is under way */
    struct list wishes;    /* the first one is being served */
};

static struct wish *first_wish(const struct retained *retained) {
    struct list *node = retained->wishes.next;
    return node == &retained->wishes ? NULL : CONTAINER_OF(node, struct wish, in_wishes);
}

static void drop_wish(struct retained *retained, struct wish *wish) {
    if (wish == first_wish(retained)) {
        asking_cancel(retained->asking);
        retained->asking = NULL;
    }
    list_remove(&wish->in_wishes);
    free(wish);
}

/* The next entry of a retained copy that has an id and waits. */
static struct inflight_entry *next_waiting(const struct inflight *inflight,
                                           struct inflight_entry *entry) {
    entry = inflight_next(inflight, entry);
    while (entry != NULL && !(entry->is_retained && entry->state == INFLIGHT_WAITING)) {
        entry = inflight_next(inflight, entry);
    }
    return entry;
}

void retained_finish(struct outbound *outbound) {
    struct retained *retained = outbound->retained;
    struct wish *wish;
    while (retained != NULL && (wish = first_wish(retained)) != NULL) {
        drop_wish(retained, wish);
    }
    free(retained);
    outbound->retained = NULL;
}

/* All are served: copies that have an id and were not met again are gone. What is live comes behind
 * them, or a client would take an older value for the newest. */
static void end(struct outbound *outbound) {
    const struct inflight *inflight = &outbound->mqtt->session->inflight;
    struct inflight_entry *entry = next_waiting(inflight, NULL);
    while (entry != NULL) {
        struct inflight_entry *next = next_waiting(inflight, entry);
        outbound_take(outbound, entry);
        entry = next;
    }
    retained_finish(outbound);
    enum error_code code = outbound_reopen(outbound);
    if (code != OK) {
        mqtt_end_failed(outbound->mqtt, code);
    }
}

/* --- sending -------------------------------------------------------------------------------- */

/* The QoS of its copy for this filter. False: it is not for it. */
static bool is_wanted(const struct retained *retained, const struct filter *filter,
                      const struct message *message, uint8_t *ret_qos) {
    const struct filter_options *options = &filter->options;
    struct span client_id = mqtt_client_id(retained->outbound->mqtt);
    bool is_own = options->is_no_local && span_is_equal(message->fields.publisher, client_id);
    *ret_qos = publishing_qos(message, options->qos);
    return !is_own && message->place.position <= options->retained_boundary;
}

static struct inflight_entry *find_entry(const struct outbound *outbound, uint64_t position) {
    const struct inflight *inflight = &outbound->mqtt->session->inflight;
    struct inflight_entry *entry = next_waiting(inflight, NULL);
    while (entry != NULL && entry->position != position) {
        entry = next_waiting(inflight, entry);
    }
    return entry;
}

/* ERR_MEMORY: there was none. */
static enum error_code add_entry(struct outbound *outbound, uint64_t position, uint8_t qos,
                                 struct inflight_entry **ret_entry) {
    struct inflight *inflight = &outbound->mqtt->session->inflight;
    enum error_code code = inflight_reserve(inflight, 1);
    if (code == OK) {
        struct inflight_entry entry = {.position = position,
                                       .packet_id = inflight_next_id(inflight),
                                       .state = INFLIGHT_WAITING,
                                       .qos = qos,
                                       .is_retained = true};
        *ret_entry = inflight_put(inflight, &entry);
    }
    return code;
}

static enum error_code send_copy(struct outbound *outbound, const struct filter *filter,
                                 const struct message *message, struct inflight_entry *entry) {
    struct mqtt *mqtt = outbound->mqtt;
    uint32_t identifier = filter->options.identifier;
    bool is_5 = mqtt_version(mqtt) == MQTT_VERSION_5;
    struct publishing publishing = {.is_retained = true,
                                    .asks_offset = is_5 && filter->options.asks_offset,
                                    .version = (uint8_t)mqtt_version(mqtt),
                                    .qos = filter->options.qos,
                                    .packet_id = entry == NULL ? 0 : entry->packet_id,
                                    .packet_bytes_max = mqtt->out.packet_bytes_max,
                                    .identifiers = &identifier,
                                    .identifier_count = identifier == 0 ? 0 : 1};
    struct buffer frame;
    buffer_init(&frame, FRAME_BYTES_MAX);
    enum error_code code = publishing_put(&frame, message, &publishing);
    bool has_left = code == OK && frame.length > 0;
    if (has_left) {
        mqtt_write(mqtt, buffer_borrow(&frame));
    }
    buffer_finish(&frame);
    if (entry != NULL && has_left) {
        outbound_note_sent(outbound, entry);
        keeping_note(outbound);
    } else if (entry != NULL) {
        outbound_take(outbound, entry);
    }
    return code;
}

static void on_journaled(struct mqtt *mqtt, void *context, enum error_code code,
                         const struct error *why, struct message *const *messages, size_t count) {
    (void)context;
    (void)why;
    (void)messages;
    (void)count;
    if (mqtt->outbound == NULL) {
        return;
    }
    mqtt->outbound->is_journaling = false;
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
        return;
    }
    outbound_go_on(mqtt->outbound);
}

/* The next connection goes on behind that channel. */
static void note_swept(struct outbound *outbound, struct filter *filter, uint64_t channel_id) {
    if (filter->options.retained_after < channel_id) {
        filter->options.retained_after = channel_id;
        keeping_note(outbound);
    }
}

/* All up to that channel has an entry, or needs none. */
static void journal(struct outbound *outbound, struct filter *filter, uint64_t channel_id) {
    struct mqtt *mqtt = outbound->mqtt;
    struct message *message =
        session_step_swept(mqtt->session, mqtt_client_id(mqtt), filter_text(filter), channel_id);
    enum error_code code = outbound_submit(mqtt, message, on_journaled);
    if (code == OK) {
        outbound->is_journaling = true;
        session_note_told(mqtt->session);
        note_swept(outbound, filter, channel_id);
    } else {
        outbound->is_retry_due = true;
        keeping_note(outbound);
    }
}

/* Gives ids to what the page has of QoS 2 from `index` on, as much as the window takes and up to
 * the next of another QoS, and tells the journal. */
static enum error_code announce_page(struct retained *retained, struct filter *filter,
                                     const struct storage_page *page, size_t index) {
    struct outbound *outbound = retained->outbound;
    uint32_t room = outbound_room(outbound);
    uint64_t channel_id = 0;
    for (size_t i = index; i < page->count && room > 0; i++) {
        const struct place *place = &page->messages[i]->place;
        struct inflight_entry *entry = NULL;
        uint8_t qos = 0;
        if (!is_wanted(retained, filter, page->messages[i], &qos)) {
            continue;
        }
        if (qos < 2) {
            break;
        }
        if (find_entry(outbound, place->position) == NULL &&
            add_entry(outbound, place->position, qos, &entry) != OK) {
            return ERR_MEMORY;
        }
        channel_id = place->channel_id;
        room--;
    }
    journal(outbound, filter, channel_id);
    return OK;
}

/* One message of the page. `ret_has_to_wait`: for the window, or for the journal. */
static enum error_code take_message(struct retained *retained, struct filter *filter,
                                    const struct storage_page *page, size_t index,
                                    bool *ret_has_to_wait) {
    struct outbound *outbound = retained->outbound;
    const struct message *message = page->messages[index];
    struct inflight_entry *entry = NULL;
    uint8_t qos = 0;
    if (!is_wanted(retained, filter, message, &qos)) {
        return OK;
    }
    if (qos > 0 && outbound_room(outbound) == 0) {
        *ret_has_to_wait = true;
        return OK;
    }
    enum error_code code = OK;
    if (qos > 0) {
        entry = find_entry(outbound, message->place.position);
    }
    if (qos == 2 && outbound_is_stored(outbound) && (entry == NULL || !entry->is_told)) {
        *ret_has_to_wait = true;
        return announce_page(retained, filter, page, index);
    }
    if (qos > 0 && entry == NULL) {
        code = add_entry(outbound, message->place.position, qos, &entry);
    }
    return code == OK ? send_copy(outbound, filter, message, entry) : code;
}

static enum error_code send_page(struct retained *retained, struct filter *filter,
                                 const struct storage_page *page) {
    struct wish *wish = first_wish(retained);
    enum error_code code = OK;
    bool has_to_wait = false;
    size_t index = 0;
    while (code == OK && index < page->count && !has_to_wait &&
           !connection_is_blocked(retained->outbound->mqtt->connection)) {
        code = take_message(retained, filter, page, index, &has_to_wait);
        if (code == OK && !has_to_wait) {
            wish->after_channel_id = page->messages[index++]->place.channel_id;
        }
    }
    if (code == OK && index == page->count) {
        wish->after_channel_id = page->channel_id;
    }
    note_swept(retained->outbound, filter, wish->after_channel_id);
    if (code == OK && index == page->count && page->at_head) {
        filter->options.retained_boundary = 0;
        filter->options.retained_after = 0;
        drop_wish(retained, wish);
        keeping_note(retained->outbound);
    }
    return code;
}

static void on_page(void *context, const struct read *read) {
    struct retained *retained = context;
    struct outbound *outbound = retained->outbound;
    struct mqtt *mqtt = outbound->mqtt;
    struct wish *wish = first_wish(retained);
    retained->asking = NULL;
    INVARIANT(wish != NULL);
    if (read->result == OK && outbound->subscribing != NULL) {
        return; /* what a SUBSCRIBE stores is not moved behind its back; it goes on with its end */
    }
    struct filter *filter =
        filters_find(&mqtt->session->filters, span_of(wish->text, wish->length));
    enum error_code code = read->result;
    if (code == OK && filter == NULL) {
        drop_wish(retained, wish); /* unsubscribed meanwhile */
    } else if (code == OK) {
        code = send_page(retained, filter, &read->page);
    }
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
        return;
    }
    retained_go_on(outbound);
}

/* --- asking --------------------------------------------------------------------------------- */

static enum error_code ask(struct retained *retained, const struct filter *filter) {
    struct span pattern = filter_pattern(filter);
    struct storage_selector selector = {.text = pattern, .is_pattern = pattern_is_pattern(pattern)};
    struct storage_query query = {.is_retained = true,
                                  .after_channel_id = first_wish(retained)->after_channel_id,
                                  .limit = CATCH_UP_PAGE_MESSAGES_MAX,
                                  .bytes_max = CATCH_UP_PAGE_BYTES_MAX};
    return asking_submit(retained->outbound->mqtt->worker, &query, &selector, 1, on_page, retained,
                         &retained->asking);
}

void retained_go_on(struct outbound *outbound) {
    struct retained *retained = outbound->retained;
    struct mqtt *mqtt = outbound->mqtt;
    if (retained == NULL || retained->asking != NULL || outbound->resend != NULL ||
        outbound->subscribing != NULL || outbound->is_journaling || outbound->is_retry_due) {
        return;
    }
    const struct filter *filter = NULL;
    struct wish *wish;
    while (filter == NULL && (wish = first_wish(retained)) != NULL) {
        filter = filters_find(&mqtt->session->filters, span_of(wish->text, wish->length));
        if (filter == NULL) {
            drop_wish(retained, wish);
        }
    }
    if (filter == NULL) {
        end(outbound);
    } else if (connection_is_blocked(mqtt->connection)) {
        connection_want_writable(mqtt->connection);
    } else if (filter->options.qos == 0 || outbound_room(outbound) > 0) {
        if (ask(retained, filter) != OK) {
            mqtt_end_failed(mqtt, ERR_MEMORY);
        }
    }
}

enum error_code retained_begin(struct outbound *outbound, const struct filter *filter) {
    struct span text = filter_text(filter);
    if (outbound->retained == NULL) {
        outbound->retained = calloc(1, sizeof(*outbound->retained));
        if (outbound->retained == NULL) {
            return ERR_MEMORY;
        }
        outbound->retained->outbound = outbound;
        list_init(&outbound->retained->wishes);
    }
    struct retained *retained = outbound->retained;
    LIST_EACH(&retained->wishes, node) {
        struct wish *wish = CONTAINER_OF(node, struct wish, in_wishes);
        if (span_is_equal(span_of(wish->text, wish->length), text)) {
            drop_wish(retained, wish);
            break;
        }
    }
    struct wish *wish = malloc(sizeof(*wish) + text.length);
    if (wish == NULL) {
        return ERR_MEMORY;
    }
    wish->after_channel_id = filter->options.retained_after;
    wish->length = text.length;
    memcpy(wish->text, text.bytes, text.length);
    list_put_tail(&retained->wishes, &wish->in_wishes);
    return OK;
}
