/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/channels.h"

#include "broker/runtime/survey.h"
#include "tests/protocols/operator/asking.h"

TEST(rows_have_what_the_log_and_the_workers_know) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/channels",
                "{\"channels\":[{\"channel\":\"a/0\",\"first\":1,\"last\":10,\"messages\":10,"
                "\"bytes\":0,\"rate\":0.000,\"readers\":48,\"time_last\":null},");
    expect_body(broker, "/api/v1/channels", "],\"next\":null}");
    fakes_destroy(broker);
}

TEST(a_page_ends_with_the_name_that_the_next_begins_behind) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/channels?limit=2", "\"next\":\"a/1\"}");
    expect_body(broker, "/api/v1/channels?limit=2&after=a/1",
                "{\"channels\":[{\"channel\":\"a/2\"");
    expect_body(broker, "/api/v1/channels?limit=3", "],\"next\":null}");
    expect_body(broker, "/api/v1/channels?after=a%2F2", "{\"channels\":[],\"next\":null}");
    fakes_destroy(broker);
}

TEST(a_name_or_a_pattern_chooses) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/channels?match=a/1", "{\"channels\":[{\"channel\":\"a/1\"");
    expect_body(broker, "/api/v1/channels?match=b/**", "{\"channels\":[],\"next\":null}");
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/channels?match=a/**/b"), 400);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/channels?match=%zz"), 400);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/channels?limit=0"), 400);
    fakes_destroy(broker);
}

TEST(a_list_has_a_place_before_it_reads_and_gives_it_back_when_it_is_answered) {
    struct broker *broker = fakes_create(NULL);
    broker->survey_count = SURVEYS_MAX - 1;
    expect_body(broker, "/api/v1/channels", "],\"next\":null}");
    expect_body(broker, "/api/v1/channels/a/1", "\"channel\":\"a/1\"");
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/channels/b/1"), 404);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/channels?limit=0"), 400);
    EXPECT_EQ(broker->survey_count, SURVEYS_MAX - 1);
    fakes_destroy(broker);
}

TEST(without_a_place_nothing_is_read) {
    struct broker *broker = fakes_create(NULL);
    unsigned reads = fakes_reads();
    broker->survey_count = SURVEYS_MAX;
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/channels"), 503);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/channels/a/1"), 503);
    EXPECT_EQ(fakes_reads(), reads);
    EXPECT_EQ(broker->survey_count, SURVEYS_MAX);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(rows_have_what_the_log_and_the_workers_know),
           UNIT(a_page_ends_with_the_name_that_the_next_begins_behind),
           UNIT(a_name_or_a_pattern_chooses),
           UNIT(a_list_has_a_place_before_it_reads_and_gives_it_back_when_it_is_answered),
           UNIT(without_a_place_nothing_is_read))
