/* SPDX-License-Identifier: Apache-2.0 */
/* The window, for each run of frames that the stream is about to send:
 *
 *     prepare   each frame of QoS 1 and 2 is given an entry in flight (WAITING) and its packet id.
 *               What is not taken then comes again, and finds its entry by the position.
 *     journal   where the session is stored and the run has QoS 2, no such frame leaves before the
 *               journal has all entries of the run and the place behind it: whatever happens, no
 *               message of the run is taken for a new one again.
 *     on_left   the entries of what left are SENT and count for the client's receive maximum.
 */
#include "protocols/mqtt/outbound.h"

#include <stdlib.h>

#include "broker/channels/pattern.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/outbound_private.h"
#include "protocols/rest/reading.h"

/* A client that takes packets of this size takes every message with all its properties. */
#define PACKET_BYTES_ANY (MESSAGE_BYTES_CEILING + 4 * UINT16_MAX + 4 * MESSAGE_HEADERS_BYTES_MAX)

/* --- what is in flight ---------------------------------------------------------------------- */

uint32_t outbound_room(const struct outbound *outbound) {
    uint32_t max = outbound->mqtt->receive_max_peer;
    return outbound->on_link_count < max ? max - outbound->on_link_count : 0;
}

void outbound_get_unacknowledged(const struct mqtt *mqtt, struct connection_client *ret_client) {
    const struct outbound *outbound = mqtt->outbound;
    if (outbound != NULL && outbound->on_link_count > 0) {
        ret_client->unacknowledged = outbound->on_link_count;
        ret_client->unacknowledged_ms = mqtt_now_ms(mqtt) - outbound->acknowledged_ms;
        ret_client->is_window_full = outbound_room(outbound) == 0;
    }
}

void outbound_note_acknowledged(struct outbound *outbound) {
    outbound->acknowledged_ms = mqtt_now_ms(outbound->mqtt);
}

void outbound_note_sent(struct outbound *outbound, struct inflight_entry *entry) {
    INVARIANT(!entry->is_on_link);
    if (outbound_is_waiting(entry)) {
        INVARIANT(outbound->waiting_count > 0);
        outbound->waiting_count--;
    }
    entry->state = INFLIGHT_SENT;
    entry->is_on_link = true;
    if (outbound->on_link_count++ == 0) {
        outbound_note_acknowledged(outbound);
    }
    metrics_add(worker_metrics(outbound->mqtt->worker), METRIC_MQTT_IN_FLIGHT, 1);
}

void outbound_take(struct outbound *outbound, struct inflight_entry *entry) {
    if (outbound_is_waiting(entry)) {
        INVARIANT(outbound->waiting_count > 0);
        outbound->waiting_count--;
    }
    if (entry->is_on_link) {
        INVARIANT(outbound->on_link_count > 0);
        outbound->on_link_count--;
        outbound_note_acknowledged(outbound);
        metrics_sub(worker_metrics(outbound->mqtt->worker), METRIC_MQTT_IN_FLIGHT, 1);
    }
    inflight_take(&outbound->mqtt->session->inflight, entry);
}

enum error_code outbound_submit(struct mqtt *mqtt, struct message *message, mqtt_on_done *on_done) {
    if (message == NULL) {
        return ERR_MEMORY;
    }
    enum error_code code = mqtt_submit(mqtt, &message, 1, on_done, NULL);
    if (code != OK) {
        message_unref(message);
    }
    return code;
}

/* --- the window ----------------------------------------------------------------------------- */

static uint64_t get_room(void *context) {
    const struct outbound *outbound = context;
    return outbound->is_journaling || outbound->is_retry_due ? 0 : outbound_room(outbound);
}

/* They stand at the end, or close to it: what was sent and waits for its acknowledgement is not
 * looked at. */
static struct inflight_entry *first_waiting(const struct outbound *outbound) {
    const struct inflight *inflight = &outbound->mqtt->session->inflight;
    uint32_t missing = outbound->waiting_count;
    uint32_t i = inflight->end;
    while (missing > 0) {
        INVARIANT(i > inflight->begin);
        missing -= outbound_is_waiting(&inflight->entries[--i]);
    }
    return outbound->waiting_count == 0 ? NULL : &inflight->entries[i];
}

/* The first entry behind `entry` (NULL: of all) that waits for the stream. */
static struct inflight_entry *next_waiting(const struct outbound *outbound,
                                           struct inflight_entry *entry) {
    const struct inflight *inflight = &outbound->mqtt->session->inflight;
    if (entry == NULL) {
        return first_waiting(outbound);
    }
    do {
        entry = inflight_next(inflight, entry);
    } while (entry != NULL && !outbound_is_waiting(entry));
    return entry;
}

/* The entry of a message that came before, mostly the one at the cursor. */
static struct inflight_entry *find_waiting(const struct outbound *outbound,
                                           struct inflight_entry **cursor, uint64_t position) {
    struct inflight_entry *entry = *cursor;
    while (entry != NULL && entry->position < position) {
        entry = next_waiting(outbound, entry);
    }
    *cursor = entry;
    if (entry == NULL || entry->position == position) {
        return entry;
    }
    /* Behind it, where a filter was added that matches what had passed. */
    while (entry != NULL && entry->position != position) {
        entry = next_waiting(outbound, entry);
    }
    return entry;
}

static struct inflight_entry *add_entry(struct outbound *outbound, uint64_t position, uint8_t qos) {
    struct inflight *inflight = &outbound->mqtt->session->inflight;
    struct inflight_entry entry = {.position = position,
                                   .packet_id = inflight_next_id(inflight),
                                   .state = INFLIGHT_WAITING,
                                   .qos = qos};
    outbound->waiting_count++;
    return inflight_put(inflight, &entry);
}

/* Gives the frames of a run their ids. Returns how many may leave before the journal has them. */
static size_t number_frames(struct outbound *outbound, uint8_t *bytes, const uint32_t *ends,
                            const struct stream_item *items, size_t count) {
    struct inflight_entry *cursor = next_waiting(outbound, NULL);
    size_t free_count = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t begin = i == 0 ? 0 : ends[i - 1];
        struct published published = {0};
        if (ends[i] == begin || !items[i].is_message) {
            continue;
        }
        frame_open(bytes + begin, ends[i] - begin, mqtt_is_websocket(outbound->mqtt), &published);
        if (published.qos == 0) {
            continue;
        }
        uint64_t position = items[i].place.position;
        struct inflight_entry *entry = find_waiting(outbound, &cursor, position);
        if (entry != NULL && entry->qos != published.qos) { /* the filter was put anew */
            cursor = cursor == entry ? next_waiting(outbound, entry) : cursor;
            outbound_take(outbound, entry);
            entry = NULL;
        }
        if (entry == NULL) {
            entry = add_entry(outbound, position, published.qos);
        }
        entry->is_prepared = true;
        frame_set_packet_id(&published, entry->packet_id);
        bool has_to_wait = entry->qos == 2 && !entry->is_told && outbound_is_stored(outbound);
        if (has_to_wait && free_count > i) {
            free_count = i;
        }
    }
    return free_count;
}

/* Entries up to the run's end that are not of it are of messages that are gone meanwhile. */
static void drop_passed(struct outbound *outbound, uint64_t position) {
    struct inflight_entry *entry = next_waiting(outbound, NULL);
    while (entry != NULL) {
        struct inflight_entry *next = next_waiting(outbound, entry);
        if (!entry->is_prepared && entry->position <= position) {
            outbound_take(outbound, entry);
        }
        entry = next;
    }
}

static void on_journaled(struct mqtt *mqtt, void *context, enum error_code code,
                         const struct error *why, struct message *const *messages, size_t count) {
    struct outbound *outbound = mqtt->outbound;
    (void)context;
    (void)why;
    (void)messages;
    (void)count;
    if (outbound == NULL) {
        return; /* the session was noted when the step was handed over */
    }
    outbound->is_journaling = false;
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
        return;
    }
    outbound_go_on(outbound);
}

/* Hands the step to the log. What it says is true of the session from now on: a snapshot that is
 * made before the answer stands behind it in the log. */
static void journal(struct outbound *outbound, const struct place *place) {
    struct mqtt *mqtt = outbound->mqtt;
    struct message *message = session_step_sent(mqtt->session, mqtt_client_id(mqtt), place);
    enum error_code code = outbound_submit(mqtt, message, on_journaled);
    if (code != OK) {
        outbound->is_retry_due = true;
        keeping_note(outbound);
        return;
    }
    outbound->is_journaling = true;
    session_note_told(mqtt->session);
    if (place->position > mqtt->session->place.position) {
        mqtt->session->place = *place;
    }
}

static size_t prepare(void *context, uint8_t *bytes, const uint32_t *ends,
                      const struct stream_item *items, size_t count) {
    struct outbound *outbound = context;
    struct inflight *inflight = &outbound->mqtt->session->inflight;
    if (inflight_reserve(inflight, count) != OK) {
        outbound->is_retry_due = true;
        keeping_note(outbound);
        return 0;
    }
    for (struct inflight_entry *entry = next_waiting(outbound, NULL); entry != NULL;
         entry = next_waiting(outbound, entry)) {
        entry->is_prepared = false;
    }
    size_t free_count = number_frames(outbound, bytes, ends, items, count);
    drop_passed(outbound, items[count - 1].place.position);
    if (free_count < count) {
        journal(outbound, &items[count - 1].place);
    }
    return free_count;
}

/* Entries of the run that left, which are those up to its last position. */
static void on_left(void *context, const struct stream_item *items, size_t count) {
    struct outbound *outbound = context;
    INVARIANT(count > 0);
    uint64_t position = items[count - 1].place.position;
    struct inflight_entry *entry = next_waiting(outbound, NULL);
    while (entry != NULL) {
        struct inflight_entry *next = next_waiting(outbound, entry);
        if (entry->is_prepared && entry->position <= position) {
            outbound_note_sent(outbound, entry);
        }
        entry = next;
    }
    if (outbound->own != NULL) {
        own_on_left(outbound->own, items, count);
    }
    if (outbound->is_own && outbound->shared != NULL && position >= outbound->own->shared_from) {
        outbound->is_own = false;
        stream_set_framing(outbound->stream, outbound->shared);
    }
    keeping_note(outbound);
}

static const struct stream_window WINDOW = {
    .get_room = get_room, .prepare = prepare, .on_left = on_left};

/* --- the stream ----------------------------------------------------------------------------- */

static void on_failed(void *context, enum error_code code) {
    struct outbound *outbound = context;
    mqtt_end_failed(outbound->mqtt, code);
}

static bool is_alike(const struct filter_options *left, const struct filter_options *right) {
    return left->qos == right->qos && left->identifier == right->identifier &&
           left->asks_offset == right->asks_offset &&
           left->is_retained_as_published == right->is_retained_as_published;
}

/* Whether all filters want the same frames, so that they may be those of others too. ERR_MEMORY. */
static enum error_code choose_framing(struct outbound *outbound) {
    const struct mqtt *mqtt = outbound->mqtt;
    const struct filters *filters = &mqtt->session->filters;
    const struct filter_options *first = NULL;
    bool is_shared = mqtt->alias_max_peer == 0 && mqtt->out.packet_bytes_max >= PACKET_BYTES_ANY;
    uint64_t shared_from = 0;
    for (uint32_t i = 0; is_shared && i < filters->count; i++) {
        const struct filter_options *options = &filters_list(filters)[i]->options;
        if (options->kind != FILTER_LOG) {
            continue;
        }
        first = first == NULL ? options : first;
        is_shared = !options->is_no_local && is_alike(first, options);
        if (options->start > shared_from) {
            shared_from = options->start;
        }
    }
    outbound->shared = NULL;
    if (is_shared && first != NULL) {
        outbound->shared = framing_shared(mqtt_is_websocket(mqtt), mqtt_version(mqtt), first->qos,
                                          first->asks_offset, first->is_retained_as_published);
    }
    outbound->is_own = outbound->shared == NULL ||
                       (!outbound->begins_now && shared_from > outbound->place.position);
    return outbound->is_own ? own_make(outbound, shared_from) : OK;
}

/* What the filters of the log read together. */
struct reading_of_session {
    struct storage_selector *selectors;
    size_t count;
    uint64_t identifier; /* of shared frames */
    enum on_lag on_lag;  /* of the newest filter that says */
    uint8_t qos;         /* the highest */
};

static enum error_code gather_selectors(const struct session *session,
                                        struct reading_of_session *ret_reading) {
    const struct filters *filters = &session->filters;
    *ret_reading = (struct reading_of_session){.on_lag = ON_LAG_AUTO};
    if (filters_count(filters, FILTER_LOG) == 0) {
        return OK;
    }
    ret_reading->selectors = calloc(filters->count, sizeof(*ret_reading->selectors));
    if (ret_reading->selectors == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct filter_options *options = &filters_list(filters)[i]->options;
        struct span pattern = filter_pattern(filters_list(filters)[i]);
        if (options->kind != FILTER_LOG) {
            continue;
        }
        ret_reading->selectors[ret_reading->count++] =
            (struct storage_selector){.text = pattern, .is_pattern = pattern_is_pattern(pattern)};
        ret_reading->identifier = options->identifier;
        ret_reading->qos = options->qos > ret_reading->qos ? options->qos : ret_reading->qos;
        if (options->on_lag != ON_LAG_AUTO) {
            ret_reading->on_lag = options->on_lag;
        }
    }
    return OK;
}

static enum error_code create_stream(struct outbound *outbound,
                                     const struct reading_of_session *reading) {
    struct mqtt *mqtt = outbound->mqtt;
    bool is_plain = reading->qos == 0 && !outbound->is_own && !outbound_is_stored(outbound);
    struct stream_options options = {
        .connection = mqtt->connection,
        .selectors = reading->selectors,
        .selector_count = reading->count,
        .framing = outbound->is_own ? &outbound->own->framing : outbound->shared,
        .subscription = outbound->shared == NULL ? 0 : reading->identifier,
        .on_lag = reading_choose_on_lag(reading->on_lag, reading->selectors, reading->count,
                                        mqtt_broker(mqtt)->rules),
        .window = is_plain ? NULL : &WINDOW,
        .start = {.start = outbound->begins_now ? STORAGE_NOW : STORAGE_AFTER_PLACE,
                  .place = outbound->place},
        .on_failed = on_failed,
        .context = outbound,
    };
    outbound->begins_now = false;
    return stream_create(&options, &outbound->stream);
}

void outbound_note_place(struct outbound *outbound) {
    struct session *session = outbound->mqtt->session;
    struct place place = {0};
    if (outbound->stream == NULL) {
        return;
    }
    stream_get_place(outbound->stream, &place);
    if (place.position == 0) {
        return; /* its start is not resolved */
    }
    outbound->place = place;
    if (place.position > session->place.position) {
        session->place = place;
    }
}

/* What waits comes again with another id; what is told keeps its own, unless `is_told_too`. */
static void forget_waiting(struct outbound *outbound, bool is_told_too) {
    struct inflight_entry *next;
    for (struct inflight_entry *entry = next_waiting(outbound, NULL); entry != NULL; entry = next) {
        next = next_waiting(outbound, entry);
        if (is_told_too || !entry->is_told) {
            outbound_take(outbound, entry);
        }
    }
}

void outbound_close(struct outbound *outbound) {
    outbound_note_place(outbound);
    forget_waiting(outbound, false);
    stream_destroy(outbound->stream);
    outbound->stream = NULL;
}

void outbound_move_to(struct outbound *outbound, const struct place *place) {
    forget_waiting(outbound, true); /* none has left and all come again: else they pile up */
    outbound->place = outbound->mqtt->session->place = *place;
}

enum error_code outbound_reopen(struct outbound *outbound) {
    struct reading_of_session reading;
    outbound_close(outbound);
    if (outbound->subscribing != NULL) {
        return OK; /* it opens with the answer, by the filters of then */
    }
    if (outbound->resend != NULL || outbound->retained != NULL) {
        outbound->begins_now = false;
        return OK; /* it opens when that is over: what is older comes first */
    }
    enum error_code code = gather_selectors(outbound->mqtt->session, &reading);
    if (code != OK) {
        return code;
    }
    if (reading.count > 0) {
        code = choose_framing(outbound);
        code = code == OK ? create_stream(outbound, &reading) : code;
    }
    free(reading.selectors);
    return code;
}

/* --- the calls ------------------------------------------------------------------------------ */

/* What is behind the session's place waits for the stream, which brings it with the id that it has.
 * All before may have left on an earlier connection: resend.c sends it. */
static uint32_t sort_waiting(const struct session *session) {
    uint32_t count = 0;
    for (struct inflight_entry *entry = inflight_next(&session->inflight, NULL); entry != NULL;
         entry = inflight_next(&session->inflight, entry)) {
        if (outbound_is_waiting(entry) && entry->position <= session->place.position) {
            entry->state = INFLIGHT_SENT;
        }
        count += outbound_is_waiting(entry);
    }
    return count;
}

enum error_code outbound_make(struct mqtt *mqtt) {
    if (mqtt->outbound != NULL) {
        return OK;
    }
    struct outbound *outbound = calloc(1, sizeof(*outbound));
    if (outbound == NULL) {
        return ERR_MEMORY;
    }
    outbound->mqtt = mqtt;
    outbound->acknowledged_ms = mqtt_now_ms(mqtt);
    outbound->place = mqtt->session->place;
    outbound->waiting_count = sort_waiting(mqtt->session);
    mqtt->outbound = outbound;
    return OK;
}

static void count_filters(struct outbound *outbound, uint32_t count, uint32_t shared_count) {
    struct metrics_shard *metrics = worker_metrics(outbound->mqtt->worker);
    metrics_sub(metrics, METRIC_MQTT_SUBSCRIPTIONS, outbound->counted);
    metrics_sub(metrics, METRIC_MQTT_SHARED, outbound->counted_shared);
    metrics_add(metrics, METRIC_MQTT_SUBSCRIPTIONS, count);
    metrics_add(metrics, METRIC_MQTT_SHARED, shared_count);
    outbound->counted = (uint16_t)count;
    outbound->counted_shared = (uint16_t)shared_count;
}

void outbound_count_filters(struct outbound *outbound) {
    const struct filters *filters = &outbound->mqtt->session->filters;
    count_filters(outbound, filters->count, (uint32_t)filters_count(filters, FILTER_SHARED));
}

static enum error_code start(struct outbound *outbound) {
    const struct filters *filters = &outbound->mqtt->session->filters;
    const struct storage_query now = {.start = STORAGE_NOW}; /* of a group that is gone meanwhile */
    enum error_code code = OK;
    outbound_count_filters(outbound);
    acknowledged_resume(outbound);
    for (uint32_t i = 0; code == OK && i < filters->count; i++) {
        const struct filter *filter = filters_list(filters)[i];
        if (filter->options.kind == FILTER_SYS) {
            code = sys_reader_begin(outbound, filter);
        } else if (filter->options.kind == FILTER_SHARED) {
            code = shared_join(outbound, filter, &now, false);
        } else if (filter->options.retained_boundary != 0) {
            code = retained_begin(outbound, filter);
        }
    }
    return code == OK ? resend_begin(outbound) : code;
}

/* Once the log has taken what is to be there before anything else, packets are taken. */
static void begin(struct outbound *outbound) {
    struct mqtt *mqtt = outbound->mqtt;
    enum error_code code = keeping_begin(outbound);
    outbound->is_begin_due = code == ERR_BUSY;
    if (outbound->is_begin_due) {
        return;
    }
    if (code != OK || (code = start(outbound)) != OK) {
        mqtt_end_failed(mqtt, code);
    }
    mqtt_unhold(mqtt);
}

void outbound_start(struct mqtt *mqtt) {
    const struct session *session = mqtt->session;
    bool is_kept = mqtt->session_expiry_ms > 0 || mqtt->claim->is_stored;
    if (!is_kept && session->filters.count == 0 && session->inflight.count == 0) {
        return;
    }
    enum error_code code = outbound_make(mqtt);
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
        return;
    }
    mqtt_hold(mqtt);
    begin(mqtt->outbound);
}

void outbound_stop(struct mqtt *mqtt) {
    struct outbound *outbound = mqtt->outbound;
    if (outbound == NULL) {
        return;
    }
    subscribing_finish(outbound);
    retained_finish(outbound);
    resend_finish(outbound);
    sys_reader_finish(outbound);
    shared_finish(outbound);
    acknowledged_finish(outbound);
    outbound_note_place(outbound);
    stream_destroy(outbound->stream);
    count_filters(outbound, 0, 0);
    metrics_sub(worker_metrics(mqtt->worker), METRIC_MQTT_IN_FLIGHT, outbound->on_link_count);
    own_destroy(outbound->own);
    free(outbound);
    mqtt->outbound = NULL;
}

void outbound_go_on(struct outbound *outbound) {
    if (outbound->is_begin_due) {
        begin(outbound);
        return;
    }
    subscribing_go_on(outbound);
    acknowledged_go_on(outbound);
    resend_go_on(outbound);
    retained_go_on(outbound);
    shared_go_on(outbound);
    if (outbound->stream != NULL) {
        stream_on_writable(outbound->stream);
    }
}

void outbound_on_writable(struct mqtt *mqtt) {
    if (mqtt->outbound != NULL) {
        outbound_go_on(mqtt->outbound);
    }
}

uint64_t outbound_due_ms(const struct mqtt *mqtt) {
    return mqtt->outbound == NULL ? 0 : mqtt->outbound->tick_due_ms;
}

void outbound_on_deadline(struct mqtt *mqtt) {
    uint64_t due_ms = outbound_due_ms(mqtt);
    if (due_ms != 0 && mqtt_now_ms(mqtt) >= due_ms) {
        keeping_on_due(mqtt->outbound);
    }
}

void outbound_store(struct mqtt *mqtt) {
    if (mqtt->phase == MQTT_PHASE_OPEN && mqtt->outbound != NULL && mqtt->session_expiry_ms > 0) {
        keeping_put(mqtt->outbound);
    }
}

void outbound_note_step(struct mqtt *mqtt) {
    bool is_kept = mqtt->phase == MQTT_PHASE_OPEN && mqtt->session_expiry_ms > 0;
    if (is_kept && outbound_make(mqtt) == OK) {
        keeping_note(mqtt->outbound);
    }
}
