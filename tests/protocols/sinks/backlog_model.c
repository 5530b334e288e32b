/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sinks/backlog_model.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"
#include "protocols/sinks/backlog.h"
#include "protocols/sinks/ledger_record.h"

#define SHIPMENTS_MAX 8
#define BATCH_MAX 8
#define PAGE_MAX 24
#define CHANNELS 4
#define KEYS 3
#define LONG_MS 1000000
#define ALL_CHANNELS ((1 << CHANNELS) - 1)
#define CHANGES_MAX (LEDGER_PAST_MAX - 1) /* then some of what is done would be forgotten */

static const char *const channels[CHANNELS] = {"a", "b", "ab", "c/d"};

struct line {
    struct message *message;
    size_t lane;
    size_t channel, key;
    bool is_gone; /* from the log: nobody gets it any more */
    bool is_done;
    bool is_done_stored; /* so says the ledger that is stored */
    bool is_under_way;
    uint64_t due_ms;
};

struct sent {
    struct backlog_item *items[LEDGER_BATCH_MESSAGES_MAX];
    size_t lines[MODEL_MESSAGES];
    size_t count; /* 0: none */
};

struct model {
    struct span input;
    struct backlog_options options;
    size_t batch_max;
    size_t batch_bytes_max;
    uint64_t age_ms;
    uint64_t now_ms;
    unsigned view; /* bits: the channels that the sink gets */
    size_t changes;
    struct line lines[MODEL_MESSAGES];
    size_t next; /* line to be read */
    bool is_rewound;
    struct backlog *backlog;
    struct ledger ledger;
    struct buffer stored;
    struct sent sent[SHIPMENTS_MAX];
};

static uint8_t take_byte(struct model *model) {
    if (model->input.length == 0) {
        return 0;
    }
    uint8_t byte = model->input.bytes[0];
    model->input = span_of(model->input.bytes + 1, model->input.length - 1);
    return byte;
}

/* --- the log ---------------------------------------------------------------------------------- */

/* Every third position is somebody else's. */
static uint64_t position_of(size_t line) {
    return 10 + line + line / 2;
}

static size_t line_of(uint64_t position) {
    size_t line = (size_t)((position - 10) * 2 + 2) / 3;
    while (line > 0 && position_of(line) > position) {
        line--;
    }
    INVARIANT(position_of(line) == position);
    return line;
}

static size_t lane_of(const struct model *model, size_t channel, size_t key) {
    switch (model->options.order) {
    case SINK_ORDER_ALL:
        return 0;
    case SINK_ORDER_CHANNEL:
        return channel;
    case SINK_ORDER_KEY:
        return channel * KEYS + key;
    }
    return 0;
}

static void make_line(struct model *model, size_t index) {
    static const char *const keys[KEYS] = {"", "k", "b"};
    static const uint8_t payload[64] = {0};
    struct line *line = &model->lines[index];
    size_t salt = index * 2654435761U;
    size_t channel = (salt >> 8) % CHANNELS, key = (salt >> 16) % KEYS;
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .payload_kind = PAYLOAD_BINARY,
                                    .channel = span_of_string(channels[channel]),
                                    .key = span_of_string(keys[key]),
                                    .payload = span_of(payload, 1 + (salt >> 20) % 64)};
    struct place place = {.log_id = 1, .position = position_of(index), .offset = index + 1};
    line->message = message_create(&fields);
    INVARIANT(line->message != NULL);
    message_order(line->message, &place, 100 + index);
    line->lane = lane_of(model, channel, key);
    line->channel = channel;
    line->key = key;
}

/* --- the ledger ------------------------------------------------------------------------------- */

static void store(struct model *model) {
    buffer_clear(&model->stored);
    INVARIANT(ledger_record_put(&model->stored, &model->ledger) == OK);
    for (size_t i = 0; i < MODEL_MESSAGES; i++) {
        model->lines[i].is_done_stored = model->lines[i].is_done;
    }
}

static bool is_read(const struct model *model, const struct line *line) {
    return (model->view >> line->channel & 1) != 0;
}

static void advance(struct model *model) {
    struct place floor;
    if (!backlog_advance(model->backlog, &floor)) {
        return;
    }
    for (size_t i = 0; i < MODEL_MESSAGES && position_of(i) <= floor.position; i++) {
        struct line *line = &model->lines[i];
        line->is_gone |= !is_read(model, line); /* by the sink: it will not come back for that */
        INVARIANT(line->is_done || line->is_gone);
    }
    if (!model->ledger.has_floor || floor.position > model->ledger.floor.position) {
        ledger_move_floor(&model->ledger, &floor);
    }
}

/* What the ledger is told to come before a message comes before it: nothing of the sink's is in
 * between. */
static void check_previous(const struct model *model, size_t line, uint64_t previous) {
    INVARIANT(previous < position_of(line));
    for (size_t i = line; previous != 0 && i > 0 && position_of(i - 1) > previous; i--) {
        INVARIANT(model->lines[i - 1].is_gone || !is_read(model, &model->lines[i - 1]));
    }
}

/* --- what happens ----------------------------------------------------------------------------- */

static void read_page(struct model *model) {
    size_t count = 1 + take_byte(model) % PAGE_MAX;
    if (!backlog_has_room(model->backlog)) {
        return;
    }
    if (model->is_rewound) {
        model->is_rewound = false;
        model->next = 0;
        while (model->next < MODEL_MESSAGES && model->ledger.has_floor &&
               position_of(model->next) <= model->ledger.floor.position) {
            model->next++;
        }
        backlog_pass(model->backlog, &model->ledger.floor);
    }
    for (; count > 0 && model->next < MODEL_MESSAGES; count--, model->next++) {
        struct line *line = &model->lines[model->next];
        struct ledger_failure failure;
        uint64_t position = position_of(model->next);
        if (line->is_gone || !is_read(model, line)) {
            continue;
        }
        enum ledger_mark mark = ledger_find(&model->ledger, line->message, &failure);
        INVARIANT(line->is_done == (mark == LEDGER_DONE));
        if (mark == LEDGER_DONE) {
            backlog_put_done(model->backlog, &line->message->place);
            continue;
        }
        line->due_ms = mark == LEDGER_FAILED ? failure.due_ms : 0;
        INVARIANT(backlog_put(model->backlog, line->message,
                              mark == LEDGER_FAILED ? &failure : NULL,
                              ledger_find_batch(&model->ledger, position)) == OK);
    }
    struct place end = {.log_id = 1,
                        .position = model->next == 0 ? 1 : position_of(model->next) - 1};
    backlog_pass(model->backlog, &end);
    advance(model);
}

static void let_go(struct model *model) {
    backlog_clear(model->backlog);
    INVARIANT(backlog_count(model->backlog) == backlog_under_way(model->backlog));
    model->is_rewound = true;
}

/* Everything that comes before it in its lane is done, gone, or in this shipment before it. */
static void check_order(const struct model *model, size_t line) {
    bool has_lanes = model->options.mode == SINK_MODE_ORDERED && !model->options.is_pipelined;
    for (size_t i = 0; i < line; i++) {
        const struct line *before = &model->lines[i];
        bool is_over =
            before->is_done || before->is_gone || before->is_under_way || !is_read(model, before);
        if (has_lanes && before->lane == model->lines[line].lane) {
            INVARIANT(is_over);
        }
        if (model->options.is_pipelined) {
            INVARIANT(is_over || before->due_ms > model->now_ms);
        }
    }
}

static void check_batch(const struct model *model, const struct sent *sent, bool is_again) {
    size_t bytes = 0;
    const struct ledger_batch *batch =
        ledger_find_batch(&model->ledger, position_of(sent->lines[0]));
    for (size_t i = 0; i < sent->count; i++) {
        bytes += model->lines[sent->lines[i]].message->fields.payload.length;
        INVARIANT(i == 0 || sent->lines[i] > sent->lines[i - 1]);
    }
    if (!is_again) {
        INVARIANT(sent->count == 1 || bytes <= model->batch_bytes_max);
        return;
    }
    INVARIANT(batch != NULL);
    INVARIANT(batch->count == sent->count);
    for (size_t i = 0; i < sent->count; i++) {
        INVARIANT(batch->positions[i] == position_of(sent->lines[i]));
    }
}

static struct sent *find_sent(struct model *model, bool is_free, size_t from) {
    for (size_t i = 0; i < SHIPMENTS_MAX; i++) {
        struct sent *sent = &model->sent[(from + i) % SHIPMENTS_MAX];
        if ((sent->count == 0) == is_free) {
            return sent;
        }
    }
    return NULL;
}

/* None of a lane is under way in two shipments. */
static void check_lanes(const struct model *model, size_t line) {
    if (model->options.mode != SINK_MODE_ORDERED || model->options.is_pipelined) {
        return;
    }
    for (size_t i = 0; i < MODEL_MESSAGES; i++) {
        INVARIANT(!model->lines[i].is_under_way || model->lines[i].lane != model->lines[line].lane);
    }
}

static bool ship(struct model *model) {
    struct sent *sent = find_sent(model, true, 0);
    bool is_again;
    uint64_t due_ms;
    if (sent == NULL) {
        return false;
    }
    sent->count =
        backlog_take(model->backlog, model->now_ms, model->batch_max, model->batch_bytes_max,
                     model->age_ms, sent->items, &is_again, &due_ms);
    INVARIANT(sent->count > 0 || due_ms > model->now_ms);
    INVARIANT(sent->count <= model->batch_max);
    uint64_t positions[LEDGER_BATCH_MESSAGES_MAX];
    for (size_t i = 0; i < sent->count; i++) {
        positions[i] = sent->items[i]->message->place.position;
        sent->lines[i] = line_of(positions[i]);
        const struct line *line = &model->lines[sent->lines[i]];
        INVARIANT(!line->is_done);
        INVARIANT(!line->is_under_way);
        INVARIANT(line->due_ms <= model->now_ms);
        check_lanes(model, sent->lines[i]);
    }
    for (size_t i = 0; i < sent->count; i++) {
        check_order(model, sent->lines[i]);
        model->lines[sent->lines[i]].is_under_way = true;
    }
    if (sent->count > 0) {
        check_batch(model, sent, is_again);
    }
    if (sent->count > 0 && model->batch_max > 1 && !model->options.is_pipelined && !is_again) {
        INVARIANT(ledger_put_batch(&model->ledger, positions, sent->count) == OK);
        store(model);
    }
    return sent->count > 0;
}

static void deliver(struct model *model, struct sent *sent) {
    for (size_t i = 0; i < sent->count; i++) {
        struct line *line = &model->lines[sent->lines[i]];
        uint64_t position = position_of(sent->lines[i]), previous;
        backlog_settle(model->backlog, sent->items[i], &previous);
        check_previous(model, sent->lines[i], previous);
        INVARIANT(ledger_put_done(&model->ledger, position, previous) == OK);
        line->is_done = true;
        line->is_under_way = false;
    }
    ledger_remove_batch(&model->ledger, position_of(sent->lines[0]));
    sent->count = 0;
    advance(model);
}

/* They leave with any from now on, or each alone. */
static void part(struct model *model, const struct sent *sent, bool is_each_alone) {
    ledger_remove_batch(&model->ledger, position_of(sent->lines[0]));
    if (!is_each_alone) {
        backlog_unbind(model->backlog, sent->items[0]);
        return;
    }
    for (size_t i = 0; i < sent->count; i++) {
        uint64_t position = position_of(sent->lines[i]);
        INVARIANT(ledger_put_batch(&model->ledger, &position, 1) == OK);
    }
    backlog_set_apart(model->backlog, sent->items, sent->count);
}

static void put_back(struct model *model, struct sent *sent, uint64_t wait_ms, bool has_failed) {
    for (size_t i = 0; i < sent->count; i++) {
        struct line *line = &model->lines[sent->lines[i]];
        uint32_t attempts = sent->items[i]->attempts + has_failed;
        line->due_ms = has_failed ? model->now_ms + wait_ms : 0;
        struct ledger_failure failure = {position_of(sent->lines[i]), attempts, line->due_ms};
        if (has_failed) {
            INVARIANT(ledger_put_failure(&model->ledger, &failure) == OK);
        }
        backlog_put_back(model->backlog, sent->items[i], attempts, line->due_ms);
        line->is_under_way = false;
    }
    sent->count = 0;
}

static void open_backlog(struct model *model) {
    INVARIANT(backlog_create(&model->options, &model->backlog) == OK);
    model->is_rewound = true;
}

static void take_view(struct model *model) {
    char texts[64];
    size_t length = 0;
    for (size_t i = 0; i < CHANNELS; i++) {
        if ((model->view >> i & 1) != 0) {
            memcpy(texts + length, channels[i], strlen(channels[i]) + 1);
            length += strlen(channels[i]) + 1;
        }
    }
    const struct stratum_view view = {.mode = model->options.mode,
                                      .order = model->options.order,
                                      .texts = span_of(texts, length)};
    bool is_changed;
    INVARIANT(ledger_take_view(&model->ledger, &view, &is_changed) == OK);
}

static void end_backlog(struct model *model) {
    for (size_t i = 0; i < SHIPMENTS_MAX; i++) {
        put_back(model, &model->sent[i], 0, false);
    }
    backlog_destroy(model->backlog);
}

/* The sink ends, and goes on with other channels, or reads them in another way; what is stored may
 * be of before. */
static void change_view(struct model *model, unsigned view, enum sink_mode mode,
                        enum sink_order order) {
    if (view == 0) {
        return;
    }
    end_backlog(model);
    model->view = view;
    model->options.mode = mode;
    model->options.order = order;
    model->changes++;
    for (size_t i = 0; i < MODEL_MESSAGES; i++) {
        struct line *line = &model->lines[i];
        line->lane = lane_of(model, line->channel, line->key);
    }
    take_view(model);
    open_backlog(model);
}

/* What was not stored is forgotten. */
static void kill_sink(struct model *model) {
    end_backlog(model);
    INVARIANT(ledger_record_parse(buffer_borrow(&model->stored), &model->ledger) == OK);
    take_view(model);
    for (size_t i = 0; i < MODEL_MESSAGES; i++) {
        model->lines[i].is_done = model->lines[i].is_done_stored;
    }
    open_backlog(model);
}

static void expire(struct model *model, size_t line) {
    if (!model->lines[line].is_under_way && line >= model->next) {
        model->lines[line].is_gone = true;
    }
}

/* The ledger is told lanes in place of ranges: it knows the same as before. */
static void condense(struct model *model) {
    struct stratum_hold *holds;
    size_t count;
    uint64_t reach;
    INVARIANT(backlog_list_holds(model->backlog, &holds, &count, &reach) == OK);
    if (reach <= model->ledger.floor.position) {
        free(holds);
    } else {
        INVARIANT(stratum_condense(&model->ledger.now, reach, holds, count) == OK);
    }
}

static void step(struct model *model) {
    uint8_t byte = take_byte(model);
    struct sent *sent = find_sent(model, false, byte >> 4);
    switch (byte & 15) {
    case 0:
    case 1:
        read_page(model);
        return;
    case 2:
    case 3:
    case 4:
    case 5:
        ship(model);
        return;
    case 6:
    case 7:
    case 8:
        if (sent != NULL) {
            deliver(model, sent);
        }
        return;
    case 9:
    case 10:
        if (sent != NULL) {
            put_back(model, sent, take_byte(model) * (byte & 128 ? 100 : 1), (byte & 15) == 9);
        }
        return;
    case 11:
        let_go(model);
        return;
    case 12:
        if ((byte & 48) == 0) {
            kill_sink(model);
        } else if ((byte & 112) == 16 && model->changes < CHANGES_MAX) {
            byte = take_byte(model);
            change_view(model, byte & ALL_CHANNELS,
                        byte & 128 ? SINK_MODE_PARALLEL : SINK_MODE_ORDERED,
                        (enum sink_order)((byte >> 4 & 7) % 3));
        } else {
            condense(model);
        }
        return;
    case 13:
        store(model);
        return;
    case 14:
        model->now_ms += take_byte(model) * 8;
        return;
    default:
        if (sent != NULL && byte & 128) {
            part(model, sent, byte & 64 && !model->options.is_pipelined);
            put_back(model, sent, 1, true);
        } else {
            expire(model, take_byte(model) % MODEL_MESSAGES);
        }
        return;
    }
}

/* Nothing fails any more: in a few rounds all is there. */
static void drain(struct model *model) {
    bool is_over = false;
    change_view(model, ALL_CHANNELS, model->options.mode, model->options.order);
    for (size_t rounds = 0; !is_over; rounds++) {
        INVARIANT(rounds < 8 * MODEL_MESSAGES);
        model->now_ms += LONG_MS;
        for (struct sent *sent; (sent = find_sent(model, false, 0)) != NULL;) {
            deliver(model, sent);
        }
        if (backlog_wants_again(model->backlog)) {
            let_go(model);
        }
        read_page(model);
        while (ship(model)) {
        }
        is_over = model->next == MODEL_MESSAGES && !model->is_rewound &&
                  backlog_count(model->backlog) == 0;
    }
    advance(model);
    for (size_t i = 0; i < MODEL_MESSAGES; i++) {
        INVARIANT(model->lines[i].is_done || model->lines[i].is_gone);
    }
    INVARIANT(model->ledger.floor.position >= position_of(MODEL_MESSAGES - 1));
    INVARIANT(stratum_is_empty(&model->ledger.now));
    INVARIANT(model->ledger.past_count == 0);
    INVARIANT(model->ledger.failure_count == 0);
    INVARIANT(model->ledger.batch_count == 0);
}

void backlog_model_run(const uint8_t *bytes, size_t length) {
    struct model *model = calloc(1, sizeof(*model));
    INVARIANT(model != NULL);
    model->input = span_of(bytes, length);
    uint8_t byte = take_byte(model);
    model->options = (struct backlog_options){
        .mode = byte & 1 ? SINK_MODE_PARALLEL : SINK_MODE_ORDERED,
        .order = (enum sink_order)((byte >> 1) % 3),
        .is_pipelined = (byte & 48) == 48,
        .messages_max = byte & 64 ? 16 : 64,
        .bytes_max = byte & 128 ? 4096 : 1048576,
    };
    byte = take_byte(model);
    model->batch_max = byte & 1 ? 1 : 1 + (byte >> 1) % BATCH_MAX;
    model->batch_bytes_max = byte & 16 ? 100 : 100000;
    model->age_ms = byte & 64 ? 50 : 0;
    model->now_ms = 100;
    for (size_t i = 0; i < MODEL_MESSAGES; i++) {
        make_line(model, i);
    }
    model->view = ALL_CHANNELS;
    ledger_init(&model->ledger);
    take_view(model);
    buffer_init(&model->stored, LEDGER_RECORD_BYTES_MAX);
    open_backlog(model);
    store(model);
    while (model->input.length > 0) {
        step(model);
        if (backlog_wants_again(model->backlog)) {
            let_go(model);
        }
    }
    drain(model);
    backlog_destroy(model->backlog);
    ledger_finish(&model->ledger);
    buffer_finish(&model->stored);
    for (size_t i = 0; i < MODEL_MESSAGES; i++) {
        message_unref(model->lines[i].message);
    }
    free(model);
}
