/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/session_record.h"

#include <stdlib.h>

#include "tests/unit.h"

/* The caller frees it. */
static struct span write_record(const struct session_record *record) {
    size_t size = session_record_size(record);
    uint8_t *bytes = malloc(size);
    EXPECT_NOT_NULL(bytes);
    session_record_put(record, bytes);
    return span_of(bytes, size);
}

static struct session_record make_record(void) {
    return (struct session_record){
        .has_shares = true,
        .owner = {.bytes = {1, 2, 3}},
        .expiry_ms = 3600000,
        .released_ms = 1764164086000,
        .has_will = true,
        .will_due_ms = 1764164087000,
        .will = {.kind = MESSAGE_DATA,
                 .payload_kind = PAYLOAD_TEXT,
                 .flags = MESSAGE_RETAIN | MESSAGE_MQTT,
                 .qos = 2,
                 .ttl_ms = 5000,
                 .channel = SPAN("wills/one"),
                 .type = SPAN("text/plain"),
                 .headers = SPAN("pairs"),
                 .publisher = SPAN("one"),
                 .payload = SPAN("gone")},
        .state = SPAN("the protocol's"),
    };
}

TEST(what_is_written_is_read) {
    struct session_record record = make_record();
    struct session_record read = {0};
    struct span bytes = write_record(&record);
    EXPECT_TRUE(session_record_parse(bytes, &read));
    EXPECT_EQ(memcmp(&read.owner, &record.owner, sizeof(read.owner)), 0);
    EXPECT_EQ(read.expiry_ms, record.expiry_ms);
    EXPECT_EQ(read.released_ms, record.released_ms);
    EXPECT_FALSE(read.is_held);
    EXPECT_TRUE(read.has_shares);
    EXPECT_EQ(read.will_due_ms, record.will_due_ms);
    EXPECT_EQ(read.will.kind, MESSAGE_DATA);
    EXPECT_EQ(read.will.payload_kind, PAYLOAD_TEXT);
    EXPECT_EQ(read.will.flags, MESSAGE_RETAIN | MESSAGE_MQTT);
    EXPECT_EQ(read.will.qos, 2);
    EXPECT_EQ(read.will.ttl_ms, 5000);
    EXPECT_SPAN(read.will.channel, "wills/one");
    EXPECT_SPAN(read.will.type, "text/plain");
    EXPECT_SPAN(read.will.headers, "pairs");
    EXPECT_SPAN(read.will.publisher, "one");
    EXPECT_SPAN(read.will.payload, "gone");
    EXPECT_EQ(read.will.event.length, 0);
    EXPECT_SPAN(read.state, "the protocol's");
    free((void *)bytes.bytes);
}

/* As it was written before sessions had owners. */
TEST(a_record_without_an_owner_is_nobodys) {
    static const uint8_t bytes[] = {1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 's'};
    struct session_record read = {.owner = {.bytes = {1}}};
    EXPECT_TRUE(session_record_parse(span_of(bytes, sizeof(bytes)), &read));
    EXPECT_TRUE(session_owner_is_nobody(&read.owner));
    EXPECT_EQ(read.released_ms, 2);
    EXPECT_SPAN(read.state, "s");
}

TEST(an_owner_that_is_nobody_is_refused) {
    static const uint8_t bytes[18 + SESSION_OWNER_BYTES] = {1, 8};
    struct session_record read = {0};
    EXPECT_FALSE(session_record_parse(span_of(bytes, sizeof(bytes)), &read));
}

TEST(what_is_put_behind_belongs_to_the_state) {
    struct session_record record = {
        .is_held = true, .expiry_ms = UINT64_MAX, .state = SPAN("steps: 1")};
    struct session_record read = {0};
    struct span bytes = write_record(&record);
    uint8_t longer[64];
    memcpy(longer, bytes.bytes, bytes.length);
    memcpy(longer + bytes.length, ", 2", 3);
    EXPECT_TRUE(session_record_parse(span_of(longer, bytes.length + 3), &read));
    EXPECT_TRUE(read.is_held);
    EXPECT_FALSE(read.has_will);
    EXPECT_FALSE(read.has_shares);
    EXPECT_TRUE(read.expiry_ms == UINT64_MAX);
    EXPECT_SPAN(read.state, "steps: 1, 2");
    free((void *)bytes.bytes);
}

TEST(bytes_that_are_cut_off_or_none_of_ours_are_refused) {
    struct session_record record = make_record();
    struct session_record read = {0};
    record.state = (struct span){0};
    struct span bytes = write_record(&record);
    for (size_t length = 0; length < bytes.length; length++) {
        EXPECT_FALSE(session_record_parse(span_of(bytes.bytes, length), &read));
    }
    ((uint8_t *)bytes.bytes)[0] = 2; /* a later version */
    EXPECT_FALSE(session_record_parse(bytes, &read));
    EXPECT_EQ(read.expiry_ms, 0); /* untouched */
    free((void *)bytes.bytes);
}

UNIT_TESTS(UNIT(what_is_written_is_read), UNIT(a_record_without_an_owner_is_nobodys),
           UNIT(an_owner_that_is_nobody_is_refused), UNIT(what_is_put_behind_belongs_to_the_state),
           UNIT(bytes_that_are_cut_off_or_none_of_ours_are_refused))
