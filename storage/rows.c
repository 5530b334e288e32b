/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of LMDB, data version 1. Keys are big-endian, values little-endian.
 *
 *   meta         "state" -> u64 log id, u32 generation, u8 clean, u64 position folded, u64 time,
 *                next channel id, position floor, segments opened, cold messages; then, where the
 *                row is that long, u64 walk floor, forgotten through, repeats, u8 scrub due
 *   generations  u32 generation -> u64 its first position
 *   names        u8 0, name -> u64 channel id
 *   channels     u64 channel id -> u64 offset last, position last, time last, bytes total, birth
 *                position, birth offset, trimmed offset, trimmed position, trimmed time, keep from;
 *                then, unless the next byte is one of a name, u8 0, u64 keyless last; likewise
 *                u8 0, u64 bytes gone; the name
 *   segments     u16 slot -> u8 state, u64 number, position first, position last, messages, live,
 *                bytes
 *   index        u64 channel id, u64 offset of the first message of the run -> the run
 *   cold         u64 channel id, u64 offset, u16 chunk -> part of a record
 *   deleted      u64 channel id, u64 first offset -> u64 last offset, u64 position of the delete
 *   erasing      u64 channel id, u64 first offset -> u64 last offset: bytes yet to be overwritten
 *   keys         u64 channel id, key -> u64 the newest offset with this key
 *   retained     u64 channel id, u16 chunk -> part of a record
 *   repeats      u64 position of a publish's first message, u16 chunk -> part of a row (repeats.c)
 *   objects      see objects.c
 *   slot-NNNN    u64 position, u16 chunk -> part of a record (NNNN: the slot, decimal)
 *
 *   run    0  u16  slot, 0 for the table `cold`
 *          2  u16  count of messages, at least 1
 *          4  u64  position of the first, then of the last message
 *         20  u64  time of the first, then of the last message
 *         36  u64  counted bytes of the channel before the run, then through its end
 *         52       for each message three varints: counted bytes, position minus that of the
 *                  message before, time minus that of the message before (both 0 for the first)
 *
 * Parts of a record: a record body (record.c, without the channel's name) of n bytes is cut into
 * values of CHUNKS_VALUE_BYTES; the value of chunk 0 begins with u32 n. Of a deleted message there
 * is a stub: n is 52, the body is a head of the kind `delete` without fields, and what else there
 * was is zeros: behind the head in chunk 0, and in the chunks behind it.
 *
 * A row of `meta` or of `channels` that an older broker wrote lacks its last part. What it does not
 * say is taken for the worst: all that is folded may lie in no segment, or be forgotten. */
#include "storage/rows.h"

#include <assert.h>
#include <string.h>

#include "broker/support/invariant.h"
#include "storage/bytes.h"
#include "storage/storage.h"

#define META_BYTES 61
#define META_MORE_BYTES 25
#define DELETED_BYTES 16
#define CHANNEL_HEAD_BYTES 80
#define CHANNEL_MORE_BYTES 9
#define SEGMENT_BYTES 49
#define RUN_HEAD_BYTES 52
#define RUN_BYTES_MAX 512 /* about 100 messages: a search in a run is short, a page holds eight */

static_assert(RUN_BYTES_MAX + 3 * VARINT_BYTES_MAX <= ROW_BYTES_MAX, "a row fits its buffer");
static_assert(STORAGE_CHANNEL_BYTES_MAX + 1 <= KEY_NAME_BYTES_MAX, "a name is a key of LMDB");
static_assert(CHANNEL_HEAD_BYTES + 2 * CHANNEL_MORE_BYTES + KEY_NAME_BYTES_MAX <= ROW_BYTES_MAX,
              "a row fits its buffer");

static uint8_t *put_u64s(uint8_t *to, const uint64_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to = bytes_put_little(to, numbers[i], 8);
    }
    return to;
}

static void get_u64s(const uint8_t *at, uint64_t *const *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        *numbers[i] = bytes_get_little(at + 8 * i, 8);
    }
}

size_t meta_row_write(const struct meta_row *row, uint8_t *to) {
    uint8_t *at = bytes_put_little(to, row->log_id, 8);
    at = bytes_put_little(at, row->generation, 4);
    *at++ = row->is_clean ? 1 : 0;
    const uint64_t rest[] = {row->position_folded, row->time_ms,         row->channel_id_next,
                             row->position_floor,  row->segments_opened, row->cold_messages};
    at = put_u64s(at, rest, ARRAY_COUNT(rest));
    const uint64_t more[] = {row->walk_floor, row->forgotten_through, row->repeat_count};
    at = put_u64s(at, more, ARRAY_COUNT(more));
    *at++ = row->is_scrub_due ? 1 : 0;
    return (size_t)(at - to);
}

bool meta_row_read(struct span bytes, struct meta_row *ret_row) {
    if (bytes.length < META_BYTES) {
        return false;
    }
    ret_row->log_id = bytes_get_little(bytes.bytes, 8);
    ret_row->generation = (uint32_t)bytes_get_little(bytes.bytes + 8, 4);
    ret_row->is_clean = bytes.bytes[12] != 0;
    uint64_t *const rest[] = {&ret_row->position_folded, &ret_row->time_ms,
                              &ret_row->channel_id_next, &ret_row->position_floor,
                              &ret_row->segments_opened, &ret_row->cold_messages};
    get_u64s(bytes.bytes + 13, rest, ARRAY_COUNT(rest));
    uint64_t *const more[] = {&ret_row->walk_floor, &ret_row->forgotten_through,
                              &ret_row->repeat_count};
    ret_row->walk_floor = ret_row->forgotten_through = ret_row->position_folded;
    ret_row->repeat_count = 0;
    ret_row->is_scrub_due = false;
    if (bytes.length >= META_BYTES + META_MORE_BYTES) {
        get_u64s(bytes.bytes + META_BYTES, more, ARRAY_COUNT(more));
        ret_row->is_scrub_due = bytes.bytes[META_BYTES + META_MORE_BYTES - 1] != 0;
    }
    return ret_row->log_id != 0 && ret_row->channel_id_next != 0;
}

size_t channel_row_write(const struct channel_row *row, uint8_t *to) {
    const uint64_t head[] = {row->offset_last,    row->position_last,    row->time_last,
                             row->bytes_total,    row->birth_position,   row->birth_offset,
                             row->trimmed_offset, row->trimmed_position, row->trimmed_time,
                             row->keep_from};
    INVARIANT(row->name.length <= STORAGE_CHANNEL_BYTES_MAX);
    uint8_t *at = put_u64s(to, head, ARRAY_COUNT(head));
    *at++ = 0;
    at = bytes_put_little(at, row->keyless_last, 8);
    if (row->bytes_gone > 0) {
        *at++ = 0;
        at = bytes_put_little(at, row->bytes_gone, 8);
    }
    memcpy(at, row->name.bytes, row->name.length);
    return (size_t)(at - to) + row->name.length;
}

bool channel_row_read(struct span bytes, struct channel_row *ret_row) {
    if (bytes.length <= CHANNEL_HEAD_BYTES) {
        return false;
    }
    uint64_t *const head[] = {&ret_row->offset_last,    &ret_row->position_last,
                              &ret_row->time_last,      &ret_row->bytes_total,
                              &ret_row->birth_position, &ret_row->birth_offset,
                              &ret_row->trimmed_offset, &ret_row->trimmed_position,
                              &ret_row->trimmed_time,   &ret_row->keep_from};
    get_u64s(bytes.bytes, head, ARRAY_COUNT(head));
    size_t at = CHANNEL_HEAD_BYTES;
    ret_row->keyless_last = 0;
    if (bytes.bytes[at] == 0 && bytes.length > at + CHANNEL_MORE_BYTES) {
        ret_row->keyless_last = bytes_get_little(bytes.bytes + at + 1, 8);
        at += CHANNEL_MORE_BYTES;
    }
    ret_row->bytes_gone = 0;
    if (bytes.bytes[at] == 0 && bytes.length > at + CHANNEL_MORE_BYTES) {
        ret_row->bytes_gone = bytes_get_little(bytes.bytes + at + 1, 8);
        at += CHANNEL_MORE_BYTES;
    }
    ret_row->name = span_of(bytes.bytes + at, bytes.length - at);
    return ret_row->trimmed_offset <= ret_row->offset_last && ret_row->birth_offset > 0 &&
           ret_row->bytes_gone <= ret_row->bytes_total;
}

size_t segment_row_write(const struct segment_row *row, uint8_t *to) {
    to[0] = (uint8_t)row->state;
    const uint64_t rest[] = {row->number,   row->position_first, row->position_last,
                             row->messages, row->live,           row->bytes};
    put_u64s(to + 1, rest, ARRAY_COUNT(rest));
    return SEGMENT_BYTES;
}

bool segment_row_read(struct span bytes, struct segment_row *ret_row) {
    if (bytes.length < SEGMENT_BYTES || bytes.bytes[0] > SEGMENT_CLOSED) {
        return false;
    }
    ret_row->state = (enum segment_state)bytes.bytes[0];
    uint64_t *const rest[] = {&ret_row->number,   &ret_row->position_first, &ret_row->position_last,
                              &ret_row->messages, &ret_row->live,           &ret_row->bytes};
    get_u64s(bytes.bytes + 1, rest, ARRAY_COUNT(rest));
    return true;
}

size_t deleted_row_write(const struct deleted_row *row, uint8_t *to) {
    bytes_put_little(bytes_put_little(to, row->to, 8), row->position, 8);
    return DELETED_BYTES;
}

bool deleted_row_read(uint64_t from, struct span bytes, struct deleted_row *ret_row) {
    if (bytes.length < DELETED_BYTES) {
        return false;
    }
    *ret_row = (struct deleted_row){.from = from,
                                    .to = bytes_get_little(bytes.bytes, 8),
                                    .position = bytes_get_little(bytes.bytes + 8, 8)};
    return ret_row->from <= ret_row->to;
}

bool run_read(uint64_t offset_first, struct span bytes, struct run *ret_run) {
    if (bytes.length <= RUN_HEAD_BYTES) {
        return false;
    }
    ret_run->offset_first = offset_first;
    ret_run->slot = (uint16_t)bytes_get_little(bytes.bytes, 2);
    ret_run->count = (uint16_t)bytes_get_little(bytes.bytes + 2, 2);
    uint64_t *const rest[] = {&ret_run->position_first, &ret_run->position_last,
                              &ret_run->time_first,     &ret_run->time_last,
                              &ret_run->bytes_before,   &ret_run->bytes_through};
    get_u64s(bytes.bytes + 4, rest, ARRAY_COUNT(rest));
    ret_run->entries = span_of(bytes.bytes + RUN_HEAD_BYTES, bytes.length - RUN_HEAD_BYTES);
    return ret_run->count > 0;
}

void run_rewind(const struct run *run, struct run_entry *ret_entry) {
    *ret_entry = (struct run_entry){
        .offset = run->offset_first - 1,
        .position = run->position_first,
        .time_ms = run->time_first,
        .bytes_before = run->bytes_before,
        .rest = run->entries.bytes,
    };
}

bool run_next(const struct run *run, struct run_entry *entry) {
    const uint8_t *end = run->entries.bytes + run->entries.length;
    uint64_t bytes = 0;
    uint64_t position = 0;
    uint64_t time_ms = 0;
    if (entry->offset >= run_offset_last(run) || !bytes_get_varint(&entry->rest, end, &bytes) ||
        !bytes_get_varint(&entry->rest, end, &position) ||
        !bytes_get_varint(&entry->rest, end, &time_ms)) {
        return false;
    }
    entry->offset++;
    entry->bytes_before += entry->bytes;
    entry->bytes = bytes;
    entry->position += position;
    entry->time_ms += time_ms;
    return true;
}

void run_builder_init(struct run_builder *builder, uint16_t slot) {
    builder->run = (struct run){.slot = slot};
    builder->length = RUN_HEAD_BYTES;
}

void run_builder_load(struct run_builder *builder, const struct run *run) {
    INVARIANT(RUN_HEAD_BYTES + run->entries.length <= ROW_BYTES_MAX);
    builder->run = *run;
    builder->length = RUN_HEAD_BYTES + run->entries.length;
    memcpy(builder->bytes + RUN_HEAD_BYTES, run->entries.bytes, run->entries.length);
}

bool run_builder_add(struct run_builder *builder, const struct run_entry *entry) {
    struct run *run = &builder->run;
    if (builder->length >= RUN_BYTES_MAX) {
        return false;
    }
    if (run->count == 0) {
        run->offset_first = entry->offset;
        run->position_first = run->position_last = entry->position;
        run->time_first = run->time_last = entry->time_ms;
        run->bytes_before = run->bytes_through = entry->bytes_before;
    }
    INVARIANT(entry->offset == run->offset_first + run->count);
    INVARIANT(entry->position >= run->position_last);
    INVARIANT(entry->time_ms >= run->time_last);
    uint8_t *at = builder->bytes + builder->length;
    at = bytes_put_varint(at, entry->bytes);
    at = bytes_put_varint(at, entry->position - run->position_last);
    at = bytes_put_varint(at, entry->time_ms - run->time_last);
    builder->length = (size_t)(at - builder->bytes);
    run->count++;
    run->position_last = entry->position;
    run->time_last = entry->time_ms;
    run->bytes_through = entry->bytes_before + entry->bytes;
    return true;
}

struct span run_builder_borrow(struct run_builder *builder) {
    const struct run *run = &builder->run;
    uint8_t *at = bytes_put_little(builder->bytes, run->slot, 2);
    at = bytes_put_little(at, run->count, 2);
    const uint64_t rest[] = {run->position_first, run->position_last, run->time_first,
                             run->time_last,      run->bytes_before,  run->bytes_through};
    put_u64s(at, rest, ARRAY_COUNT(rest));
    return span_of(builder->bytes, builder->length);
}

size_t key_write_name(struct span name, uint8_t *to) {
    INVARIANT(name.length > 0);
    INVARIANT(name.length <= STORAGE_CHANNEL_BYTES_MAX);
    to[0] = 0;
    memcpy(to + 1, name.bytes, name.length);
    return name.length + 1;
}

void key_write_index(uint64_t channel_id, uint64_t offset, uint8_t *to) {
    bytes_put_big(bytes_put_big(to, channel_id, 8), offset, 8);
}

void key_write_segment(uint64_t position, uint16_t chunk, uint8_t *to) {
    bytes_put_big(bytes_put_big(to, position, 8), chunk, 2);
}

void key_write_retained(uint64_t channel_id, uint16_t chunk, uint8_t *to) {
    bytes_put_big(bytes_put_big(to, channel_id, 8), chunk, 2);
}

void key_write_repeat(uint64_t position, uint16_t chunk, uint8_t *to) {
    bytes_put_big(bytes_put_big(to, position, 8), chunk, 2);
}

size_t key_write_conflated(uint64_t channel_id, struct span key, uint8_t *to) {
    if (key.length == 0 || key.length > KEY_CONFLATED_BYTES_MAX - 8) {
        return 0;
    }
    uint8_t *at = bytes_put_big(to, channel_id, 8);
    memcpy(at, key.bytes, key.length);
    return 8 + key.length;
}

void key_write_cold(uint64_t channel_id, uint64_t offset, uint16_t chunk, uint8_t *to) {
    bytes_put_big(bytes_put_big(bytes_put_big(to, channel_id, 8), offset, 8), chunk, 2);
}
