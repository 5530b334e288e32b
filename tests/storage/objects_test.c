/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/objects.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/storage/store_fixture.h"

#define PUT STORAGE_OBJECT_PUT
#define APPEND STORAGE_OBJECT_APPEND
#define DELETE STORAGE_OBJECT_DELETE

static struct message *make(struct store_fixture *fixture, enum storage_object_step step,
                            struct span name, struct span bytes) {
    struct message *message = storage_object_message(STORAGE_OBJECT_SESSION, step, name, bytes);
    assert_non_null(message);
    struct place place = {.log_id = 77, .generation = 1, .position = ++fixture->position};
    message_order(message, &place, 1000);
    return message;
}

/* One fold of one step. */
static void fold(struct store_fixture *fixture, enum storage_object_step step, const char *name,
                 struct span bytes) {
    struct message *message = make(fixture, step, span_of_string(name), bytes);
    store_fixture_apply(fixture, &message, 1);
}

struct told {
    char text[300];
    size_t count;
    size_t bytes;
    uint64_t sum;
};

static void on_object(void *context, struct span name, struct span state) {
    struct told *told = context;
    size_t length = strlen(told->text);
    snprintf(told->text + length, sizeof(told->text) - length, "%.*s=%.*s ", SPAN_PRINTF(name),
             state.length > 40 ? 0 : (int)state.length, (const char *)state.bytes);
    told->count++;
    told->bytes += state.length;
    for (size_t i = 0; i < state.length; i++) {
        told->sum = told->sum * 31 + state.bytes[i];
    }
}

static struct told tell(struct store_fixture *fixture, enum storage_object_kind kind) {
    struct told told = {0};
    MDB_txn *txn = store_fixture_begin(fixture);
    EXPECT_EQ(objects_each(&fixture->store, txn, kind, on_object, &told, NULL), OK);
    mdb_txn_abort(txn);
    return told;
}

static void expect(struct store_fixture *fixture, const char *expected) {
    EXPECT_STRING(tell(fixture, STORAGE_OBJECT_SESSION).text, expected);
}

static size_t count_rows(struct store_fixture *fixture) {
    MDB_stat stat;
    MDB_txn *txn = store_fixture_begin(fixture);
    EXPECT_EQ(mdb_stat(txn, fixture->store.objects, &stat), 0);
    EXPECT_EQ(stat.ms_overflow_pages, 0);
    mdb_txn_abort(txn);
    return stat.ms_entries;
}

TEST(an_object_is_its_last_put_and_what_was_appended) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    expect(&fixture, "");
    fold(&fixture, APPEND, "a", SPAN("x"));
    fold(&fixture, DELETE, "a", SPAN(""));
    expect(&fixture, "");
    fold(&fixture, PUT, "a", SPAN("one"));
    fold(&fixture, PUT, "b", SPAN(""));
    expect(&fixture, "a=one b= ");
    fold(&fixture, APPEND, "a", SPAN("+"));
    fold(&fixture, APPEND, "b", SPAN("+"));
    fold(&fixture, APPEND, "a", SPAN("two"));
    expect(&fixture, "a=one+two b=+ ");
    fold(&fixture, PUT, "a", SPAN("new"));
    fold(&fixture, DELETE, "b", SPAN(""));
    fold(&fixture, APPEND, "b", SPAN("late"));
    expect(&fixture, "a=new ");
    EXPECT_EQ(count_rows(&fixture), 1);
    store_fixture_finish(&fixture);
}

TEST(steps_of_one_fold_count_in_their_order) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    fold(&fixture, PUT, "a", SPAN("old"));
    fold(&fixture, PUT, "b", SPAN("old"));
    fold(&fixture, PUT, "c", SPAN("old"));
    struct message *messages[] = {
        make(&fixture, APPEND, SPAN("a"), SPAN("1")),
        make(&fixture, APPEND, SPAN("b"), SPAN("1")),
        make(&fixture, DELETE, SPAN("c"), SPAN("")),
        make(&fixture, APPEND, SPAN("a"), SPAN("2")),
        make(&fixture, PUT, SPAN("b"), SPAN("new")),
        make(&fixture, APPEND, SPAN("c"), SPAN("1")),
        make(&fixture, APPEND, SPAN("b"), SPAN("2")),
        make(&fixture, PUT, SPAN("d"), SPAN("d")),
        make(&fixture, PUT, SPAN("c"), SPAN("again")),
        make(&fixture, DELETE, SPAN("d"), SPAN("")),
        make(&fixture, APPEND, SPAN("c"), SPAN("too")),
    };
    store_fixture_apply(&fixture, messages, ARRAY_COUNT(messages));
    expect(&fixture, "a=old12 b=new2 c=againtoo ");
    store_fixture_finish(&fixture);
}

TEST(names_of_any_bytes_are_kept_apart) {
    static const struct span names[] = {{(const uint8_t *)"a\0", 2},
                                        {(const uint8_t *)"a\0\0\1", 4},
                                        {(const uint8_t *)"a", 1},
                                        {(const uint8_t *)"a\0\1", 3}};
    static uint8_t bytes[5000];
    static uint8_t longest[STORAGE_OBJECT_NAME_BYTES_MAX];
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct message *message = make(&fixture, PUT, names[i], span_of(bytes, 4000 + 100 * i));
        store_fixture_apply(&fixture, &message, 1);
    }
    struct message *message =
        make(&fixture, PUT, span_of(longest, sizeof(longest)), span_of(bytes, sizeof(bytes)));
    store_fixture_apply(&fixture, &message, 1);
    struct told told = tell(&fixture, STORAGE_OBJECT_SESSION);
    EXPECT_EQ(told.count, 5);
    EXPECT_EQ(told.bytes, 4000 + 4100 + 4200 + 4300 + 5000);
    EXPECT_EQ(tell(&fixture, STORAGE_OBJECT_GROUP).count, 0);
    EXPECT_EQ(count_rows(&fixture), 3 * 4 + 4);
    store_fixture_finish(&fixture);
}

TEST(kinds_are_kept_apart_and_unknown_commands_do_nothing) {
    struct store_fixture fixture;
    struct message_fields fields = {
        .kind = MESSAGE_COMMAND, .publisher = SPAN("a"), .payload = SPAN("\1\1\5bytes")};
    struct place place = {.log_id = 77, .generation = 1};
    store_fixture_init(&fixture);
    fold(&fixture, PUT, "a", SPAN("session"));
    struct message *messages[] = {
        storage_object_message(STORAGE_OBJECT_GROUP, PUT, SPAN("a"), SPAN("group")),
        message_create(&fields)};
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        place.position = ++fixture.position;
        message_order(messages[i], &place, 1000);
    }
    store_fixture_apply(&fixture, messages, ARRAY_COUNT(messages));
    expect(&fixture, "a=session ");
    EXPECT_STRING(tell(&fixture, STORAGE_OBJECT_GROUP).text, "a=group ");
    store_fixture_finish(&fixture);
}

#define STEPS 600

/* The same steps, cut into folds of `batch`. */
static struct told fill(struct store_fixture *fixture, size_t batch) {
    static struct message *messages[STEPS];
    static uint8_t bytes[20000];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    store_fixture_init(fixture);
    for (uint64_t i = 0; i < ARRAY_COUNT(messages); i++) {
        char name[8];
        snprintf(name, sizeof(name), "%u", (unsigned)(i * i % 11));
        bool is_put = i % 97 < 11;
        size_t length = is_put ? i * 37 % 20000 : i % 131 == 0 ? 4000 : i % 9;
        messages[i] =
            make(fixture,
                 i % 311 == 0 ? DELETE
                 : is_put     ? PUT
                              : APPEND,
                 span_of_string(name), span_of(bytes + i % 5, length == 0 ? 0 : length - 1));
    }
    for (size_t done = 0; done < ARRAY_COUNT(messages); done += batch) {
        size_t left = ARRAY_COUNT(messages) - done;
        store_fixture_apply(fixture, messages + done, left < batch ? left : batch);
    }
    return tell(fixture, STORAGE_OBJECT_SESSION);
}

TEST(the_same_steps_give_the_same_rows_however_they_are_folded) {
    static const size_t batches[] = {1, 7, 111};
    struct store_fixture one;
    struct told told = fill(&one, STEPS);
    size_t rows = count_rows(&one);
    EXPECT_TRUE(told.count > 4);
    for (size_t i = 0; i < ARRAY_COUNT(batches); i++) {
        struct store_fixture other;
        struct told also = fill(&other, batches[i]);
        EXPECT_EQ(also.count, told.count);
        EXPECT_EQ(also.bytes, told.bytes);
        EXPECT_EQ(also.sum, told.sum);
        EXPECT_EQ(count_rows(&other), rows);
        store_fixture_finish(&other);
    }
    store_fixture_finish(&one);
}

TEST(an_append_without_room_ends_the_state_until_the_next_put) {
    static uint8_t bytes[STORAGE_OBJECT_BYTES_MAX];
    for (size_t batch = 1; batch <= 8; batch += 7) {
        struct store_fixture fixture;
        store_fixture_init(&fixture);
        struct message *messages[] = {
            make(&fixture, PUT, SPAN("a"), span_of(bytes, sizeof(bytes) - 3)),
            make(&fixture, APPEND, SPAN("a"), SPAN("12")),
            make(&fixture, APPEND, SPAN("a"), SPAN("34")),
            make(&fixture, APPEND, SPAN("a"), SPAN("5")), /* would fit, and stands behind a hole */
        };
        for (size_t i = 0; i < ARRAY_COUNT(messages); i += batch) {
            store_fixture_apply(&fixture, messages + i,
                                ARRAY_COUNT(messages) < batch ? ARRAY_COUNT(messages) : batch);
        }
        EXPECT_EQ(tell(&fixture, STORAGE_OBJECT_SESSION).bytes, sizeof(bytes) - 1);
        fold(&fixture, APPEND, "a", SPAN("6"));
        EXPECT_EQ(tell(&fixture, STORAGE_OBJECT_SESSION).bytes, sizeof(bytes) - 1);
        fold(&fixture, PUT, "a", SPAN("new"));
        fold(&fixture, APPEND, "a", SPAN("er"));
        expect(&fixture, "a=newer ");
        EXPECT_EQ(count_rows(&fixture), 1);
        store_fixture_finish(&fixture);
    }
}

TEST(a_fold_may_name_more_objects_than_are_gathered) {
    static struct message *messages[2 * OBJECTS_GATHERED_MAX + 20];
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        char name[16];
        size_t number = i % (OBJECTS_GATHERED_MAX + 10);
        snprintf(name, sizeof(name), "%zu", number);
        messages[i] = make(&fixture, i == number ? PUT : APPEND, span_of_string(name), SPAN("x"));
    }
    store_fixture_apply(&fixture, messages, ARRAY_COUNT(messages));
    struct told told = tell(&fixture, STORAGE_OBJECT_SESSION);
    EXPECT_EQ(told.count, OBJECTS_GATHERED_MAX + 10);
    EXPECT_EQ(told.bytes, ARRAY_COUNT(messages));
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(an_object_is_its_last_put_and_what_was_appended),
           UNIT(steps_of_one_fold_count_in_their_order), UNIT(names_of_any_bytes_are_kept_apart),
           UNIT(kinds_are_kept_apart_and_unknown_commands_do_nothing),
           UNIT(the_same_steps_give_the_same_rows_however_they_are_folded),
           UNIT(an_append_without_room_ends_the_state_until_the_next_put),
           UNIT(a_fold_may_name_more_objects_than_are_gathered))
