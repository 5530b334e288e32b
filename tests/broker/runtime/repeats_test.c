/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/repeats.h"

#include "broker/limits.h"
#include "tests/unit.h"

#define LOG_ID 9
#define HASH_BYTES 64
#define BATCH 5

/* Hashes as good as real ones: the key's number and the body's, each in its half. */
struct hash {
    uint8_t bytes[HASH_BYTES];
};

static struct hash hash_of(uint32_t key, uint32_t body) {
    struct hash hash = {0};
    memcpy(hash.bytes, &key, sizeof(key));
    memcpy(hash.bytes + HASH_BYTES / 2, &body, sizeof(body));
    return hash;
}

static struct span span_of_hash(const struct hash *hash) {
    return span_of(hash->bytes, sizeof(hash->bytes));
}

/* A publish to one channel a letter; D stands for a delete in "a", S for a command. */
struct batch {
    struct message *messages[BATCH];
    size_t count;
};

static struct batch batch_of(uint32_t key, uint32_t body, const char *channels) {
    struct batch batch = {.count = strlen(channels)};
    struct hash hash = hash_of(key, body);
    EXPECT_TRUE(batch.count <= BATCH);
    for (size_t i = 0; i < batch.count; i++) {
        struct message_fields fields = {.kind = MESSAGE_DATA, .channel = span_of(channels + i, 1)};
        if (channels[i] == 'D') {
            fields.kind = MESSAGE_DELETE;
            fields.channel = SPAN("a");
        }
        if (channels[i] == 'S') {
            fields = (struct message_fields){.kind = MESSAGE_COMMAND};
        }
        if (i == 0) {
            fields.idempotency_hash = span_of_hash(&hash);
        }
        batch.messages[i] = message_create(&fields);
        EXPECT_NOT_NULL(batch.messages[i]);
    }
    return batch;
}

static void batch_finish(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        message_unref(batch->messages[i]);
    }
}

/* Orders it as the log would: offsets of each channel begin at 100. */
static void order_batch(struct batch *batch, uint64_t position, uint64_t time_ms) {
    uint64_t offsets[128] = {0};
    for (size_t i = 0; i < batch->count; i++) {
        const struct message_fields *fields = &batch->messages[i]->fields;
        uint8_t channel = fields->channel.length == 0 ? 0 : fields->channel.bytes[0];
        offsets[channel] += fields->kind == MESSAGE_DATA;
        struct place place = {.log_id = LOG_ID,
                              .generation = 3,
                              .position = position + i,
                              .channel_id = channel,
                              .offset = 99 + offsets[channel]};
        message_order(batch->messages[i], &place, time_ms);
    }
}

static struct repeats *make(void) {
    struct repeats *repeats = NULL;
    EXPECT_EQ(repeats_create(LOG_ID, &repeats), OK);
    return repeats;
}

static struct batch put(struct repeats *repeats, uint32_t key, uint32_t body, const char *channels,
                        uint64_t position, uint64_t time_ms) {
    struct batch batch = batch_of(key, body, channels);
    repeats_turn_clock(repeats, time_ms);
    struct repeat *repeat = repeats_put(repeats, batch.messages, batch.count);
    EXPECT_NOT_NULL(repeat);
    order_batch(&batch, position, time_ms);
    repeats_place(repeat, batch.messages, batch.count);
    return batch;
}

static struct repeat *find(struct repeats *repeats, uint32_t key) {
    struct hash hash = hash_of(key, 0);
    return repeats_find(repeats, span_of_hash(&hash));
}

static void expect_same_places(const struct batch *left, const struct batch *right) {
    EXPECT_EQ(left->count, right->count);
    for (size_t i = 0; i < left->count; i++) {
        const struct place *first = &left->messages[i]->place;
        const struct place *again = &right->messages[i]->place;
        EXPECT_EQ(again->log_id, first->log_id);
        EXPECT_EQ(again->generation, first->generation);
        EXPECT_EQ(again->position, first->position);
        EXPECT_EQ(again->channel_id, first->channel_id);
        EXPECT_EQ(again->offset, first->offset);
        EXPECT_EQ(right->messages[i]->time_ms, left->messages[i]->time_ms);
    }
}

/* --- claims --------------------------------------------------------------------------------- */

TEST(a_repeat_is_given_the_places_and_the_time_of_the_first) {
    static const char *const SHAPES[] = {"a", "aaaaa", "abc", "aabba", "ababa", "aDaDa", "Da"};
    struct repeats *repeats = make();
    for (uint32_t i = 0; i < ARRAY_COUNT(SHAPES); i++) {
        struct batch first = put(repeats, i, 7, SHAPES[i], 10 + 10 * i, 1000 + i);
        struct batch again = batch_of(i, 7, SHAPES[i]);
        EXPECT_EQ(repeats_answer(repeats, find(repeats, i), again.messages, again.count, NULL), OK);
        expect_same_places(&first, &again);
        batch_finish(&first);
        batch_finish(&again);
    }
    EXPECT_EQ(repeats_count(repeats), ARRAY_COUNT(SHAPES));
    repeats_destroy(repeats);
}

TEST(another_body_under_the_same_key_contradicts_itself) {
    struct repeats *repeats = make();
    struct batch first = put(repeats, 1, 7, "aa", 10, 1000);
    struct batch other = batch_of(1, 8, "aa");
    struct batch shorter = batch_of(1, 7, "a");
    struct error why = {0};
    EXPECT_EQ(repeats_answer(repeats, find(repeats, 1), other.messages, 2, &why),
              ERR_UNPROCESSABLE);
    EXPECT_STRING(why.field, "Idempotency-Key");
    EXPECT_STRING(why.detail, "this key came with another content in the last 10 minutes");
    EXPECT_EQ(other.messages[0]->place.position, 0);
    EXPECT_EQ(repeats_answer(repeats, find(repeats, 1), shorter.messages, 1, NULL),
              ERR_UNPROCESSABLE);
    batch_finish(&first);
    batch_finish(&other);
    batch_finish(&shorter);
    repeats_destroy(repeats);
}

TEST(commands_are_no_part_of_the_body_and_get_no_place) {
    struct repeats *repeats = make();
    struct batch plain = put(repeats, 1, 7, "aa", 10, 1000);
    struct batch again = batch_of(1, 7, "aaSS");
    EXPECT_TRUE(repeats_is_same(find(repeats, 1), again.messages, again.count));
    EXPECT_EQ(repeats_answer(repeats, find(repeats, 1), again.messages, again.count, NULL), OK);
    EXPECT_EQ(again.messages[1]->place.position, plain.messages[1]->place.position);
    EXPECT_EQ(again.messages[2]->place.position, 0);
    struct batch other = batch_of(1, 7, "aS");
    EXPECT_FALSE(repeats_is_same(find(repeats, 1), other.messages, other.count));
    struct batch stepped = put(repeats, 2, 7, "aS", 20, 1000);
    struct batch bare = batch_of(2, 7, "a");
    EXPECT_EQ(repeats_answer(repeats, find(repeats, 2), bare.messages, bare.count, NULL), OK);
    EXPECT_EQ(bare.messages[0]->place.position, 20);
    batch_finish(&plain);
    batch_finish(&again);
    batch_finish(&other);
    batch_finish(&stepped);
    batch_finish(&bare);
    repeats_destroy(repeats);
}

TEST(a_key_is_known_for_ten_minutes_of_log_time) {
    struct repeats *repeats = make();
    struct batch first = put(repeats, 1, 7, "a", 10, 1000);
    repeats_turn_clock(repeats, 1000 + IDEMPOTENCY_AGE_MS);
    EXPECT_NOT_NULL(find(repeats, 1));
    repeats_turn_clock(repeats, 1000 + IDEMPOTENCY_AGE_MS + 1);
    EXPECT_NULL(find(repeats, 1));
    EXPECT_EQ(repeats_count(repeats), 0);
    struct batch again = put(repeats, 1, 8, "a", 20, 1000 + IDEMPOTENCY_AGE_MS + 1);
    EXPECT_NOT_NULL(find(repeats, 1));
    batch_finish(&first);
    batch_finish(&again);
    repeats_destroy(repeats);
}

TEST(many_old_keys_go_in_several_turns_and_are_new_all_the_same) {
    enum { KEYS = 5000 };
    struct repeats *repeats = make();
    for (uint32_t i = 0; i < KEYS; i++) {
        struct batch batch = put(repeats, i, 7, "a", 10 + i, 1000);
        batch_finish(&batch);
    }
    repeats_turn_clock(repeats, 1001 + IDEMPOTENCY_AGE_MS);
    size_t after_one_turn = repeats_count(repeats);
    EXPECT_TRUE(after_one_turn > 0);
    EXPECT_TRUE(after_one_turn < KEYS);
    EXPECT_NULL(find(repeats, KEYS - 1));
    EXPECT_EQ(repeats_count(repeats), after_one_turn - 1);
    for (int turn = 0; turn < 8; turn++) {
        repeats_turn_clock(repeats, 1002 + IDEMPOTENCY_AGE_MS);
    }
    EXPECT_EQ(repeats_count(repeats), 0);
    repeats_destroy(repeats);
}

TEST(a_key_that_was_taken_back_is_new) {
    struct repeats *repeats = make();
    struct batch batch = batch_of(1, 7, "ab");
    struct repeat *repeat = repeats_put(repeats, batch.messages, batch.count);
    EXPECT_TRUE(find(repeats, 1) == repeat); /* for a second one of the same round */
    repeats_take_back(repeats, repeat);
    repeats_take_back(repeats, NULL);
    EXPECT_NULL(find(repeats, 1));
    EXPECT_EQ(repeats_count(repeats), 0);
    batch_finish(&batch);
    repeats_destroy(repeats);
}

TEST(above_the_most_keys_the_oldest_are_forgotten) {
    struct repeats *repeats = make();
    struct hash hash = {0};
    const struct storage_repeat_place place = {.channel_id = 1, .offset = 1};
    struct storage_repeat stored = {
        .hash = span_of_hash(&hash), .generation = 1, .count = 1, .places = &place};
    for (uint32_t i = 0; i < IDEMPOTENCY_KEYS_MAX + 10; i++) {
        hash = hash_of(i, 7);
        stored.position_first = i + 1;
        stored.time_ms = 1000 + i / 100;
        EXPECT_EQ(repeats_put_stored(repeats, &stored), OK);
    }
    repeats_turn_clock(repeats, stored.time_ms);
    EXPECT_EQ(repeats_count(repeats), IDEMPOTENCY_KEYS_MAX);
    EXPECT_NULL(find(repeats, 9));
    EXPECT_NOT_NULL(find(repeats, 10));
    repeats_destroy(repeats);
}

TEST(batches_to_many_channels_are_bounded_by_their_bytes) {
    enum { KEYS = 2000 };
    static struct storage_repeat_place places[PUBLISH_MESSAGES_MAX];
    struct repeats *repeats = make();
    struct hash hash = {0};
    struct storage_repeat stored = {.hash = span_of_hash(&hash),
                                    .time_ms = 1000,
                                    .generation = 1,
                                    .count = PUBLISH_MESSAGES_MAX,
                                    .places = places};
    for (size_t i = 0; i < PUBLISH_MESSAGES_MAX; i++) {
        places[i] = (struct storage_repeat_place){.channel_id = i + 1, .offset = 1};
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        hash = hash_of(i, 7);
        stored.position_first = 1 + (uint64_t)i * PUBLISH_MESSAGES_MAX;
        EXPECT_EQ(repeats_put_stored(repeats, &stored), OK);
    }
    repeats_turn_clock(repeats, 1000);
    EXPECT_TRUE(repeats_count(repeats) < KEYS);
    EXPECT_TRUE(repeats_count(repeats) * PUBLISH_MESSAGES_MAX * 16 <= IDEMPOTENCY_BYTES_MAX);
    EXPECT_NULL(find(repeats, 0));
    EXPECT_NOT_NULL(find(repeats, KEYS - 1));
    repeats_destroy(repeats);
}

TEST(what_an_earlier_process_stored_is_answered_alike) {
    static const struct storage_repeat_place PLACES[] = {{'a', 100}, {'a', 101}, {'b', 100}};
    struct repeats *repeats = make();
    struct hash hash = hash_of(1, 7);
    struct storage_repeat stored = {.hash = span_of_hash(&hash),
                                    .time_ms = 1000,
                                    .generation = 3,
                                    .position_first = 10,
                                    .count = ARRAY_COUNT(PLACES),
                                    .places = PLACES};
    struct batch first = batch_of(1, 7, "aab");
    struct batch again = batch_of(1, 7, "aab");
    EXPECT_EQ(repeats_put_stored(repeats, &stored), OK);
    order_batch(&first, 10, 1000);
    EXPECT_EQ(repeats_answer(repeats, find(repeats, 1), again.messages, 3, NULL), OK);
    expect_same_places(&first, &again);
    batch_finish(&first);
    batch_finish(&again);
    repeats_destroy(repeats);
}

TEST(of_a_key_that_was_stored_twice_the_newer_counts) {
    static const struct storage_repeat_place PLACE = {'a', 100};
    struct repeats *repeats = make();
    struct hash hash = hash_of(1, 7);
    struct storage_repeat stored = {.hash = span_of_hash(&hash),
                                    .time_ms = 1000,
                                    .generation = 3,
                                    .position_first = 10,
                                    .count = 1,
                                    .places = &PLACE};
    struct batch again = batch_of(1, 7, "a");
    EXPECT_EQ(repeats_put_stored(repeats, &stored), OK);
    stored.position_first = 20;
    EXPECT_EQ(repeats_put_stored(repeats, &stored), OK);
    EXPECT_EQ(repeats_count(repeats), 1);
    EXPECT_EQ(repeats_answer(repeats, find(repeats, 1), again.messages, 1, NULL), OK);
    EXPECT_EQ(again.messages[0]->place.position, 20);
    batch_finish(&again);
    repeats_destroy(repeats);
}

UNIT_TESTS(UNIT(a_repeat_is_given_the_places_and_the_time_of_the_first),
           UNIT(another_body_under_the_same_key_contradicts_itself),
           UNIT(commands_are_no_part_of_the_body_and_get_no_place),
           UNIT(a_key_is_known_for_ten_minutes_of_log_time),
           UNIT(many_old_keys_go_in_several_turns_and_are_new_all_the_same),
           UNIT(a_key_that_was_taken_back_is_new),
           UNIT(above_the_most_keys_the_oldest_are_forgotten),
           UNIT(batches_to_many_channels_are_bounded_by_their_bytes),
           UNIT(what_an_earlier_process_stored_is_answered_alike),
           UNIT(of_a_key_that_was_stored_twice_the_newer_counts))
