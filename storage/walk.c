/* SPDX-License-Identifier: Apache-2.0 */
/* Segments in order of position up to what is folded, then the open batch. Of a record only the
 * head is read until its channel is known to match; the channels met are remembered for the page,
 * each with a view, because retention is a channel's own.
 *
 * A record that its channel no longer keeps is met as long as its segment stands, and tells the
 * pattern that something was lost. A segment that went raised meta.walk_floor, and what stands
 * below that is never walked. */
#include "storage/walk.h"

#include <stdlib.h>

#include "broker/support/invariant.h"
#include "storage/bytes.h"
#include "storage/record.h"
#include "storage/strand.h"

#define TABLE_SIZE (WALK_CHANNELS_MAX * 2) /* a power of two, at most half full */
#define BATCH_STEP 64                      /* messages taken under the batch's lock at once */
#define LENGTH_BYTES 4                     /* before a record's body: chunks.h */

struct segment {
    uint16_t slot;
    uint64_t position_first;
    uint64_t position_last;
};

/* A channel that matches. */
struct lane {
    struct view view;
    struct strand strand;
    bool is_told; /* that it lost something */
};

/* A channel that was met. */
struct met {
    uint64_t channel_id;
    struct lane *lane; /* NULL: it does not match */
};

struct walk {
    struct many *many;
    struct met *table;
    size_t met_count;
    struct segment *segments;
    size_t segment_count;
    uint64_t records;
    uint64_t bytes;
    uint64_t before; /* exclusive end */
    bool is_over;
};

/* A record's head. */
struct head {
    uint64_t position;
    uint64_t channel_id;
    uint64_t offset;
    uint64_t time_ms;
    uint64_t bytes; /* of the body */
    enum message_kind kind;
};

/* --- segments --- */

static int compare_segments(const void *left, const void *right) {
    uint64_t a = ((const struct segment *)left)->position_first;
    uint64_t b = ((const struct segment *)right)->position_first;
    return (a > b) - (a < b);
}

/* The segments in use, in order. To be freed by the caller. */
static enum error_code list_segments(const struct moment *moment, struct segment **ret_segments,
                                     size_t *ret_count, struct error *why) {
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};
    MDB_val value = {0};
    struct segment *segments = calloc(STORE_SLOTS_MAX, sizeof(*segments));
    size_t count = 0;
    if (segments == NULL) {
        return error_set(why, ERR_MEMORY, "no memory to walk the log");
    }
    int code = mdb_cursor_open(moment->txn, moment->store->segments, &cursor);
    while (code == 0 && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct segment_row row;
        if (key.mv_size != 2 || count == STORE_SLOTS_MAX ||
            !segment_row_read(store_span(value), &row)) {
            code = MDB_CORRUPTED;
        } else if (row.state != SEGMENT_FREE) {
            segments[count++] = (struct segment){(uint16_t)bytes_get_big(key.mv_data, 2),
                                                 row.position_first, row.position_last};
        }
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    if (code != MDB_NOTFOUND) {
        free(segments);
        return store_error(why, code, "walk its segments");
    }
    qsort(segments, count, sizeof(*segments), compare_segments);
    *ret_segments = segments;
    *ret_count = count;
    return OK;
}

static enum error_code open_segment(const struct moment *moment, uint16_t slot,
                                    MDB_cursor **ret_cursor, struct error *why) {
    unsigned dbi = slot > STORE_SLOTS_MAX ? 0 : atomic_load(&moment->store->slots[slot]);
    if (dbi == 0) {
        return error_set(why, ERR_CORRUPT, "segment slot %u does not exist", slot);
    }
    int code = mdb_cursor_open(moment->txn, dbi, ret_cursor);
    return code == 0 ? OK : store_error(why, code, "open a segment");
}

/* The first record at or behind `position`. MDB_NOTFOUND: there is none in this segment. */
static int seek(MDB_cursor *cursor, uint64_t position, MDB_val *ret_value) {
    uint8_t bytes[KEY_SEGMENT_BYTES];
    key_write_segment(position, 0, bytes);
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    return mdb_cursor_get(cursor, &key, ret_value, MDB_SET_RANGE);
}

/* A body's head is a whole body that has no fields. */
static bool read_head(MDB_val value, struct head *ret_head) {
    struct record record;
    if (value.mv_size < LENGTH_BYTES + RECORD_BODY_HEAD_BYTES ||
        !record_read_body(span_of((uint8_t *)value.mv_data + LENGTH_BYTES, RECORD_BODY_HEAD_BYTES),
                          &record)) {
        return false;
    }
    *ret_head = (struct head){.position = record.place.position,
                              .channel_id = record.place.channel_id,
                              .offset = record.place.offset,
                              .time_ms = record.time_ms,
                              .bytes = bytes_get_little(value.mv_data, LENGTH_BYTES),
                              .kind = record.fields.kind};
    return true;
}

static enum error_code seek_head(MDB_cursor *cursor, uint64_t position, struct head *ret_head,
                                 struct error *why) {
    MDB_val value = {0};
    int code = seek(cursor, position, &value);
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    if (code != 0) {
        return store_error(why, code, "walk a segment");
    }
    return read_head(value, ret_head)
               ? OK
               : error_set(why, ERR_CORRUPT, "a record in the store is damaged");
}

/* --- channels --- */

static struct met *probe(const struct walk *walk, uint64_t channel_id) {
    size_t at = (size_t)(channel_id * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (TABLE_SIZE - 1);
    while (walk->table[at].channel_id != 0 && walk->table[at].channel_id != channel_id) {
        at = (at + 1) & (TABLE_SIZE - 1);
    }
    return &walk->table[at];
}

/* Finds out about a channel. `name` is of a message in the batch; empty: its row says it. */
static enum error_code meet(struct walk *walk, struct met *met, uint64_t channel_id,
                            struct span name, struct error *why) {
    const struct moment *moment = walk->many->moment;
    struct channel_row row;
    enum error_code result = store_get_channel(moment->store, moment->txn, channel_id, &row, why);
    bool is_folded = result == OK;
    if (result != OK && result != ERR_NOT_FOUND) {
        return result;
    }
    met->channel_id = channel_id;
    walk->met_count++;
    name = is_folded ? row.name : name;
    if (name.length == 0 || !matching_has(&walk->many->matching, name)) {
        return OK; /* of a channel that was forgotten, too */
    }
    struct lane *lane = calloc(1, sizeof(*lane));
    if (lane == NULL) {
        return error_set(why, ERR_MEMORY, "no memory to walk the log");
    }
    met->lane = lane;
    result = view_init_at(&lane->view, moment, name, is_folded ? channel_id : 0, why);
    if (result == OK) {
        result = many_keep(walk->many, name, &lane->view, why);
    }
    strand_init(&lane->strand, &lane->view, name);
    return result;
}

/* The channel's lane; NULL: it does not match, or the page can meet no more and is over. */
static enum error_code find_lane(struct walk *walk, uint64_t channel_id, struct span name,
                                 struct lane **ret_lane, struct error *why) {
    struct met *met = probe(walk, channel_id);
    enum error_code result = OK;
    if (met->channel_id == 0 && walk->met_count == WALK_CHANNELS_MAX) {
        walk->is_over = true;
        return OK;
    }
    if (met->channel_id == 0) {
        result = meet(walk, met, channel_id, name, why);
    }
    *ret_lane = met->lane;
    return result;
}

/* --- records --- */

/* A record of a channel that matches: given out, left out, or told as lost. */
static enum error_code take(struct walk *walk, struct lane *lane, const struct head *head,
                            struct error *why) {
    uint64_t from = 0;
    uint64_t to = 0;
    struct strand_item item;
    if (head->offset < lane->view.first || head->offset > lane->view.offset_last) {
        if (lane->is_told) {
            return OK;
        }
        lane->is_told = true;
        struct gap gap = {.reason = GAP_EXPIRED};
        uint64_t position = 0;
        enum error_code code = view_get_lost_position(&lane->view, &position, why);
        if (code == OK) {
            code = view_get_lost_reason(&lane->view, lane->view.first - 1, &gap.reason, why);
        }
        return code != OK ? code
                          : gaps_tell(&walk->many->gaps, &lane->view, lane->strand.name, gap,
                                      position, true, why);
    }
    enum error_code result = strand_find_deleted(&lane->strand, head->offset, &from, &to, why);
    if (result == OK && from <= head->offset) {
        from = from < lane->view.first ? lane->view.first : from;
        return head->offset < to ? OK /* its last offset tells the range */
                                 : many_pass(walk->many, &lane->strand, from, to, head->position,
                                             GAP_DELETED, why);
    }
    if (result == OK) {
        result = strand_get_item(&lane->strand, head->offset, &item, why);
    }
    return result == OK
               ? many_take(walk->many, &lane->strand, head->offset, head->position, item.bytes, why)
               : result;
}

/* Looks at one record; when the page is over it has not been looked at. */
static enum error_code look(struct walk *walk, const struct head *head, struct span name,
                            struct error *why) {
    struct many *many = walk->many;
    struct lane *lane = NULL;
    if (head->position >= walk->before || many->builder.is_full ||
        walk->records >= many->limits->walk_records || walk->bytes >= many->limits->walk_bytes) {
        walk->is_over = true;
        return OK;
    }
    enum error_code result = OK;
    if (head->kind == MESSAGE_DATA || head->kind == MESSAGE_DELETE) {
        result = find_lane(walk, head->channel_id, name, &lane, why);
    }
    if (result == OK && lane != NULL && !walk->is_over) {
        result = take(walk, lane, head, why);
        walk->is_over = many->builder.is_full && many->end.position != head->position;
    }
    if (result == OK && !walk->is_over) {
        many->position_walked = head->position;
        walk->records++;
        walk->bytes += head->bytes;
    }
    return result;
}

static enum error_code walk_segment(struct walk *walk, const struct segment *segment,
                                    struct error *why) {
    MDB_cursor *cursor = NULL;
    uint64_t position = walk->many->position_walked + 1;
    enum error_code result = open_segment(walk->many->moment, segment->slot, &cursor, why);
    if (result != OK) {
        return result;
    }
    MDB_val key = {0};
    MDB_val value = {0};
    int code = seek(cursor, position, &value);
    while (result == OK && code == 0 && !walk->is_over) {
        struct head head;
        if (!read_head(value, &head)) {
            result = error_set(why, ERR_CORRUPT, "a record in the store is damaged");
            break;
        }
        result = look(walk, &head, (struct span){0}, why);
        bool is_whole = head.bytes + LENGTH_BYTES == value.mv_size;
        code = is_whole ? mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
                        : seek(cursor, head.position + 1, &value);
    }
    mdb_cursor_close(cursor);
    return result == OK && code != 0 && code != MDB_NOTFOUND
               ? store_error(why, code, "walk a segment")
               : result;
}

static enum error_code walk_folded(struct walk *walk, struct error *why) {
    enum error_code result = OK;
    uint64_t folded = walk->many->moment->meta.position_folded;
    for (size_t i = 0; result == OK && !walk->is_over && i < walk->segment_count; i++) {
        if (walk->segments[i].position_last > walk->many->position_walked) {
            result = walk_segment(walk, &walk->segments[i], why);
        }
    }
    if (!walk->is_over && walk->many->position_walked < folded) {
        walk->many->position_walked = folded;
    }
    return result;
}

static enum error_code walk_open(struct walk *walk, struct error *why) {
    const struct batch_moment *batch = &walk->many->moment->batch;
    struct message *messages[BATCH_STEP];
    size_t count = 0;
    enum error_code result = OK;
    while (result == OK && !walk->is_over &&
           walk->many->position_walked < batch->position_readable) {
        count =
            open_batch_take_messages(batch, walk->many->position_walked + 1, messages, BATCH_STEP);
        INVARIANT(count > 0);
        for (size_t i = 0; i < count; i++) {
            const struct message *message = messages[i];
            struct head head = {.position = message->place.position,
                                .channel_id = message->place.channel_id,
                                .offset = message->place.offset,
                                .bytes = message->fields.payload.length,
                                .kind = message->fields.kind};
            /* Deletes in the batch are no stubs: they have no offset of their own. */
            head.kind = head.kind == MESSAGE_DATA ? MESSAGE_DATA : MESSAGE_TICK;
            if (result == OK && !walk->is_over) {
                result = look(walk, &head, message->fields.channel, why);
            }
        }
        for (size_t i = 0; i < count; i++) {
            message_unref(messages[i]);
        }
    }
    return result;
}

/* --- calls --- */

/* The last position before which all records are older than time_ms, in one segment. */
static enum error_code search_segment(const struct moment *moment, const struct segment *segment,
                                      uint64_t time_ms, uint64_t *ret_position, struct error *why) {
    MDB_cursor *cursor = NULL;
    enum error_code result = open_segment(moment, segment->slot, &cursor, why);
    uint64_t from = segment->position_first;
    uint64_t to = segment->position_last + 1;
    while (result == OK && from < to) {
        struct head head = {0};
        uint64_t middle = from + (to - from) / 2;
        result = seek_head(cursor, middle, &head, why);
        if (result == ERR_NOT_FOUND || (result == OK && head.time_ms >= time_ms)) {
            to = middle;
            result = OK;
        } else if (result == OK) {
            from = head.position + 1;
        }
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    *ret_position = from - 1;
    return result;
}

/* Where time_ms begins, if that is above the oldest segment's first record. */
static enum error_code find_time(const struct moment *moment, uint64_t time_ms, bool *ret_can,
                                 uint64_t *ret_position, struct error *why) {
    struct segment *segments = NULL;
    size_t count = 0;
    *ret_can = false;
    enum error_code result = list_segments(moment, &segments, &count, why);
    size_t at = count;
    for (size_t i = 0; result == OK && i < count; i++) {
        MDB_cursor *cursor = NULL;
        struct head head = {0};
        result = open_segment(moment, segments[i].slot, &cursor, why);
        if (result == OK) {
            result = seek_head(cursor, segments[i].position_first, &head, why);
            mdb_cursor_close(cursor);
        }
        if (result != OK || head.time_ms >= time_ms) {
            break;
        }
        at = i;
    }
    if (result == OK && at < count) {
        *ret_can = true;
        result = search_segment(moment, &segments[at], time_ms, ret_position, why);
        if (result == OK && *ret_position == segments[count - 1].position_last) {
            uint64_t found = open_batch_search_time(&moment->batch, time_ms);
            uint64_t open_first = open_batch_position_first(&moment->batch);
            *ret_position = found > open_first ? found - 1 : *ret_position;
        }
    }
    free(segments);
    return result;
}

enum error_code walk_find_start(struct many *many, bool *ret_can, uint64_t *ret_position,
                                struct error *why) {
    const struct storage_query *query = &many->query;
    const struct meta_row *meta = &many->moment->meta;
    enum error_code result = OK;
    *ret_can = false;
    *ret_position = 0;
    if (query->start == STORAGE_EARLIEST) {
        *ret_can = meta->cold_messages == 0;
    } else if (query->start == STORAGE_AFTER_PLACE) {
        *ret_can = query->place.position >= meta->walk_floor;
        *ret_position = query->place.position;
    } else if (query->start == STORAGE_AFTER_TIME && many->matching.pattern_count > 0) {
        result = find_time(many->moment, query->time_ms, ret_can, ret_position, why);
        *ret_can = *ret_can && *ret_position >= meta->walk_floor;
    }
    return result;
}

static void finish(struct walk *walk) {
    for (size_t i = 0; walk->table != NULL && i < TABLE_SIZE; i++) {
        free(walk->table[i].lane);
    }
    free(walk->table);
    free(walk->segments);
}

enum error_code walk_read(struct many *many, uint64_t position, struct error *why) {
    struct walk walk = {.many = many,
                        .table = calloc(TABLE_SIZE, sizeof(*walk.table)),
                        .before =
                            many->query.has_before ? many->query.before.position : UINT64_MAX};
    if (walk.table == NULL) {
        return error_set(why, ERR_MEMORY, "no memory to walk the log");
    }
    many->position_walked = position;
    enum error_code result = many_tell_named(many, why);
    if (result == OK) {
        result = list_segments(many->moment, &walk.segments, &walk.segment_count, why);
    }
    if (result == OK) {
        result = walk_folded(&walk, why);
    }
    if (result == OK && !walk.is_over) {
        result = walk_open(&walk, why);
    }
    many->is_cut = walk.is_over && many->position_walked + 1 < walk.before;
    finish(&walk);
    return result;
}
