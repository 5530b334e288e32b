/* SPDX-License-Identifier: Apache-2.0 */
/* The struct and the bytes of all its spans are one allocation: one miss to reach a message, one
 * free to end it. `spans_of` lists the spans once, so that copying and measuring cannot
 * disagree. */
#include "broker/support/message.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/support/invariant.h"

#define MESSAGE_SPAN_COUNT 9

static void spans_of(struct message_fields *fields, struct span *spans[MESSAGE_SPAN_COUNT]) {
    struct span *all[] = {
        &fields->channel,         &fields->type,      &fields->event,          &fields->key,
        &fields->headers,         &fields->publisher, &fields->response_topic, &fields->correlation,
        &fields->idempotency_hash};
    static_assert(ARRAY_COUNT(all) == MESSAGE_SPAN_COUNT, "each span is listed");
    memcpy(spans, all, sizeof(all));
}

static size_t bytes_of(const struct message_fields *fields) {
    struct message_fields copy = *fields;
    struct span *spans[MESSAGE_SPAN_COUNT];
    spans_of(&copy, spans);
    size_t bytes = fields->payload.length;
    for (size_t i = 0; i < MESSAGE_SPAN_COUNT; i++) {
        bytes += spans[i]->length;
    }
    return bytes;
}

static uint8_t *copy_span(struct span *span, uint8_t *to) {
    if (span->length == 0) {
        *span = (struct span){0};
        return to;
    }
    memcpy(to, span->bytes, span->length);
    span->bytes = to;
    return to + span->length;
}

struct message *message_create(const struct message_fields *fields) {
    INVARIANT(fields->kind >= MESSAGE_DATA);
    INVARIANT(fields->kind <= MESSAGE_COMMAND);
    size_t bytes = bytes_of(fields);
    INVARIANT(bytes <= UINT32_MAX);
    struct message *message = malloc(sizeof(*message) + bytes);
    if (message == NULL) {
        return NULL;
    }
    *message = (struct message){.bytes = (uint32_t)bytes, .fields = *fields};
    atomic_init(&message->reference_count, 1);
    struct span *spans[MESSAGE_SPAN_COUNT];
    spans_of(&message->fields, spans);
    uint8_t *to = (uint8_t *)(message + 1);
    for (size_t i = 0; i < MESSAGE_SPAN_COUNT; i++) {
        to = copy_span(spans[i], to);
    }
    copy_span(&message->fields.payload, to);
    return message;
}

void message_order(struct message *message, const struct place *place, uint64_t time_ms) {
    INVARIANT(message->place.position == 0);
    INVARIANT(place->position > 0);
    message->place = *place;
    message->time_ms = time_ms;
    message->expiry_ms = message->fields.ttl_ms == 0 ? 0 : time_ms + message->fields.ttl_ms;
}

void message_put_deleted(uint64_t from, uint64_t to, uint8_t ret_payload[MESSAGE_DELETE_BYTES]) {
    for (size_t i = 0; i < 8; i++) {
        ret_payload[i] = (uint8_t)(from >> (8 * i));
        ret_payload[8 + i] = (uint8_t)(to >> (8 * i));
    }
}

bool message_get_deleted(const struct message *message, uint64_t *ret_from, uint64_t *ret_to) {
    struct span payload = message->fields.payload;
    if (message->fields.kind != MESSAGE_DELETE || payload.length != MESSAGE_DELETE_BYTES) {
        return false;
    }
    uint64_t from = 0;
    uint64_t to = 0;
    for (size_t i = 0; i < 8; i++) {
        from |= (uint64_t)payload.bytes[i] << (8 * i);
        to |= (uint64_t)payload.bytes[8 + i] << (8 * i);
    }
    *ret_from = from;
    *ret_to = to < message->place.offset ? to : message->place.offset;
    return true;
}

struct message *message_ref(struct message *message) {
    unsigned before = atomic_fetch_add_explicit(&message->reference_count, 1, memory_order_relaxed);
    INVARIANT(before > 0);
    return message;
}

void message_unref(struct message *message) {
    if (message == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&message->reference_count, 1, memory_order_acq_rel);
    INVARIANT(before > 0);
    if (before == 1) {
        free(message);
    }
}

size_t message_size(const struct message *message) {
    return sizeof(*message) + message->bytes;
}
