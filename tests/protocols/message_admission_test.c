/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/message_admission.h"

#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static enum error_code admit(struct span channel, size_t length,
                             struct message_fields *ret_fields) {
    static const uint8_t payload[MESSAGE_BYTES_DEFAULT + 1];
    struct error why = {0};
    *ret_fields = (struct message_fields){.channel = channel, .payload = span_of(payload, length)};
    return message_admit(fakes.broker.rules, ret_fields, &why);
}

TEST(a_message_of_a_channel_is_admitted) {
    struct message_fields fields;
    EXPECT_EQ(admit(SPAN("a//b"), MESSAGE_BYTES_DEFAULT, &fields), OK);
    EXPECT_EQ(fields.kind, MESSAGE_DATA);
    EXPECT_EQ(fields.flags, 0);
}

TEST(what_a_channel_cannot_have_is_refused) {
    struct message_fields fields;
    EXPECT_EQ(admit(SPAN("a*"), 1, &fields), ERR_BAD_CHANNEL);
    EXPECT_EQ(admit(SPAN(""), 1, &fields), ERR_BAD_CHANNEL);
    EXPECT_EQ(admit(SPAN("$SYS/x"), 1, &fields), ERR_FORBIDDEN);
    EXPECT_EQ(admit(SPAN("a"), MESSAGE_BYTES_DEFAULT + 1, &fields), ERR_TOO_LARGE);
}

TEST(all_that_is_said_belongs_to_what_a_repeat_is_known_by) {
    struct message_fields fields = {.channel = SPAN("a"), .payload = SPAN("x")};
    uint8_t first[IDEMPOTENCY_HASH_BYTES], second[IDEMPOTENCY_HASH_BYTES];
    EXPECT_EQ(message_hash(NULL, &fields, SPAN("k"), first), OK);
    EXPECT_EQ(message_hash(NULL, &fields, SPAN("k"), second), OK);
    EXPECT_EQ(memcmp(first, second, sizeof(first)), 0);
    struct span *members[] = {&fields.type,    &fields.event,          &fields.key,
                              &fields.headers, &fields.response_topic, &fields.correlation,
                              &fields.payload, &fields.channel};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        struct span before = *members[i];
        *members[i] = SPAN("other");
        EXPECT_EQ(message_hash(NULL, &fields, SPAN("k"), second), OK);
        EXPECT_EQ(memcmp(first, second, IDEMPOTENCY_KEY_HASH_BYTES), 0);
        EXPECT_TRUE(memcmp(first, second, sizeof(first)) != 0);
        *members[i] = before;
    }
}

#define ADMISSION(name) cmocka_unit_test_setup_teardown(name, fakes_begin, fakes_end)
UNIT_TESTS(ADMISSION(a_message_of_a_channel_is_admitted),
           ADMISSION(what_a_channel_cannot_have_is_refused),
           ADMISSION(all_that_is_said_belongs_to_what_a_repeat_is_known_by))
