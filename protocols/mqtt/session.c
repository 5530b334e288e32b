/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes, version 1; numbers are little-endian:
 *
 *     state     u8 version, then records: u8 kind, u32 length of the body, the body
 *     SNAPSHOT  place, u16 last packet id, u16 count of filters, filters, u16 count of received
 *               ids, u16 each, u16 count of entries, entries
 *     SENT      place, u16 last packet id, u16 count of entries, entries
 *     SWEPT     u64 channel, u16 length of a filter's text, the text, u16 last packet id, u16 count
 *               of entries, entries: its retained messages up to that channel are none or have one
 *     COMPLETED u16 count of packet ids, u16 each: PUBLISH of QoS 2 that the client has
 *     RECEIVED  u16 packet id that came with a PUBLISH of QoS 2
 *     RELEASED  u16 packet id that came with its PUBREL
 *     place     u64 log, u32 generation, u64 position, u64 channel, u64 offset
 *     filter    u64 start, u32 identifier, u8 kind, u8 QoS, u8 on_lag, u8 flags (1 no local,
 *               2 retain as published, 4 asks for offsets, 8 retained messages are due), u16 length
 *               of its text, the text; where they are due: u64 position up to which, u64 channel
 *               behind which
 *     entry     u64 position, u16 packet id, u8 state, u8 QoS, u8 flags (1 retained copy)
 *
 * An unknown kind of record is a later version's, and is an error: a step that is passed over could
 * be the one that keeps a message from being sent twice. */
#include "protocols/mqtt/session.h"

#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "storage/storage.h"

#define STATE_VERSION 1

enum record { SNAPSHOT = 1, SENT = 2, COMPLETED = 3, RECEIVED = 4, RELEASED = 5, SWEPT = 6 };

enum filter_flag { NO_LOCAL = 1, RETAIN_AS_PUBLISHED = 2, ASKS_OFFSET = 4, AWAITS_RETAINED = 8 };

#define RECORD_HEAD_BYTES 5
#define RECEIVED_FIRST 4

struct session *session_create(void) {
    return calloc(1, sizeof(struct session));
}

void session_destroy(struct session *session) {
    if (session == NULL) {
        return;
    }
    filters_finish(&session->filters);
    inflight_finish(&session->inflight);
    free(session->received);
    free(session);
}

/* --- received ids --------------------------------------------------------------------------- */

bool session_has_received(const struct session *session, uint16_t packet_id) {
    for (uint32_t i = 0; i < session->received_count; i++) {
        if (session->received[i] == packet_id) {
            return true;
        }
    }
    return false;
}

enum error_code session_note_received(struct session *session, uint16_t packet_id) {
    if (session_has_received(session, packet_id)) {
        return OK;
    }
    if (session->received_count == UINT16_MAX) {
        return ERR_MEMORY; /* no client has this, for 0 is no id: a state that is made up */
    }
    if (session->received_count == session->received_capacity) {
        uint32_t capacity =
            session->received_capacity == 0 ? RECEIVED_FIRST : session->received_capacity * 2u;
        capacity = capacity < UINT16_MAX ? capacity : UINT16_MAX; /* there are no more ids */
        uint16_t *received = realloc(session->received, capacity * sizeof(*received));
        if (received == NULL) {
            return ERR_MEMORY;
        }
        session->received = received;
        session->received_capacity = (uint16_t)capacity;
    }
    session->received[session->received_count++] = packet_id;
    session->steps_bytes += RECORD_HEAD_BYTES + 2;
    return OK;
}

void session_note_released(struct session *session, uint16_t packet_id) {
    for (uint32_t i = 0; i < session->received_count; i++) {
        if (session->received[i] == packet_id) {
            session->received[i] = session->received[--session->received_count];
            session->steps_bytes += RECORD_HEAD_BYTES + 2;
            return;
        }
    }
}

size_t session_received_count(const struct session *session) {
    return session->received_count;
}

/* --- writing -------------------------------------------------------------------------------- */

/* What is written; a failure is met at the end. */
struct writer {
    struct buffer *buffer;
    enum error_code code;
};

static void put_bytes(struct writer *writer, struct span bytes) {
    if (writer->code == OK) {
        writer->code = buffer_put(writer->buffer, bytes);
    }
}

static void put_number(struct writer *writer, uint64_t value, size_t size) {
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
    put_bytes(writer, span_of(bytes, size));
}

static void put_place(struct writer *writer, const struct place *place) {
    put_number(writer, place->log_id, 8);
    put_number(writer, place->generation, 4);
    put_number(writer, place->position, 8);
    put_number(writer, place->channel_id, 8);
    put_number(writer, place->offset, 8);
}

static void put_filter(struct writer *writer, const struct filter *filter) {
    const struct filter_options *options = &filter->options;
    uint8_t flags = 0;
    flags |= options->is_no_local ? NO_LOCAL : 0;
    flags |= options->is_retained_as_published ? RETAIN_AS_PUBLISHED : 0;
    flags |= options->asks_offset ? ASKS_OFFSET : 0;
    flags |= options->retained_boundary != 0 ? AWAITS_RETAINED : 0;
    put_number(writer, options->start, 8);
    put_number(writer, options->identifier, 4);
    put_number(writer, options->kind, 1);
    put_number(writer, options->qos, 1);
    put_number(writer, options->on_lag, 1);
    put_number(writer, flags, 1);
    put_number(writer, filter->text_length, 2);
    put_bytes(writer, filter_text(filter));
    if (options->retained_boundary != 0) {
        put_number(writer, options->retained_boundary, 8);
        put_number(writer, options->retained_after, 8);
    }
}

/* Entries of shared subscriptions are not the session's to send again. What only waits and is not
 * told is behind the place, and comes again by itself. */
static bool is_written(const struct inflight_entry *entry, bool is_step) {
    return entry->share == 0 &&
           (is_step ? !entry->is_told : entry->is_told || entry->state != INFLIGHT_WAITING);
}

static void put_entries(struct writer *writer, const struct inflight *inflight, bool is_step) {
    size_t count = 0;
    for (const struct inflight_entry *entry = inflight_next(inflight, NULL); entry != NULL;
         entry = inflight_next(inflight, entry)) {
        count += is_written(entry, is_step);
    }
    put_number(writer, count, 2);
    for (const struct inflight_entry *entry = inflight_next(inflight, NULL); entry != NULL;
         entry = inflight_next(inflight, entry)) {
        if (is_written(entry, is_step)) {
            put_number(writer, entry->position, 8);
            put_number(writer, entry->packet_id, 2);
            put_number(writer, entry->state, 1);
            put_number(writer, entry->qos, 1);
            put_number(writer, entry->is_retained, 1);
        }
    }
}

/* Returns where the record's length stands. */
static size_t begin_record(struct writer *writer, enum record kind) {
    put_number(writer, kind, 1);
    put_number(writer, 0, 4);
    return writer->buffer->length - 4;
}

static void end_record(struct writer *writer, size_t at) {
    if (writer->code == OK) {
        size_t length = writer->buffer->length - at - 4;
        for (size_t i = 0; i < 4; i++) {
            writer->buffer->bytes[at + i] = (uint8_t)(length >> 8 * i);
        }
    }
}

enum error_code session_encode(const struct session *session, struct buffer *buffer) {
    struct writer writer = {.buffer = buffer};
    size_t length_before = buffer->length;
    put_number(&writer, STATE_VERSION, 1);
    size_t at = begin_record(&writer, SNAPSHOT);
    put_place(&writer, &session->place);
    put_number(&writer, session->inflight.packet_id_last, 2);
    put_number(&writer, session->filters.count, 2);
    for (uint32_t i = 0; i < session->filters.count; i++) {
        put_filter(&writer, filters_list(&session->filters)[i]);
    }
    put_number(&writer, session->received_count, 2);
    for (uint32_t i = 0; i < session->received_count; i++) {
        put_number(&writer, session->received[i], 2);
    }
    put_entries(&writer, &session->inflight, false);
    end_record(&writer, at);
    if (writer.code != OK) {
        buffer->length = length_before;
    }
    return writer.code;
}

/* --- steps ---------------------------------------------------------------------------------- */

static struct message *make_step(struct writer *writer, struct span client_id) {
    struct message *message = NULL;
    if (writer->code == OK) {
        message = storage_object_message(STORAGE_OBJECT_SESSION, STORAGE_OBJECT_APPEND, client_id,
                                         buffer_borrow(writer->buffer));
    }
    buffer_finish(writer->buffer);
    return message;
}

static struct message *make_small_step(struct span client_id, enum record kind,
                                       const uint16_t *packet_ids, size_t count, bool has_count) {
    struct buffer buffer;
    struct writer writer = {.buffer = &buffer};
    buffer_init(&buffer, SESSION_STATE_BYTES_MAX);
    size_t at = begin_record(&writer, kind);
    if (has_count) {
        put_number(&writer, count, 2);
    }
    for (size_t i = 0; i < count; i++) {
        put_number(&writer, packet_ids[i], 2);
    }
    end_record(&writer, at);
    return make_step(&writer, client_id);
}

struct message *session_step_received(struct span client_id, uint16_t packet_id) {
    return make_small_step(client_id, RECEIVED, &packet_id, 1, false);
}

struct message *session_step_released(struct span client_id, uint16_t packet_id) {
    return make_small_step(client_id, RELEASED, &packet_id, 1, false);
}

struct message *session_step_completed(struct session *session, struct span client_id,
                                       const uint16_t *packet_ids, size_t count) {
    INVARIANT(count <= UINT16_MAX);
    session->steps_bytes += (uint32_t)(RECORD_HEAD_BYTES + 2 + 2 * count);
    return make_small_step(client_id, COMPLETED, packet_ids, count, true);
}

struct message *session_step_sent(struct session *session, struct span client_id,
                                  const struct place *place) {
    struct buffer buffer;
    struct writer writer = {.buffer = &buffer};
    buffer_init(&buffer, SESSION_STATE_BYTES_MAX);
    size_t at = begin_record(&writer, SENT);
    put_place(&writer, place);
    put_number(&writer, session->inflight.packet_id_last, 2);
    put_entries(&writer, &session->inflight, true);
    end_record(&writer, at);
    session->steps_bytes += (uint32_t)buffer.length;
    return make_step(&writer, client_id);
}

struct message *session_step_swept(struct session *session, struct span client_id,
                                   struct span filter, uint64_t channel_id) {
    struct buffer buffer;
    struct writer writer = {.buffer = &buffer};
    buffer_init(&buffer, SESSION_STATE_BYTES_MAX);
    size_t at = begin_record(&writer, SWEPT);
    put_number(&writer, channel_id, 8);
    put_number(&writer, filter.length, 2);
    put_bytes(&writer, filter);
    put_number(&writer, session->inflight.packet_id_last, 2);
    put_entries(&writer, &session->inflight, true);
    end_record(&writer, at);
    session->steps_bytes += (uint32_t)buffer.length;
    return make_step(&writer, client_id);
}

void session_note_told(struct session *session) {
    for (struct inflight_entry *entry = inflight_next(&session->inflight, NULL); entry != NULL;
         entry = inflight_next(&session->inflight, entry)) {
        entry->is_told = true;
    }
}

/* --- reading -------------------------------------------------------------------------------- */

/* What is read; once it has ended too early everything is 0. */
struct taker {
    struct span rest;
    struct span tenant; /* of its filters */
    bool has_failed;
};

static struct span take_bytes(struct taker *taker, size_t count) {
    if (taker->has_failed || count > taker->rest.length) {
        taker->has_failed = true;
        return (struct span){0};
    }
    struct span bytes = span_of(taker->rest.bytes, count);
    taker->rest = span_of(taker->rest.bytes + count, taker->rest.length - count);
    return bytes;
}

static uint64_t take_number(struct taker *taker, size_t size) {
    struct span bytes = take_bytes(taker, size);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        value |= (uint64_t)bytes.bytes[i] << 8 * i;
    }
    return value;
}

static struct place take_place(struct taker *taker) {
    struct place place = {0};
    place.log_id = take_number(taker, 8);
    place.generation = (uint32_t)take_number(taker, 4);
    place.position = take_number(taker, 8);
    place.channel_id = take_number(taker, 8);
    place.offset = take_number(taker, 8);
    return place;
}

static enum error_code take_filter(struct taker *taker, struct session *session) {
    struct filter_options options = {0};
    options.start = take_number(taker, 8);
    options.identifier = (uint32_t)take_number(taker, 4);
    options.kind = (uint8_t)take_number(taker, 1);
    options.qos = (uint8_t)take_number(taker, 1);
    options.on_lag = (uint8_t)take_number(taker, 1);
    uint64_t flags = take_number(taker, 1);
    options.is_no_local = (flags & NO_LOCAL) != 0;
    options.is_retained_as_published = (flags & RETAIN_AS_PUBLISHED) != 0;
    options.asks_offset = (flags & ASKS_OFFSET) != 0;
    struct span text = take_bytes(taker, (size_t)take_number(taker, 2));
    if ((flags & AWAITS_RETAINED) != 0) {
        options.retained_boundary = take_number(taker, 8);
        options.retained_after = take_number(taker, 8);
    }
    struct filter *filter = NULL;
    if (taker->has_failed || options.qos > 2) {
        return ERR_CORRUPT;
    }
    enum error_code code = filter_create(text, taker->tenant, &options, &filter, NULL);
    if (code == OK) {
        code = filters_put(&session->filters, filter);
        if (code != OK) {
            free(filter);
        }
    }
    return code == OK || code == ERR_MEMORY ? code : ERR_CORRUPT;
}

/* An entry that has the id already was complete: else the id would not have been given again. */
static enum error_code take_entry(struct taker *taker, struct inflight *inflight) {
    struct inflight_entry entry = {.is_told = true};
    entry.position = take_number(taker, 8);
    entry.packet_id = (uint16_t)take_number(taker, 2);
    entry.state = (uint8_t)take_number(taker, 1);
    entry.qos = (uint8_t)take_number(taker, 1);
    entry.is_retained = take_number(taker, 1) != 0;
    bool is_sound = !taker->has_failed && entry.packet_id != 0 && entry.state >= INFLIGHT_WAITING &&
                    entry.state <= INFLIGHT_RELEASED && (entry.qos == 1 || entry.qos == 2) &&
                    inflight->count < UINT16_MAX - 1;
    if (!is_sound) {
        return ERR_CORRUPT;
    }
    struct inflight_entry *older = inflight_find(inflight, entry.packet_id);
    if (older != NULL) {
        inflight_take(inflight, older);
    }
    if (inflight_reserve(inflight, 1) != OK) {
        return ERR_MEMORY;
    }
    inflight_put(inflight, &entry);
    return OK;
}

static enum error_code take_entries(struct taker *taker, struct inflight *inflight,
                                    uint16_t packet_id_last) {
    size_t count = (size_t)take_number(taker, 2);
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < count; i++) {
        code = take_entry(taker, inflight);
    }
    inflight->packet_id_last = packet_id_last;
    return code;
}

static enum error_code on_snapshot(struct taker *taker, struct session *session) {
    session->place = take_place(taker);
    uint16_t packet_id_last = (uint16_t)take_number(taker, 2);
    enum error_code code = OK;
    size_t count = (size_t)take_number(taker, 2);
    for (size_t i = 0; code == OK && i < count; i++) {
        code = take_filter(taker, session);
    }
    count = code == OK ? (size_t)take_number(taker, 2) : 0;
    for (size_t i = 0; code == OK && i < count; i++) {
        code = session_note_received(session, (uint16_t)take_number(taker, 2));
    }
    return code == OK ? take_entries(taker, &session->inflight, packet_id_last) : code;
}

static enum error_code on_sent(struct taker *taker, struct session *session) {
    session->place = take_place(taker);
    uint16_t packet_id_last = (uint16_t)take_number(taker, 2);
    return take_entries(taker, &session->inflight, packet_id_last);
}

static enum error_code on_swept(struct taker *taker, struct session *session) {
    uint64_t channel_id = take_number(taker, 8);
    struct span text = take_bytes(taker, (size_t)take_number(taker, 2));
    uint16_t packet_id_last = (uint16_t)take_number(taker, 2);
    struct filter *filter = filters_find(&session->filters, text);
    if (filter != NULL && filter->options.retained_after < channel_id) {
        filter->options.retained_after = channel_id;
    }
    return take_entries(taker, &session->inflight, packet_id_last);
}

static enum error_code on_completed(struct taker *taker, struct session *session) {
    size_t count = (size_t)take_number(taker, 2);
    for (size_t i = 0; i < count && !taker->has_failed; i++) {
        uint16_t packet_id = (uint16_t)take_number(taker, 2);
        struct inflight_entry *entry = inflight_find(&session->inflight, packet_id);
        if (entry != NULL) {
            entry->state = INFLIGHT_RELEASED;
        }
    }
    return OK;
}

static enum error_code on_received(struct taker *taker, struct session *session) {
    return session_note_received(session, (uint16_t)take_number(taker, 2));
}

static enum error_code on_released(struct taker *taker, struct session *session) {
    session_note_released(session, (uint16_t)take_number(taker, 2));
    return OK;
}

static enum error_code (*const READERS[])(struct taker *taker, struct session *session) = {
    [SNAPSHOT] = on_snapshot, [SENT] = on_sent,         [COMPLETED] = on_completed,
    [RECEIVED] = on_received, [RELEASED] = on_released, [SWEPT] = on_swept,
};

static enum error_code read_record(struct taker *state, struct session *session) {
    size_t kind = (size_t)take_number(state, 1);
    size_t length = (size_t)take_number(state, 4);
    struct taker body = {.rest = take_bytes(state, length), .tenant = state->tenant};
    if (state->has_failed || kind >= ARRAY_COUNT(READERS) || READERS[kind] == NULL) {
        return ERR_CORRUPT;
    }
    enum error_code code = READERS[kind](&body, session);
    return code == OK && (body.has_failed || body.rest.length > 0) ? ERR_CORRUPT : code;
}

enum error_code session_decode(struct span state, struct span tenant, struct session **ret_session,
                               struct error *why) {
    struct taker taker = {.rest = state, .tenant = tenant};
    uint64_t version = take_number(&taker, 1);
    if (version > STATE_VERSION) {
        return error_set(why, ERR_DATA_VERSION, "A session of version %llu",
                         (unsigned long long)version);
    }
    struct session *session = session_create();
    if (session == NULL) {
        return error_set(why, ERR_MEMORY, "There was no memory for a session");
    }
    enum error_code code = version == STATE_VERSION ? OK : ERR_CORRUPT;
    while (code == OK && taker.rest.length > 0) {
        code = read_record(&taker, session);
    }
    if (code != OK) {
        session_destroy(session);
        return error_set(why, code, "The session is damaged at byte %zu of %zu",
                         state.length - taker.rest.length, state.length);
    }
    *ret_session = session;
    return OK;
}
