/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/fault.h"

#include "tests/unit.h"

static const struct mqtt_dialect server_5 = {MQTT_VERSION_5, MQTT_SERVER, UINT32_MAX};

static bool is_statement(const char *text) {
    return strncmp(text, "MQTT-", 5) == 0 && strspn(text + 5, "0123456789.-") == strlen(text + 5);
}

TEST(every_fault_has_a_statement_of_the_newer_version_and_a_sentence) {
    for (int fault = MQTT_FAULT_NONE + 1; fault < MQTT_FAULT_COUNT; fault++) {
        const struct mqtt_fault_row *row = mqtt_fault_row((enum mqtt_fault)fault);
        EXPECT_TRUE(is_statement(row->statement_5));
        EXPECT_TRUE(row->statement_311[0] == '\0' || is_statement(row->statement_311));
        EXPECT_TRUE(strlen(row->text) > 10);
        EXPECT_TRUE(row->error != OK);
    }
}

/* [MQTT-4.13.1-1] */
TEST(every_fault_can_be_told_in_a_disconnect_or_a_connack) {
    for (int fault = MQTT_FAULT_NONE + 1; fault < MQTT_FAULT_COUNT; fault++) {
        uint8_t reason = (uint8_t)mqtt_fault_row((enum mqtt_fault)fault)->reason;
        EXPECT_TRUE(reason >= MQTT_REASON_FAILURE);
        EXPECT_TRUE(mqtt_reason_is_legal(reason, MQTT_DISCONNECT, &server_5) ||
                    mqtt_reason_is_legal(reason, MQTT_CONNACK, &server_5));
    }
}

TEST(a_refusal_names_the_statement_of_the_version_that_is_spoken) {
    struct mqtt_refusal refusal;
    struct error why;
    EXPECT_EQ(mqtt_fault_tell(MQTT_FAULT_UTF8, MQTT_VERSION_3_1_1, &refusal, &why), ERR_BAD_UTF8);
    EXPECT_STRING(refusal.statement, "MQTT-1.5.3-1");
    EXPECT_STRING(why.detail, "A string is not UTF-8");
    EXPECT_EQ(mqtt_fault_tell(MQTT_FAULT_UTF8, MQTT_VERSION_5, &refusal, NULL), ERR_BAD_UTF8);
    EXPECT_STRING(refusal.statement, "MQTT-1.5.4-1");
    EXPECT_EQ(refusal.reason, MQTT_REASON_MALFORMED_PACKET);
    EXPECT_EQ(refusal.answer, MQTT_VERSION_NONE);
}

TEST(no_fault_is_no_error_and_tells_nothing) {
    struct mqtt_refusal refusal = {.fault = MQTT_FAULT_NUL};
    EXPECT_EQ(mqtt_fault_tell(MQTT_FAULT_NONE, MQTT_VERSION_5, &refusal, NULL), OK);
    EXPECT_EQ(refusal.fault, MQTT_FAULT_NUL);
}

UNIT_TESTS(UNIT(every_fault_has_a_statement_of_the_newer_version_and_a_sentence),
           UNIT(every_fault_can_be_told_in_a_disconnect_or_a_connack),
           UNIT(a_refusal_names_the_statement_of_the_version_that_is_spoken),
           UNIT(no_fault_is_no_error_and_tells_nothing))
