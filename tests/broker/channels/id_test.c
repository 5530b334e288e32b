/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/id.h"

#include "broker/support/macros.h"
#include "tests/unit.h"

static const struct place PLACES[] = {
    {.log_id = 1},
    {.log_id = 0x1122334455667788,
     .generation = 1,
     .position = 1000,
     .channel_id = 3,
     .offset = 42},
    {.log_id = 7, .generation = 128, .position = 127, .channel_id = 16383, .offset = 16384},
    {.log_id = UINT64_MAX,
     .generation = UINT32_MAX,
     .position = UINT64_MAX,
     .channel_id = UINT64_MAX,
     .offset = UINT64_MAX},
};

TEST(an_id_gives_back_its_place) {
    for (size_t i = 0; i < ARRAY_COUNT(PLACES); i++) {
        char text[ID_TEXT_BYTES_MAX];
        struct place place = {0};
        size_t length = id_format(&PLACES[i], text);
        EXPECT_TRUE(length <= ID_TEXT_BYTES_MAX);
        EXPECT_TRUE(id_parse(span_of(text, length), &place));
        EXPECT_TRUE(place.log_id == PLACES[i].log_id);
        EXPECT_EQ(place.generation, PLACES[i].generation);
        EXPECT_TRUE(place.position == PLACES[i].position);
        EXPECT_TRUE(place.channel_id == PLACES[i].channel_id);
        EXPECT_TRUE(place.offset == PLACES[i].offset);
    }
}

TEST(the_layout_of_version_1_does_not_change) {
    char text[ID_TEXT_BYTES_MAX];
    size_t length = id_format(&PLACES[1], text);
    EXPECT_SPAN(span_of(text, length), "t1v-eId2ZVRDMiEQED6Acq");
}

TEST(an_id_with_any_character_changed_or_cut_is_refused) {
    char text[ID_TEXT_BYTES_MAX];
    struct place place;
    size_t length = id_format(&PLACES[1], text);
    for (size_t i = 0; i < length; i++) {
        EXPECT_FALSE(id_parse(span_of(text, i), &place));
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        EXPECT_FALSE(id_parse(span_of(text, length), &place));
        text[i] = kept;
    }
    text[length] = 'A';
    EXPECT_FALSE(id_parse(span_of(text, length + 1), &place));
}

TEST(what_is_no_id_is_refused) {
    static const char *const bad[] = {
        "",
        "t",
        "t1",
        "t2AAAAAAAAAAAAAAAAAA",
        "earliest",
        "42",
        "t1AAAAAAAAAAAAAAAAAAAAAAAAA",
        "t1__________________________________________________________________________________"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct place place;
        EXPECT_FALSE(id_parse(span_of_string(bad[i]), &place));
    }
}

UNIT_TESTS(UNIT(an_id_gives_back_its_place), UNIT(the_layout_of_version_1_does_not_change),
           UNIT(an_id_with_any_character_changed_or_cut_is_refused), UNIT(what_is_no_id_is_refused))
