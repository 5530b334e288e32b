/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/deletion.h"

#include <stdio.h>

#include "broker/channels/id.h"
#include "broker/runtime/log.h"
#include "protocols/rest/routes.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct request *request;

static int end(void **state) {
    request_destroy(request);
    request = NULL;
    return fakes_end(state);
}

/* The status, or 0 while the log or the reads have not answered. */
static unsigned ask_to_delete(const char *path, const char *query) {
    request_destroy(request);
    request = fakes_request("DELETE", path, query, "Host: localhost");
    if (routes_admit(request)) {
        routes_handle(request);
    }
    return request->reply.status;
}

static bool says(const char *text) {
    struct span body = reply_body(&request->reply);
    return body.length > 0 && memmem(body.bytes, body.length, text, strlen(text)) != NULL;
}

/* Orders the record as a log would whose channel has that last offset. */
static void order(uint64_t offset_last) {
    struct publish *publish = fakes.publish;
    struct place place = {
        .log_id = 1, .generation = 1, .position = 90, .channel_id = 4, .offset = offset_last};
    EXPECT_EQ(publish->messages[0]->fields.kind, MESSAGE_DELETE);
    message_order(publish->messages[0], &place, 1700000000000);
    fakes.publish_waiting = 0;
    fakes.publish = NULL;
    publish->result = OK;
    publish->on_answered(publish);
}

/* Answers the read: the page of a channel ends behind `offset`. */
static void answer_read(uint64_t channel_id, uint64_t offset) {
    struct read *read = fakes.read;
    fakes.read = NULL;
    read->result = OK;
    read->page = (struct storage_page){
        .channel_id = channel_id,
        .end = {.log_id = 1, .position = 40, .channel_id = channel_id, .offset = offset}};
    read->on_read(read);
}

static const char *before_id(uint64_t log_id) {
    static char query[ID_TEXT_BYTES_MAX + 16];
    char text[ID_TEXT_BYTES_MAX];
    struct place place = {
        .log_id = log_id, .generation = 1, .position = 50, .channel_id = 9, .offset = 7};
    size_t length = id_format(&place, text);
    snprintf(query, sizeof(query), "before=%.*s", (int)length, text);
    return query;
}

TEST(without_a_parameter_all_that_is_there_goes) {
    EXPECT_EQ(ask_to_delete("/channels/a", NULL), 0);
    EXPECT_SPAN(fakes.publish->messages[0]->fields.channel, "a");
    order(12);
    EXPECT_EQ(request->reply.status, 200);
    EXPECT_TRUE(says("{\"channel\":\"a\",\"from\":1,\"to\":12,\"id\":\"t1"));
    EXPECT_EQ(fakes_replied(), 1);
}

TEST(one_offset_or_all_before_one) {
    EXPECT_EQ(ask_to_delete("/channels/a", "offset=3"), 0);
    order(12);
    EXPECT_TRUE(says("\"from\":3,\"to\":3,"));
    EXPECT_EQ(ask_to_delete("/channels/a", "before=3"), 0);
    order(12);
    EXPECT_TRUE(says("\"from\":1,\"to\":2,"));
    EXPECT_EQ(ask_to_delete("/channels/", "before=9&channel=a%2F%2Fb"), 0);
    EXPECT_SPAN(fakes.publish->messages[0]->fields.channel, "a//b");
    order(5);
    EXPECT_TRUE(says("\"from\":1,\"to\":5,"));
}

TEST(an_id_is_turned_into_the_channels_own_offset) {
    EXPECT_EQ(ask_to_delete("/channels/a", before_id(1)), 0);
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(fakes.read->query.start, STORAGE_NEWEST);
    EXPECT_EQ(fakes.read->query.before.position, 50);
    answer_read(4, 31);
    order(40);
    EXPECT_TRUE(says("\"from\":1,\"to\":31,"));
    EXPECT_EQ(fakes_replied(), 1);
}

TEST(an_id_with_nothing_before_it_is_404) {
    EXPECT_EQ(ask_to_delete("/channels/a", before_id(1)), 0);
    answer_read(0, 0);
    EXPECT_EQ(request->reply.status, 404);
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(an_id_of_another_log_deletes_nothing) {
    EXPECT_EQ(ask_to_delete("/channels/a", before_id(2)), 0);
    answer_read(4, 31);
    EXPECT_EQ(request->reply.status, 400);
    EXPECT_TRUE(says("\"field\":\"before\""));
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(an_offset_that_was_never_given_is_404) {
    EXPECT_EQ(ask_to_delete("/channels/a", "offset=13"), 0);
    order(12);
    EXPECT_EQ(request->reply.status, 404);
}

TEST(a_channel_without_messages_is_404) {
    EXPECT_EQ(ask_to_delete("/channels/a", NULL), 0);
    fakes_answer_publish(ERR_NOT_FOUND);
    EXPECT_EQ(request->reply.status, 404);
}

static const struct {
    const char *path, *query, *field;
    unsigned status;
} faults[] = {
    {"/channels/a", "befor=3", "befor", 400},
    {"/channels/a", "before=3&offset=3", "offset", 400},
    {"/channels/a", "before=3&before=4", "before", 400},
    {"/channels/a", "before=", "before", 400},
    {"/channels/a", "before=0", "before", 400},
    {"/channels/a", "before=1", "before", 400},
    {"/channels/a", "before=-5m", "before", 400},
    {"/channels/a", "offset=0", "offset", 400},
    {"/channels/a", "offset=x", "offset", 400},
    {"/channels/a", "offset=%zz", "offset", 400},
    {"/channels/a/**", NULL, "channel", 400},
    {"/channels/", NULL, "channel", 400},
    {"/channels/$x", NULL, "channel", 403},
};

TEST(what_is_not_understood_deletes_nothing) {
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        char field[64];
        EXPECT_EQ(ask_to_delete(faults[i].path, faults[i].query), faults[i].status);
        snprintf(field, sizeof(field), "\"field\":\"%s\"", faults[i].field);
        EXPECT_TRUE(says(field));
    }
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(pages_of_other_origins_delete_nothing) {
    request = fakes_request("DELETE", "/channels/a", NULL,
                            "Host: localhost\nOrigin: https://evil.example");
    EXPECT_FALSE(routes_admit(request));
    EXPECT_EQ(request->reply.status, 403);
}

TEST(a_log_that_takes_nothing_is_503) {
    fakes.submit_result = ERR_BUSY;
    EXPECT_EQ(ask_to_delete("/channels/a", NULL), 503);
    EXPECT_EQ(ask_to_delete("/channels/a", before_id(1)), 0);
    answer_read(4, 31);
    EXPECT_EQ(request->reply.status, 503);
}

TEST(an_answer_to_nobody_frees_what_was_kept) {
    EXPECT_EQ(ask_to_delete("/channels/a", before_id(1)), 0);
    request_destroy(request);
    request = NULL;
    answer_read(4, 31);
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(ask_to_delete("/channels/a", NULL), 0);
    request_destroy(request);
    request = NULL;
    order(12);
    EXPECT_EQ(fakes_replied(), 0);
}

#define DELETION(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(
    DELETION(without_a_parameter_all_that_is_there_goes), DELETION(one_offset_or_all_before_one),
    DELETION(an_id_is_turned_into_the_channels_own_offset),
    DELETION(an_id_with_nothing_before_it_is_404), DELETION(an_id_of_another_log_deletes_nothing),
    DELETION(an_offset_that_was_never_given_is_404), DELETION(a_channel_without_messages_is_404),
    DELETION(what_is_not_understood_deletes_nothing),
    DELETION(pages_of_other_origins_delete_nothing), DELETION(a_log_that_takes_nothing_is_503),
    DELETION(an_answer_to_nobody_frees_what_was_kept))
