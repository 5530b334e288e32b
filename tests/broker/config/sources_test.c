/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/sources.h"

#include "broker/config/value.h"
#include "tests/broker/config/load.h"

TEST(flags_take_their_value_from_one_word_or_two) {
    struct config *config = load((struct config_sources){
        FLAGS("--listen=127.0.0.1:0", "--operator", "[::1]:0", "--open", "--data", "d"),
    });
    EXPECT_TRUE(config->open);
    EXPECT_STRING(config->data, "d");
    config_destroy(config);
    config = load((struct config_sources){FLAGS("--open=false")});
    EXPECT_FALSE(config->open);
    config_destroy(config);
}

TEST(bad_flags_are_named) {
    expect_fault((struct config_sources){FLAGS("--listn", "x")}, "command line", "--listn",
                 "`--listen`");
    expect_fault((struct config_sources){FLAGS("--workers")}, "command line", "--workers",
                 "no value");
    expect_fault((struct config_sources){FLAGS("--data=")}, "command line", "--data", "no value");
    expect_fault((struct config_sources){FLAGS("--data", "caf\xe9")}, "command line", "--data",
                 "is no UTF-8");
    expect_fault((struct config_sources){FLAGS("--workers", "0")}, "command line", "--workers",
                 "below the least");
    expect_fault((struct config_sources){FLAGS("--config")}, "command line", "--config",
                 "no value");
}

TEST(words_that_are_no_flags_are_refused_one_by_one) {
    expect_fault((struct config_sources){FLAGS("word", "--open")}, "command line", "word",
                 "serve takes no words");
    struct config *config = NULL;
    struct config_sources sources = {FLAGS("one", "two")};
    EXPECT_EQ(config_load(&sources, &config, &faults), ERR_CONFIG);
    EXPECT_EQ(faults.count, 2);
}

TEST(flags_of_what_the_file_alone_has_say_so) {
    expect_fault((struct config_sources){FLAGS("--sinks=a")}, "command line", "--sinks",
                 "file alone");
    expect_fault((struct config_sources){FLAGS("--auth-keys", "a")}, "command line", "--auth-keys",
                 "file alone");
    expect_fault(
        (struct config_sources){FLAGS("--authority-that-is-longer-than-any-key-of-it-all")},
        "command line", "--authority-that-is-longer-than-any-key-of-it-all", "nearest");
}

TEST(lists_in_variables_are_parted_by_commas) {
    const char *file = scratch_write("public: {hosts: [from-file]}\n");
    struct config *config = load((struct config_sources){
        .file = file,
        .environment = WORDS("TIDINGS_PUBLIC_HOSTS=a.example, b.example"),
    });
    EXPECT_EQ(config->public_hosts.count, 2);
    EXPECT_STRING(config->public_hosts.items[0], "a.example");
    EXPECT_STRING(config->public_hosts.items[1], "b.example");
    config_destroy(config);
    scratch_remove(file);
}

TEST(variables_that_were_mistyped_are_named) {
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_WORKRS=3")}, "environment",
                 "TIDINGS_WORKRS", "`TIDINGS_WORKERS`");
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_OPEN=yes")}, "environment",
                 "TIDINGS_OPEN", "neither true nor false");
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_AUTH_KEYS=a")},
                 "environment", "TIDINGS_AUTH_KEYS", "file alone");
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_AUTH_USERS=a")},
                 "environment", "TIDINGS_AUTH_USERS", "is not a variable");
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_CHANNELS=[]")},
                 "environment", "TIDINGS_CHANNELS", "file alone");
}

TEST(variables_of_others_are_left_alone) {
    struct config *config = load((struct config_sources){
        .environment = WORDS("TIDINGS_PORT=tcp://10.0.0.1:8080", "TIDINGS_SERVICE_HOST=10.0.0.1",
                             "TIDINGS_PORT_8080_TCP_ADDR=10.0.0.1", "TIDINGS_URL=http://a",
                             "TIDINGS_DATA=", "TIDINGS_IMAGE_DIGEST=x", "OTHER=1", "ODD"),
    });
    EXPECT_STRING(config->data, "./tidings-data");
    config_destroy(config);
}

/* A text that the row takes although it has no default. */
static const char *example_of(enum config_type type) {
    static const char *const examples[CONFIG_TYPE_COUNT] = {
        [CONFIG_TEXT] = "a",         [CONFIG_SECRET] = "a",
        [CONFIG_URL] = "https://a",  [CONFIG_PATTERNS] = "a/*,b",
        [CONFIG_EVENTS] = "connect", [CONFIG_ORIGINS] = "https://a",
        [CONFIG_HOSTS] = "a",        [CONFIG_NETWORKS] = "10.0.0.0/8",
    };
    EXPECT_NOT_NULL(examples[type]);
    return examples[type];
}

TEST(every_row_has_a_working_variable) {
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        struct config *config = NULL;
        struct config *defaults = load((struct config_sources){0});
        char name[CONFIG_VARIABLE_BYTES];
        char variable[CONFIG_VARIABLE_BYTES + 64];
        config_variable_name(row->path, name);
        snprintf(variable, sizeof(variable), "%s=%s", name,
                 row->default_text == NULL ? example_of(row->type) : row->default_text);
        struct config_sources sources = {.environment = WORDS(variable)};
        enum error_code code = config_load(&sources, &config, &faults);
        bool is_alone = code != OK; /* it needs another key beside it */
        EXPECT_TRUE(!is_alone || strcmp(faults.rows[0].source, "configuration") == 0);
        EXPECT_TRUE(is_alone ||
                    value_is_equal(row, config, defaults) == (row->default_text != NULL));
        config_destroy(config);
        config_destroy(defaults);
    }
}

TEST(no_secret_is_repeated_by_a_fault) {
    struct config *config = NULL;
    struct config_sources sources = {
        .environment = WORDS("TIDINGS_AUTH_WEBHOOK_SECRET=hunter2",
                             "TIDINGS_AUTH_WEBHOOK_URL=https://me:hunter2@a.example/")};
    EXPECT_EQ(config_load(&sources, &config, &faults), ERR_CONFIG);
    for (size_t i = 0; i < faults.count; i++) {
        EXPECT_NULL(strstr(faults.rows[i].reason, "hunter2"));
    }
}

TEST(file_is_named_by_flag_before_environment) {
    const char *file = scratch_write("workers: 7\n");
    char variable[64];
    snprintf(variable, sizeof(variable), "TIDINGS_CONFIG=%s", file);
    struct config *config = load((struct config_sources){.environment = WORDS(variable)});
    EXPECT_EQ(config->workers, 7);
    config_destroy(config);
    expect_fault((struct config_sources){.environment = WORDS(variable),
                                         FLAGS("--config", "/nowhere/t.yaml")},
                 "/nowhere/t.yaml", "", "cannot be opened");
    scratch_remove(file);
}

TEST(help_is_asked_for_by_either_word) {
    EXPECT_TRUE(sources_wants_help(2, WORDS("--open", "--help")));
    EXPECT_TRUE(sources_wants_help(1, WORDS("-h")));
    EXPECT_FALSE(sources_wants_help(1, WORDS("--open")));
    EXPECT_FALSE(sources_wants_help(0, NULL));
}

UNIT_TESTS(UNIT(flags_take_their_value_from_one_word_or_two), UNIT(bad_flags_are_named),
           UNIT(words_that_are_no_flags_are_refused_one_by_one),
           UNIT(flags_of_what_the_file_alone_has_say_so),
           UNIT(lists_in_variables_are_parted_by_commas),
           UNIT(variables_that_were_mistyped_are_named), UNIT(variables_of_others_are_left_alone),
           UNIT(every_row_has_a_working_variable), UNIT(no_secret_is_repeated_by_a_fault),
           UNIT(file_is_named_by_flag_before_environment), UNIT(help_is_asked_for_by_either_word))
