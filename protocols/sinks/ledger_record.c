/* SPDX-License-Identifier: Apache-2.0 */
/* The record: what a sink's object in the log holds (storage.h, STORAGE_OBJECT_LEDGER).
 *
 *     0  u8   version: 1
 *     1  fields to the end, in ascending order of their numbers, none twice:
 *          u8   number
 *          u32  length of the value in bytes, little-endian
 *               the value
 *
 * Values are varints (varint.h) unless told otherwise. A field whose values are all 0 is left out,
 * and stands for that; one whose number is not known is skipped.
 *
 *      1  floor       log id, generation, position, channel id, offset; left out: a new sink
 *      2  ranges      of each, ascending: its first position less the last one of the range before
 *                     it (of the first range: less the floor's), at least 1; its last less its
 *                     first; its first less the position of the message before it, 0 where that is
 *                     not known
 *      3  failures    of each, ascending: its position less that of the failure before it (of the
 *                     first: less the floor's), at least 1; attempts; when it is due, milliseconds
 *                     since the epoch
 *      4  batches     of each, by first position: how many messages, 1 to 1000; of each message
 *                     its position less the one before it in the batch (of the first message: less
 *                     the first one of the batch before; of the first batch: less 0), at least 1
 *      5  halt        0 runs, 1 paused, 2 disabled
 *      6  reason      bytes: text, at most 199
 *      7  breaker     0 closed, 1 open; trips; until when it is open, milliseconds since the epoch
 *      8  failing     since when, milliseconds since the epoch
 *      9  delivered   messages, ever
 *     10  dead        letters, ever
 *     11  dead offset up to which dead letters were sent again
 *     12  course      how many replays there were
 *     13  view        how the ranges and holds were made: the order that was kept (0 of channels, 1
 *                     of keys, 2 of all, 3 none); bytes: the names and patterns that were read, in
 *                     their scopes, a zero behind each. Left out where there is neither
 *     14  holds       the reach less the floor, at least 1; of each lane, ascending by hash: the
 *                     hash less the one before it (of the first: less 0); the position from which
 *                     on nothing of it is done less the floor, 0 where it is not above that
 *     15  past        of each stratum of the past, oldest first: its view, as of field 13, but with
 *                     the length of the bytes before them; the number of its ranges; they, as of
 *                     field 2; 0 and nothing more, or its reach less the floor, the number of its
 *                     holds, and they, as of field 14
 *
 * Records that were written before fields 13 to 15 were known have none of them: their ranges are
 * of whatever the sink reads. Positions are those of records in the whole log (message.h), and no
 * message is of two batches. Without a floor ranges and failures are measured from position 0. */
#include "protocols/sinks/ledger_record.h"

#include <assert.h>

#include "broker/support/varint.h"

#define VERSION 1
#define FIELD_HEAD_BYTES 5
#define ORDER_NONE 3 /* of a sink that keeps none */

enum field {
    FIELD_FLOOR = 1,
    FIELD_RANGES,
    FIELD_FAILURES,
    FIELD_BATCHES,
    FIELD_HALT,
    FIELD_REASON,
    FIELD_BREAKER,
    FIELD_FAILING,
    FIELD_DELIVERED,
    FIELD_DEAD,
    FIELD_DEAD_OFFSET,
    FIELD_COURSE,
    FIELD_VIEW,
    FIELD_HOLDS,
    FIELD_PAST,
    FIELD_END
};

static_assert(1 + (FIELD_END - 1) * FIELD_HEAD_BYTES + 5 * VARINT_BYTES_MAX +
                      STRATUM_RANGES_MAX * 3 * VARINT_BYTES_MAX +
                      LEDGER_FAILURES_MAX * 3 * VARINT_BYTES_MAX +
                      (LEDGER_BATCHES_MAX + LEDGER_BATCHED_MAX) * VARINT_BYTES_MAX +
                      10 * VARINT_BYTES_MAX + LEDGER_REASON_BYTES + STRATUM_TEXTS_BYTES_MAX +
                      LEDGER_PAST_TEXTS_BYTES_MAX +
                      (1 + STRATUM_HOLDS_MAX + LEDGER_PAST_HOLDS_MAX) * 2 * VARINT_BYTES_MAX +
                      LEDGER_PAST_MAX * 5 * VARINT_BYTES_MAX <=
                  LEDGER_RECORD_BYTES_MAX,
              "a record of the fullest ledger fits");

/* --- writing ---------------------------------------------------------------------------------- */

/* A put that failed sticks. */
struct writer {
    struct buffer *buffer;
    enum error_code code;
    size_t field; /* where the open one begins */
};

static void put(struct writer *writer, uint64_t number) {
    if (writer->code == OK) {
        writer->code = varint_put(writer->buffer, number);
    }
}

static void put_bytes(struct writer *writer, struct span bytes) {
    if (writer->code == OK) {
        writer->code = buffer_put(writer->buffer, bytes);
    }
}

static void begin_field(struct writer *writer, enum field field) {
    const uint8_t head[FIELD_HEAD_BYTES] = {(uint8_t)field};
    writer->field = writer->buffer->length;
    put_bytes(writer, span_of(head, sizeof(head)));
}

static void end_field(struct writer *writer) {
    if (writer->code == OK) {
        size_t length = writer->buffer->length - writer->field - FIELD_HEAD_BYTES;
        uint8_t *at = writer->buffer->bytes + writer->field + 1;
        for (size_t i = 0; i < FIELD_HEAD_BYTES - 1; i++, length >>= 8) {
            at[i] = (uint8_t)length;
        }
    }
}

static void put_number_field(struct writer *writer, enum field field, uint64_t number) {
    if (number != 0) {
        begin_field(writer, field);
        put(writer, number);
        end_field(writer);
    }
}

static void put_floor(struct writer *writer, const struct place *floor) {
    begin_field(writer, FIELD_FLOOR);
    put(writer, floor->log_id);
    put(writer, floor->generation);
    put(writer, floor->position);
    put(writer, floor->channel_id);
    put(writer, floor->offset);
    end_field(writer);
}

static void put_ranges(struct writer *writer, const struct stratum *stratum, uint64_t floor) {
    uint64_t last = floor;
    for (size_t i = 0; i < stratum->range_count; i++) {
        const struct stratum_range *range = &stratum->ranges[i];
        put(writer, range->first - last);
        put(writer, range->last - range->first);
        put(writer, range->before == 0 ? 0 : range->first - range->before);
        last = range->last;
    }
}

static void put_holds(struct writer *writer, const struct stratum *stratum, uint64_t floor) {
    uint64_t lane = 0;
    for (size_t i = 0; i < stratum->hold_count; i++) {
        const struct stratum_hold *hold = &stratum->holds[i];
        put(writer, hold->lane - lane);
        put(writer, hold->first > floor ? hold->first - floor : 0);
        lane = hold->lane;
    }
}

static uint64_t number_of_order(const struct stratum *stratum) {
    return stratum->has_lanes ? (uint64_t)stratum->order : ORDER_NONE;
}

static void put_now(struct writer *writer, const struct stratum *now, uint64_t floor) {
    begin_field(writer, FIELD_VIEW);
    put(writer, number_of_order(now));
    put_bytes(writer, span_of(now->texts, now->texts_length));
    end_field(writer);
    if (now->reach > 0) {
        begin_field(writer, FIELD_HOLDS);
        put(writer, now->reach - floor);
        put_holds(writer, now, floor);
        end_field(writer);
    }
}

static void put_past(struct writer *writer, const struct ledger *ledger) {
    uint64_t floor = ledger->floor.position;
    begin_field(writer, FIELD_PAST);
    for (size_t i = 0; i < ledger->past_count; i++) {
        const struct stratum *past = &ledger->past[i];
        put(writer, number_of_order(past));
        put(writer, past->texts_length);
        put_bytes(writer, span_of(past->texts, past->texts_length));
        put(writer, past->range_count);
        put_ranges(writer, past, floor);
        put(writer, past->reach == 0 ? 0 : past->reach - floor);
        if (past->reach > 0) {
            put(writer, past->hold_count);
            put_holds(writer, past, floor);
        }
    }
    end_field(writer);
}

static void put_failures(struct writer *writer, const struct ledger *ledger) {
    uint64_t last = ledger->floor.position;
    begin_field(writer, FIELD_FAILURES);
    for (size_t i = 0; i < ledger->failure_count; i++) {
        const struct ledger_failure *failure = &ledger->failures[i];
        put(writer, failure->position - last);
        put(writer, failure->attempts);
        put(writer, failure->due_ms);
        last = failure->position;
    }
    end_field(writer);
}

static void put_batches(struct writer *writer, const struct ledger *ledger) {
    uint64_t last_first = 0;
    begin_field(writer, FIELD_BATCHES);
    for (size_t i = 0; i < ledger->batch_count; i++) {
        const struct ledger_batch *batch = &ledger->batches[i];
        uint64_t last = last_first;
        put(writer, batch->count);
        for (size_t j = 0; j < batch->count; j++) {
            put(writer, batch->positions[j] - last);
            last = batch->positions[j];
        }
        last_first = batch->positions[0];
    }
    end_field(writer);
}

static void put_breaker(struct writer *writer, const struct ledger *ledger) {
    begin_field(writer, FIELD_BREAKER);
    put(writer, ledger->breaker == LEDGER_CLOSED ? 0 : 1);
    put(writer, ledger->breaker_trips);
    put(writer, ledger->breaker_until_ms);
    end_field(writer);
}

enum error_code ledger_record_put(struct buffer *buffer, const struct ledger *ledger) {
    struct writer writer = {.buffer = buffer};
    size_t length_before = buffer->length;
    struct span reason = span_of_string(ledger->reason);
    writer.code = buffer_put_byte(buffer, VERSION);
    if (ledger->has_floor) {
        put_floor(&writer, &ledger->floor);
    }
    uint64_t floor = ledger->floor.position;
    if (ledger->now.range_count > 0) {
        begin_field(&writer, FIELD_RANGES);
        put_ranges(&writer, &ledger->now, floor);
        end_field(&writer);
    }
    if (ledger->failure_count > 0) {
        put_failures(&writer, ledger);
    }
    if (ledger->batch_count > 0) {
        put_batches(&writer, ledger);
    }
    put_number_field(&writer, FIELD_HALT, ledger->halt);
    if (reason.length > 0) {
        begin_field(&writer, FIELD_REASON);
        put_bytes(&writer, reason);
        end_field(&writer);
    }
    if (ledger->breaker != LEDGER_CLOSED || ledger->breaker_trips != 0 ||
        ledger->breaker_until_ms != 0) {
        put_breaker(&writer, ledger);
    }
    put_number_field(&writer, FIELD_FAILING, ledger->failing_since_ms);
    put_number_field(&writer, FIELD_DELIVERED, ledger->delivered_count);
    put_number_field(&writer, FIELD_DEAD, ledger->dead_count);
    put_number_field(&writer, FIELD_DEAD_OFFSET, ledger->dead_offset);
    put_number_field(&writer, FIELD_COURSE, ledger->course);
    if (!stratum_is_empty(&ledger->now) && ledger->now.texts != NULL) {
        put_now(&writer, &ledger->now, floor);
    }
    if (ledger->past_count > 0) {
        put_past(&writer, ledger);
    }
    if (writer.code != OK) {
        buffer->length = length_before;
    }
    return writer.code;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A value as it is read; once something was wrong it is empty and all numbers are 0. */
struct reader {
    struct span rest;
    enum error_code code;
};

static void refuse(struct reader *reader) {
    reader->code = ERR_CORRUPT;
    reader->rest.length = 0;
}

static uint64_t take(struct reader *reader, uint64_t max) {
    uint64_t number = 0;
    if (reader->code == OK && (!varint_take(&reader->rest, &number) || number > max)) {
        refuse(reader);
        return 0;
    }
    return number;
}

/* A position that lies behind `last`. */
static uint64_t take_position(struct reader *reader, uint64_t last) {
    uint64_t step = take(reader, UINT64_MAX - 1 - last);
    if (reader->code == OK && step == 0) {
        refuse(reader);
    }
    return last + step;
}

static void take_floor(struct reader *reader, struct ledger *ledger) {
    ledger->floor.log_id = take(reader, UINT64_MAX);
    ledger->floor.generation = (uint32_t)take(reader, UINT32_MAX);
    ledger->floor.position = take(reader, UINT64_MAX - 1);
    ledger->floor.channel_id = take(reader, UINT64_MAX);
    ledger->floor.offset = take(reader, UINT64_MAX);
    ledger->has_floor = true;
}

/* At most `count`, or all that there is. */
static void take_some_ranges(struct reader *reader, struct stratum *stratum, uint64_t floor,
                             uint64_t count) {
    uint64_t last = floor;
    for (; count > 0 && reader->code == OK && reader->rest.length > 0; count--) {
        struct stratum_range range = {.first = take_position(reader, last)};
        range.last = range.first + take(reader, UINT64_MAX - 1 - range.first);
        uint64_t step = take(reader, range.first);
        range.before = step == 0 ? 0 : range.first - step;
        if (reader->code == OK) {
            reader->code = stratum_put_range(stratum, &range);
            last = range.last;
        }
    }
}

static void take_ranges(struct reader *reader, struct ledger *ledger) {
    take_some_ranges(reader, &ledger->now, ledger->floor.position, UINT64_MAX);
}

static void take_failures(struct reader *reader, struct ledger *ledger) {
    struct ledger_failure failure = {.position = ledger->floor.position};
    while (reader->code == OK && reader->rest.length > 0) {
        failure.position = take_position(reader, failure.position);
        failure.attempts = (uint32_t)take(reader, UINT32_MAX);
        failure.due_ms = take(reader, UINT64_MAX);
        reader->code = reader->code == OK ? ledger_put_failure(ledger, &failure) : reader->code;
    }
}

static void take_batches(struct reader *reader, struct ledger *ledger) {
    uint64_t positions[LEDGER_BATCH_MESSAGES_MAX];
    uint64_t last_first = 0;
    while (reader->code == OK && reader->rest.length > 0) {
        size_t count = (size_t)take(reader, LEDGER_BATCH_MESSAGES_MAX);
        size_t batches = ledger->batch_count;
        uint64_t last = last_first;
        for (size_t i = 0; i < count && reader->code == OK; i++) {
            positions[i] = last = take_position(reader, last);
        }
        if (reader->code == OK) {
            last_first = positions[0];
            reader->code = count == 0 ? ERR_CORRUPT : ledger_put_batch(ledger, positions, count);
        }
        if (reader->code == OK && ledger->batch_count != batches + 1) {
            reader->code = ERR_CORRUPT; /* a message of two batches */
        }
    }
}

static void take_halt(struct reader *reader, struct ledger *ledger) {
    ledger->halt = (enum ledger_halt)take(reader, LEDGER_DISABLED);
}

static void take_reason(struct reader *reader, struct ledger *ledger) {
    struct span text = reader->rest;
    if (text.length >= sizeof(ledger->reason) || memchr(text.bytes, '\0', text.length) != NULL) {
        reader->code = ERR_CORRUPT;
        return;
    }
    memcpy(ledger->reason, text.bytes, text.length);
    reader->rest.length = 0;
}

static void take_breaker(struct reader *reader, struct ledger *ledger) {
    ledger->breaker = (enum ledger_breaker)take(reader, LEDGER_OPEN);
    ledger->breaker_trips = (uint32_t)take(reader, UINT32_MAX);
    ledger->breaker_until_ms = take(reader, UINT64_MAX);
}

static void take_failing(struct reader *reader, struct ledger *ledger) {
    ledger->failing_since_ms = take(reader, UINT64_MAX);
}

static void take_delivered(struct reader *reader, struct ledger *ledger) {
    ledger->delivered_count = take(reader, UINT64_MAX);
}

static void take_dead(struct reader *reader, struct ledger *ledger) {
    ledger->dead_count = take(reader, UINT64_MAX);
}

static void take_dead_offset(struct reader *reader, struct ledger *ledger) {
    ledger->dead_offset = take(reader, UINT64_MAX);
}

static void take_course(struct reader *reader, struct ledger *ledger) {
    ledger->course = take(reader, UINT64_MAX - 1);
}

/* The order was read, and so was how long the texts are. */
static void take_view_of(struct reader *reader, struct stratum *stratum, uint64_t order,
                         size_t length) {
    struct span texts = span_of(reader->rest.bytes, length);
    if (reader->code != OK || length == 0 || length > reader->rest.length ||
        texts.bytes[length - 1] != '\0') {
        refuse(reader);
        return;
    }
    const struct stratum_view view = {
        .mode = order == ORDER_NONE ? SINK_MODE_PARALLEL : SINK_MODE_ORDERED,
        .order = order == ORDER_NONE ? SINK_ORDER_CHANNEL : (enum sink_order)order,
        .texts = texts};
    reader->code = stratum_set_view(stratum, &view);
    reader->rest = span_of(reader->rest.bytes + length, reader->rest.length - length);
}

static void take_view(struct reader *reader, struct ledger *ledger) {
    uint64_t order = take(reader, ORDER_NONE);
    take_view_of(reader, &ledger->now, order, reader->rest.length);
}

static void take_some_holds(struct reader *reader, struct stratum *stratum, uint64_t floor,
                            uint64_t count) {
    uint64_t lane = 0;
    for (; count > 0 && reader->code == OK && reader->rest.length > 0; count--) {
        uint64_t step = take(reader, UINT64_MAX - lane);
        struct stratum_hold hold = {.lane = lane + step};
        hold.first = floor + take(reader, UINT64_MAX - 1 - floor);
        if (reader->code == OK && step == 0 && stratum->hold_count > 0) {
            refuse(reader);
        }
        reader->code = reader->code == OK ? stratum_put_hold(stratum, &hold) : reader->code;
        lane = hold.lane;
    }
}

static void take_holds(struct reader *reader, struct ledger *ledger) {
    uint64_t floor = ledger->floor.position;
    uint64_t reach = take_position(reader, floor);
    if (reader->code == OK && !ledger->now.has_lanes) {
        refuse(reader);
    }
    ledger->now.reach = reach;
    take_some_holds(reader, &ledger->now, floor, UINT64_MAX);
}

static void take_one_past(struct reader *reader, struct stratum *past, uint64_t floor) {
    uint64_t order = take(reader, ORDER_NONE);
    uint64_t length = take(reader, reader->rest.length);
    take_view_of(reader, past, order, (size_t)length);
    uint64_t ranges = take(reader, STRATUM_RANGES_MAX);
    take_some_ranges(reader, past, floor, ranges);
    uint64_t reach = take(reader, UINT64_MAX - 1 - floor);
    if (reach > 0) {
        uint64_t holds = take(reader, STRATUM_HOLDS_MAX);
        past->reach = floor + reach;
        take_some_holds(reader, past, floor, holds);
        if (reader->code == OK && (past->hold_count != holds || !past->has_lanes)) {
            refuse(reader);
        }
    }
    if (reader->code == OK && (past->range_count != ranges || stratum_is_empty(past))) {
        refuse(reader);
    }
}

static void take_past(struct reader *reader, struct ledger *ledger) {
    while (reader->code == OK && reader->rest.length > 0) {
        struct stratum past = {0};
        take_one_past(reader, &past, ledger->floor.position);
        reader->code = reader->code == OK ? ledger_put_past(ledger, &past) : reader->code;
        if (reader->code != OK) {
            stratum_finish(&past);
        }
    }
}

static void (*const take_value[FIELD_END])(struct reader *reader, struct ledger *ledger) = {
    [FIELD_FLOOR] = take_floor,
    [FIELD_RANGES] = take_ranges,
    [FIELD_FAILURES] = take_failures,
    [FIELD_BATCHES] = take_batches,
    [FIELD_HALT] = take_halt,
    [FIELD_REASON] = take_reason,
    [FIELD_BREAKER] = take_breaker,
    [FIELD_FAILING] = take_failing,
    [FIELD_DELIVERED] = take_delivered,
    [FIELD_DEAD] = take_dead,
    [FIELD_DEAD_OFFSET] = take_dead_offset,
    [FIELD_COURSE] = take_course,
    [FIELD_VIEW] = take_view,
    [FIELD_HOLDS] = take_holds,
    [FIELD_PAST] = take_past,
};

/* One field off the front of `rest`; `number` is that of the one before it. */
static enum error_code take_field(struct span *rest, uint8_t *number, struct ledger *ledger) {
    if (rest->length < FIELD_HEAD_BYTES || rest->bytes[0] <= *number) {
        return ERR_CORRUPT;
    }
    size_t length = 0;
    for (size_t i = FIELD_HEAD_BYTES - 1; i > 0; i--) {
        length = length << 8 | rest->bytes[i];
    }
    if (length > rest->length - FIELD_HEAD_BYTES) {
        return ERR_CORRUPT;
    }
    *number = rest->bytes[0];
    struct reader reader = {.rest = span_of(rest->bytes + FIELD_HEAD_BYTES, length)};
    *rest = span_of(reader.rest.bytes + length, rest->length - FIELD_HEAD_BYTES - length);
    if (*number < FIELD_END) {
        take_value[*number](&reader, ledger);
        bool is_whole = reader.rest.length == 0;
        return reader.code == OK && !is_whole ? ERR_CORRUPT : reader.code;
    }
    return OK;
}

enum error_code ledger_record_parse(struct span record, struct ledger *ledger) {
    struct ledger read;
    uint8_t number = 0;
    if (record.length == 0 || record.length > LEDGER_RECORD_BYTES_MAX) {
        return ERR_CORRUPT;
    }
    if (record.bytes[0] != VERSION) {
        return ERR_DATA_VERSION;
    }
    ledger_init(&read);
    struct span rest = span_of(record.bytes + 1, record.length - 1);
    enum error_code code = OK;
    while (code == OK && rest.length > 0) {
        code = take_field(&rest, &number, &read);
    }
    if (code != OK) {
        ledger_finish(&read);
        return code == ERR_FULL ? ERR_CORRUPT : code;
    }
    ledger_finish(ledger);
    *ledger = read;
    return OK;
}
