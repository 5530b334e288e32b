/* SPDX-License-Identifier: Apache-2.0 */
/* A SUBSCRIBE goes through these steps, and no packet behind it is taken before the last:
 *
 *     parse     each filter is refused, or made with the options of the packet (terms.c)
 *     permit    each filter is allowed or refused; the application may have to be asked
 *     resolve   `since` becomes a position: a page of the log is asked for each filter in need
 *     apply     the filters are the session's
 *     join      shared subscriptions are members of their groups
 *     store     if the session is kept, the journal has them
 *     answer    SUBACK; gaps that `since` met; the stream opens anew, retained messages follow */
#include <stdlib.h>
#include <string.h>

#include "broker/channels/pattern.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/asking.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/permission.h"
#include "protocols/mqtt/subscribe_private.h"

static void destroy(struct subscribing *subscribing) {
    asking_cancel(subscribing->asking);
    for (uint32_t i = 0; i < subscribing->count; i++) {
        if (!subscribing->rows[i].is_applied) {
            free(subscribing->rows[i].filter);
        }
    }
    buffer_finish(&subscribing->gaps);
    buffer_finish(&subscribing->reasons);
    free(subscribing);
}

void subscribing_finish(struct outbound *outbound) {
    if (outbound->subscribing != NULL) {
        destroy(outbound->subscribing);
        outbound->subscribing = NULL;
    }
}

enum mqtt_reason subscribing_reason_of(enum error_code code) {
    switch ((int)code) {
    case OK:
        return MQTT_REASON_SUCCESS;
    case ERR_BAD_CHANNEL:
        return MQTT_REASON_TOPIC_FILTER_INVALID;
    case ERR_FORBIDDEN:
    case ERR_REVOKED:
    case ERR_TOKEN_EXPIRED:
    case ERR_UNAUTHORIZED:
        return MQTT_REASON_NOT_AUTHORIZED;
    case ERR_FULL:
    case ERR_MEMORY:
        return MQTT_REASON_QUOTA_EXCEEDED;
    default:
        return MQTT_REASON_IMPLEMENTATION_SPECIFIC_ERROR;
    }
}

void subscribing_refuse(struct row *row, enum error_code code) {
    free(row->filter);
    row->filter = NULL;
    row->reason = (uint8_t)subscribing_reason_of(code);
}

/* --- answer --------------------------------------------------------------------------------- */

static void write_grants(struct subscribing *subscribing) {
    struct mqtt *mqtt = subscribing->mqtt;
    struct mqtt_grants grants = {.packet_id = subscribing->packet_id};
    enum mqtt_type type = subscribing->is_unsubscribing ? MQTT_UNSUBACK : MQTT_SUBACK;
    struct buffer packet;
    enum error_code code = OK;
    buffer_init(&packet, FRAME_BYTES_MAX);
    for (uint32_t i = 0; code == OK && i < subscribing->count; i++) {
        code = buffer_put_byte(&subscribing->reasons, subscribing->rows[i].reason);
    }
    grants.reasons = buffer_borrow(&subscribing->reasons);
    bool is_5 = mqtt_version(mqtt) == MQTT_VERSION_5;
    if (is_5 && mqtt->wants_problem_information && subscribing->why.detail[0] != '\0') {
        mqtt_set_reason_string(&grants.properties, span_of_string(subscribing->why.detail));
    }
    if (!is_5 && subscribing->is_unsubscribing) {
        grants.reasons = (struct span){0};
    }
    if (code == OK) {
        code = mqtt_encode_grants(&packet, &mqtt->out, type, &grants);
    }
    if (code == OK) {
        mqtt_write(mqtt, buffer_borrow(&packet));
    } else {
        mqtt_end_failed(mqtt, code);
    }
    buffer_finish(&packet);
}

/* What the new filters set going. */
static enum error_code open_row(struct outbound *outbound, const struct row *row,
                                struct filter *filter) {
    switch ((enum filter_kind)filter->options.kind) {
    case FILTER_SHARED:
        shared_open(outbound, filter_text(filter));
        return OK;
    case FILTER_SYS:
        return sys_reader_begin(outbound, filter);
    case FILTER_LOG:
        if (!row->has_retained) {
            return OK;
        }
        retained_await(&filter->options, row->place.position); /* whatever was served meanwhile */
        return retained_begin(outbound, filter);
    case FILTER_GAP:
        return OK;
    }
    return OK;
}

static enum error_code open_rows(struct outbound *outbound, const struct subscribing *subscribing) {
    const struct mqtt *mqtt = subscribing->mqtt;
    enum error_code code = OK;
    for (uint32_t i = 0; code == OK && mqtt->outbound != NULL && i < subscribing->count; i++) {
        const struct row *row = &subscribing->rows[i];
        if (row->filter != NULL) {
            code = open_row(outbound, row, row->filter);
        }
    }
    return code;
}

/* The rows' filters are the session's now. */
static void finish(struct subscribing *subscribing) {
    struct mqtt *mqtt = subscribing->mqtt;
    struct outbound *outbound = mqtt->outbound;
    enum error_code code = OK;
    outbound->subscribing = NULL;
    outbound_count_filters(outbound);
    write_grants(subscribing);
    if (mqtt->outbound != NULL && subscribing->gaps.length > 0) {
        mqtt_write(mqtt, buffer_borrow(&subscribing->gaps));
    }
    if (mqtt->outbound != NULL && !subscribing->is_unsubscribing) {
        code = open_rows(outbound, subscribing);
    }
    if (code == OK && mqtt->outbound != NULL) {
        code = outbound_reopen(outbound);
    }
    if (code == OK && mqtt->outbound != NULL) {
        retained_go_on(outbound);
    }
    destroy(subscribing);
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
    }
    mqtt_unhold(mqtt);
}

/* --- store ---------------------------------------------------------------------------------- */

static void on_stored(struct mqtt *mqtt, void *context, enum error_code code,
                      const struct error *why, struct message *const *messages, size_t count) {
    (void)context;
    (void)why;
    (void)messages;
    (void)count;
    if (mqtt->outbound == NULL || mqtt->outbound->subscribing == NULL) {
        return;
    }
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
        return;
    }
    finish(mqtt->outbound->subscribing);
}

static void store(struct subscribing *subscribing) {
    struct outbound *outbound = subscribing->mqtt->outbound;
    if (!outbound_is_stored(outbound)) {
        finish(subscribing);
        return;
    }
    struct message *message = keeping_make_put(outbound);
    enum error_code code = outbound_submit(subscribing->mqtt, message, on_stored);
    subscribing->is_put_due = code != OK;
    if (code != OK) {
        outbound->is_retry_due = true;
        keeping_note(outbound);
    }
}

void subscribing_go_on(struct outbound *outbound) {
    struct subscribing *subscribing = outbound->subscribing;
    if (subscribing != NULL && subscribing->is_put_due) {
        store(subscribing);
    }
}

/* --- join ----------------------------------------------------------------------------------- */

static void refuse_row(struct subscribing *subscribing, struct row *row, enum error_code code) {
    bool was_there = filters_drop(&subscribing->mqtt->session->filters, filter_text(row->filter));
    INVARIANT(was_there);
    row->filter = NULL;
    row->reason = (uint8_t)subscribing_reason_of(code);
    IGNORE_RESULT(error_set(&subscribing->why, code, "The group takes no member")); /* told by it */
}

static void join_row(struct subscribing *subscribing, struct row *row) {
    struct storage_query start = {.start = STORAGE_AFTER_PLACE, .place = row->place};
    enum error_code code = shared_join(subscribing->mqtt->outbound, row->filter,
                                       subscribing->has_since ? &subscribing->start : &start, true);
    if (code == OK) {
        subscribing->joining_count++;
    } else {
        refuse_row(subscribing, row, code);
    }
}

static void join(struct subscribing *subscribing) {
    for (uint32_t i = 0; i < subscribing->count; i++) {
        struct row *row = &subscribing->rows[i];
        if (row->filter != NULL && row->filter->options.kind == FILTER_SHARED) {
            join_row(subscribing, row);
        }
    }
    if (subscribing->joining_count == 0) {
        store(subscribing);
    }
}

void subscribing_on_joined(struct outbound *outbound, struct span filter, enum error_code code) {
    struct subscribing *subscribing = outbound->subscribing;
    INVARIANT(subscribing != NULL);
    INVARIANT(subscribing->joining_count > 0);
    subscribing->joining_count--;
    for (uint32_t i = 0; code != OK && i < subscribing->count; i++) {
        struct row *row = &subscribing->rows[i];
        if (row->filter != NULL && span_is_equal(filter_text(row->filter), filter)) {
            shared_leave(outbound, filter_text(row->filter));
            refuse_row(subscribing, row, code);
            break;
        }
    }
    if (subscribing->joining_count == 0) {
        store(subscribing);
    }
}

/* --- apply ---------------------------------------------------------------------------------- */

/* The reader goes back to the row's place, and the filters that there are do not. */
static void move_back(struct outbound *outbound, const struct row *row) {
    struct session *session = outbound->mqtt->session;
    for (uint32_t i = 0; i < session->filters.count; i++) {
        struct filter_options *options = &filters_list(&session->filters)[i]->options;
        if (options->kind == FILTER_LOG && options->start < outbound->place.position) {
            options->start = outbound->place.position;
        }
    }
    outbound_move_to(outbound, &row->place);
}

static void place_row(struct subscribing *subscribing, const struct row *row) {
    struct outbound *outbound = subscribing->mqtt->outbound;
    struct session *session = subscribing->mqtt->session;
    if (filters_count(&session->filters, FILTER_LOG) == 0) {
        outbound_move_to(outbound, &row->place);
        outbound->begins_now = !subscribing->has_since && !outbound_is_stored(outbound);
    } else if (row->place.position < outbound->place.position) {
        move_back(outbound, row);
        outbound->begins_now = false;
    }
}

static void refuse_beyond(struct subscribing *subscribing, struct row *row, enum error_code code) {
    subscribing_refuse(row, code);
    IGNORE_RESULT(error_set(&subscribing->why, code, /* it is told by its reason */
                            "limits.subscriptions or limits.patterns is reached"));
}

/* One that takes the place of another of the same text is no more than that was. */
static bool is_beyond_limits(const struct mqtt *mqtt, const struct filter *filter) {
    const struct filters *filters = &mqtt->session->filters;
    const struct config *config = mqtt_broker(mqtt)->config;
    if (filters->count >= config->subscriptions_max) {
        throttle_note(mqtt->connection, METRICS_LIMIT_SUBSCRIPTIONS, config->subscriptions_max);
        return true;
    }
    if (pattern_is_pattern(filter_pattern(filter)) &&
        filters_count_patterns(filters) >= config->patterns_max) {
        throttle_note(mqtt->connection, METRICS_LIMIT_PATTERNS, config->patterns_max);
        return true;
    }
    return false;
}

static void apply_row(struct subscribing *subscribing, struct row *row) {
    struct outbound *outbound = subscribing->mqtt->outbound;
    struct filters *filters = &subscribing->mqtt->session->filters;
    const struct filter *older = filters_find(filters, filter_text(row->filter));
    if (older == NULL && is_beyond_limits(subscribing->mqtt, row->filter)) {
        refuse_beyond(subscribing, row, ERR_FULL);
        return;
    }
    struct filter_options *options = &row->filter->options;
    options->start = row->place.position;
    row->has_retained = row->retain_handling == RETAIN_ALWAYS ||
                        (row->retain_handling == RETAIN_IF_NEW && older == NULL);
    if (options->kind == FILTER_LOG && row->has_retained) {
        retained_await(options, row->place.position);
    } else if (older != NULL) {
        options->retained_boundary = older->options.retained_boundary;
        options->retained_after = older->options.retained_after;
    }
    if (older != NULL && older->options.kind == FILTER_SHARED) {
        shared_leave(outbound, filter_text(row->filter));
    }
    if (older != NULL && !subscribing->has_since) {
        options->start = older->options.start; /* nothing is lost [MQTT-3.8.4-3] */
    } else if (options->kind == FILTER_LOG) {
        place_row(subscribing, row);
    }
    enum error_code code = filters_put(filters, row->filter);
    row->is_applied = code == OK;
    if (code != OK) {
        refuse_beyond(subscribing, row, code);
    }
}

static void apply(struct subscribing *subscribing) {
    struct outbound *outbound = subscribing->mqtt->outbound;
    outbound_close(outbound); /* what is behind the new filters' start comes when they are stored */
    for (uint32_t i = 0; i < subscribing->count; i++) {
        if (subscribing->rows[i].filter != NULL) {
            apply_row(subscribing, &subscribing->rows[i]);
        }
    }
    join(subscribing);
}

/* --- resolve -------------------------------------------------------------------------------- */

static void resolve(struct subscribing *subscribing);

static enum error_code keep_gaps(struct subscribing *subscribing, const struct read *read) {
    struct storage_gap gap;
    size_t index = 0;
    enum error_code code = OK;
    while (code == OK && storage_page_next_gap(&read->page, &read->query, &index, &gap)) {
        code = publishing_put_gap(&subscribing->gaps, &gap, false, &subscribing->mqtt->out);
    }
    return code;
}

static void on_page(void *context, const struct read *read) {
    struct subscribing *subscribing = context;
    struct row *row = &subscribing->rows[subscribing->next];
    subscribing->asking = NULL;
    enum error_code code = read->result == OK ? keep_gaps(subscribing, read) : read->result;
    if (code == OK) {
        row->place = read->page.start;
    } else {
        subscribing_refuse(row, code);
        subscribing->why = read->why;
    }
    subscribing->next++;
    resolve(subscribing);
}

static enum error_code ask(struct subscribing *subscribing, const struct filter *filter) {
    struct span pattern = filter_pattern(filter);
    struct storage_selector selector = {.text = pattern, .is_pattern = pattern_is_pattern(pattern)};
    struct storage_query query = subscribing->start;
    query.limit = 1;
    query.bytes_max = 1; /* one message passes alone */
    return asking_submit(subscribing->mqtt->worker, &query, &selector, 1, on_page, subscribing,
                         &subscribing->asking);
}

/* Gives each filter its place, and goes on when all have one. */
static void resolve(struct subscribing *subscribing) {
    const struct log *log = mqtt_broker(subscribing->mqtt)->log;
    while (subscribing->next < subscribing->count) {
        struct row *row = &subscribing->rows[subscribing->next];
        bool needs_page = row->filter != NULL && row->filter->options.kind == FILTER_LOG &&
                          subscribing->has_since;
        if (needs_page && ask(subscribing, row->filter) == OK) {
            return;
        }
        if (needs_page) {
            mqtt_end_failed(subscribing->mqtt, ERR_MEMORY);
            return;
        }
        row->place = (struct place){.log_id = log_id(log),
                                    .generation = log_generation(log),
                                    .position = log_position_readable(log)};
        subscribing->next++;
    }
    apply(subscribing);
}

/* --- permit --------------------------------------------------------------------------------- */

static void permit(struct subscribing *subscribing);

/* The row's next question is answered. */
static void settle_question(struct subscribing *subscribing, enum error_code code,
                            const struct error *why) {
    struct row *row = &subscribing->rows[subscribing->next];
    bool has_more = code == OK && subscribing->needs_history && !subscribing->is_history_next;
    if (code != OK) {
        metrics_add_at(worker_metrics(subscribing->mqtt->worker), METRIC_MQTT_REFUSED, code, 1);
        subscribing->why = *why;
        subscribing_refuse(row, code);
    }
    subscribing->is_history_next = has_more;
    subscribing->next += !has_more;
}

static void on_permitted(struct mqtt *mqtt, void *context, enum error_code code,
                         const struct error *why) {
    struct subscribing *subscribing = context;
    if (mqtt->outbound != NULL && !mqtt->is_closed) {
        settle_question(subscribing, code, why);
        permit(subscribing);
    }
}

/* Asks for each filter whether it may be read, and from where it begins. */
static void permit(struct subscribing *subscribing) {
    while (subscribing->next < subscribing->count) {
        const struct row *row = &subscribing->rows[subscribing->next];
        struct error why = {0};
        if (row->filter == NULL || row->filter->options.kind == FILTER_GAP) {
            subscribing->next++; /* it is told of what the others read */
            continue;
        }
        enum error_code code = permission_ask(
            subscribing->mqtt, subscribing->is_history_next ? ACTION_HISTORY : ACTION_SUBSCRIBE,
            scope_visible(filter_pattern(row->filter)), on_permitted, subscribing, &why);
        if (code == ERR_AGAIN) {
            return;
        }
        settle_question(subscribing, code, &why);
    }
    subscribing->next = 0;
    resolve(subscribing);
}

/* --- the calls ------------------------------------------------------------------------------ */

/* NULL: the connection was ended. */
static struct subscribing *begin(struct mqtt *mqtt, const struct mqtt_request *request) {
    INVARIANT(mqtt->outbound == NULL || mqtt->outbound->subscribing == NULL);
    struct subscribing *subscribing = NULL;
    if (request->filter_count > SELECTORS_MAX) { /* each would need a row and a reason */
        mqtt_end(mqtt, MQTT_REASON_QUOTA_EXCEEDED, CLOSE_NOT_ALLOWED,
                 "a packet has too many topic filters");
        return NULL;
    }
    if (outbound_make(mqtt) == OK) {
        subscribing = calloc(1, sizeof(*subscribing) + request->filter_count * sizeof(struct row));
    }
    if (subscribing == NULL) {
        mqtt_end_failed(mqtt, ERR_MEMORY);
        return NULL;
    }
    subscribing->mqtt = mqtt;
    subscribing->packet_id = request->packet_id;
    subscribing->count = request->filter_count;
    buffer_init(&subscribing->gaps, SELECTORS_MAX * PUBLISHING_GAP_BYTES_MAX);
    buffer_init(&subscribing->reasons, request->filter_count);
    mqtt->outbound->subscribing = subscribing;
    mqtt_hold(mqtt);
    return subscribing;
}

void outbound_on_subscribe(struct mqtt *mqtt, const struct mqtt_request *request) {
    struct subscribing *subscribing = begin(mqtt, request);
    if (subscribing != NULL) {
        terms_parse(subscribing, request);
        permit(subscribing);
    }
}

void outbound_on_unsubscribe(struct mqtt *mqtt, const struct mqtt_request *request) {
    struct subscribing *subscribing = begin(mqtt, request);
    struct span rest = request->filters;
    struct span text;
    if (subscribing == NULL) {
        return;
    }
    subscribing->is_unsubscribing = true;
    outbound_close(mqtt->outbound);
    for (uint32_t i = 0; mqtt_filter_next(&rest, &text); i++) {
        INVARIANT(i < subscribing->count);
        shared_leave(mqtt->outbound, text);
        bool was_there = filters_drop(&mqtt->session->filters, text);
        subscribing->rows[i].reason =
            (uint8_t)(was_there ? MQTT_REASON_SUCCESS : MQTT_REASON_NO_SUBSCRIPTION_EXISTED);
    }
    store(subscribing);
}
