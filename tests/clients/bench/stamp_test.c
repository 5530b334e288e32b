/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/stamp.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit.h"

static const struct stamp stamps[] = {
    {0, 0, 0, 0, 0},
    {1, 2, 3, 4, 5},
    {UINT32_MAX, UINT32_MAX, STAMP_LANE_MAX, STAMP_SEQUENCE_MAX, UINT64_MAX},
    {0x12345678, 99999, 1023, 123456789012, 987654321987654321},
};
#define STAMPS (sizeof(stamps) / sizeof(stamps[0]))

static void expect_stamp(const void *bytes, size_t length, const struct stamp *expected) {
    struct stamp found = {0};
    size_t hint = 0;
    EXPECT_TRUE(stamp_find(bytes, length, &hint, &found));
    EXPECT_EQ(found.run, expected->run);
    EXPECT_EQ(found.channel, expected->channel);
    EXPECT_EQ(found.lane, expected->lane);
    EXPECT_EQ(found.sequence, expected->sequence);
    EXPECT_EQ(found.due_ns, expected->due_ns);
}

TEST(a_payload_of_any_length_is_json_and_keeps_its_stamp) {
    uint8_t payload[600];
    for (size_t length = STAMP_PAYLOAD_BYTES_MIN; length < sizeof(payload); length++) {
        for (size_t i = 0; i < STAMPS; i++) {
            memset(payload, 0, sizeof(payload));
            stamp_put_payload(&stamps[i], payload, length);
            EXPECT_EQ(strlen((const char *)payload), length);
            json_t *json = json_loadb((const char *)payload, length, JSON_REJECT_DUPLICATES, NULL);
            EXPECT_TRUE(json_is_object(json));
            EXPECT_EQ(json_string_length(json_object_get(json, "s")), STAMP_BYTES);
            json_decref(json);
            expect_stamp(payload, length, &stamps[i]);
        }
    }
}

/* As JSON within a JSON string, as data lines of an event stream, behind anything. */
TEST(a_stamp_is_found_in_whatever_wraps_the_payload) {
    static const char *const wraps[] = {
        "%s",
        "%s\n",
        "id: 12\nevent: message\ndata: {\"channel\":\"a\",\"offset\":12,\"data\":%s}\n\n",
        "{\"channel\":\"tdSmp\",\"id\":\"tdSmp0123456789,0123456789\",\"data\":%s}",
        "tdSmptdSmptdSmp%s",
        "MSG bench.0 1 64\r\n%s\r\n",
    };
    char payload[80] = "";
    stamp_put_payload(&stamps[3], (uint8_t *)payload, 64);
    for (size_t i = 0; i < sizeof(wraps) / sizeof(wraps[0]); i++) {
        char *wrapped = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&wrapped, &size);
        for (const char *at = wraps[i]; *at != '\0'; at++) {
            if (at[0] == '%' && at[1] == 's') {
                fputs(payload, stream);
                at++;
            } else {
                fputc(*at, stream);
            }
        }
        fclose(stream);
        expect_stamp(wrapped, size, &stamps[3]);
        json_t *string = json_string(wrapped);
        char *embedded = json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        expect_stamp(embedded, strlen(embedded), &stamps[3]);
        free(embedded);
        json_decref(string);
        free(wrapped);
    }
}

TEST(what_is_no_stamp_is_not_found) {
    char payload[80] = "";
    struct stamp found;
    stamp_put_payload(&stamps[1], (uint8_t *)payload, 64);
    for (size_t cut = 0; cut < 6 + STAMP_BYTES; cut++) {
        size_t hint = 6;
        char *exact = malloc(cut + 1); /* so that a sanitizer sees a read behind it */
        memcpy(exact, payload, cut);
        EXPECT_FALSE(stamp_find((const uint8_t *)exact, cut, &hint, &found));
        free(exact);
    }
    size_t hint = 1000;
    payload[20] = '.';
    EXPECT_FALSE(stamp_find((const uint8_t *)payload, 64, &hint, &found));
}

TEST(a_hint_is_followed_and_learnt) {
    uint8_t bytes[400];
    struct stamp found;
    memset(bytes, ' ', sizeof(bytes));
    stamp_put_payload(&stamps[1], bytes + 94, 64);
    stamp_put_payload(&stamps[2], bytes + 294, 64);
    size_t hint = 0;
    EXPECT_TRUE(stamp_find(bytes, sizeof(bytes), &hint, &found));
    EXPECT_EQ(hint, 100);
    EXPECT_EQ(found.sequence, stamps[1].sequence);
    hint = 300;
    EXPECT_TRUE(stamp_find(bytes, sizeof(bytes), &hint, &found));
    EXPECT_EQ(hint, 300);
    EXPECT_EQ(found.sequence, stamps[2].sequence);
}

UNIT_TESTS(UNIT(a_payload_of_any_length_is_json_and_keeps_its_stamp),
           UNIT(a_stamp_is_found_in_whatever_wraps_the_payload),
           UNIT(what_is_no_stamp_is_not_found), UNIT(a_hint_is_followed_and_learnt))
