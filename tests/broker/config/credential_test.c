/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/credential.h"

#include "tests/unit.h"

typedef enum error_code check_text(struct span text, struct error *why);

/* Good texts begin with `+`, bad ones with `-`. */
static void expect_all(check_text *check, const char *const *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct error why = {0};
        bool is_good = check(span_of_string(texts[i] + 1), &why) == OK;
        if (is_good != (texts[i][0] == '+')) {
            EXPECT_STRING(texts[i], is_good ? "is refused" : "is taken");
        }
        EXPECT_EQ(is_good, why.detail[0] == '\0');
    }
}
#define EXPECT_ALL(check, ...)                                                                     \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        expect_all(check, texts, ARRAY_COUNT(texts));                                              \
    } while (0)

TEST(urls_have_a_host_and_no_user) {
    EXPECT_ALL(credential_check_url, "+https://a", "+http://a:80/b?c@d", "-https://", "-ftp://a",
               "-https://me:secret@a/", "-https://me@a", "-https://a b", "-a", "-",
               "-https://\xc3\xa9");
    EXPECT_ALL(credential_check_url, "+HTTP://x/", "+https://[::1]:65535/a", "+http://a_b?c@d#e",
               "-http:///", "-http://?q", "-http://#f", "-http://:80/", "-http://[::1",
               "-http://[zz]/", "-http://x:abc/", "-http://x:-1/", "-http://x:80:90/",
               "-http://x:99999/", "-http://x:0/", "-http://x\\y/");
}

TEST(locations_are_files_unless_they_have_a_scheme) {
    EXPECT_ALL(credential_check_location, "+keys.json", "+/etc/keys", "+https://a/b", "-ftp://a",
               "-file:///etc/keys", "-https://me:x@a");
}

TEST(tenants_are_short_and_plain) {
    EXPECT_ALL(credential_check_tenant, "+a", "+A-1_b.c", "-", "-*", "-a/b", "-a b",
               "+1234567890123456789012345678", "-12345678901234567890123456789");
    EXPECT_ALL(credential_check_tenants, "+*", "+acme", "-a*", "-**");
}

TEST(placeholders_are_two) {
    EXPECT_ALL(credential_check_pattern, "+a/{sub}", "+{tenant}/{sub}", "-{user}", "-a/{sub", "-{}",
               "-{SUB}", "+a}");
}

TEST(algorithms_are_those_with_a_signature) {
    EXPECT_ALL(credential_check_algorithm, "+HS256", "+RS256", "+PS256", "+ES256", "+EdDSA",
               "-none", "-None", "-hs256", "-RS1", "-HS512", "-");
}

TEST(no_hash_and_no_key_is_repeated) {
    static const char secret[] = "tdk_hunter2";
    struct error why = {0};
    EXPECT_EQ(credential_check_hash(span_of_string(secret), &why), ERR_CONFIG);
    EXPECT_NULL(strstr(why.detail, "hunter2"));
    EXPECT_EQ(credential_check_key(SPAN("base64:hunter2"), &why), ERR_CONFIG);
    EXPECT_NULL(strstr(why.detail, "hunter2"));
}

UNIT_TESTS(UNIT(urls_have_a_host_and_no_user), UNIT(locations_are_files_unless_they_have_a_scheme),
           UNIT(tenants_are_short_and_plain), UNIT(placeholders_are_two),
           UNIT(algorithms_are_those_with_a_signature), UNIT(no_hash_and_no_key_is_repeated))
