/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/exposure.h"

#include "tests/broker/config/load.h"

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
        enum error_code code = exposure_check(config, &why);
        EXPECT_EQ(code, cases[i].field == NULL ? OK : ERR_CONFIG);
        EXPECT_STRING(why.field, cases[i].field == NULL ? "" : cases[i].field);
        if (code != OK) {
            EXPECT_NOT_NULL(strstr(why.detail, "`auth` (not in this version)"));
            EXPECT_NOT_NULL(strstr(why.detail, "--open"));
            EXPECT_NOT_NULL(strstr(why.detail, "TIDINGS_OPEN=1"));
        }
        config->open = true;
        EXPECT_EQ(exposure_check(config, NULL), OK);
        config_destroy(config);
    }
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

UNIT_TESTS(UNIT(people_on_the_machine_are_told_localhost_where_it_leads_there),
           UNIT(without_credentials_nothing_beyond_loopback_is_listened_on))
