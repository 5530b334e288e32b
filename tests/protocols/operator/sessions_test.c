/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/sessions.h"

#include "broker/limits.h"
#include "tests/protocols/operator/asking.h"

TEST(a_page_says_who_is_connected_and_until_when_the_others_are_kept) {
    struct broker *broker = fakes_create(NULL);
    expect_body(
        broker, "/api/v1/sessions",
        "{\"sessions\":["
        "{\"client_id\":\"a/\\\"1\",\"connected\":true,\"connection\":7,\"away_since\":null,"
        "\"expires\":null,\"state_bytes\":null,\"will\":null},"
        "{\"client_id\":\"b\",\"connected\":false,\"connection\":null,"
        "\"away_since\":\"2026-01-31T08:05:09.123Z\","
        "\"expires\":\"2026-01-31T09:05:09.123Z\",\"state_bytes\":17,\"will\":true},"
        "{\"client_id\":\"c\",\"connected\":false,\"connection\":null,"
        "\"away_since\":\"1970-01-01T00:00:00.001Z\","
        "\"expires\":null,\"state_bytes\":0,\"will\":false}"
        "],\"next\":null}");
    fakes_destroy(broker);
}

TEST(the_next_page_begins_behind_the_last_client_id) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/sessions?limit=1", "\"next\":\"a/\\\"1\"}");
    expect_body(broker, "/api/v1/sessions?limit=1&after=a%2F%221",
                "{\"sessions\":[{\"client_id\":\"b\"");
    fakes_destroy(broker);
}

TEST(a_session_is_ended_by_its_client_id_with_all_its_slashes) {
    struct broker *broker = fakes_create(NULL);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/sessions/a%2F%221"), 204);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/sessions/a/%221"), 204);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/sessions/other"), 404);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/sessions/%zz"), 404);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/sessions/a"), 405);
    fakes_destroy(broker);
}

TEST(what_no_client_id_can_be_is_refused) {
    char target[CLIENT_ID_BYTES_MAX + 64] = "/api/v1/sessions?after=";
    size_t length = strlen(target);
    struct broker *broker = fakes_create(NULL);
    memset(target + length, 'x', CLIENT_ID_BYTES_MAX);
    EXPECT_EQ(status_of(broker, "GET", target), 200);
    target[length + CLIENT_ID_BYTES_MAX] = 'x';
    EXPECT_EQ(status_of(broker, "GET", target), 400);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/sessions?limit=0"), 400);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/sessions?after=%zz"), 400);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(a_page_says_who_is_connected_and_until_when_the_others_are_kept),
           UNIT(the_next_page_begins_behind_the_last_client_id),
           UNIT(a_session_is_ended_by_its_client_id_with_all_its_slashes),
           UNIT(what_no_client_id_can_be_is_refused))
