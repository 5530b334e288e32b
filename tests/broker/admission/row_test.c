/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/row.h"

#include "tests/broker/config/load.h"

static uint64_t fingerprint_of(const char *rest, struct span beside) {
    char text[256];
    snprintf(text, sizeof(text), "auth: {certificates: [{subject: CN=a%s}]}", rest);
    struct config *config = load((struct config_sources){.text = span_of_string(text)});
    uint64_t fingerprint = 0;
    EXPECT_EQ(row_make_fingerprint(&config_scope_certificate, &config->auth_certificates[0],
                                   SPAN("kind"), beside, &fingerprint),
              OK);
    config_destroy(config);
    return fingerprint;
}

TEST(a_fingerprint_tells_rows_apart_by_each_value) {
    static const char *const rows[] = {
        "",
        "b",
        ", name: b",
        ", tenant: b",
        ", publish: []",
        ", publish: [b]",
        ", publish: [b, c]",
        ", publish: [c, b]",
        ", subscribe: [b]",
        ", publish: [b], subscribe: [c]",
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        EXPECT_TRUE(fingerprint_of(rows[i], SPAN("")) == fingerprint_of(rows[i], SPAN("")));
        EXPECT_TRUE(fingerprint_of(rows[i], SPAN("")) != fingerprint_of(rows[i], SPAN("x")));
        for (size_t j = 0; j < i; j++) {
            EXPECT_TRUE(fingerprint_of(rows[i], SPAN("")) != fingerprint_of(rows[j], SPAN("")));
        }
    }
}

TEST(rights_are_the_lists_that_were_given) {
    struct config *config = load((struct config_sources){
        .text = SPAN("auth: {certificates: [{subject: CN=a, publish: [a, b], history: []}]}")});
    const struct auth_certificate *row = &config->auth_certificates[0];
    struct grants *rights = NULL;
    struct span pattern;
    EXPECT_EQ(row_given_of(ROW_RIGHTS_OF(row)), 1u << ACTION_PUBLISH | 1u << ACTION_HISTORY);
    EXPECT_EQ(row_make_rights(ROW_RIGHTS_OF(row), &rights, NULL), OK);
    EXPECT_TRUE(grants_allow(rights, ACTION_PUBLISH, SPAN("b"), &pattern));
    EXPECT_FALSE(grants_allow(rights, ACTION_HISTORY, SPAN("b"), &pattern));
    EXPECT_FALSE(grants_allow(rights, ACTION_DELETE, SPAN("b"), &pattern));
    grants_destroy(rights);
    config_destroy(config);
}

UNIT_TESTS(UNIT(a_fingerprint_tells_rows_apart_by_each_value),
           UNIT(rights_are_the_lists_that_were_given))
