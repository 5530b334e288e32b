/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of many channels against a naive filter over all that was ever published: random channels,
 * selectors, deletes, times to live, retention and folds, by merge, by walk and by what is chosen,
 * with budgets so small that pages split. */
#include "storage/many.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/parts.h"
#include "tests/storage/fixture.h"

#define MODEL_MAX 4000
#define NAMES 14
#define KEYS 4

static const char *const NAME[NAMES] = {"a/0", "a/1", "a/2",   "a/3",    "a/4",    "b",   "b/x",
                                        "b/y", "c",   "c/d/e", "keep/1", "keep/2", "a/5", "z"};

static const struct many_limits MERGES = {0, SIZE_MAX, SIZE_MAX, 0, 0};
static const struct many_limits WALKS = {UINT64_MAX, 0, 0, 29, 1 << 20};
static const struct many_limits SMALL = {5, 3, 9, 50, 2000};

struct entry {
    struct place place;
    size_t name;
    size_t key; /* 0: none */
    uint64_t time_ms;
    uint64_t expiry_ms;
    bool is_deleted;
};

struct model {
    struct fixture fixture;
    struct entry entries[MODEL_MAX];
    size_t count;
    uint64_t offsets[NAMES];
    uint64_t now_ms;
    unsigned seed;
};

static unsigned draw(struct model *model, unsigned limit) {
    model->seed = model->seed * 1664525u + 1013904223u;
    return (model->seed >> 8) % limit;
}

/* --- what is there --- */

static bool is_kept(const struct model *model, const struct entry *entry) {
    const struct retention *retention = &model->fixture.retention;
    if (strncmp(NAME[entry->name], "keep/", 5) == 0) {
        return true;
    }
    bool is_counted = retention->messages_max == RETENTION_UNLIMITED ||
                      entry->place.offset + retention->messages_max > model->offsets[entry->name];
    bool is_young = retention->age_ms_max == RETENTION_UNLIMITED ||
                    entry->time_ms + retention->age_ms_max > model->now_ms;
    return is_counted && is_young;
}

static bool is_alive(const struct model *model, const struct entry *entry) {
    return is_kept(model, entry) && !entry->is_deleted &&
           (entry->expiry_ms == 0 || entry->expiry_ms > model->now_ms);
}

static bool is_selected(const struct model *model, const struct storage_selector *selector,
                        size_t name) {
    return selector->is_pattern
               ? model->fixture.options.on_match(selector->text, span_of_string(NAME[name]))
               : span_is_equal(selector->text, span_of_string(NAME[name]));
}

static bool is_asked(const struct model *model, const struct storage_query *query, size_t name) {
    for (size_t i = 0; i < query->selector_count; i++) {
        if (is_selected(model, &query->selectors[i], name)) {
            return true;
        }
    }
    return false;
}

static bool is_newest_of_key(const struct model *model, size_t number) {
    const struct entry *entry = &model->entries[number];
    for (size_t i = number + 1; i < model->count; i++) {
        const struct entry *later = &model->entries[i];
        if (later->name == entry->name && later->key == entry->key && !later->is_deleted) {
            return false;
        }
    }
    return true;
}

/* --- life --- */

static void publish(struct model *model, size_t name, size_t key, uint64_t ttl_ms) {
    char text[16];
    char payload[64];
    snprintf(text, sizeof(text), "k%zu", key);
    snprintf(payload, sizeof(payload), "%s:%zu", NAME[name], model->count);
    struct message_fields fields = {.payload_kind = PAYLOAD_TEXT,
                                    .ttl_ms = ttl_ms,
                                    .key = key == 0 ? (struct span){0} : span_of_string(text),
                                    .payload = span_of_string(payload)};
    struct entry *entry = &model->entries[model->count++];
    *entry = (struct entry){.name = name,
                            .key = key,
                            .time_ms = model->fixture.time_ms,
                            .expiry_ms = ttl_ms == 0 ? 0 : model->fixture.time_ms + ttl_ms};
    entry->place = fixture_publish_fields(&model->fixture, NAME[name], fields);
    model->offsets[name] = entry->place.offset;
    model->now_ms = model->fixture.time_ms;
}

static void delete_some(struct model *model) {
    size_t name = draw(model, NAMES);
    uint64_t last = model->offsets[name];
    if (last == 0) {
        return;
    }
    uint64_t from = 1 + draw(model, (unsigned)last);
    uint64_t to = from + draw(model, 6);
    fixture_delete(&model->fixture, NAME[name], from, to);
    model->now_ms = model->fixture.time_ms;
    for (size_t i = 0; i < model->count; i++) {
        struct entry *entry = &model->entries[i];
        bool is_in = entry->place.offset >= from && entry->place.offset <= to;
        entry->is_deleted = entry->is_deleted || (entry->name == name && is_in);
    }
}

static void live(struct model *model, size_t messages, bool has_holes) {
    for (size_t i = 0; i < messages && model->count < MODEL_MAX; i++) {
        size_t name = draw(model, 3) > 0 ? 1 : draw(model, NAMES);
        uint64_t ttl_ms = has_holes && draw(model, 9) == 0 ? 40 + draw(model, 400) : 0;
        publish(model, name, draw(model, KEYS), ttl_ms);
        model->fixture.time_ms += draw(model, 3);
        if (draw(model, 60) == 0) {
            fixture_fold(&model->fixture);
        }
        if (draw(model, 200) == 0) {
            fixture_retain(&model->fixture);
        }
        if (has_holes && draw(model, 40) == 0) {
            delete_some(model);
        }
        if (draw(model, 50) == 0) {
            fixture_tick(&model->fixture);
            model->now_ms = model->fixture.time_ms;
        }
    }
}

/* --- reading --- */

static struct storage_page read_page(struct model *model, const struct storage_query *query,
                                     const struct many_limits *limits) {
    struct storage_parts parts = storage_borrow_parts(model->fixture.storage);
    struct moment moment;
    struct storage_page page;
    struct error why = {0};
    EXPECT_EQ(moment_init(&moment, parts.store, parts.batch, &why), OK);
    enum error_code result = many_read(&moment, parts.options, limits, query, &page, &why);
    EXPECT_STRING(why.detail, "");
    EXPECT_EQ(result, OK);
    moment_finish(&moment);
    return page;
}

/* All positions from the start to the head, page by page. */
struct reading {
    uint64_t positions[MODEL_MAX];
    size_t count;
    size_t skipped;
    size_t pages;
    size_t gaps;                /* told in all */
    bool has_told[NAMES];       /* by selector */
    uint64_t told_from[NAMES];  /* of a channel: the lowest offset told … */
    uint64_t told_count[NAMES]; /* … and how many holes and losses */
};

static void note_gaps(struct reading *reading, const struct storage_query *query,
                      const struct storage_page *page) {
    struct storage_gap gap;
    for (size_t index = 0; storage_page_next_gap(page, query, &index, &gap);) {
        reading->gaps++;
        for (size_t i = 0; i < query->selector_count; i++) {
            if (gap.selector.bytes == query->selectors[i].text.bytes) {
                reading->has_told[i] = true;
            }
        }
        EXPECT_TRUE(gap.resumed.position >= gap.after.position);
    }
}

static void read_all(struct model *model, struct storage_query query,
                     const struct many_limits *limits, struct reading *reading) {
    memset(reading, 0, sizeof(*reading));
    for (bool is_over = false; !is_over; reading->pages++) {
        struct storage_page page = read_page(model, &query, limits);
        uint64_t before = query.start == STORAGE_AFTER_PLACE ? query.place.position : 0;
        EXPECT_TRUE(page.at_head || page.end.position > before);
        EXPECT_TRUE(page.count <= query.limit);
        note_gaps(reading, &query, &page);
        for (size_t i = 0; i < page.count; i++) {
            uint64_t position = page.messages[i]->place.position;
            EXPECT_TRUE(position > before);
            before = position;
            reading->positions[reading->count++] = position;
            reading->skipped += page.skipped == NULL ? 0 : page.skipped[i];
        }
        reading->skipped += page.skipped_behind;
        EXPECT_TRUE(page.end.position >= before);
        is_over = page.at_head;
        query.start = STORAGE_AFTER_PLACE;
        query.place = page.end;
        storage_page_finish(&page);
    }
}

static bool is_behind(const struct storage_query *query, const struct entry *entry) {
    return query->start == STORAGE_AFTER_TIME ? entry->time_ms >= query->time_ms
                                              : entry->place.position > query->place.position;
}

static void expect_messages(struct model *model, const struct storage_query *query,
                            const struct reading *reading) {
    size_t at = 0;
    size_t left_out = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct entry *entry = &model->entries[i];
        if (!is_behind(query, entry) || !is_asked(model, query, entry->name) ||
            !is_alive(model, entry)) {
            continue;
        }
        bool is_given = at < reading->count && reading->positions[at] == entry->place.position;
        bool may_be_left = query->is_conflated && !is_newest_of_key(model, i);
        EXPECT_TRUE(is_given || may_be_left);
        at += is_given ? 1 : 0;
        left_out += is_given ? 0 : 1;
    }
    EXPECT_EQ(at, reading->count);
    EXPECT_EQ(reading->skipped, left_out);
}

/* A selector is told something if and only if something of it is missing. */
static void expect_gaps(struct model *model, const struct storage_query *query,
                        const struct reading *reading) {
    for (size_t s = 0; s < query->selector_count; s++) {
        bool is_missing = false;
        for (size_t i = 0; i < model->count; i++) {
            const struct entry *entry = &model->entries[i];
            is_missing = is_missing || (is_behind(query, entry) && !is_alive(model, entry) &&
                                        is_selected(model, &query->selectors[s], entry->name));
        }
        EXPECT_EQ(reading->has_told[s], is_missing);
    }
}

static size_t draw_selectors(struct model *model, struct storage_selector *selectors) {
    static const char *const PATTERNS[] = {"a/*", "**", "b/**", "keep/*", "c/**", "a/**", "*/x"};
    size_t count = 2 + draw(model, 4);
    for (size_t i = 0; i < count; i++) {
        bool is_pattern = draw(model, 2) == 0;
        const char *text = is_pattern ? PATTERNS[draw(model, 7)] : NAME[draw(model, NAMES)];
        selectors[i] = (struct storage_selector){span_of_string(text), is_pattern};
    }
    return count;
}

/* The newest `limit`, or from the `newest`-th on, before some place. */
static void expect_newest(struct model *model) {
    struct storage_selector selectors[8];
    uint64_t expected[MODEL_MAX];
    size_t count = 0;
    struct storage_query query = {.selectors = selectors,
                                  .start = STORAGE_NEWEST,
                                  .limit = 1 + draw(model, 40),
                                  .bytes_max = 1 << 20,
                                  .has_before = draw(model, 2) == 0};
    query.selector_count = draw_selectors(model, selectors);
    query.before.position = 1 + draw(model, (unsigned)model->fixture.position_next);
    for (size_t i = 0; i < model->count; i++) {
        const struct entry *entry = &model->entries[i];
        bool is_before = !query.has_before || entry->place.position < query.before.position;
        if (is_before && is_alive(model, entry) && is_asked(model, &query, entry->name)) {
            expected[count++] = entry->place.position;
        }
    }
    size_t given = count < query.limit ? count : query.limit;
    struct storage_page page = read_page(model, &query, &MERGES);
    EXPECT_EQ(page.count, given);
    EXPECT_EQ(page.gap_count, 0);
    for (size_t i = 0; i < given; i++) {
        EXPECT_EQ(page.messages[i]->place.position, expected[count - given + i]);
    }
    EXPECT_TRUE(query.has_before || page.at_head);
    if (given > 0) {
        EXPECT_EQ(page.start.position, page.messages[0]->place.position - 1);
    }
    storage_page_finish(&page);
}

static void expect_reads(struct model *model, size_t reads) {
    static struct reading merged;
    static struct reading walked;
    static struct reading mixed;
    for (size_t i = 0; i < reads; i++) {
        struct storage_selector selectors[8];
        struct storage_query query = {.selectors = selectors,
                                      .start = STORAGE_AFTER_PLACE,
                                      .limit = 1 + draw(model, 40),
                                      .bytes_max = 20 + draw(model, 2000),
                                      .is_conflated = draw(model, 3) == 0};
        query.selector_count = draw_selectors(model, selectors);
        query.place.position = draw(model, (unsigned)model->fixture.position_next);
        if (draw(model, 4) == 0) {
            query.start = STORAGE_AFTER_TIME;
            query.place = (struct place){0};
            query.time_ms = model->entries[draw(model, (unsigned)model->count)].time_ms;
        }
        read_all(model, query, &MERGES, &merged);
        expect_messages(model, &query, &merged);
        read_all(model, query, &WALKS, &walked);
        expect_messages(model, &query, &walked);
        read_all(model, query, &SMALL, &mixed);
        expect_messages(model, &query, &mixed);
        expect_newest(model);
        if (!query.is_conflated) {
            expect_gaps(model, &query, &merged);
            expect_gaps(model, &query, &walked);
            expect_gaps(model, &query, &mixed);
        }
    }
}

static struct model *make_model(unsigned seed) {
    struct model *model = calloc(1, sizeof(*model));
    model->seed = seed;
    fixture_init(&model->fixture);
    model->fixture.options.segment_messages = 100;
    fixture_open(&model->fixture);
    return model;
}

static void end_model(struct model *model) {
    fixture_finish(&model->fixture);
    free(model);
}

TEST(many_channels_read_as_a_filter_over_all_records) {
    for (unsigned seed = 1; seed <= 2; seed++) {
        struct model *model = make_model(seed);
        for (size_t round = 0; round < 4; round++) {
            live(model, 250, false);
            expect_reads(model, 8);
        }
        end_model(model);
    }
}

TEST(what_retention_took_is_told_to_who_lost_it_and_to_nobody_else) {
    for (unsigned seed = 1; seed <= 2; seed++) {
        struct model *model = make_model(seed * 77);
        model->fixture.retention.messages_max = seed % 2 == 0 ? 60 : RETENTION_UNLIMITED;
        model->fixture.retention.age_ms_max = seed % 2 == 0 ? RETENTION_UNLIMITED : 300;
        for (size_t round = 0; round < 4; round++) {
            live(model, 250, false);
            expect_reads(model, 8);
        }
        end_model(model);
    }
}

TEST(holes_of_deletes_and_of_time_are_passed_over_and_told) {
    for (unsigned seed = 1; seed <= 2; seed++) {
        struct model *model = make_model(seed * 991);
        model->fixture.retention.messages_max = seed % 2 == 0 ? 100 : RETENTION_UNLIMITED;
        for (size_t round = 0; round < 4; round++) {
            live(model, 250, true);
            expect_reads(model, 8);
        }
        end_model(model);
    }
}

UNIT_TESTS(UNIT(many_channels_read_as_a_filter_over_all_records),
           UNIT(what_retention_took_is_told_to_who_lost_it_and_to_nobody_else),
           UNIT(holes_of_deletes_and_of_time_are_passed_over_and_told))
