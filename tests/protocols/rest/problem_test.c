/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/problem.h"

#include <jansson.h>

#include "tests/unit.h"

TEST(an_error_becomes_a_problem_with_its_field) {
    struct buffer buffer;
    struct error why;
    buffer_init(&buffer, 2000);
    enum error_code code =
        error_set_field(&why, ERR_BAD_SINCE, "since", "`%s` says \"nothing\"", "x\\");
    EXPECT_EQ(problem_put(&buffer, code, &why), OK);
    EXPECT_SPAN(buffer_borrow(&buffer),
                "{\"type\":\"/problems/bad-since\",\"title\":\"The starting point means nothing\","
                "\"status\":400,\"detail\":\"`x\\\\` says \\\"nothing\\\"\",\"field\":\"since\"}");
    buffer_finish(&buffer);
}

TEST(every_row_of_the_table_is_sound_json) {
    struct buffer buffer;
    buffer_init(&buffer, 2000);
    for (enum error_code code = OK + 1; code < ERROR_CODE_COUNT; code++) {
        buffer_clear(&buffer);
        EXPECT_EQ(problem_put(&buffer, code, NULL), OK);
        json_t *problem = json_loadb((const char *)buffer.bytes, buffer.length, 0, NULL);
        EXPECT_NOT_NULL(problem);
        EXPECT_EQ(json_integer_value(json_object_get(problem, "status")),
                  error_row(code)->http_status);
        EXPECT_NULL(json_object_get(problem, "detail"));
        json_decref(problem);
    }
    buffer_finish(&buffer);
}

TEST(a_detail_cut_inside_a_character_stays_readable) {
    struct buffer buffer;
    struct error why;
    char text[300];
    buffer_init(&buffer, 2000);
    for (size_t i = 0; i < sizeof(text) - 2; i += 2) {
        memcpy(text + i, "\xC3\xBC", 2);
    }
    text[298] = '\0';
    enum error_code code = error_set(&why, ERR_BAD_REQUEST, "%s", text);
    EXPECT_EQ(problem_put(&buffer, code, &why), OK);
    json_t *problem = json_loadb((const char *)buffer.bytes, buffer.length, 0, NULL);
    EXPECT_NOT_NULL(problem);
    json_decref(problem);
    buffer_finish(&buffer);
}

TEST(a_problem_that_does_not_fit_leaves_nothing) {
    struct buffer buffer;
    buffer_init(&buffer, 50);
    EXPECT_EQ(problem_put(&buffer, ERR_BUSY, NULL), ERR_TOO_LARGE);
    EXPECT_EQ(buffer.length, 0);
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(an_error_becomes_a_problem_with_its_field),
           UNIT(every_row_of_the_table_is_sound_json),
           UNIT(a_detail_cut_inside_a_character_stays_readable),
           UNIT(a_problem_that_does_not_fit_leaves_nothing))
