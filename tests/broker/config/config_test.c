/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/config.h"

#include <stdlib.h>
#include <unistd.h>

#include "broker/config/help.h"
#include "tests/unit.h"

static struct config_faults faults;

#define CONST_WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define WORDS(...) ((char *const *)CONST_WORDS(__VA_ARGS__))
#define FLAGS(...)                                                                                 \
    .flags = WORDS(__VA_ARGS__), .flag_count = ARRAY_COUNT(CONST_WORDS(__VA_ARGS__)) - 1

/* A file that lives as long as the test. */
static const char *write_file(const char *text) {
    static char name[] = "/tmp/tidings-config-XXXXXX";
    strcpy(name + sizeof(name) - 7, "XXXXXX");
    int descriptor = mkstemp(name);
    EXPECT_TRUE(descriptor >= 0);
    EXPECT_EQ(write(descriptor, text, strlen(text)), strlen(text));
    close(descriptor);
    return name;
}

static struct config *load(struct config_sources sources) {
    struct config *config = NULL;
    if (config_load(&sources, &config, &faults) != OK) {
        config_faults_print(&faults, stderr);
        EXPECT_EQ(faults.count, 0);
    }
    return config;
}

static void expect_fault(struct config_sources sources, const char *source, const char *key,
                         const char *words) {
    struct config *config = NULL;
    EXPECT_EQ(config_load(&sources, &config, &faults), ERR_CONFIG);
    EXPECT_NULL(config);
    EXPECT_EQ(faults.count, 1);
    EXPECT_STRING(faults.rows[0].source, source);
    EXPECT_STRING(faults.rows[0].key, key);
    if (strstr(faults.rows[0].reason, words) == NULL) {
        EXPECT_STRING(faults.rows[0].reason, words);
    }
}

TEST(without_sources_the_defaults_stand) {
    struct config *config = load((struct config_sources){0});
    char text[CONFIG_ADDRESS_TEXT_BYTES];
    EXPECT_STRING(config->data, "./tidings-data");
    config_address_format(&config->public_listen, text);
    EXPECT_STRING(text, "127.0.0.1:8080");
    config_address_format(&config->operator_listen, text);
    EXPECT_STRING(text, "127.0.0.1:8081");
    EXPECT_EQ(config->storage_bytes_max, 10737418240);
    EXPECT_TRUE(config->workers >= 1);
    EXPECT_FALSE(config->open);
    EXPECT_EQ(config->send_budget_bytes, 262144);
    EXPECT_EQ(config->stall_timeout_ms, 300000);
    EXPECT_EQ(config->rule_default.history_messages_max, 10000);
    EXPECT_EQ(config->rule_default.history_age_ms_max, 86400000);
    EXPECT_TRUE(config->rule_default.history_bytes_max == CONFIG_UNLIMITED);
    EXPECT_EQ(config->rule_default.durability, DURABILITY_ASYNC);
    EXPECT_NULL(config->rule_default.match);
    config_destroy(config);
}

TEST(flags_win_over_environment_over_file) {
    const char *file = write_file("workers: 2\ndata: from-file\nlimits: {connections: 2}\n");
    struct config *config = load((struct config_sources){
        .file = file,
        .environment = WORDS("TIDINGS_WORKERS=3", "TIDINGS_DATA=from-environment"),
        FLAGS("--workers", "4"),
    });
    EXPECT_EQ(config->workers, 4);
    EXPECT_STRING(config->data, "from-environment");
    EXPECT_EQ(config->connections_max, 2);
    config_destroy(config);
    unlink(file);
}

TEST(file_is_named_by_flag_before_environment) {
    const char *file = write_file("workers: 7\n");
    char variable[64];
    snprintf(variable, sizeof(variable), "TIDINGS_CONFIG=%s", file);
    struct config *config = load((struct config_sources){.environment = WORDS(variable)});
    EXPECT_EQ(config->workers, 7);
    config_destroy(config);
    expect_fault((struct config_sources){.environment = WORDS(variable),
                                         FLAGS("--config", "/nowhere/t.yaml")},
                 "/nowhere/t.yaml", "", "cannot be opened");
    unlink(file);
}

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
    expect_fault((struct config_sources){FLAGS("--workers", "0")}, "command line", "--workers",
                 "below the least");
    expect_fault((struct config_sources){FLAGS("word")}, "command line", "word", "not a flag");
    expect_fault((struct config_sources){FLAGS("--config")}, "command line", "--config",
                 "no value");
}

TEST(lists_in_variables_are_parted_by_commas) {
    const char *file = write_file("public: {hosts: [from-file]}\n");
    struct config *config = load((struct config_sources){
        .file = file,
        .environment = WORDS("TIDINGS_PUBLIC_HOSTS=a.example, b.example"),
    });
    EXPECT_EQ(config->public_hosts.count, 2);
    EXPECT_STRING(config->public_hosts.items[0], "a.example");
    EXPECT_STRING(config->public_hosts.items[1], "b.example");
    config_destroy(config);
    unlink(file);
}

TEST(variables_that_were_mistyped_are_named) {
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_WORKRS=3")}, "environment",
                 "TIDINGS_WORKRS", "`TIDINGS_WORKERS`");
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_OPEN=yes")}, "environment",
                 "TIDINGS_OPEN", "neither true nor false");
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_AUTH_KEYS=a")},
                 "environment", "TIDINGS_AUTH_KEYS", "not in this version");
    expect_fault((struct config_sources){.environment = WORDS("TIDINGS_MQTT_LISTEN=:1883")},
                 "environment", "TIDINGS_MQTT_LISTEN", "not in this version");
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

TEST(every_row_has_a_working_variable) {
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        char name[CONFIG_VARIABLE_BYTES];
        char variable[CONFIG_VARIABLE_BYTES + 64];
        config_variable_name(row->path, name);
        snprintf(variable, sizeof(variable), "%s=%s", name,
                 row->default_text == NULL ? "?" : row->default_text);
        if (row->default_text != NULL) {
            config_destroy(load((struct config_sources){.environment = WORDS(variable)}));
        } else {
            expect_fault((struct config_sources){.environment = WORDS(variable)}, "environment",
                         name, "\"?\" is not");
        }
    }
}

TEST(both_ports_need_their_own_address) {
    expect_fault((struct config_sources){FLAGS("--listen", "127.0.0.1:8081")}, "configuration",
                 "operator.listen", "two ports");
    config_destroy(load((struct config_sources){
        FLAGS("--listen", "127.0.0.1:0", "--operator", "127.0.0.1:0"),
    }));
}

TEST(without_credentials_nothing_beyond_loopback_is_listened_on) {
    static const struct {
        const char *public_listen;
        const char *operator_listen;
        const char *field; /* NULL: allowed */
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1:8081", NULL},
        {"[::1]:8080", "127.9.9.9:8081", NULL},
        {"0.0.0.0:8080", "127.0.0.1:8081", "public.listen"},
        {":8080", "127.0.0.1:8081", "public.listen"},
        {"[::]:8080", "127.0.0.1:8081", "public.listen"},
        {"127.0.0.1:8080", "192.0.2.1:8081", "operator.listen"},
        {"127.0.0.1:8080", "[::ffff:192.0.2.1]:8081", "operator.listen"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct config *config = load((struct config_sources){
            FLAGS("--listen", cases[i].public_listen, "--operator", cases[i].operator_listen),
        });
        struct error why = {0};
        enum error_code code = config_check_exposure(config, &why);
        EXPECT_EQ(code, cases[i].field == NULL ? OK : ERR_CONFIG);
        EXPECT_STRING(why.field, cases[i].field == NULL ? "" : cases[i].field);
        if (code != OK) {
            EXPECT_NOT_NULL(strstr(why.detail, "`auth` (not in this version)"));
            EXPECT_NOT_NULL(strstr(why.detail, "--open"));
            EXPECT_NOT_NULL(strstr(why.detail, "TIDINGS_OPEN=1"));
        }
        config->open = true;
        EXPECT_EQ(config_check_exposure(config, NULL), OK);
        config_destroy(config);
    }
}

TEST(file_above_its_bound_is_refused) {
    char *text = malloc(CONFIG_FILE_BYTES_MAX + 2);
    memset(text, '#', CONFIG_FILE_BYTES_MAX + 1);
    text[CONFIG_FILE_BYTES_MAX + 1] = '\0';
    const char *file = write_file(text);
    expect_fault((struct config_sources){.file = file}, file, "", "larger than");
    unlink(file);
    free(text);
}

TEST(faults_print_a_line_each_and_no_control_characters) {
    faults = (struct config_faults){0};
    config_faults_add(&faults, "t.yaml", 3, 9, "data", "is %s", "\x1b[31mred\n");
    config_faults_add(&faults, "environment", 0, 0, "TIDINGS_OPEN", "is odd");
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    config_faults_print(&faults, stream);
    fclose(stream);
    EXPECT_STRING(text, "t.yaml:3:9: data: is ?[31mred?\nenvironment: TIDINGS_OPEN: is odd\n");
    free(text);
}

TEST(reference_page_is_what_the_table_gives) {
    char *given = NULL;
    size_t given_size = 0;
    FILE *stream = open_memstream(&given, &given_size);
    help_write_reference(stream);
    fclose(stream);
    FILE *file = fopen(REFERENCE_PAGE, "rb");
    EXPECT_NOT_NULL(file);
    char *committed = calloc(1, given_size + 2);
    size_t length = fread(committed, 1, given_size + 1, file);
    fclose(file);
    EXPECT_EQ(length, given_size);
    EXPECT_STRING(committed, given);
    free(committed);
    free(given);
}

TEST(help_of_serve_names_every_flag_and_its_variable) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    help_write_serve(stream);
    fclose(stream);
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        char variable[CONFIG_VARIABLE_BYTES];
        config_variable_name(row->path, variable);
        EXPECT_TRUE(row->flag == NULL || strstr(text, row->flag) != NULL);
        EXPECT_TRUE(row->flag == NULL || strstr(text, variable) != NULL);
    }
    EXPECT_NOT_NULL(strstr(text, "--config FILE"));
    free(text);
}

UNIT_TESTS(UNIT(without_sources_the_defaults_stand), UNIT(flags_win_over_environment_over_file),
           UNIT(file_is_named_by_flag_before_environment),
           UNIT(flags_take_their_value_from_one_word_or_two), UNIT(bad_flags_are_named),
           UNIT(lists_in_variables_are_parted_by_commas),
           UNIT(variables_that_were_mistyped_are_named), UNIT(variables_of_others_are_left_alone),
           UNIT(every_row_has_a_working_variable), UNIT(both_ports_need_their_own_address),
           UNIT(without_credentials_nothing_beyond_loopback_is_listened_on),
           UNIT(file_above_its_bound_is_refused),
           UNIT(faults_print_a_line_each_and_no_control_characters),
           UNIT(reference_page_is_what_the_table_gives),
           UNIT(help_of_serve_names_every_flag_and_its_variable))
