/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/options.h"

#include "clients/cli/client.h"
#include "tests/unit.h"

enum { URL, QUIET };
static const struct option_row rows[] = {
    [URL] = {"--url", "URL", "The broker"},
    [QUIET] = {"--quiet", NULL, "Say nothing"},
};
static const struct options_table table = {
    .usage = "tidings pub CHANNEL [DATA] [flags]",
    .about = "Publishes.\n",
    .rows = rows,
    .row_count = 2,
    .operands_min = 1,
    .operands_max = 2,
};

#define CONST_WORDS(...) ((const char *const[]){__VA_ARGS__})
#define PARSE(options, leave, ...)                                                                 \
    options_parse(&table, sizeof(CONST_WORDS(__VA_ARGS__)) / sizeof(char *),                       \
                  (char *const *)CONST_WORDS(__VA_ARGS__), options, leave)

TEST(flags_and_operands_may_be_mixed) {
    struct options options;
    int leave = -1;
    EXPECT_TRUE(PARSE(&options, &leave, "a", "--url", "u", "-5", "--quiet"));
    EXPECT_EQ(options.operand_count, 2);
    EXPECT_STRING(options.operands[0], "a");
    EXPECT_STRING(options.operands[1], "-5");
    EXPECT_STRING(options.values[URL], "u");
    EXPECT_NOT_NULL(options.values[QUIET]);
    options_finish(&options);
    EXPECT_TRUE(PARSE(&options, &leave, "--url=u=v", "-"));
    EXPECT_STRING(options.values[URL], "u=v");
    EXPECT_NULL(options.values[QUIET]);
    EXPECT_STRING(options.operands[0], "-");
    options_finish(&options);
}

TEST(a_flag_may_be_given_more_than_once) {
    struct options options;
    int leave = -1;
    size_t cursor = 0;
    EXPECT_TRUE(PARSE(&options, &leave, "--url", "a", "x", "--quiet", "--url=b"));
    EXPECT_STRING(options.values[URL], "b");
    EXPECT_STRING(options_next(&options, URL, &cursor), "a");
    EXPECT_STRING(options_next(&options, URL, &cursor), "b");
    EXPECT_NULL(options_next(&options, URL, &cursor));
    options_finish(&options);
}

TEST(behind_two_dashes_everything_is_an_operand) {
    struct options options;
    int leave = -1;
    EXPECT_TRUE(PARSE(&options, &leave, "a", "--", "--help"));
    EXPECT_STRING(options.operands[1], "--help");
    options_finish(&options);
}

TEST(wrong_words_are_refused) {
    struct options options;
    int leave = -1;
    EXPECT_FALSE(PARSE(&options, &leave, "--nonsense", "a"));
    EXPECT_EQ(leave, CLIENT_USAGE);
    EXPECT_FALSE(PARSE(&options, &leave, "a", "--url"));
    EXPECT_EQ(leave, CLIENT_USAGE);
    EXPECT_FALSE(PARSE(&options, &leave, "a", "--quiet=1"));
    EXPECT_EQ(leave, CLIENT_USAGE);
    EXPECT_FALSE(PARSE(&options, &leave, "a", "b", "c"));
    EXPECT_EQ(leave, CLIENT_USAGE);
    EXPECT_FALSE(PARSE(&options, &leave, "--quiet"));
    EXPECT_EQ(leave, CLIENT_USAGE);
    EXPECT_FALSE(options_parse(&table, 0, NULL, &options, &leave));
    EXPECT_EQ(leave, CLIENT_USAGE);
}

TEST(help_is_no_failure) {
    struct options options;
    int leave = -1;
    EXPECT_FALSE(PARSE(&options, &leave, "a", "--help", "--nonsense"));
    EXPECT_EQ(leave, CLIENT_OK);
}

UNIT_TESTS(UNIT(flags_and_operands_may_be_mixed), UNIT(a_flag_may_be_given_more_than_once),
           UNIT(behind_two_dashes_everything_is_an_operand), UNIT(wrong_words_are_refused),
           UNIT(help_is_no_failure))
