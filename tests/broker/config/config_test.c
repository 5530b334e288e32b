/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/config.h"

#include "broker/config/exposure.h"
#include "tests/broker/config/load.h"

TEST(without_sources_the_defaults_stand) {
    struct config *config = load((struct config_sources){0});
    char text[EXPOSURE_ADDRESS_BYTES];
    EXPECT_STRING(config->data, "./tidings-data");
    exposure_format_address(&config->public_listen, text);
    EXPECT_STRING(text, "127.0.0.1:8080");
    exposure_format_address(&config->operator_listen, text);
    EXPECT_STRING(text, "127.0.0.1:8081");
    exposure_format_address(&config->mqtt_listen, text);
    EXPECT_STRING(text, "127.0.0.1:1883");
    EXPECT_EQ(config->mqtt_receive_max, 1024);
    EXPECT_EQ(config->mqtt_topic_aliases, 64);
    EXPECT_EQ(config->mqtt_keep_alive_max_ms, 65535000);
    EXPECT_EQ(config->mqtt_session_expiry_max_ms, 604800000);
    EXPECT_EQ(config->mqtt_sessions_max, 1000000);
    EXPECT_EQ(config->storage_bytes_max, 10737418240);
    EXPECT_TRUE(config->workers >= 1);
    EXPECT_FALSE(config->open);
    EXPECT_EQ(config->send_budget_bytes, 262144);
    EXPECT_EQ(config->stall_timeout_ms, 300000);
    EXPECT_EQ(config->rule_default.history_messages_max, 10000);
    EXPECT_EQ(config->rule_default.history_age_ms_max, 86400000);
    EXPECT_TRUE(config->rule_default.history_bytes_max == CONFIG_UNLIMITED);
    EXPECT_EQ(config->rule_default.durability, DURABILITY_ASYNC);
    EXPECT_EQ(config->rule_default.on_lag, ON_LAG_CATCH_UP);
    EXPECT_EQ(config->rule_default.retain, RETAIN_FLAGGED);
    EXPECT_TRUE(config->rule_default.deflate);
    EXPECT_NULL(config->rule_default.match);
    config_destroy(config);
}

TEST(readers_of_a_channel_without_history_drop_unless_told) {
    const char *file = scratch_write("channels:\n"
                                     "- {match: a, history: {messages: 0}}\n"
                                     "- {on_lag: auto, match: b, history: {messages: 0}}\n"
                                     "- {match: c, history: {messages: 0}, on_lag: catch_up}\n"
                                     "- {match: d, on_lag: auto}\n"
                                     "- {match: e, on_lag: disconnect}\n");
    static const enum on_lag expected[] = {ON_LAG_DROP, ON_LAG_DROP, ON_LAG_CATCH_UP,
                                           ON_LAG_CATCH_UP, ON_LAG_DISCONNECT};
    struct config *config = load((struct config_sources){.file = file});
    EXPECT_EQ(config->rule_count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        EXPECT_EQ(config->rules[i].on_lag, expected[i]);
    }
    config_destroy(config);
    scratch_remove(file);
}

TEST(flags_win_over_environment_over_file) {
    const char *file = scratch_write("workers: 2\ndata: from-file\nlimits: {connections: 2}\n");
    struct config *config = load((struct config_sources){
        .file = file,
        .environment = WORDS("TIDINGS_WORKERS=3", "TIDINGS_DATA=from-environment"),
        FLAGS("--workers", "4"),
    });
    EXPECT_EQ(config->workers, 4);
    EXPECT_STRING(config->data, "from-environment");
    EXPECT_EQ(config->connections_max, 2);
    config_destroy(config);
    scratch_remove(file);
}

TEST(each_port_needs_its_own_address) {
    expect_fault((struct config_sources){FLAGS("--listen", "127.0.0.1:8081")}, "configuration",
                 "operator.listen", "two ports");
    expect_fault((struct config_sources){FLAGS("--mqtt", "127.0.0.1:8080")}, "configuration",
                 "mqtt.listen", "as public.listen is");
    config_destroy(load((struct config_sources){
        FLAGS("--listen", "127.0.0.1:0", "--operator", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"),
    }));
}

TEST(a_fault_of_two_keys_is_told_where_the_file_has_one_of_them) {
    const char *both = "public: {listen: \"127.0.0.1:9\"}\noperator:\n  listen: \"127.0.0.1:9\"\n";
    expect_fault((struct config_sources){.text = span_of_string(both)}, "text", "operator.listen",
                 "two ports");
    EXPECT_EQ(faults.rows[0].line, 3);
    EXPECT_EQ(faults.rows[0].column, 11);
    expect_fault((struct config_sources){.text = SPAN("public: {listen: \"127.0.0.1:8081\"}\n")},
                 "text", "operator.listen", "two ports");
    EXPECT_EQ(faults.rows[0].line, 1);
    expect_fault(
        (struct config_sources){.text = span_of_string(both),
                                FLAGS("--listen", "127.0.0.1:7", "--operator", "127.0.0.1:7")},
        "configuration", "operator.listen", "two ports");
    EXPECT_EQ(faults.rows[0].line, 0);
}

static void say_that_files_were_looked_at(const struct config *config,
                                          struct config_faults *ret_faults) {
    config_faults_add_key(ret_faults, config, "public.tls.key", NULL, "was looked at");
}

static size_t count_faults(const char *text) {
    struct config *config = NULL;
    struct config_sources sources = {.text = span_of_string(text),
                                     .check_files = say_that_files_were_looked_at};
    EXPECT_EQ(config_load(&sources, &config, &faults), ERR_CONFIG);
    return faults.count;
}

TEST(files_are_looked_at_whatever_else_is_wrong) {
    EXPECT_EQ(count_faults("limits: {connections: 0}\npublic: {tls: {key: k}}\n"), 2);
    EXPECT_STRING(faults.rows[1].key, "public.tls.key");
    EXPECT_EQ(faults.rows[1].line, 2);
    EXPECT_EQ(count_faults("workers: 1\n]"), 1); /* nobody knows what comes behind it */
}

TEST(file_above_its_bound_is_refused) {
    char *text = malloc(CONFIG_FILE_BYTES_MAX + 2);
    memset(text, '#', CONFIG_FILE_BYTES_MAX + 1);
    text[CONFIG_FILE_BYTES_MAX + 1] = '\0';
    const char *file = scratch_write(text);
    expect_fault((struct config_sources){.file = file}, file, "", "larger than");
    scratch_remove(file);
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

/* What a reload leaves for the next start. */
static const char *waiting_for(const char *running_text, const char *wanted_text) {
    static char paths[CONFIG_PATHS_BYTES];
    const char *file = scratch_write(running_text);
    struct config *running = load((struct config_sources){.file = file});
    scratch_remove(file);
    file = scratch_write(wanted_text);
    struct config *wanted = load((struct config_sources){.file = file});
    scratch_remove(file);
    config_list_waiting(running, wanted, paths);
    config_destroy(running);
    config_destroy(wanted);
    return paths;
}

#define MUCH                                                                                       \
    "data: d\npublic: {listen: \"127.0.0.1:1\", hosts: [a, b], origins: [\"https://a.b\"]}\n"      \
    "operator: {listen: \"[::1]:2\"}\nworkers: 255\nopen: true\nlimits: {connections: 9}\n"

TEST(a_reload_tells_the_keys_that_wait_for_a_start) {
    EXPECT_STRING(waiting_for(MUCH, MUCH), "");
    EXPECT_STRING(waiting_for(MUCH, ""), "data,public.listen,public.origins,public.hosts,"
                                         "operator.listen,workers,open,limits.connections");
    EXPECT_STRING(waiting_for("public: {hosts: [a, b]}\n", "public: {hosts: [a, c]}\n"),
                  "public.hosts");
    EXPECT_STRING(waiting_for("", "log: {format: json}\n"), "log.format");
}

TEST(a_reload_does_not_tell_what_it_changed_itself) {
    EXPECT_STRING(waiting_for("", "log: {level: debug}\nchannels: [{match: a}]\n"), "");
}

UNIT_TESTS(UNIT(without_sources_the_defaults_stand),
           UNIT(readers_of_a_channel_without_history_drop_unless_told),
           UNIT(flags_win_over_environment_over_file), UNIT(each_port_needs_its_own_address),
           UNIT(a_fault_of_two_keys_is_told_where_the_file_has_one_of_them),
           UNIT(files_are_looked_at_whatever_else_is_wrong), UNIT(file_above_its_bound_is_refused),
           UNIT(faults_print_a_line_each_and_no_control_characters),
           UNIT(a_reload_tells_the_keys_that_wait_for_a_start),
           UNIT(a_reload_does_not_tell_what_it_changed_itself))
