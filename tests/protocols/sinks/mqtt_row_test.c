/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/mqtt_row.h"

#include <stdlib.h>

#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "tests/unit.h"

uint64_t log_id(const struct log *log) {
    (void)log;
    return UINT64_C(0xabcdef0123456789);
}

TEST(client_id_is_the_given_one_or_has_the_log_and_the_name) {
    struct broker broker = {0};
    char id[MQTT_CLIENT_ID_BYTES];
    mqtt_name_client(&broker, "mine", "there", "-source", id);
    EXPECT_STRING(id, "mine");
    mqtt_name_client(&broker, NULL, "there", "", id);
    EXPECT_STRING(id, "tidings-abcdef01-there");
    mqtt_name_client(&broker, NULL, "there", "-source", id);
    EXPECT_STRING(id, "tidings-abcdef01-there-source");
}

TEST(place_is_host_and_port_however_they_are_written) {
    uint64_t place = mqtt_place_id("mqtt://plant.example");
    EXPECT_EQ(mqtt_place_id("mqtt://Plant.Example:1883"), place);
    EXPECT_FALSE(mqtt_place_id("mqtt://plant.example:1884") == place);
    EXPECT_FALSE(mqtt_place_id("mqtt://plant2.example") == place);
}

TEST(faults_name_the_key_and_what_was_not_given_is_none) {
    struct config_faults *faults = calloc(1, sizeof(*faults));
    struct config_place place = {.line = 7, .column = 3};
    struct mqtt_row row = {.place = &place};
    mqtt_check_row(&row, "text", "sinks[0]", faults);
    EXPECT_EQ(faults->count, 0);
    row = (struct mqtt_row){&place, "mqtt://host", "/dev/null"};
    mqtt_check_row(&row, "text", "sinks[0]", faults);
    EXPECT_EQ(faults->count, 0);
    row = (struct mqtt_row){&place, "host", "/nowhere/ca.pem"};
    mqtt_check_row(&row, "text", "sinks[0]", faults);
    EXPECT_EQ(faults->count, 2);
    EXPECT_STRING(faults->rows[0].key, "sinks[0]");
    EXPECT_EQ(faults->rows[0].line, 7);
    EXPECT_NOT_NULL(strstr(faults->rows[0].reason, "`mqtt.url`"));
    EXPECT_NOT_NULL(strstr(faults->rows[1].reason, "`mqtt.ca`: /nowhere/ca.pem"));
    free(faults);
}

UNIT_TESTS(UNIT(client_id_is_the_given_one_or_has_the_log_and_the_name),
           UNIT(place_is_host_and_port_however_they_are_written),
           UNIT(faults_name_the_key_and_what_was_not_given_is_none))
