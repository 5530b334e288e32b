/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/exposure.h"

#include "tests/broker/config/load.h"

TEST(without_credentials_nothing_beyond_loopback_is_listened_on) {
    static const struct {
        const char *public_listen;
        const char *operator_listen;
        const char *mqtt_listen;
        const char *field; /* NULL: allowed */
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:1883", NULL},
        {"[::1]:8080", "127.9.9.9:8081", "off", NULL},
        {"0.0.0.0:8080", "127.0.0.1:8081", "off", "public.listen"},
        {":8080", "127.0.0.1:8081", "off", "public.listen"},
        {"[::]:8080", "127.0.0.1:8081", "off", "public.listen"},
        {"127.0.0.1:8080", "192.0.2.1:8081", "off", "operator.listen"},
        {"127.0.0.1:8080", "[::ffff:192.0.2.1]:8081", "off", "operator.listen"},
        {"127.0.0.1:8080", "127.0.0.1:8081", ":1883", "mqtt.listen"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct config *config = load((struct config_sources){
            FLAGS("--listen", cases[i].public_listen, "--operator", cases[i].operator_listen,
                  "--mqtt", cases[i].mqtt_listen),
        });
        struct error why = {0};
        enum error_code code = exposure_check(config, &why);
        EXPECT_EQ(code, cases[i].field == NULL ? OK : ERR_CONFIG);
        EXPECT_STRING(why.field, cases[i].field == NULL ? "" : cases[i].field);
        if (code != OK) {
            EXPECT_NOT_NULL(strstr(why.detail, "auth"));
            EXPECT_NOT_NULL(strstr(why.detail, "--open"));
            EXPECT_NOT_NULL(strstr(why.detail, "TIDINGS_OPEN=1"));
        }
        config->open = true;
        EXPECT_EQ(exposure_check(config, NULL), OK);
        config_destroy(config);
    }
}

TEST(credentials_open_the_public_port_and_an_operator_key_the_operators) {
    static const char key[] = "auth: {keys: [{name: a, hash: \"sha256:"
                              "00000000000000000000000000000000"
                              "00000000000000000000000000000000\"%s}]}\n"
                              "public: {listen: \":8080\"}\n%s";
    static const struct {
        const char *extra;
        const char *operator_line;
        const char *field; /* NULL: allowed */
    } cases[] = {
        {"", "", NULL},
        {"", "operator: {listen: \":8081\"}\n", "operator.listen"},
        {", operator: true", "operator: {listen: \":8081\"}\n", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text), key, cases[i].extra, cases[i].operator_line);
        struct config *config = load((struct config_sources){.text = span_of_string(text)});
        struct error why = {0};
        enum error_code code = exposure_check(config, &why);
        EXPECT_EQ(code, cases[i].field == NULL ? OK : ERR_CONFIG);
        EXPECT_STRING(why.field, cases[i].field == NULL ? "" : cases[i].field);
        config_destroy(config);
    }
}

TEST(an_anonymous_rule_counts_as_credentials) {
    struct config *config = load((struct config_sources){
        .text = SPAN("auth: {anonymous: {subscribe: [a]}}\npublic: {listen: \":8080\"}\n")});
    EXPECT_EQ(exposure_check(config, NULL), OK);
    config_destroy(config);
}

TEST(people_on_the_machine_are_told_localhost_where_it_leads_there) {
    static const char *const cases[][2] = {
        {"127.0.0.1:8080", "localhost:8080"},     {"0.0.0.0:80", "localhost:80"},
        {"[::1]:8080", "localhost:8080"},         {"[::]:8080", "localhost:8080"},
        {"127.0.0.2:8080", "127.0.0.2:8080"},     {"192.0.2.1:8080", "192.0.2.1:8080"},
        {"[2001:db8::1]:80", "[2001:db8::1]:80"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct config *config = load((struct config_sources){FLAGS("--listen", cases[i][0])});
        char text[EXPOSURE_ADDRESS_BYTES];
        exposure_format_reachable(&config->public_listen, text);
        EXPECT_STRING(text, cases[i][1]);
        config_destroy(config);
    }
}

TEST(a_listener_that_is_no_address_is_told_that_it_may_be_off) {
    struct config_address address;
    struct error why = {0};
    EXPECT_EQ(exposure_parse_listener(SPAN("on"), &address, &why), ERR_CONFIG);
    EXPECT_NOT_NULL(strstr(why.detail, "\"on\" has no port"));
    EXPECT_NOT_NULL(strstr(why.detail, "`off` for none"));
}

TEST(a_listener_may_be_off) {
    struct config *config = load((struct config_sources){FLAGS("--mqtt", "off")});
    char text[EXPOSURE_ADDRESS_BYTES];
    EXPECT_TRUE(exposure_is_off(&config->mqtt_listen));
    EXPECT_FALSE(exposure_is_off(&config->public_listen));
    exposure_format_address(&config->mqtt_listen, text);
    EXPECT_STRING(text, "off");
    config_destroy(config);
    expect_fault((struct config_sources){FLAGS("--listen", "off")}, "command line", "--listen",
                 "no port");
}

UNIT_TESTS(UNIT(a_listener_that_is_no_address_is_told_that_it_may_be_off),
           UNIT(a_listener_may_be_off), UNIT(an_anonymous_rule_counts_as_credentials),
           UNIT(credentials_open_the_public_port_and_an_operator_key_the_operators),
           UNIT(people_on_the_machine_are_told_localhost_where_it_leads_there),
           UNIT(without_credentials_nothing_beyond_loopback_is_listened_on))
