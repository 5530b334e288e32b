/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/signature.h"

#include "tests/unit.h"

/* The example of the specification of Standard Webhooks. */
#define EXAMPLE_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define EXAMPLE_ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define EXAMPLE_TIME 1614265330
#define EXAMPLE_BODY SPAN("{\"test\": 2432232314}")
#define EXAMPLE_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

TEST(the_signature_is_that_of_standard_webhooks) {
    const char *secrets[] = {EXAMPLE_SECRET};
    char text[SIGNATURE_TEXT_BYTES];
    EXPECT_EQ(signature_write(secrets, 1, EXAMPLE_ID, EXAMPLE_TIME, EXAMPLE_BODY, text), OK);
    EXPECT_STRING(text, EXAMPLE_SIGNATURE);
}

TEST(two_secrets_sign_side_by_side) {
    const char *secrets[] = {"another secret", EXAMPLE_SECRET};
    char text[SIGNATURE_TEXT_BYTES];
    EXPECT_EQ(signature_write(secrets, 2, EXAMPLE_ID, EXAMPLE_TIME, EXAMPLE_BODY, text), OK);
    EXPECT_EQ(strlen(text), 2 * (SIGNATURE_BYTES - 1) + 1);
    EXPECT_EQ(strncmp(text, "v1,", 3), 0);
    EXPECT_STRING(text + SIGNATURE_BYTES - 1, " " EXAMPLE_SIGNATURE);
}

TEST(a_secret_that_is_not_given_is_passed_over) {
    const char *secrets[] = {NULL, EXAMPLE_SECRET};
    char text[SIGNATURE_TEXT_BYTES];
    EXPECT_EQ(signature_write(secrets, 2, EXAMPLE_ID, EXAMPLE_TIME, EXAMPLE_BODY, text), OK);
    EXPECT_STRING(text, EXAMPLE_SIGNATURE);
}

/* $ printf 'a.1.' | openssl dgst -sha256 -hmac key -binary | base64 */
TEST(a_secret_without_the_prefix_is_its_bytes) {
    const char *secrets[] = {"key"};
    char text[SIGNATURE_TEXT_BYTES];
    EXPECT_EQ(signature_write(secrets, 1, "a", 1, (struct span){0}, text), OK);
    EXPECT_STRING(text, "v1,yW8+rvcafoW/SUGoPddbOT1gdW6Tk1OXEYlWBQLiHao=");
}

UNIT_TESTS(UNIT(the_signature_is_that_of_standard_webhooks), UNIT(two_secrets_sign_side_by_side),
           UNIT(a_secret_that_is_not_given_is_passed_over),
           UNIT(a_secret_without_the_prefix_is_its_bytes))
