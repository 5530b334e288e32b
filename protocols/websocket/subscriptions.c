/* SPDX-License-Identifier: Apache-2.0 */
/* The list is in the order in which subscriptions are served. Each time the socket takes bytes,
 * those that brought something since the last time go to its end, in the opposite order: of several
 * that always have something, another one is the first each time. What one turn sends for one of
 * them is bounded by its stream (a page or a run). */
#include "protocols/websocket/subscriptions.h"

#include <stdlib.h>
#include <string.h>

#include "broker/admission/identity.h"
#include "broker/channels/scope.h"
#include "broker/channels/since.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/bundle.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/worker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/petition.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/selectors.h"
#include "protocols/starting.h"
#include "protocols/websocket/answer.h"
#include "protocols/websocket/command.h"
#include "protocols/websocket/websocket_private.h"

struct subscriptions {
    struct list list;
    struct bundle bundle;
    size_t count;
    size_t pattern_count;
    uint64_t number_last;
};

struct subscription {
    struct list in_subscriptions;
    struct websocket *websocket;
    struct stream *stream;
    uint64_t number;
    struct progress progress; /* as told */
    uint64_t served_channel_id;
    uint64_t served_offset; /* of the last message, when it was last looked at */
    bool is_answer_due;
    bool is_pattern;
    uint8_t ref_length;
    uint8_t ref[];
};

static struct subscription *subscription_of(struct list *node) {
    return CONTAINER_OF(node, struct subscription, in_subscriptions);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void subscription_destroy(struct subscription *subscription) {
    struct subscriptions *subscriptions = subscription->websocket->subscriptions;
    INVARIANT(subscriptions->count > 0);
    subscriptions->count--;
    subscriptions->pattern_count -= subscription->is_pattern;
    list_remove(&subscription->in_subscriptions);
    stream_destroy(subscription->stream);
    free(subscription);
}

static void answer(struct subscription *subscription, const struct place *place) {
    struct websocket *websocket = subscription->websocket;
    struct span ref = span_of(subscription->ref, subscription->ref_length);
    size_t start = 0;
    struct buffer *text = websocket_begin_text(websocket, &start);
    subscription->is_answer_due = false;
    if (text != NULL) {
        websocket_end_text(websocket, text, start,
                           answer_put_subscribed(text, ref, subscription->number, place));
    }
}

static void on_started(void *context, const struct place *place) {
    struct subscription *subscription = context;
    IGNORE_RESULT(progress_advance(&subscription->progress, place)); /* the answer tells it */
    subscription->served_channel_id = place->channel_id;
    subscription->served_offset = place->offset;
    if (subscription->is_answer_due) {
        answer(subscription, place);
    }
}

static void on_failed(void *context, enum error_code code) {
    websocket_end_failed(((struct subscription *)context)->websocket, code);
}

static void on_limit(void *context, const struct place *place) {
    struct subscription *subscription = context;
    struct websocket *websocket = subscription->websocket;
    size_t start = 0;
    struct buffer *text = websocket_begin_text(websocket, &start);
    if (text != NULL) {
        websocket_end_text(websocket, text, start,
                           answer_put_limit(text, subscription->number, place));
    }
    subscription_destroy(subscription);
}

/* Opens one; `ref` is empty where no answer is wanted. */
static enum error_code open_one(struct websocket *websocket,
                                const struct storage_selector *selector,
                                const struct stream_options *wanted, struct span ref) {
    struct subscriptions *subscriptions = websocket->subscriptions;
    INVARIANT(ref.length <= UINT8_MAX);
    struct subscription *subscription = calloc(1, sizeof(*subscription) + ref.length);
    if (subscription == NULL) {
        return ERR_MEMORY;
    }
    subscription->websocket = websocket;
    subscription->number = subscriptions->number_last + 1;
    subscription->is_answer_due = ref.length > 0;
    subscription->is_pattern = selector->is_pattern;
    subscription->ref_length = (uint8_t)ref.length;
    if (ref.length > 0) {
        memcpy(subscription->ref, ref.bytes, ref.length);
    }
    struct stream_options options = *wanted;
    options.connection = websocket->connection;
    options.selectors = selector;
    options.selector_count = 1;
    options.framing = websocket_choose_framing(websocket);
    options.subscription = subscription->number;
    options.bundle = &subscriptions->bundle;
    options.on_lag = reading_choose_on_lag(wanted->on_lag, selector, 1,
                                           worker_broker(websocket_worker(websocket))->rules);
    options.on_started = on_started;
    options.on_failed = on_failed;
    options.on_limit = on_limit;
    options.context = subscription;
    /* Before the stream, which may be started at once. */
    subscriptions->number_last++;
    enum error_code code = stream_create(&options, &subscription->stream);
    if (code != OK) {
        free(subscription);
        return code;
    }
    list_put_head(&subscriptions->list, &subscription->in_subscriptions); /* never served yet */
    subscriptions->count++;
    subscriptions->pattern_count += subscription->is_pattern;
    return OK;
}

enum error_code subscriptions_create(struct websocket *websocket, const struct reading *reading) {
    INVARIANT(websocket->subscriptions == NULL);
    static_assert(SELECTORS_MAX <= SUBSCRIPTIONS_MAX, "a URL can be opened");
    struct subscriptions *subscriptions = calloc(1, sizeof(*subscriptions));
    if (subscriptions == NULL) {
        return ERR_MEMORY;
    }
    list_init(&subscriptions->list);
    websocket->subscriptions = subscriptions;
    struct stream_options wanted = {.start = reading->query, .on_lag = reading->on_lag};
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < reading->selector_count; i++) {
        code = open_one(websocket, &reading->selectors[i], &wanted, (struct span){0});
    }
    return code;
}

void subscriptions_destroy(struct websocket *websocket) {
    struct subscriptions *subscriptions = websocket->subscriptions;
    if (subscriptions == NULL) {
        return;
    }
    while (!list_is_empty(&subscriptions->list)) {
        subscription_destroy(subscription_of(subscriptions->list.next));
    }
    INVARIANT(subscriptions->count == 0);
    free(subscriptions);
    websocket->subscriptions = NULL;
}

/* --- commands --------------------------------------------------------------------------------- */

static enum error_code take_since(struct span text, const struct storage_selector *selector,
                                  struct storage_query *query, struct error *why) {
    struct since since = {.kind = SINCE_NOW};
    enum error_code code = text.length == 0 ? OK : since_parse(text, &since, why);
    if (code == OK && since.kind == SINCE_OFFSET && selector->is_pattern) {
        code = error_set(why, ERR_BAD_SINCE,
                         "an offset counts in one channel; start at an id or a time");
    }
    if (code == OK) {
        starting_set_query(query, &since, clock_wall_ms());
    }
    return error_blame(why, code, "since");
}

static enum error_code take_on_lag(struct span text, enum on_lag *ret_on_lag, struct error *why) {
    *ret_on_lag = ON_LAG_AUTO;
    return text.length == 0 || reading_parse_on_lag(text, ret_on_lag)
               ? OK
               : error_set_field(why, ERR_BAD_REQUEST, "on_lag",
                                 "on_lag is `catch_up`, `conflate`, `drop` or `disconnect`");
}

/* Reading from there needs these rights to all of it. */
static enum error_code permit(const struct websocket *websocket, struct petition *petition,
                              const struct storage_selector *selector, enum storage_start start,
                              struct error *why) {
    struct identity *identity = connection_identity(websocket->connection);
    unsigned rights = reading_rights(READING_WEBSOCKET, start);
    enum error_code code = OK;
    for (unsigned action = 0; code == OK && action < ACTION_COUNT; action++) {
        if ((rights & 1u << action) != 0) {
            code = petition_permit(petition, identity, (enum action)action, selector->text, why);
        }
    }
    return code;
}

static enum error_code scope(const struct websocket *websocket,
                             struct storage_selector **selector) {
    const struct identity *identity = connection_identity(websocket->connection);
    return identity == NULL || identity->facts.tenant.length == 0
               ? OK
               : selectors_scope(selector, 1, identity->facts.tenant);
}

static enum error_code check_count(const struct websocket *websocket,
                                   const struct storage_selector *selector, struct error *why) {
    const struct subscriptions *subscriptions = websocket->subscriptions;
    const struct config *config = worker_broker(websocket_worker(websocket))->config;
    if (subscriptions->count >= config->subscriptions_max) {
        throttle_note(websocket->connection, METRICS_LIMIT_SUBSCRIPTIONS,
                      config->subscriptions_max);
        return error_set_field(why, ERR_RATE, "subscribe",
                               "limits.subscriptions: a socket has %llu at most",
                               (unsigned long long)config->subscriptions_max);
    }
    if (selector->is_pattern && subscriptions->pattern_count >= config->patterns_max) {
        throttle_note(websocket->connection, METRICS_LIMIT_PATTERNS, config->patterns_max);
        return error_set_field(why, ERR_RATE, "subscribe",
                               "limits.patterns: a socket has %llu at most",
                               (unsigned long long)config->patterns_max);
    }
    return OK;
}

enum error_code subscriptions_open(struct websocket *websocket, const struct command *command,
                                   struct petition *petition, struct error *why) {
    struct stream_options wanted = {.limit = command->limit};
    struct storage_selector *selector = NULL;
    enum error_code code = error_blame(
        why, selectors_create_one(command->subscribe, true, &selector, why), "subscribe");
    if (code != OK) {
        return code;
    }
    code = check_count(websocket, selector, why);
    code = code != OK ? code : take_since(command->since, selector, &wanted.start, why);
    if (code == OK) {
        code = take_on_lag(command->on_lag, &wanted.on_lag, why);
    }
    if (code == OK) {
        code = permit(websocket, petition, selector, wanted.start.start, why);
    }
    if (code == OK) {
        code = scope(websocket, &selector);
    }
    if (code == OK) {
        code = open_one(websocket, selector, &wanted, command->ref);
    }
    free(selector);
    return code;
}

static void tell_closed(struct subscription *subscription, enum error_code code,
                        const struct error *why) {
    struct websocket *websocket = subscription->websocket;
    size_t start = 0;
    struct buffer *text = websocket_begin_text(websocket, &start);
    if (text != NULL) {
        websocket_end_text(websocket, text, start,
                           answer_put_closed(text, subscription->number, code, why));
    }
}

void subscriptions_review(struct websocket *websocket, const struct identity *identity) {
    struct list *list = &websocket->subscriptions->list;
    struct list *next;
    for (struct list *node = list->next; node != list; node = next) {
        struct subscription *subscription = subscription_of(node);
        struct storage_selector selector = {0};
        struct error why = {0};
        next = node->next;
        stream_get_selector(subscription->stream, 0, &selector);
        enum error_code code =
            identity_may(identity, ACTION_SUBSCRIBE, scope_visible(selector.text), &why);
        if (code != OK) {
            tell_closed(subscription, code, &why);
            subscription_destroy(subscription);
        }
    }
}

static struct subscription *find(const struct subscriptions *subscriptions, uint64_t number) {
    LIST_EACH(&subscriptions->list, node) {
        struct subscription *subscription = subscription_of(node);
        if (subscription->number == number) {
            return subscription;
        }
    }
    return NULL;
}

enum error_code subscriptions_close(struct websocket *websocket, const struct command *command,
                                    struct error *why) {
    struct subscription *subscription = find(websocket->subscriptions, command->unsubscribe);
    if (subscription == NULL) {
        return error_set_field(why, ERR_NOT_FOUND, "unsubscribe",
                               "there is no subscription %llu on this socket",
                               (unsigned long long)command->unsubscribe);
    }
    if (subscription->is_answer_due) { /* its start is not found yet: it was there, all the same */
        answer(subscription, &(struct place){0});
    }
    subscription_destroy(subscription);
    size_t start = 0;
    struct buffer *text = NULL;
    if (command->ref.length > 0 && (text = websocket_begin_text(websocket, &start)) != NULL) {
        websocket_end_text(websocket, text, start, answer_put_done(text, command->ref));
    }
    return OK;
}

/* --- in turn ---------------------------------------------------------------------------------- */

/* It brought something since this was asked last. */
static bool was_served(struct subscription *subscription) {
    struct place place = {0};
    stream_get_place(subscription->stream, &place);
    bool is_same = subscription->served_channel_id == place.channel_id &&
                   subscription->served_offset == place.offset;
    subscription->served_channel_id = place.channel_id;
    subscription->served_offset = place.offset;
    return !is_same;
}

void subscriptions_on_writable(struct websocket *websocket) {
    struct list *list = &websocket->subscriptions->list;
    struct list served;
    list_init(&served);
    LIST_EACH(list, node) {
        if (was_served(subscription_of(node))) {
            list_remove(node);
            list_put_head(&served, node);
        }
    }
    list_put_all(list, &served);
    LIST_EACH(list, node) {
        stream_on_writable(subscription_of(node)->stream);
    }
}

void subscriptions_tell_progress(struct websocket *websocket) {
    struct buffer *scratch = worker_borrow_scratch(websocket_worker(websocket));
    LIST_EACH(&websocket->subscriptions->list, node) {
        struct subscription *subscription = subscription_of(node);
        struct place place = {0};
        stream_get_place(subscription->stream, &place);
        size_t start = 0;
        size_t length_before = scratch->length;
        if (!progress_advance(&subscription->progress, &place)) {
            continue;
        }
        if (frame_begin(scratch, &start) != OK ||
            answer_put_progress(scratch, subscription->number, &place) != OK) {
            scratch->length = length_before; /* the next one comes in HEARTBEAT_MS */
            break;
        }
        frame_end(scratch, start, FRAME_TEXT);
    }
    if (scratch->length > 0) {
        websocket_write(websocket, scratch);
    }
}
