/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/wire.h"

#include "broker/support/macros.h"
#include "tests/protocols/mqtt/packets.h"
#include "tests/unit.h"

/* Table 1-1 of 5.0 and table 2.4 of 3.1.1: the ends of each length. */
static const struct {
    uint32_t value;
    const char *notation;
} varints[] = {
    {0, "00"},         {127, "7F"},         {128, "8001"},         {16383, "FF7F"},
    {16384, "808001"}, {2097151, "FFFF7F"}, {2097152, "80808001"}, {268435455, "FFFFFF7F"},
    {321, "C102"}, /* the example of 3.1.1, section 2.2.3: 65 + 2 * 128 */
};

/* [MQTT-1.5.5-1] */
TEST(a_variable_byte_integer_has_the_shortest_form_of_the_tables) {
    for (size_t i = 0; i < ARRAY_COUNT(varints); i++) {
        struct buffer buffer;
        struct mqtt_reader reader = mqtt_reader_of(bytes_of(varints[i].notation));
        uint32_t value = 0;
        bool is_shortest = false;
        buffer_init(&buffer, 100);
        EXPECT_EQ(buffer_reserve(&buffer, 4), OK);
        mqtt_put_varint(&buffer, varints[i].value);
        EXPECT_BYTES(buffer_borrow(&buffer), varints[i].notation);
        EXPECT_EQ(mqtt_varint_size(varints[i].value), buffer.length);
        EXPECT_EQ(mqtt_take_varint(&reader, &value, &is_shortest), MQTT_VARINT_WHOLE);
        EXPECT_EQ(value, varints[i].value);
        EXPECT_TRUE(is_shortest);
        EXPECT_EQ(mqtt_left(&reader), 0);
        buffer_finish(&buffer);
    }
}

/* [MQTT-1.5.5-1] */
TEST(a_longer_form_of_a_variable_byte_integer_is_seen) {
    static const char *const longer[] = {"8000", "FF00", "808000", "80808000", "FFFFFF00"};
    for (size_t i = 0; i < ARRAY_COUNT(longer); i++) {
        struct mqtt_reader reader = mqtt_reader_of(bytes_of(longer[i]));
        uint32_t value;
        bool is_shortest = true;
        EXPECT_EQ(mqtt_take_varint(&reader, &value, &is_shortest), MQTT_VARINT_WHOLE);
        EXPECT_FALSE(is_shortest);
    }
}

TEST(a_variable_byte_integer_ends_with_its_fourth_byte) {
    struct mqtt_reader reader = mqtt_reader_of(bytes_of("80808080"));
    uint32_t value = 7;
    bool is_shortest;
    EXPECT_EQ(mqtt_take_varint(&reader, &value, &is_shortest), MQTT_VARINT_ENDLESS);
    EXPECT_EQ(value, 7);
    for (size_t length = 0; length < 4; length++) {
        reader = mqtt_reader_of(bytes_copy(span_of((const uint8_t *)"\x80\x80\x80", length)));
        EXPECT_EQ(mqtt_take_varint(&reader, &value, &is_shortest), MQTT_VARINT_CUT);
        EXPECT_EQ(mqtt_left(&reader), length);
    }
}

TEST(numbers_are_big_endian) {
    struct mqtt_reader reader = mqtt_reader_of(bytes_of("01 0203 04050607"));
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    struct buffer buffer;
    EXPECT_TRUE(mqtt_take_u8(&reader, &byte));
    EXPECT_TRUE(mqtt_take_u16(&reader, &half));
    EXPECT_TRUE(mqtt_take_u32(&reader, &word));
    EXPECT_EQ(byte, 1);
    EXPECT_EQ(half, 0x0203);
    EXPECT_EQ(word, 0x04050607);
    EXPECT_FALSE(mqtt_take_u8(&reader, &byte));
    buffer_init(&buffer, 100);
    EXPECT_EQ(buffer_reserve(&buffer, 7), OK);
    mqtt_put_u8(&buffer, byte);
    mqtt_put_u16(&buffer, half);
    mqtt_put_u32(&buffer, word);
    EXPECT_BYTES(buffer_borrow(&buffer), "01 0203 04050607");
    buffer_finish(&buffer);
}

TEST(what_is_not_all_there_is_not_taken) {
    struct mqtt_reader reader = mqtt_reader_of(bytes_of("0003 'ab'"));
    struct span bytes;
    uint32_t word;
    EXPECT_FALSE(mqtt_take_binary(&reader, &bytes));
    EXPECT_EQ(mqtt_left(&reader), 4);
    EXPECT_FALSE(mqtt_take_bytes(&reader, 5, &bytes));
    EXPECT_TRUE(mqtt_take_u32(&reader, &word));
    reader = mqtt_reader_of(span_of(NULL, 0));
    EXPECT_FALSE(mqtt_take_binary(&reader, &bytes));
    EXPECT_TRUE(mqtt_take_bytes(&reader, 0, &bytes));
    EXPECT_EQ(bytes.length, 0);
}

/* The figure of section 1.5.4.1 of 5.0: "A" and U+2A6D4. */
/* [MQTT-1.5.4-1] */
/* 3.1.1: [MQTT-1.5.3-1] */
TEST(a_string_of_the_specification_is_taken) {
    struct mqtt_reader reader = mqtt_reader_of(bytes_of("0005 41 F0AA9B94"));
    struct span string;
    EXPECT_TRUE(mqtt_take_binary(&reader, &string));
    EXPECT_EQ(mqtt_string_check(string), MQTT_FAULT_NONE);
    EXPECT_SPAN(string, "A\xF0\xAA\x9B\x94");
}

/* [MQTT-1.5.4-1] */
/* 3.1.1: [MQTT-1.5.3-1] */
TEST(a_surrogate_an_overlong_form_and_a_cut_character_are_no_string) {
    static const char *const bad[] = {"EDA080",   "EDBFBF",       "C080",     "E08080",
                                      "F4908080", "F0AA9B",       "80",       "FF",
                                      "C3",       "F88080808080", "41EDA0BD", "E28228"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(mqtt_string_check(bytes_of(bad[i])), MQTT_FAULT_UTF8);
    }
}

/* [MQTT-1.5.4-2] */
/* 3.1.1: [MQTT-1.5.3-2] */
TEST(u_0000_is_no_part_of_a_string) {
    EXPECT_EQ(mqtt_string_check(bytes_of("'a' 00 'b'")), MQTT_FAULT_NUL);
    EXPECT_EQ(mqtt_string_check(bytes_of("00")), MQTT_FAULT_NUL);
}

/* [MQTT-1.5.4-3] */
/* 3.1.1: [MQTT-1.5.3-3] */
TEST(a_zero_width_no_break_space_stays_where_it_is) {
    struct mqtt_reader reader = mqtt_reader_of(bytes_of("0004 EFBBBF 'a'"));
    struct span string;
    EXPECT_TRUE(mqtt_take_binary(&reader, &string));
    EXPECT_EQ(mqtt_string_check(string), MQTT_FAULT_NONE);
    EXPECT_SPAN(string, "\xEF\xBB\xBF"
                        "a");
}

TEST(control_characters_and_non_characters_are_taken) {
    EXPECT_EQ(mqtt_string_check(bytes_of("01 1F 7F C280 EFBFBE EFB790")), MQTT_FAULT_NONE);
    EXPECT_EQ(mqtt_string_check(span_of(NULL, 0)), MQTT_FAULT_NONE);
}

UNIT_TESTS(UNIT(a_variable_byte_integer_has_the_shortest_form_of_the_tables),
           UNIT(a_longer_form_of_a_variable_byte_integer_is_seen),
           UNIT(a_variable_byte_integer_ends_with_its_fourth_byte), UNIT(numbers_are_big_endian),
           UNIT(what_is_not_all_there_is_not_taken), UNIT(a_string_of_the_specification_is_taken),
           UNIT(a_surrogate_an_overlong_form_and_a_cut_character_are_no_string),
           UNIT(u_0000_is_no_part_of_a_string), UNIT(a_zero_width_no_break_space_stays_where_it_is),
           UNIT(control_characters_and_non_characters_are_taken))
