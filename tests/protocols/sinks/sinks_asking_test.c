/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator declares, changes and deletes. */
#include "protocols/sinks/sinks.h"

#include <stdio.h>

#include "tests/protocols/sinks/crew.h"

#define ROW(name, channel)                                                                         \
    "{\"name\":\"" name "\",\"channels\":[\"" channel "\"],\"webhook\":{\"url\":\"https://a\"}}"
#define HEAD_BYTES 3 /* of a command's payload: see storage/command.c */

static struct mailbox answers;
static struct sinks_question question;
static size_t answered_count;

static void on_answered(struct sinks_question *it) {
    EXPECT_TRUE(it == &question);
    answered_count++;
}

static int begin(void **state) {
    crew_begin_empty(state);
    answered_count = 0;
    question = (struct sinks_question){0};
    return mailbox_init(&answers, 1) == OK ? 0 : -1;
}

static int end(void **state) {
    sinks_question_finish(&question);
    crew_end(state);
    mailbox_finish(&answers);
    return 0;
}

/* Asked anew; an answer may come with hear(). */
static void ask(enum sinks_question_kind kind, const char *name, const char *row) {
    static struct config_faults faults;
    sinks_question_finish(&question);
    question = (struct sinks_question){
        .kind = kind, .reply_to = &answers, .on_answered = on_answered, .wants_rows = true};
    snprintf(question.name, sizeof(question.name), "%s", name);
    if (row != NULL) {
        EXPECT_EQ(declaration_parse(span_of_string(row), DECLARATION_NEW, &question.row, &faults),
                  OK);
    }
    EXPECT_EQ(sinks_ask(crew.broker.sinks, &question), OK);
    mailbox_deliver_all(sinks_listener(crew.broker.sinks)->mailbox, NULL);
}

static void expect_answer(enum error_code code) {
    EXPECT_EQ(mailbox_deliver_all(&answers, NULL), 1);
    EXPECT_EQ(question.result, code);
}

/* The log has stored what it was asked to, or could not. */
static void store(enum error_code code) {
    struct publish *publish = crew.publish;
    EXPECT_NOT_NULL(publish);
    crew.publish = NULL;
    publish->result = code;
    publish->on_answered(publish);
}

static enum storage_object_step step_of(size_t index, enum storage_object_kind kind) {
    EXPECT_TRUE(index < crew.publish->count);
    const struct message_fields *fields = &crew.publish->messages[index]->fields;
    EXPECT_TRUE(fields->flags & MESSAGE_FSYNC);
    EXPECT_SPAN(fields->publisher, "one");
    EXPECT_EQ(fields->payload.bytes[1], kind);
    return (enum storage_object_step)fields->payload.bytes[2];
}

static void declare_one(void) {
    ask(SINKS_CREATE, "", ROW("one", "a"));
    store(OK);
    expect_answer(OK);
}

/* --- claims ----------------------------------------------------------------------------------- */

TEST(a_sink_is_on_the_disk_before_it_is_made_and_answered) {
    ask(SINKS_CREATE, "", ROW("one", "a"));
    EXPECT_EQ(step_of(0, STORAGE_OBJECT_SINK), STORAGE_OBJECT_PUT);
    EXPECT_EQ(crew.publish->count, 1);
    EXPECT_EQ(crew.made_count + answered_count, 0);
    store(OK);
    EXPECT_EQ(crew.made_count, 1);
    EXPECT_NOT_NULL(crew.made[0].owned);
    expect_answer(OK);
    EXPECT_EQ(question.figure_count, 1);
    EXPECT_NOT_NULL(strstr(question.figures[0].row_json, "\"one\""));
}

TEST(a_sink_that_could_not_be_stored_is_none) {
    crew.submitting = ERR_BUSY;
    ask(SINKS_CREATE, "", ROW("one", "a"));
    expect_answer(ERR_BUSY);
    crew.submitting = OK;
    ask(SINKS_CREATE, "", ROW("one", "a"));
    store(ERR_STORAGE_FULL);
    expect_answer(ERR_STORAGE_FULL);
    EXPECT_EQ(crew.made_count, 0);
    declare_one();
}

TEST(a_name_is_one_sinks) {
    ask(SINKS_CREATE, "", ROW("one", "a"));
    struct publish *publish = crew.publish;
    crew.publish = NULL;
    struct sinks_question first = question;
    question = (struct sinks_question){0};
    ask(SINKS_CREATE, "", ROW("one", "b")); /* while that is on its way */
    expect_answer(ERR_CONFLICT);
    sinks_question_finish(&question);
    question = first;
    crew.publish = publish;
    store(OK);
    expect_answer(OK);
    EXPECT_EQ(crew.made_count, 1);
    ask(SINKS_CREATE, "", ROW("one", "b"));
    expect_answer(ERR_CONFLICT);
}

TEST(a_change_is_stored_first_and_the_successor_goes_on) {
    declare_one();
    ask(SINKS_CHANGE, "", ROW("one", "b"));
    EXPECT_FALSE(sink_is_ending(&crew.made[0]));
    store(OK);
    expect_answer(OK);
    EXPECT_NOT_NULL(strstr(question.figures[0].row_json, "\"b\""));
    EXPECT_TRUE(crew.made[0].is_ledger_wanted);
    ask(SINKS_CHANGE, "", ROW("one", "c"));
    expect_answer(ERR_CONFLICT);
    ask(SINKS_PAUSE, "one", NULL);
    expect_answer(ERR_CONFLICT);
    ask(SINKS_SHOW, "one", NULL);
    expect_answer(OK);
    crew_finish(&crew.made[0]);
    EXPECT_STRING(crew.made[1].row->channels.items[0], "b");
    EXPECT_STRING(crew.made[1].record, "+");
}

TEST(a_change_that_could_not_be_stored_changes_nothing) {
    declare_one();
    ask(SINKS_CHANGE, "", ROW("one", "b"));
    store(ERR_IO);
    expect_answer(ERR_IO);
    EXPECT_FALSE(sink_is_ending(&crew.made[0]));
}

TEST(one_that_is_deleted_ends_first_and_all_that_it_knew_goes) {
    declare_one();
    ask(SINKS_DELETE, "one", NULL);
    EXPECT_NULL(crew.publish);
    EXPECT_FALSE(crew.made[0].is_ledger_wanted);
    crew_finish(&crew.made[0]);
    EXPECT_EQ(step_of(0, STORAGE_OBJECT_SINK), STORAGE_OBJECT_DELETE);
    EXPECT_EQ(step_of(1, STORAGE_OBJECT_LEDGER), STORAGE_OBJECT_DELETE);
    EXPECT_EQ(answered_count, 1);
    store(OK);
    expect_answer(OK);
    declare_one();
    EXPECT_STRING(crew.made[1].record, "");
}

/* The answer would be a lie behind a restart, which finds what is stored. */
TEST(one_whose_delete_could_not_be_stored_is_there_and_goes_on) {
    declare_one();
    crew.submitting = ERR_BUSY;
    ask(SINKS_DELETE, "one", NULL);
    crew_finish(&crew.made[0]);
    expect_answer(ERR_BUSY);
    crew.submitting = OK;
    EXPECT_EQ(crew.made_count, 2);
    EXPECT_NOT_NULL(crew.made[1].owned);
    EXPECT_STRING(crew.made[1].record, "+");
    ask(SINKS_DELETE, "one", NULL);
    crew_finish(&crew.made[1]);
    store(ERR_STORAGE_FULL);
    expect_answer(ERR_STORAGE_FULL);
    EXPECT_STRING(crew.made[2].record, "++");
    ask(SINKS_DELETE, "one", NULL);
    crew_finish(&crew.made[2]);
    store(OK);
    expect_answer(OK);
    ask(SINKS_SHOW, "one", NULL);
    expect_answer(ERR_NOT_FOUND);
}

TEST(a_row_of_the_file_that_comes_while_a_delete_is_stored_is_made_behind_it) {
    declare_one();
    ask(SINKS_DELETE, "one", NULL);
    crew_finish(&crew.made[0]);
    crew_follow(SINK("one", "z"));
    EXPECT_EQ(crew.made_count, 1);
    store(OK);
    expect_answer(OK);
    EXPECT_EQ(crew.made_count, 2);
    EXPECT_STRING(crew.made[1].record, "");
}

TEST(a_row_of_the_file_that_came_while_one_was_deleted_is_made) {
    declare_one();
    ask(SINKS_DELETE, "one", NULL);
    crew_follow(SINK("one", "z"));
    crew_finish(&crew.made[0]);
    EXPECT_EQ(crew.made_count, 1); /* what was is still on the disk */
    store(OK);
    expect_answer(OK);
    EXPECT_EQ(crew.made_count, 2);
    EXPECT_STRING(crew.made[1].row->channels.items[0], "z");
    EXPECT_STRING(crew.made[1].record, "");
}

TEST(a_row_of_the_file_is_made_though_a_delete_cannot_be_stored) {
    declare_one();
    ask(SINKS_DELETE, "one", NULL);
    crew_follow(SINK("one", "z"));
    crew.submitting = ERR_BUSY;
    crew_finish(&crew.made[0]);
    expect_answer(ERR_BUSY);
    EXPECT_EQ(crew.made_count, 2);
    EXPECT_STRING(crew.made[1].row->channels.items[0], "z");
}

TEST(a_sink_of_the_file_is_changed_there) {
    crew_follow(SINK("one", "a"));
    ask(SINKS_CHANGE, "", ROW("one", "b"));
    expect_answer(ERR_CONFLICT);
    ask(SINKS_DELETE, "one", NULL);
    expect_answer(ERR_CONFLICT);
    EXPECT_FALSE(sink_is_ending(&crew.made[0]));
}

TEST(a_name_that_no_sink_has_is_not_found) {
    static const enum sinks_question_kind kinds[] = {SINKS_SHOW,   SINKS_DELETE, SINKS_PAUSE,
                                                     SINKS_RESUME, SINKS_REPLAY, SINKS_TEST};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        ask(kinds[i], "one", NULL);
        expect_answer(ERR_NOT_FOUND);
    }
    ask(SINKS_CHANGE, "", ROW("one", "b"));
    expect_answer(ERR_NOT_FOUND);
}

TEST(a_sink_that_was_declared_paused_and_is_resumed_is_stored_so) {
    ask(SINKS_CREATE, "",
        "{\"name\":\"one\",\"channels\":[\"a\"],\"paused\":true,"
        "\"webhook\":{\"url\":\"https://a\"}}");
    store(OK);
    expect_answer(OK);
    EXPECT_TRUE(crew.made[0].row->is_paused);
    ask(SINKS_RESUME, "one", NULL);
    expect_answer(OK);
    EXPECT_EQ(step_of(0, STORAGE_OBJECT_SINK), STORAGE_OBJECT_PUT);
    const struct span payload = crew.publish->messages[0]->fields.payload;
    char stored[512];
    snprintf(stored, sizeof(stored), "%.*s", (int)payload.length - HEAD_BYTES,
             (const char *)payload.bytes + HEAD_BYTES);
    EXPECT_NULL(strstr(stored, "\"paused\":true"));
    store(OK);
    EXPECT_EQ(crew.made_count, 1);
    EXPECT_FALSE(sink_is_ending(&crew.made[0]));
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CLAIM(a_sink_is_on_the_disk_before_it_is_made_and_answered),
           CLAIM(a_sink_that_could_not_be_stored_is_none), CLAIM(a_name_is_one_sinks),
           CLAIM(a_change_is_stored_first_and_the_successor_goes_on),
           CLAIM(a_change_that_could_not_be_stored_changes_nothing),
           CLAIM(one_that_is_deleted_ends_first_and_all_that_it_knew_goes),
           CLAIM(one_whose_delete_could_not_be_stored_is_there_and_goes_on),
           CLAIM(a_row_of_the_file_that_comes_while_a_delete_is_stored_is_made_behind_it),
           CLAIM(a_row_of_the_file_that_came_while_one_was_deleted_is_made),
           CLAIM(a_row_of_the_file_is_made_though_a_delete_cannot_be_stored),
           CLAIM(a_sink_of_the_file_is_changed_there), CLAIM(a_name_that_no_sink_has_is_not_found),
           CLAIM(a_sink_that_was_declared_paused_and_is_resumed_is_stored_so))
