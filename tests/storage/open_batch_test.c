/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/open_batch.h"

#include <stdio.h>

#include "tests/unit.h"

static struct message *make(uint64_t position, uint64_t channel_id, uint64_t offset) {
    char name[32];
    snprintf(name, sizeof(name), "c%llu", (unsigned long long)channel_id);
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = span_of_string(name), .payload = SPAN("four")};
    struct message *message = message_create(&fields);
    struct place place = {1, 1, position, channel_id, offset};
    message_order(message, &place, 100 + position);
    return message;
}

static void admit(struct open_batch *batch, uint64_t position, uint64_t channel_id,
                  uint64_t offset) {
    struct message *message = make(position, channel_id, offset);
    open_batch_admit(batch, &message, 1);
    message_unref(message);
}

static enum error_code count_call(void *context, struct error *why) {
    (void)why;
    ++*(int *)context;
    return OK;
}

static enum error_code refuse(void *context, struct error *why) {
    (void)context;
    return error_set(why, ERR_IO, "no");
}

TEST(channels_are_found_by_name_offset_and_figure) {
    struct open_batch batch;
    struct batch_view view;
    int calls = 0;
    EXPECT_EQ(open_batch_init(&batch, 0, 0), OK);
    for (uint64_t i = 0; i < 2000; i++) {
        admit(&batch, i + 1, 1 + i % 500, 1 + i / 500);
    }
    for (uint64_t id = 1; id <= 500; id++) {
        char name[32];
        snprintf(name, sizeof(name), "c%llu", (unsigned long long)id);
        EXPECT_EQ(
            open_batch_take_view(&batch, span_of_string(name), count_call, &calls, &view, NULL),
            OK);
        EXPECT_EQ(view.channel_id, id);
        EXPECT_EQ(view.parts[1].offset_first, 1);
        EXPECT_EQ(view.parts[1].offset_last, 4);
        EXPECT_EQ(open_batch_search(&view.parts[1], &batch, INDEX_POSITION, id + 501), 3);
        EXPECT_EQ(open_batch_search(&view.parts[1], &batch, INDEX_TIME, 100000), 5);
        EXPECT_EQ(open_batch_search(&view.parts[1], &batch, INDEX_BYTES_BEFORE, 5), 3);
        struct message *message = open_batch_take_message(&view, 2);
        EXPECT_EQ(message->place.position, 500 + id);
        message_unref(message);
        EXPECT_NULL(open_batch_take_message(&view, 5));
        open_batch_release_view(&view);
    }
    EXPECT_EQ(calls, 500);
    EXPECT_EQ(open_batch_take_view(&batch, SPAN("none"), count_call, &calls, &view, NULL), OK);
    EXPECT_EQ(view.channel_id, 0);
    open_batch_release_view(&view);
    open_batch_finish(&batch);
}

/* One message of channel 1, retained or not. */
static void admit_flagged(struct open_batch *batch, uint64_t position, uint32_t flags) {
    struct message *made = make(position, 1, position);
    struct message_fields fields = made->fields;
    fields.flags = flags;
    struct message *message = message_create(&fields);
    message_order(message, &made->place, made->time_ms);
    message_unref(made);
    open_batch_admit(batch, &message, 1);
    message_unref(message);
}

static uint64_t retained_position(struct open_batch *batch) {
    struct batch_view view;
    int calls = 0;
    EXPECT_EQ(open_batch_take_view(batch, SPAN("c1"), count_call, &calls, &view, NULL), OK);
    struct message *message = open_batch_take_retained(&view);
    uint64_t position = message == NULL ? 0 : message->place.position;
    message_unref(message);
    open_batch_release_view(&view);
    return position;
}

TEST(a_view_knows_its_newest_retained_message_and_none_behind_it) {
    struct open_batch batch;
    struct batch_view view;
    struct message *const *messages = NULL;
    int calls = 0;
    EXPECT_EQ(open_batch_init(&batch, 0, 0), OK);
    EXPECT_EQ(retained_position(&batch), 0);
    admit_flagged(&batch, 1, MESSAGE_FSYNC);
    EXPECT_EQ(retained_position(&batch), 0);
    admit_flagged(&batch, 2, MESSAGE_RETAIN);
    admit_flagged(&batch, 3, 0);
    EXPECT_EQ(retained_position(&batch), 2);
    EXPECT_EQ(open_batch_take_view(&batch, SPAN("c1"), count_call, &calls, &view, NULL), OK);
    admit_flagged(&batch, 4, MESSAGE_RETAIN | MESSAGE_MQTT);
    struct message *message = open_batch_take_retained(&view);
    EXPECT_EQ(message->place.position, 2); /* as the view was taken */
    message_unref(message);
    open_batch_release_view(&view);
    EXPECT_EQ(open_batch_begin_fold(&batch, &messages), 4);
    admit_flagged(&batch, 5, 0);
    EXPECT_EQ(retained_position(&batch), 4);
    admit_flagged(&batch, 6, MESSAGE_RETAIN);
    EXPECT_EQ(retained_position(&batch), 6);
    open_batch_end_fold(&batch);
    EXPECT_EQ(retained_position(&batch), 6);
    open_batch_finish(&batch);
}

TEST(a_view_outlives_the_fold_that_took_its_messages) {
    struct open_batch batch;
    struct batch_view view;
    struct message *const *messages = NULL;
    int calls = 0;
    EXPECT_EQ(open_batch_init(&batch, 7, 0), OK);
    admit(&batch, 8, 1, 10);
    EXPECT_EQ(open_batch_take_view(&batch, SPAN("c1"), count_call, &calls, &view, NULL), OK);
    EXPECT_EQ(open_batch_begin_fold(&batch, &messages), 1);
    EXPECT_EQ(messages[0]->place.offset, 10);
    admit(&batch, 9, 1, 11);
    open_batch_end_fold(&batch);
    EXPECT_EQ(atomic_load(&batch.messages), 1);
    struct message *message = open_batch_take_message(&view, 10);
    EXPECT_EQ(message->place.position, 8);
    message_unref(message);
    EXPECT_NULL(open_batch_take_message(&view, 11)); /* admitted after the view */
    EXPECT_EQ(view.position_readable, 8);
    open_batch_release_view(&view);
    open_batch_finish(&batch);
}

TEST(a_fold_that_failed_is_offered_again_before_anything_newer) {
    struct open_batch batch;
    struct batch_view view;
    struct message *const *messages = NULL;
    int calls = 0;
    EXPECT_EQ(open_batch_init(&batch, 0, 0), OK);
    EXPECT_EQ(open_batch_begin_fold(&batch, &messages), 0);
    admit(&batch, 1, 1, 1);
    EXPECT_EQ(open_batch_begin_fold(&batch, &messages), 1);
    admit(&batch, 2, 1, 2);
    EXPECT_EQ(open_batch_begin_fold(&batch, &messages), 1);
    EXPECT_EQ(messages[0]->place.position, 1);
    EXPECT_EQ(open_batch_take_view(&batch, SPAN("c1"), count_call, &calls, &view, NULL), OK);
    EXPECT_EQ(view.parts[0].offset_last, 1);
    EXPECT_EQ(view.parts[1].offset_first, 2);
    open_batch_release_view(&view);
    open_batch_end_fold(&batch);
    EXPECT_EQ(open_batch_begin_fold(&batch, &messages), 1);
    EXPECT_EQ(messages[0]->place.position, 2);
    open_batch_end_fold(&batch);
    EXPECT_EQ(atomic_load(&batch.bytes), 0);
    open_batch_finish(&batch);
}

TEST(a_view_without_its_snapshot_is_none) {
    struct open_batch batch;
    struct batch_view view;
    EXPECT_EQ(open_batch_init(&batch, 0, 0), OK);
    admit(&batch, 1, 1, 1);
    EXPECT_EQ(open_batch_take_view(&batch, SPAN("c1"), refuse, NULL, &view, NULL), ERR_IO);
    open_batch_finish(&batch);
}

UNIT_TESTS(UNIT(channels_are_found_by_name_offset_and_figure),
           UNIT(a_view_knows_its_newest_retained_message_and_none_behind_it),
           UNIT(a_view_outlives_the_fold_that_took_its_messages),
           UNIT(a_fold_that_failed_is_offered_again_before_anything_newer),
           UNIT(a_view_without_its_snapshot_is_none))
