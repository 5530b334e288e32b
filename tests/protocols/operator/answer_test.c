/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/answer.h"

#include "tests/protocols/operator/asking.h"

TEST(an_answer_is_json_and_is_not_kept) {
    struct request *request = request_create();
    struct span rest;
    struct span name;
    struct span value;
    EXPECT_EQ(answer_as_json(request, 202, OK, NULL), OK);
    EXPECT_EQ(request->reply.status, 202);
    rest = buffer_borrow(&request->reply.headers);
    EXPECT_TRUE(reply_next_header(&rest, &name, &value));
    EXPECT_SPAN(name, "Content-Type");
    EXPECT_SPAN(value, "application/json");
    EXPECT_TRUE(reply_next_header(&rest, &name, &value));
    EXPECT_SPAN(name, "Cache-Control");
    EXPECT_SPAN(value, "no-store");
    EXPECT_FALSE(reply_next_header(&rest, &name, &value));
    request_destroy(request);
}

TEST(an_answer_that_could_not_be_written_is_a_failure) {
    struct request *request = request_create();
    struct error why = {0};
    EXPECT_EQ(answer_as_json(request, 200, ERR_MEMORY, &why), ERR_MEMORY);
    EXPECT_EQ(why.code, ERR_MEMORY);
    EXPECT_EQ(request->reply.status, 0);
    request_destroy(request);
}

TEST(texts_are_escaped_and_end_before_what_is_no_utf8) {
    struct buffer body;
    buffer_init(&body, 100);
    EXPECT_EQ(answer_put_text(&body, SPAN("{\"a\":"), "b\"c\xc3"), OK);
    EXPECT_EQ(answer_put_text(&body, SPAN(",\"d\":"), NULL), OK);
    EXPECT_SPAN(buffer_borrow(&body), "{\"a\":\"b\\\"c\",\"d\":null");
    buffer_finish(&body);
}

UNIT_TESTS(UNIT(an_answer_is_json_and_is_not_kept),
           UNIT(an_answer_that_could_not_be_written_is_a_failure),
           UNIT(texts_are_escaped_and_end_before_what_is_no_utf8))
