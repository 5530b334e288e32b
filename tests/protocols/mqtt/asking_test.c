/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/asking.h"

#include "tests/protocols/mqtt/subscriber.h"

static unsigned answers;

static void on_answer(void *context, const struct read *read) {
    EXPECT_TRUE(context == &answers);
    EXPECT_EQ(read->result, OK);
    answers++;
}

static struct asking *ask(const struct storage_selector *selectors, size_t count) {
    struct storage_query query = {.start = STORAGE_EARLIEST, .limit = 1};
    struct asking *asking = NULL;
    answers = 0;
    EXPECT_EQ(asking_submit(subscriber.mqtt.worker, &query, selectors, count, on_answer, &answers,
                            &asking),
              OK);
    return asking;
}

TEST(one_channel_is_asked_for_as_one) {
    struct storage_selector one = {.text = SPAN("a")};
    ask(&one, 1);
    EXPECT_TRUE(span_is_equal(fakes.read->query.channel, SPAN("a")));
    EXPECT_EQ(fakes.read->query.selector_count, 0);
    fakes_answer_read(OK);
    EXPECT_EQ(answers, 1);
}

TEST(patterns_and_several_are_selectors) {
    char text[] = "a/**";
    struct storage_selector many[] = {{.text = span_of_string(text), .is_pattern = true},
                                      {.text = SPAN("b")}};
    ask(many, 2);
    text[0] = '!'; /* they were copied */
    EXPECT_EQ(fakes.read->query.selector_count, 2);
    EXPECT_TRUE(span_is_equal(fakes.read->query.selectors[0].text, SPAN("a/**")));
    EXPECT_TRUE(span_is_equal(fakes.read->query.selectors[1].text, SPAN("b")));
    fakes_answer_read(OK);
    EXPECT_EQ(answers, 1);
}

TEST(whoever_is_gone_is_not_answered) {
    struct storage_selector one = {.text = SPAN("a")};
    asking_cancel(ask(&one, 1));
    asking_cancel(NULL);
    fakes_answer_read(OK);
    EXPECT_EQ(answers, 0);
}

UNIT_TESTS(SUBSCRIBER(one_channel_is_asked_for_as_one),
           SUBSCRIBER(patterns_and_several_are_selectors),
           SUBSCRIBER(whoever_is_gone_is_not_answered))
