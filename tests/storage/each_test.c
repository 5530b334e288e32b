/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/each.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/store.h"
#include "tests/storage/fixture.h"

static void publish_with_key(struct fixture *fixture, uint8_t key) {
    uint8_t hash[64] = {key};
    struct message *made = fixture_make(fixture, "a", SPAN("once"));
    struct message_fields fields = made->fields;
    fields.idempotency_hash = span_of(hash, sizeof(hash));
    struct message *message = message_create(&fields);
    message_order(message, &made->place, made->time_ms);
    message_unref(made);
    EXPECT_EQ(storage_append(fixture->storage, &message, 1, NULL), OK);
    storage_admit(fixture->storage, &message, 1);
    message_unref(message);
}

static void on_repeat(void *context, const struct storage_repeat *repeat) {
    uint64_t *sum = context;
    EXPECT_EQ(repeat->count, 1);
    EXPECT_EQ(repeat->position_first, repeat->hash.bytes[0]);
    EXPECT_EQ(repeat->places[0].offset, repeat->hash.bytes[0]);
    *sum = *sum * 10 + repeat->position_first;
}

static void on_channel(void *context, struct span name, uint64_t channel_id, uint64_t offset_last,
                       uint64_t bytes) {
    EXPECT_SPAN(name, "a");
    EXPECT_EQ(channel_id, 1);
    EXPECT_TRUE(bytes > 0);
    *(uint64_t *)context = offset_last;
}

TEST(a_start_knows_channels_and_keys_whether_they_were_folded_or_not) {
    struct fixture fixture;
    uint64_t sum = 0;
    uint64_t last = 0;
    fixture_init(&fixture);
    fixture_open(&fixture);
    publish_with_key(&fixture, 1);
    fixture_fold(&fixture);
    publish_with_key(&fixture, 2);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(storage_each_repeat(fixture.storage, on_repeat, &sum, NULL), OK);
    EXPECT_EQ(sum, 12);
    EXPECT_EQ(storage_each_channel(fixture.storage, on_channel, &last, NULL), OK);
    EXPECT_EQ(last, 2);
    fixture_finish(&fixture);
}

/* One publish: a message, unless `data` is NULL, and behind it a step of the object `name`. */
static void publish_step(struct fixture *fixture, const char *data, const char *name,
                         enum storage_object_step step, const char *bytes) {
    struct message *messages[2];
    size_t count = 0;
    if (data != NULL) {
        messages[count++] = fixture_make(fixture, "a", span_of_string(data));
        messages[0]->group_rest = 1;
    }
    struct message *made = storage_object_message(STORAGE_OBJECT_SESSION, step,
                                                  span_of_string(name), span_of_string(bytes));
    struct place place = {.log_id = fixture->log_id,
                          .generation = fixture->generation,
                          .position = fixture->position_next++};
    message_order(made, &place, fixture->time_ms);
    messages[count++] = made;
    EXPECT_EQ(storage_append(fixture->storage, messages, count, NULL), OK);
    storage_admit(fixture->storage, messages, count);
    for (size_t i = 0; i < count; i++) {
        message_unref(messages[i]);
    }
}

#define TEXT_BYTES 200

static void on_object(void *context, struct span name, struct span state) {
    char *text = context;
    size_t length = strlen(text);
    snprintf(text + length, TEXT_BYTES - length, "%.*s=%.*s ", SPAN_PRINTF(name),
             SPAN_PRINTF(state));
}

static void expect_objects(struct fixture *fixture, const char *expected) {
    char text[TEXT_BYTES] = "";
    EXPECT_EQ(storage_each_object(fixture->storage, STORAGE_OBJECT_SESSION, on_object, text, NULL),
              OK);
    EXPECT_STRING(text, expected);
}

TEST(a_start_knows_objects_whether_they_were_folded_or_not) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    expect_objects(&fixture, "");
    publish_step(&fixture, NULL, "one", STORAGE_OBJECT_PUT, "1");
    publish_step(&fixture, "a:1", "two", STORAGE_OBJECT_PUT, "2");
    publish_step(&fixture, NULL, "three", STORAGE_OBJECT_PUT, "3");
    fixture_fold(&fixture);
    publish_step(&fixture, "a:2", "one", STORAGE_OBJECT_APPEND, "+");
    publish_step(&fixture, NULL, "two", STORAGE_OBJECT_PUT, "new");
    publish_step(&fixture, "a:3", "three", STORAGE_OBJECT_DELETE, "");
    publish_step(&fixture, NULL, "four", STORAGE_OBJECT_PUT, "4");
    publish_step(&fixture, NULL, "four", STORAGE_OBJECT_APPEND, "+");
    for (int i = 0; i < 3; i++) {
        fixture_kill(&fixture);
        fixture_open(&fixture);
        expect_objects(&fixture, "one=1+ two=new four=4+ ");
    }
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 3);
    fixture_expect(&fixture,
                   (struct storage_query){.selectors = &(struct storage_selector){SPAN("**"), true},
                                          .selector_count = 1},
                   "0<1,2,3>3 head");
    fixture_close(&fixture);
    fixture_open(&fixture);
    expect_objects(&fixture, "one=1+ two=new four=4+ ");
    fixture_finish(&fixture);
}

TEST(a_directory_of_a_version_without_objects_opens) {
    struct fixture fixture;
    struct store store;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 3);
    fixture_close(&fixture);
    EXPECT_EQ(store_open(&store, fixture.directory, 1 << 30, 77, NULL), OK);
    MDB_txn *txn = NULL;
    EXPECT_EQ(store_begin(&store, &txn, NULL), OK);
    EXPECT_EQ(mdb_drop(txn, store.objects, 1), 0);
    EXPECT_EQ(store_commit(txn, NULL), OK);
    store_close(&store);
    fixture_open(&fixture);
    expect_objects(&fixture, "");
    publish_step(&fixture, "a:4", "one", STORAGE_OBJECT_PUT, "1");
    fixture_kill(&fixture);
    fixture_open(&fixture);
    expect_objects(&fixture, "one=1 ");
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 4);
    fixture_finish(&fixture);
}

#define KILLS 40

/* Publishes until it is killed, and says so on the pipe behind each one. Now and then a fold, and
 * the whole state again. */
static void publish_for_ever(struct fixture *fixture, int pipe_fd) {
    static char state[1 << 20];
    memset(state, 'x', sizeof(state) - 1);
    fixture_open(fixture);
    for (uint64_t i = fixture->position_next / 2 + 1; i < sizeof(state); i++) {
        char data[32];
        bool is_whole = i % 97 == 1;
        snprintf(data, sizeof(data), "a:%llu", (unsigned long long)i);
        publish_step(fixture, data, "me", is_whole ? STORAGE_OBJECT_PUT : STORAGE_OBJECT_APPEND,
                     is_whole ? state + sizeof(state) - 1 - i : "x");
        if (write(pipe_fd, "x", 1) != 1) {
            _exit(1);
        }
        if (i % 31 == 0) {
            fixture_fold(fixture);
        }
    }
    _exit(1);
}

static void on_session(void *context, struct span name, struct span state) {
    EXPECT_SPAN(name, "me");
    *(size_t *)context = state.length;
}

TEST(behind_a_kill_an_object_has_the_steps_of_the_messages_that_are_there) {
    struct fixture fixture;
    size_t known = 0; /* messages that are there for certain */
    fixture_init(&fixture);
    srandom(1);
    for (int i = 0; i < KILLS; i++) {
        int fds[2];
        char byte = 0;
        size_t length = 0;
        EXPECT_EQ(pipe(fds), 0);
        pid_t child = fork();
        EXPECT_TRUE(child >= 0);
        if (child == 0) {
            publish_for_ever(&fixture, fds[1]);
        }
        close(fds[1]);
        for (long wanted = 1 + random() % 120; wanted > 0; wanted--) {
            EXPECT_EQ(read(fds[0], &byte, 1), 1);
            known++;
        }
        EXPECT_EQ(kill(child, SIGKILL), 0);
        EXPECT_EQ(waitpid(child, NULL, 0), child);
        while (read(fds[0], &byte, 1) == 1) {
            known++;
        }
        close(fds[0]);
        fixture_open(&fixture);
        EXPECT_EQ(
            storage_each_object(fixture.storage, STORAGE_OBJECT_SESSION, on_session, &length, NULL),
            OK);
        EXPECT_TRUE(length >= known);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 1000), length);
        known = length;
        fixture_close(&fixture);
    }
    fixture_open(&fixture);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_start_knows_channels_and_keys_whether_they_were_folded_or_not),
           UNIT(a_start_knows_objects_whether_they_were_folded_or_not),
           UNIT(a_directory_of_a_version_without_objects_opens),
           UNIT(behind_a_kill_an_object_has_the_steps_of_the_messages_that_are_there))
