/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/configuration.h"

#include "tests/protocols/operator/asking.h"

static void expect_refused(struct broker *broker, const char *path, const char *text) {
    struct request *request = ask(broker, "POST", path);
    EXPECT_EQ(request->reply.status, 422);
    EXPECT_EQ(buffer_put_byte(&request->reply.body, '\0'), OK);
    const char *body = (const char *)request->reply.body.bytes;
    if (strstr(body, text) == NULL) {
        fail_msg("no %s in %s", text, body);
    }
    request_destroy(request);
}

TEST(every_key_says_where_it_is_from) {
    struct broker *broker = fakes_create(NULL);
    struct config other = *broker->config;
    struct config mine = *broker->config;
    mine.source_of[CONFIG_KEY_workers] = CONFIG_ENVIRONMENT;
    mine.file = "tidings.yaml";
    other.send_budget_bytes = 4096;
    broker->config = &mine;
    atomic_store(&broker->configured, &other);
    expect_body(broker, "/api/v1/configuration", "{\"file\":\"tidings.yaml\",\"keys\":[{");
    expect_body(broker, "/api/v1/configuration",
                "\"source\":\"environment\",\"reloadable\":false}");
    expect_body(broker, "/api/v1/configuration", "\"configured\":\"4KiB\"}");
    expect_body(broker, "/api/v1/configuration",
                "\"channels\":[],\"auth.keys\":[],\"auth.jwt\":[],\"auth.certificates\":[],"
                "\"tenants\":[],\"sinks\":[],"
                "\"sources\":[],\"unmatched\":{\"history.");
    fakes_destroy(broker);
}

TEST(a_reloadable_key_is_shown_as_it_was_read_last) {
    struct broker *broker = fakes_create(NULL);
    struct config read_last = *broker->config;
    read_last.log_level = LOG_LEVEL_ERROR;
    read_last.source_of[CONFIG_KEY_log_level] = CONFIG_FILE;
    atomic_store(&broker->configured, &read_last);
    expect_body(broker, "/api/v1/configuration",
                "{\"key\":\"log.level\",\"value\":\"error\",\"default\":\"info\","
                "\"source\":\"file\",\"reloadable\":true}");
    fakes_destroy(broker);
}

TEST(rows_of_lists_are_shown_without_their_secrets) {
    struct broker *broker = fakes_create(NULL);
    struct config read_last = *broker->config;
    char name[] = "a", hash[] = "sha256:00";
    struct auth_key key = {.name = name, .hash = hash, .is_operator = true};
    read_last.auth_keys = &key;
    read_last.auth_key_count = 1;
    atomic_store(&broker->configured, &read_last);
    expect_body(broker, "/api/v1/configuration",
                "\"auth.keys\":[{\"name\":\"a\",\"hash\":\"set\",\"tenant\":null,"
                "\"operator\":true,\"publish\":null,");
    fakes_destroy(broker);
}

TEST(a_reload_tells_what_changed_and_what_waits) {
    struct broker *broker = fakes_create(NULL);
    struct config other = *broker->config;
    other.workers = 3;
    fakes_reload = OK;
    atomic_store(&broker->configured, &other);
    struct request *request = ask(broker, "POST", "/api/v1/configuration/reload");
    EXPECT_EQ(request->reply.status, 200);
    EXPECT_SPAN(buffer_borrow(&request->reply.body),
                "{\"changed\":[\"channels\"],\"waiting\":[{\"key\":\"workers\",\"value\":0,"
                "\"configured\":3}],\"rules\":0}");
    request_destroy(request);
    fakes_destroy(broker);
}

/* The fake's key ends inside a character. */
TEST(a_reload_with_faults_tells_them_all) {
    struct broker *broker = fakes_create(NULL);
    fakes_reload = ERR_CONFIG;
    expect_refused(broker, "/api/v1/configuration/reload",
                   "\"faults\":[{\"source\":\"tidings.yaml\",\"line\":3,\"column\":7,\"field\":"
                   "\"channels[0].\",\"reason\":\"is \\\"bad\\\"\"}],\"faults_left_out\":0}");
    fakes_reload = ERR_FULL;
    EXPECT_EQ(status_of(broker, "POST", "/api/v1/configuration/reload"), 503);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(every_key_says_where_it_is_from),
           UNIT(a_reloadable_key_is_shown_as_it_was_read_last),
           UNIT(rows_of_lists_are_shown_without_their_secrets),
           UNIT(a_reload_tells_what_changed_and_what_waits),
           UNIT(a_reload_with_faults_tells_them_all))
