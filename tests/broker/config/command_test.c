/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/command.h"

#include "tests/broker/config/load.h"

TEST(check_tells_good_from_bad_and_from_misused) {
    const char *file = write_file("data: x\npublic: {listen: \":8080\"}\n");
    EXPECT_EQ(command_check(1, WORDS(file), NULL), COMMAND_OK);
    unlink(file);
    file = write_file("dta: x\n");
    EXPECT_EQ(command_check(1, WORDS(file), NULL), COMMAND_FAILED);
    unlink(file);
    EXPECT_EQ(command_check(1, WORDS("/nowhere/t.yaml"), NULL), COMMAND_FAILED);
    EXPECT_EQ(command_check(0, NULL, NULL), COMMAND_USAGE);
    EXPECT_EQ(command_check(2, WORDS("a", "b"), NULL), COMMAND_USAGE);
    EXPECT_EQ(command_check(1, WORDS("--fast"), NULL), COMMAND_USAGE);
    EXPECT_EQ(command_check(1, WORDS("--help"), NULL), COMMAND_OK);
}

TEST(serve_goes_on_only_with_a_good_and_safe_configuration) {
    struct config *config = NULL;
    int leave = -1;
    EXPECT_TRUE(command_prepare_serve(&(struct config_sources){0}, &config, &leave));
    EXPECT_NOT_NULL(config);
    config_destroy(config);
    config = NULL;
    EXPECT_FALSE(command_prepare_serve(&(struct config_sources){FLAGS("--help")}, &config, &leave));
    EXPECT_EQ(leave, COMMAND_OK);
    EXPECT_FALSE(
        command_prepare_serve(&(struct config_sources){FLAGS("--listen", ":0")}, &config, &leave));
    EXPECT_EQ(leave, COMMAND_FAILED);
    EXPECT_FALSE(command_prepare_serve(&(struct config_sources){FLAGS("--opne")}, &config, &leave));
    EXPECT_EQ(leave, COMMAND_USAGE);
    EXPECT_FALSE(command_prepare_serve(
        &(struct config_sources){.environment = WORDS("TIDINGS_WORKERS=x")}, &config, &leave));
    EXPECT_EQ(leave, COMMAND_FAILED);
    EXPECT_NULL(config);
}

UNIT_TESTS(UNIT(check_tells_good_from_bad_and_from_misused),
           UNIT(serve_goes_on_only_with_a_good_and_safe_configuration))
