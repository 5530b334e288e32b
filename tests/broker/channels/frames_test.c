/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/frames.h"

#include "tests/unit.h"

/* A frame is its message's payload. */
static enum error_code put_payload(struct buffer *buffer, const struct message *message,
                                   const struct frame_options *options) {
    (void)options;
    return buffer_put(buffer, message->fields.payload);
}

static const struct framing payload_framing = {
    .name = "payload", .slot = 0, .put_message = put_payload};

static void put_text(struct frames *frames, const char *text) {
    struct message_fields fields = {.kind = MESSAGE_DATA, .payload = span_of_string(text)};
    struct message *message = message_create(&fields);
    EXPECT_EQ(frames_put(frames, &payload_framing, message, 0), OK);
    message_unref(message);
}

static void fill(struct frames *frames, uint64_t sequence) {
    frames_init(frames, 1024, 64);
    frames_clear(frames, sequence, 0);
    put_text(frames, "one");
    put_text(frames, "three");
    put_text(frames, "");
    put_text(frames, "nine");
}

TEST(a_run_begins_at_its_sequence_and_ends_at_a_frame) {
    struct frames frames;
    fill(&frames, 100);
    EXPECT_SPAN(frames_borrow_run(&frames, 100, 1000).bytes, "onethreenine");
    EXPECT_SPAN(frames_borrow_run(&frames, 101, 1000).bytes, "threenine");
    EXPECT_SPAN(frames_borrow_run(&frames, 100, 9).bytes, "onethree");
    EXPECT_EQ(frames_borrow_run(&frames, 100, 9).count, 3);
    EXPECT_SPAN(frames_borrow_run(&frames, 101, 1).bytes, "three");
    EXPECT_EQ(frames_borrow_run(&frames, 103, 1000).count, 1);
    frames_finish(&frames);
}

TEST(what_left_is_counted_in_whole_frames_and_the_cut_one_is_told) {
    struct frames frames;
    fill(&frames, 7);
    struct run run = frames_borrow_run(&frames, 7, 1000);
    struct span rest;
    EXPECT_EQ(run_count_sent(&run, 0, &rest), 0);
    EXPECT_EQ(rest.length, 0);
    EXPECT_EQ(run_count_sent(&run, 2, &rest), 0);
    EXPECT_SPAN(rest, "e");
    EXPECT_EQ(run_count_sent(&run, 3, &rest), 1);
    EXPECT_EQ(rest.length, 0);
    EXPECT_EQ(run_count_sent(&run, 8, &rest), 3); /* the empty frame went with the one before it */
    EXPECT_EQ(rest.length, 0);
    EXPECT_EQ(run_count_sent(&run, 9, &rest), 3);
    EXPECT_SPAN(rest, "ine");
    EXPECT_EQ(run_count_sent(&run, 12, &rest), 4);
    frames_finish(&frames);
}

TEST(a_frame_that_does_not_fit_leaves_nothing_behind) {
    struct frames frames;
    frames_init(&frames, 8, 8);
    frames_clear(&frames, 1, 0);
    put_text(&frames, "12345");
    struct message_fields fields = {.kind = MESSAGE_DATA, .payload = SPAN("6789")};
    struct message *message = message_create(&fields);
    EXPECT_EQ(frames_put(&frames, &payload_framing, message, 0), ERR_TOO_LARGE);
    EXPECT_SPAN(frames_borrow_run(&frames, 1, 100).bytes, "12345");
    message_unref(message);
    frames_finish(&frames);
}

UNIT_TESTS(UNIT(a_run_begins_at_its_sequence_and_ends_at_a_frame),
           UNIT(what_left_is_counted_in_whole_frames_and_the_cut_one_is_told),
           UNIT(a_frame_that_does_not_fit_leaves_nothing_behind))
