/* SPDX-License-Identifier: Apache-2.0 */
/* From the backlog to the driver. A shipment of a sink that sends several messages together is
 * written into the ledger first, and goes when that is stored: so what a crash leaves unanswered is
 * sent again as it was, with the same id. The store is asked for at once, not at the next beat; all
 * shipments that begin while one is under way share the next. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "broker/channels/id.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/sink_private.h"

#define BATCH_ID_BYTES 16 /* of a SHA-256; twice as many digits */

/* --- parcels --------------------------------------------------------------------------------- */

struct parcel *parcel_create(struct sink *sink, enum parcel_kind kind, size_t count) {
    size_t pointers = count * (sizeof(struct message *) + sizeof(struct backlog_item *));
    struct parcel *parcel = malloc(sizeof(*parcel) + pointers);
    if (parcel == NULL) {
        return NULL;
    }
    *parcel = (struct parcel){.kind = kind};
    parcel->messages = (struct message **)(parcel + 1);
    parcel->items = (struct backlog_item **)(parcel->messages + count);
    parcel->shipment.sink = sink;
    parcel->shipment.messages = parcel->messages;
    parcel->shipment.count = count;
    parcel->shipment.is_aside = kind != PARCEL_COURSE;
    parcel->shipment.course = sink->ledger.course;
    parcel->shipment.attempt = 1;
    list_init(&parcel->shipment.in_driver);
    list_init(&parcel->in_sink);
    return parcel;
}

void parcel_destroy(struct parcel *parcel) {
    list_remove(&parcel->in_sink);
    free(parcel->verdict);
    free(parcel);
}

void parcel_name(struct parcel *parcel) {
    struct shipment *shipment = &parcel->shipment;
    char text[ID_TEXT_BYTES_MAX];
    size_t length = id_format(&shipment->messages[0]->place, text);
    INVARIANT(4 + length < SHIPMENT_ID_BYTES);
    memcpy(shipment->id, "msg_", 4);
    memcpy(shipment->id + 4, text, length);
    shipment->id[4 + length] = '\0';
}

/* False: no memory. */
static bool name_batch(struct shipment *shipment) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; is_good && i < shipment->count; i++) {
        char text[ID_TEXT_BYTES_MAX];
        size_t bytes = id_format(&shipment->messages[i]->place, text);
        is_good = EVP_DigestUpdate(context, text, bytes) == 1;
    }
    is_good = is_good && EVP_DigestFinal_ex(context, digest, &length) == 1;
    EVP_MD_CTX_free(context);
    if (is_good) {
        memcpy(shipment->id, "bat_", 4);
        for (size_t i = 0; i < BATCH_ID_BYTES; i++) {
            snprintf(shipment->id + 4 + 2 * i, 3, "%02x", digest[i]);
        }
    }
    return is_good;
}

/* Of the items that were taken. NULL: out of memory. */
static struct parcel *wrap(struct sink *sink, struct backlog_item *const *items, size_t count) {
    struct parcel *parcel = parcel_create(sink, PARCEL_COURSE, count);
    if (parcel == NULL) {
        return NULL;
    }
    struct shipment *shipment = &parcel->shipment;
    uint32_t attempts = 0;
    for (size_t i = 0; i < count; i++) {
        parcel->items[i] = items[i];
        parcel->messages[i] = items[i]->message;
        shipment->bytes += items[i]->message->fields.payload.length;
        attempts = items[i]->attempts > attempts ? items[i]->attempts : attempts;
    }
    shipment->attempt = attempts + 1;
    if (count == 1) {
        parcel_name(parcel);
    } else if (!name_batch(shipment)) {
        parcel_destroy(parcel);
        return NULL;
    }
    return parcel;
}

void parcel_ship(struct parcel *parcel) {
    struct sink *sink = parcel->shipment.sink;
    INVARIANT(sink->driving == DRIVING_UP);
    list_put_tail(&sink->shipped, &parcel->in_sink);
    parcel->shipment.shipped_us = clock_monotonic_us();
    sink->driver->ship(sink->driver_state, &parcel->shipment);
}

/* --- what the ledger has to say first -------------------------------------------------------- */

/* ERR_FULL, ERR_MEMORY. */
static enum error_code write_ahead(struct sink *sink, struct parcel *parcel) {
    uint64_t positions[LEDGER_BATCH_MESSAGES_MAX];
    size_t count = parcel->shipment.count;
    for (size_t i = 0; i < count; i++) {
        positions[i] = parcel->messages[i]->place.position;
    }
    return ledger_put_batch(&sink->ledger, positions, count);
}

void shipping_on_stored(struct sink *sink, uint64_t store) {
    bool is_any = false;
    LIST_EACH(&sink->waiting, node) {
        struct parcel *parcel = CONTAINER_OF(node, struct parcel, in_sink);
        if (parcel->store <= store && sink->driving == DRIVING_UP) {
            list_remove(&parcel->in_sink);
            parcel_ship(parcel);
            is_any = true;
        }
    }
    if (is_any && sink->driver->flush != NULL && sink->driving == DRIVING_UP) {
        sink->driver->flush(sink->driver_state);
    }
}

void shipping_give_up_waiting(struct sink *sink) {
    LIST_EACH(&sink->waiting, node) {
        struct parcel *parcel = CONTAINER_OF(node, struct parcel, in_sink);
        list_remove(&parcel->in_sink);
        sink->under_way--;
        breaker_on_abandoned(&sink->breaker, parcel->is_probe);
        tempo_on_settled(&sink->tempo, OUTCOME_ABANDONED, 0, clock_monotonic_us(), 0);
        settling_put_back(parcel);
    }
}

/* --- one after the other --------------------------------------------------------------------- */

static void put_all_back(struct sink *sink, struct backlog_item *const *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        backlog_put_back(sink->backlog, items[i], items[i]->attempts, items[i]->due_ms);
    }
}

static bool needs_write_ahead(const struct sink *sink) {
    return sink->terms.messages_max > 1 && !sink->terms.is_pipelined;
}

static bool is_written(const struct sink *sink, const struct parcel *parcel) {
    const struct ledger_batch *batch =
        ledger_find_batch(&sink->ledger, parcel->messages[0]->place.position);
    return batch != NULL && batch->count == parcel->shipment.count;
}

/* False: no memory, or the ledger is full. What was taken is back. */
static bool begin(struct sink *sink, size_t count, bool is_again) {
    struct backlog_item **items = sink->sinks->items;
    struct parcel *parcel = wrap(sink, items, count);
    bool is_good = parcel != NULL;
    if (is_good && needs_write_ahead(sink)) {
        is_again &= is_written(sink, parcel); /* not so of one that was set apart */
        is_good = is_again || write_ahead(sink, parcel) == OK;
        parcel->is_batch = is_good;
    }
    if (!is_good) {
        if (parcel != NULL) {
            parcel_destroy(parcel);
        }
        if (!is_again) {
            backlog_unbind(sink->backlog, items[0]); /* no ledger has them as a batch */
        }
        put_all_back(sink, items, count);
        sink_expect(sink, loop_now_ms(sink->sinks->loop) + SINK_AGAIN_MS);
        return false;
    }
    tempo_on_begun(&sink->tempo, clock_monotonic_us());
    parcel->is_probe = breaker_on_shipped(&sink->breaker);
    parcel->is_early = parcel->items[0]->due_ms > clock_wall_ms();
    sink->under_way++;
    bool is_stored = is_again && !sink->is_dirty && !sink->is_storing;
    if (parcel->is_batch && !is_stored) {
        sink->is_dirty = true;
        parcel->store = sink->stores + 1;
        list_put_tail(&sink->waiting, &parcel->in_sink);
    } else {
        parcel_ship(parcel);
    }
    return true;
}

bool shipping_has_room(struct sink *sink, size_t begun) {
    uint64_t due_us = UINT64_MAX;
    if (begun >= sink->room || sink->under_way >= sink->terms.shipments_max) {
        return false;
    }
    if (sink->terms.is_pipelined && sink->row->rate == CONFIG_UNLIMITED) {
        return true; /* the driver's own queue is the window */
    }
    bool may = tempo_may_begin(&sink->tempo, clock_monotonic_us(), &due_us);
    if (!may && due_us != UINT64_MAX) {
        sink_expect(sink, due_us / 1000 + 1);
    }
    return may;
}

/* A probe does not wait for the time of its message, and is no attempt of it before then: who was
 * away for a minute is not left alone for hours. */
static uint64_t time_to_take_by(const struct sink *sink) {
    return sink->breaker.state == LEDGER_HALF_OPEN ? UINT64_MAX / 2 : clock_wall_ms();
}

static void take_all(struct sink *sink) {
    uint64_t now_ms = time_to_take_by(sink);
    size_t begun = 0;
    sink->is_starved = false;
    sink->next_attempt_ms = 0;
    while (sink->driving == DRIVING_UP && shipping_has_room(sink, begun)) {
        if (begun == SINK_SHIPMENTS_A_TURN) {
            sink_wake(sink);
            break;
        }
        bool is_again = false;
        uint64_t due_ms = UINT64_MAX;
        size_t count =
            backlog_take(sink->backlog, now_ms, sink->terms.messages_max, sink->terms.bytes_max,
                         sink->terms.age_ms_max, sink->sinks->items, &is_again, &due_ms);
        if (count == 0) {
            sink->is_starved = true;
            if (due_ms != UINT64_MAX) {
                sink->next_attempt_ms = due_ms;
                sink_expect_wall(sink, due_ms);
            }
            break;
        }
        if (!begin(sink, count, is_again)) {
            break;
        }
        begun++;
        if (sink->breaker.state == LEDGER_OPEN) { /* a driver may settle within ship() */
            break;
        }
    }
    if (begun > 0 && sink->driver->flush != NULL && sink->driving == DRIVING_UP) {
        sink->driver->flush(sink->driver_state);
    }
}

/* Nothing more goes while dead letters wait for the log: they are bounded by what is under way. */
void shipping_go_on(struct sink *sink) {
    bool may_go = sink_is_on_course(sink) && sink->backlog != NULL && !sink->is_rereading &&
                  list_is_empty(&sink->dying) && sink->letter_count == 0;
    if (may_go && sink->room > 0) {
        take_all(sink);
        if (sink->is_starved) {
            reading_go_on(sink);
            reading_mind_rest(sink);
        }
    }
}
