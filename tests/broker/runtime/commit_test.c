/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/commit.h"

#include "tests/unit.h"

TEST(a_commit_spans_its_messages_and_keeps_them_until_its_last_reference_goes) {
    struct commit *commit = commit_create(3);
    struct message *kept = NULL;
    for (uint64_t position = 5; position <= 7; position++) {
        struct message_fields fields = {.kind = MESSAGE_DATA, .payload = SPAN("1")};
        struct message *message = message_create(&fields);
        struct place place = {.log_id = 1, .position = position};
        message_order(message, &place, 1);
        commit_put(commit, message);
        kept = message;
        message_unref(message);
    }
    EXPECT_EQ(commit->position_first, 5);
    EXPECT_EQ(commit->position_last, 7);
    EXPECT_EQ(commit->bytes, 3 * message_size(kept));
    commit_unref(commit_ref(commit));
    EXPECT_EQ(kept->place.position, 7);
    message_ref(kept);
    commit_unref(commit);
    EXPECT_EQ(kept->reference_count, 1);
    message_unref(kept);
}

UNIT_TESTS(UNIT(a_commit_spans_its_messages_and_keeps_them_until_its_last_reference_goes))
