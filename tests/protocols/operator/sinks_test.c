/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/sinks.h"

#include "tests/protocols/operator/asking.h"

#define HOOK(name, more)                                                                           \
    "{\"name\":\"" name "\",\"channels\":[\"a/**\"],\"webhook\":{\"url\":\"https://h\"" more "}}"

/* Expects the status, and `text` in the body. */
static void expect_answer(struct broker *broker, const char *method, const char *target,
                          const char *body, unsigned status, const char *text) {
    struct request *request = ask_with(broker, method, target, "localhost:8081", body);
    EXPECT_EQ(buffer_put_byte(&request->reply.body, '\0'), OK);
    const char *answer = (const char *)request->reply.body.bytes;
    if (request->reply.status != status || strstr(answer, text) == NULL) {
        fail_msg("%s %s: no %s in %u %s", method, target, text, request->reply.status, answer);
    }
    request_destroy(request);
}

TEST(a_page_is_in_order_of_name) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/sinks",
                "{\"sinks\":[{\"name\":\"audit\",\"kind\":\"kafka\","
                "\"origin\":\"operator\",\"state\":\"disabled\"");
    expect_body(broker, "/api/v1/sinks", "},{\"name\":\"orders\"");
    expect_body(broker, "/api/v1/sinks", "],\"next\":null}");
    expect_body(broker, "/api/v1/sinks?limit=1", "],\"next\":\"audit\"}");
    expect_body(broker, "/api/v1/sinks?limit=1&after=audit", "{\"sinks\":[{\"name\":\"orders\"");
    expect_body(broker, "/api/v1/sinks?after=audi", "{\"sinks\":[{\"name\":\"audit\"");
    expect_body(broker, "/api/v1/sinks?after=orders", "{\"sinks\":[],\"next\":null}");
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/sinks?limit=0"), 400);
    fakes_destroy(broker);
}

TEST(one_is_found_by_its_name_or_not_at_all) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/sinks/orders", "{\"name\":\"orders\",\"kind\":\"webhook\"");
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/sinks/other"), 404);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/sinks/orders/x"), 404);
    EXPECT_EQ(status_of(broker, "POST", "/api/v1/sinks/other/test"), 404);
    EXPECT_EQ(
        status_of(broker, "GET",
                  "/api/v1/sinks/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  "aaaaaaaaaaaa"),
        404);
    fakes_destroy(broker);
}

TEST(a_sink_is_declared_and_told_where_it_is) {
    struct broker *broker = fakes_create(NULL);
    struct request *request =
        ask_with(broker, "POST", "/api/v1/sinks", "localhost:8081", HOOK("new", ""));
    struct span rest = buffer_borrow(&request->reply.headers);
    struct span name;
    struct span value;
    bool has_location = false;
    EXPECT_EQ(request->reply.status, 201);
    while (reply_next_header(&rest, &name, &value)) {
        has_location |= span_is_equal(name, SPAN("Location")) &&
                        span_is_equal(value, SPAN("/api/v1/sinks/new"));
    }
    EXPECT_TRUE(has_location);
    request_destroy(request);
    expect_answer(broker, "POST", "/api/v1/sinks",
                  HOOK("new", ",\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\""), 201,
                  "\"secret\":\"set\"");
    expect_answer(broker, "POST", "/api/v1/sinks", HOOK("orders", ""), 409, "this sink is there");
    fakes_destroy(broker);
}

TEST(a_wrong_definition_is_refused_with_all_faults) {
    struct broker *broker = fakes_create(NULL);
    expect_answer(broker, "POST", "/api/v1/sinks", "{\n\"nme\":\"a\",\"format\":\"xml\"}", 422,
                  "\"detail\":\"5 faults; nothing was changed\",\"faults\":["
                  "{\"source\":\"body\",\"line\":2,\"column\":1,\"field\":\"nme\",\"reason\":"
                  "\"is not a key; the nearest is `name`\"},");
    expect_answer(broker, "PUT", "/api/v1/sinks/audit", "{", 422, "is not JSON");
    expect_answer(broker, "POST", "/api/v1/sinks", "", 422, "is not JSON");
    fakes_destroy(broker);
}

TEST(only_the_operators_own_are_changed_and_removed) {
    struct broker *broker = fakes_create(NULL);
    expect_answer(broker, "PUT", "/api/v1/sinks/audit", HOOK("audit", ""), 200,
                  "{\"name\":\"audit\"");
    expect_answer(broker, "PUT", "/api/v1/sinks/audit", HOOK("other", ""), 422,
                  "a name cannot be changed");
    expect_answer(broker, "PUT", "/api/v1/sinks/orders", HOOK("orders", ""), 409,
                  "the configuration's");
    expect_answer(broker, "PUT", "/api/v1/sinks/none", HOOK("none", ""), 404, "no sink");
    expect_answer(broker, "PUT", "/api/v1/sinks/audit",
                  "{\"name\":\"audit\",\"channels\":[\"a\"],\"kafka\":{\"brokers\":\"k\","
                  "\"username\":\"u\"}}",
                  422, "\"faults\":[{\"source\":\"body\",\"line\":1,\"column\":1,");
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/sinks/audit"), 204);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/sinks/orders"), 409);
    fakes_destroy(broker);
}

TEST(a_replay_says_from_where) {
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "5",
                                      "{\"since\":\"never\"}",
                                      "{\"since\":null}",
                                      "{\"dead_letters\":false}",
                                      "{\"from\":1}",
                                      "{\"since\":\"now\",\"dead_letters\":true}"};
    struct broker *broker = fakes_create(NULL);
    expect_answer(broker, "POST", "/api/v1/sinks/orders/replay", "{\"since\":\"earliest\"}", 200,
                  "{\"name\":\"orders\"");
    expect_answer(broker, "POST", "/api/v1/sinks/orders/replay", "{\"since\":5}", 200,
                  "{\"name\":\"orders\"");
    expect_answer(broker, "POST", "/api/v1/sinks/orders/replay", "{\"dead_letters\":true}", 200,
                  "{\"replayed\":4}");
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        expect_answer(broker, "POST", "/api/v1/sinks/orders/replay", bad[i], 422, "");
    }
    expect_answer(broker, "POST", "/api/v1/sinks/orders/replay", "{", 400, "at byte 1");
    fakes_destroy(broker);
}

TEST(a_test_tells_what_came_back) {
    struct broker *broker = fakes_create(NULL);
    expect_answer(broker, "POST", "/api/v1/sinks/orders/test", "", 200,
                  "{\"outcome\":\"failed\",\"status\":500,\"detail\":null,\"took_ms\":12.3}");
    expect_answer(broker, "POST", "/api/v1/sinks/orders/resume", "", 200, "{\"name\":\"orders\"");
    fakes_destroy(broker);
}

TEST(sources_are_listed) {
    struct broker *broker = fakes_create(NULL);
    expect_body(
        broker, "/api/v1/sources",
        "{\"sources\":[{\"name\":\"lake\",\"kind\":\"kafka\",\"state\":\"live\","
        "\"detail\":null,\"messages\":5,\"bytes\":0,\"refused\":0,\"own\":0,\"gaps\":0,"
        "\"lag_messages\":2},"
        "{\"name\":\"site\",\"kind\":\"mqtt\",\"state\":\"broken\",\"detail\":null,"
        "\"messages\":0,\"bytes\":0,\"refused\":0,\"own\":0,\"gaps\":0,\"lag_messages\":null}]}");
    fakes_destroy(broker);
}

TEST(while_the_broker_starts_nothing_is_known) {
    struct broker *broker = fakes_create(NULL);
    struct sinks *sinks = broker->sinks;
    broker->sinks = NULL;
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/sinks"), 503);
    broker->sinks = sinks;
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(a_page_is_in_order_of_name), UNIT(one_is_found_by_its_name_or_not_at_all),
           UNIT(a_sink_is_declared_and_told_where_it_is),
           UNIT(a_wrong_definition_is_refused_with_all_faults),
           UNIT(only_the_operators_own_are_changed_and_removed), UNIT(a_replay_says_from_where),
           UNIT(a_test_tells_what_came_back), UNIT(sources_are_listed),
           UNIT(while_the_broker_starts_nothing_is_known))
