/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/verify.h"

#include <string.h>

#include "tests/unit.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SENT_S 1614265330

/* The example of the specification's own libraries. */
static struct verify_claim example(void) {
    static const char body[] = "{\"test\": 2432232314}";
    return (struct verify_claim){
        .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
        .timestamp = "1614265330",
        .signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        .body = body,
        .body_length = strlen(body),
    };
}

static enum verify_verdict judge(const struct verify_claim *claim, int64_t now_s) {
    struct verify_secret secret;
    EXPECT_TRUE(verify_parse_secret(SECRET, &secret));
    return verify_claim(&secret, claim, now_s);
}

TEST(the_example_of_standard_webhooks_is_good) {
    struct verify_claim claim = example();
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_GOOD);
}

TEST(one_of_several_signatures_suffices) {
    struct verify_claim claim = example();
    claim.signature = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,other "
                      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_GOOD);
    claim.signature = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=  v2,other";
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_WRONG);
}

TEST(another_body_id_or_time_is_wrong) {
    struct verify_claim claim = example();
    claim.body_length--;
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_WRONG);
    claim = example();
    claim.id = "msg_p5jXN8AQM9LWM0D4loKWxJel";
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_WRONG);
    claim = example();
    claim.timestamp = "1614265331";
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_WRONG);
    claim = example();
    claim.signature = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_WRONG);
}

TEST(a_signature_is_good_for_five_minutes) {
    struct verify_claim claim = example();
    EXPECT_EQ(judge(&claim, SENT_S + VERIFY_TOLERANCE_S), VERIFY_GOOD);
    EXPECT_EQ(judge(&claim, SENT_S + VERIFY_TOLERANCE_S + 1), VERIFY_STALE);
    EXPECT_EQ(judge(&claim, SENT_S - VERIFY_TOLERANCE_S), VERIFY_GOOD);
    EXPECT_EQ(judge(&claim, SENT_S - VERIFY_TOLERANCE_S - 1), VERIFY_STALE);
}

TEST(what_is_missing_or_no_number_is_told_apart) {
    struct verify_claim claim = example();
    claim.signature = NULL;
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_UNSIGNED);
    claim = example();
    claim.timestamp = "soon";
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_MALFORMED);
    claim.timestamp = "16142653300000000000000";
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_MALFORMED);
    claim.timestamp = "1614265330 ";
    EXPECT_EQ(judge(&claim, SENT_S), VERIFY_MALFORMED);
}

TEST(a_secret_is_base64_of_24_to_64_bytes) {
    static const char *const wrong[] = {"",
                                        "whsec_",
                                        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                                        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
                                        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",
                                        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La====",
                                        "whsec_=fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
    struct verify_secret secret;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EXPECT_FALSE(verify_parse_secret(wrong[i], &secret));
    }
    char most[VERIFY_SECRET_TEXT_BYTES] = "whsec_";
    memset(most + strlen(most), 'A', 86);
    memcpy(most + strlen(most), "==", 3);
    EXPECT_TRUE(verify_parse_secret(most, &secret));
    EXPECT_EQ(secret.length, VERIFY_SECRET_BYTES_MAX);
    most[6 + 86] = 'A';
    EXPECT_FALSE(verify_parse_secret(most, &secret));
}

TEST(a_secret_that_is_made_is_one_and_is_another_each_time) {
    char first[VERIFY_SECRET_TEXT_BYTES];
    char second[VERIFY_SECRET_TEXT_BYTES];
    struct verify_secret secret;
    EXPECT_TRUE(verify_make_secret(first) && verify_make_secret(second));
    EXPECT_TRUE(verify_parse_secret(first, &secret));
    EXPECT_EQ(secret.length, 32);
    EXPECT_TRUE(strcmp(first, second) != 0);
}

UNIT_TESTS(UNIT(the_example_of_standard_webhooks_is_good), UNIT(one_of_several_signatures_suffices),
           UNIT(another_body_id_or_time_is_wrong), UNIT(a_signature_is_good_for_five_minutes),
           UNIT(what_is_missing_or_no_number_is_told_apart),
           UNIT(a_secret_is_base64_of_24_to_64_bytes),
           UNIT(a_secret_that_is_made_is_one_and_is_another_each_time))
