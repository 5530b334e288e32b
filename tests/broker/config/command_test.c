/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/command.h"

#include "tests/broker/config/load.h"

static const struct config_sources no_hooks;

TEST(check_tells_good_from_bad_and_from_misused) {
    const char *file = scratch_write("data: x\npublic: {listen: \":8080\"}\n");
    EXPECT_EQ(command_check(1, WORDS(file), &no_hooks), COMMAND_OK);
    scratch_remove(file);
    file = scratch_write("dta: x\n");
    EXPECT_EQ(command_check(1, WORDS(file), &no_hooks), COMMAND_FAILED);
    scratch_remove(file);
    EXPECT_EQ(command_check(1, WORDS("/nowhere/t.yaml"), &no_hooks), COMMAND_FAILED);
    EXPECT_EQ(command_check(0, NULL, &no_hooks), COMMAND_USAGE);
    EXPECT_EQ(command_check(2, WORDS("a", "b"), &no_hooks), COMMAND_USAGE);
    EXPECT_EQ(command_check(1, WORDS("--fast"), &no_hooks), COMMAND_USAGE);
    EXPECT_EQ(command_check(1, WORDS("--help"), &no_hooks), COMMAND_OK);
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
