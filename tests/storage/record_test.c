/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/record.h"

#include <stdlib.h>

#include "storage/bytes.h"
#include "storage/checksum.h"
#include "tests/unit.h"

static struct message *make_full(void) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .payload_kind = PAYLOAD_BINARY,
                                    .flags = MESSAGE_RETAIN | MESSAGE_FSYNC,
                                    .qos = 2,
                                    .ttl_ms = 5000,
                                    .channel = SPAN("tennis/court-1"),
                                    .type = SPAN("image/png"),
                                    .event = SPAN("goal"),
                                    .key = SPAN("k"),
                                    .headers = SPAN("\x01\0a\x01\0b"),
                                    .publisher = SPAN("alice"),
                                    .response_topic = SPAN("answers"),
                                    .correlation = SPAN("42"),
                                    .idempotency_hash = SPAN("0123456789abcdef0123456789abcdef"),
                                    .payload = SPAN("\0\1\2payload")};
    struct message *message = message_create(&fields);
    message_order(message, &(struct place){7, 3, 1001, 12, 34}, 1700000000123);
    message->group_rest = 70000;
    return message;
}

static uint8_t *frame_of(const struct message *message, size_t *ret_size) {
    *ret_size = record_frame_size(message);
    uint8_t *frame = malloc(*ret_size);
    EXPECT_TRUE(record_write_frame(message, frame) == frame + *ret_size);
    return frame;
}

static void expect_same(const struct message *left, const struct message *right) {
    EXPECT_EQ(left->place.log_id, right->place.log_id);
    EXPECT_EQ(left->place.generation, right->place.generation);
    EXPECT_EQ(left->place.position, right->place.position);
    EXPECT_EQ(left->place.channel_id, right->place.channel_id);
    EXPECT_EQ(left->place.offset, right->place.offset);
    EXPECT_EQ(left->time_ms, right->time_ms);
    EXPECT_EQ(left->expiry_ms, right->expiry_ms);
    EXPECT_EQ(left->group_rest, right->group_rest);
    const struct message_fields *a = &left->fields;
    const struct message_fields *b = &right->fields;
    EXPECT_EQ(a->kind, b->kind);
    EXPECT_EQ(a->payload_kind, b->payload_kind);
    EXPECT_EQ(a->flags, b->flags);
    EXPECT_EQ(a->qos, b->qos);
    EXPECT_EQ(a->ttl_ms, b->ttl_ms);
    EXPECT_TRUE(span_is_equal(a->channel, b->channel));
    EXPECT_TRUE(span_is_equal(a->type, b->type));
    EXPECT_TRUE(span_is_equal(a->event, b->event));
    EXPECT_TRUE(span_is_equal(a->key, b->key));
    EXPECT_TRUE(span_is_equal(a->headers, b->headers));
    EXPECT_TRUE(span_is_equal(a->publisher, b->publisher));
    EXPECT_TRUE(span_is_equal(a->response_topic, b->response_topic));
    EXPECT_TRUE(span_is_equal(a->correlation, b->correlation));
    EXPECT_TRUE(span_is_equal(a->idempotency_hash, b->idempotency_hash));
    EXPECT_TRUE(span_is_equal(a->payload, b->payload));
}

TEST(all_fields_survive_a_round_trip) {
    struct message *message = make_full();
    size_t size = 0;
    uint8_t *frame = frame_of(message, &size);
    struct span rest = span_of(frame, size);
    struct record record;
    EXPECT_EQ(record_next_frame(&rest, &record), RECORD_FOUND);
    EXPECT_EQ(record_next_frame(&rest, &record), RECORD_END);
    struct message *again = record_create_message(&record, 7, (struct span){0});
    expect_same(message, again);
    message_unref(again);
    message_unref(message);
    free(frame);
}

TEST(a_body_without_a_channel_takes_the_name_handed_in) {
    struct message *message = make_full();
    size_t size = record_body_size(message, false);
    uint8_t *body = malloc(size);
    EXPECT_TRUE(record_write_body(message, false, body) == body + size);
    struct record record;
    EXPECT_TRUE(record_read_body(span_of(body, size), &record));
    EXPECT_EQ(record.fields.channel.length, 0);
    struct message *again = record_create_message(&record, 7, SPAN("tennis/court-1"));
    expect_same(message, again);
    message_unref(again);
    message_unref(message);
    free(body);
}

TEST(a_cut_frame_is_short_and_never_bad) {
    struct message *message = make_full();
    size_t size = 0;
    uint8_t *frame = frame_of(message, &size);
    struct record record;
    for (size_t cut = 1; cut < size; cut++) {
        struct span rest = span_of(frame, cut);
        EXPECT_EQ(record_next_frame(&rest, &record), RECORD_SHORT);
        EXPECT_EQ(rest.length, cut);
    }
    message_unref(message);
    free(frame);
}

TEST(a_flipped_bit_is_noticed_wherever_it_is) {
    struct message *message = make_full();
    size_t size = 0;
    uint8_t *frame = frame_of(message, &size);
    struct record record;
    for (size_t bit = 0; bit < size * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct span rest = span_of(frame, size);
        EXPECT_TRUE(record_next_frame(&rest, &record) != RECORD_FOUND);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    message_unref(message);
    free(frame);
}

TEST(unknown_fields_are_skipped) {
    struct message *message = make_full();
    size_t size = record_body_size(message, true);
    uint8_t body[1024];
    uint8_t *to = record_write_body(message, true, body);
    const uint8_t unknown[] = {200, 3, 'x', 'y', 'z', 10, 0, 12, 1, 'q', 201, 0};
    memcpy(to, unknown, sizeof(unknown));
    struct record record;
    EXPECT_TRUE(record_read_body(span_of(body, size + sizeof(unknown)), &record));
    struct message *again = record_create_message(&record, 7, (struct span){0});
    expect_same(message, again);
    message_unref(again);
    message_unref(message);
}

TEST(bodies_against_the_rules_are_refused) {
    struct message *message = make_full();
    size_t size = record_body_size(message, true);
    uint8_t body[1024];
    uint8_t *end = record_write_body(message, true, body);
    struct record record;
    const uint8_t twice[] = {15, 1, 'x'};
    memcpy(end, twice, sizeof(twice));
    EXPECT_FALSE(record_read_body(span_of(body, size + sizeof(twice)), &record));
    const uint8_t short_number[] = {11, 1, 'x'};
    message->group_rest = 0;
    end = record_write_body(message, true, body);
    size = record_body_size(message, true);
    memcpy(end, short_number, sizeof(short_number));
    EXPECT_FALSE(record_read_body(span_of(body, size + sizeof(short_number)), &record));
    const uint8_t too_long[] = {200, 9, 'x'};
    memcpy(end, too_long, sizeof(too_long));
    EXPECT_FALSE(record_read_body(span_of(body, size + sizeof(too_long)), &record));
    const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{0, 0}, {0, 2}, {1, 0}, {1, 6}, {2, 3}};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        uint8_t kept = body[wrong[i].at];
        body[wrong[i].at] = wrong[i].value;
        EXPECT_FALSE(record_read_body(span_of(body, size), &record));
        body[wrong[i].at] = kept;
    }
    memcpy(body + 44, body + 36, 8); /* it would expire as it is born */
    EXPECT_FALSE(record_read_body(span_of(body, size), &record));
    memset(body + 44, 0, 8);
    EXPECT_TRUE(record_read_body(span_of(body, size), &record));
    memset(body + 12, 0, 8); /* no position */
    EXPECT_FALSE(record_read_body(span_of(body, size), &record));
    EXPECT_FALSE(record_read_body(span_of(body, RECORD_BODY_HEAD_BYTES - 1), &record));
    message_unref(message);
}

TEST(a_length_beyond_all_bounds_is_bad_and_not_believed) {
    uint8_t frame[64] = {0};
    struct record record;
    bytes_put_little(frame, RECORD_BODY_BYTES_MAX + 1, 4);
    struct span rest = span_of(frame, sizeof(frame));
    EXPECT_EQ(record_next_frame(&rest, &record), RECORD_BAD);
    memset(frame, 0, sizeof(frame)); /* what a file is full of when its end was never written */
    EXPECT_EQ(record_next_frame(&rest, &record), RECORD_BAD);
}

TEST(varints_keep_every_number) {
    const uint64_t numbers[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        uint8_t bytes[VARINT_BYTES_MAX];
        const uint8_t *at = bytes;
        uint64_t number = 1;
        const uint8_t *end = bytes_put_varint(bytes, numbers[i]);
        EXPECT_EQ(end - bytes, bytes_varint_size(numbers[i]));
        EXPECT_TRUE(bytes_get_varint(&at, end, &number));
        EXPECT_TRUE(number == numbers[i]);
        at = bytes;
        EXPECT_FALSE(bytes_get_varint(&at, end - 1, &number));
    }
    const uint8_t over[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 2};
    const uint8_t *at = over;
    uint64_t number;
    EXPECT_FALSE(bytes_get_varint(&at, over + sizeof(over), &number));
}

UNIT_TESTS(UNIT(all_fields_survive_a_round_trip),
           UNIT(a_body_without_a_channel_takes_the_name_handed_in),
           UNIT(a_cut_frame_is_short_and_never_bad), UNIT(a_flipped_bit_is_noticed_wherever_it_is),
           UNIT(unknown_fields_are_skipped), UNIT(bodies_against_the_rules_are_refused),
           UNIT(a_length_beyond_all_bounds_is_bad_and_not_believed),
           UNIT(varints_keep_every_number))
