/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/handshake.h"

#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "protocols/rest/routes.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

#define VERSION "Sec-WebSocket-Version: 13\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"

static struct request *request;

static enum error_code shake(const char *headers) {
    struct error why = {0};
    request_destroy(request);
    request = fakes_request("GET", "/channels/a", NULL, headers);
    return handshake_accept(request, &why);
}

static int end(void **state) {
    request_destroy(request);
    request = NULL;
    return fakes_end(state);
}

TEST(the_key_is_answered_as_rfc_6455_says) {
    EXPECT_EQ(shake(VERSION KEY), OK);
    EXPECT_EQ(request->reply.status, 101);
    EXPECT_SPAN(fakes_reply_header(request, "Sec-WebSocket-Accept"),
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(fakes_reply_header(request, "Sec-WebSocket-Protocol").length, 0);
}

TEST(another_version_is_told_ours) {
    EXPECT_EQ(shake("Sec-WebSocket-Version: 8\n" KEY), ERR_UPGRADE_REQUIRED);
    EXPECT_SPAN(fakes_reply_header(request, "Sec-WebSocket-Version"), "13");
    EXPECT_EQ(shake(KEY), ERR_UPGRADE_REQUIRED);
}

TEST(a_key_that_is_none_is_refused) {
    EXPECT_EQ(shake(VERSION), ERR_BAD_REQUEST);
    EXPECT_EQ(shake(VERSION "Sec-WebSocket-Key: short\n"), ERR_BAD_REQUEST);
}

TEST(the_subprotocol_is_chosen_only_where_it_is_offered) {
    EXPECT_EQ(shake(VERSION KEY "Sec-WebSocket-Protocol: chat, tidings.v1"), OK);
    EXPECT_SPAN(fakes_reply_header(request, "Sec-WebSocket-Protocol"), "tidings.v1");
    EXPECT_EQ(shake(VERSION KEY "Sec-WebSocket-Protocol: chat"), OK);
    EXPECT_EQ(fakes_reply_header(request, "Sec-WebSocket-Protocol").length, 0);
}

#define MQTT_OFFER(protocols) VERSION KEY "Sec-WebSocket-Protocol: " protocols

static bool speaks_mqtt(const char *headers) {
    IGNORE_RESULT(shake(headers) != OK); /* only the request is wanted */
    request->is_upgrade = true;
    return handshake_is_mqtt(request);
}

TEST(the_first_subprotocol_that_is_known_decides) {
    EXPECT_TRUE(speaks_mqtt(MQTT_OFFER("mqtt")));
    EXPECT_TRUE(speaks_mqtt(MQTT_OFFER("mqttv3.1, mqtt, tidings.v1")));
    EXPECT_FALSE(speaks_mqtt(MQTT_OFFER("tidings.v1, mqtt")));
    EXPECT_FALSE(speaks_mqtt(MQTT_OFFER("mqttv3.1")));
    EXPECT_FALSE(speaks_mqtt(VERSION KEY));
}

TEST(ours_is_no_choice_where_it_is_not_spoken) {
    static const char *const paths[] = {"/", "/mqtt", "/stream/", "/publish"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        request_destroy(request);
        request = fakes_request("GET", paths[i], NULL, MQTT_OFFER("tidings.v1, mqtt"));
        request->is_upgrade = true;
        EXPECT_TRUE(handshake_is_mqtt(request));
    }
}

TEST(mqtt_is_spoken_on_any_path_and_never_compressed) {
    static const char *const paths[] = {"/", "/mqtt", "/demo", "/channels/a"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct error why = {0};
        request_destroy(request);
        request = fakes_request("GET", paths[i], NULL,
                                MQTT_OFFER("mqtt\nHost: localhost\nSec-WebSocket-Extensions: "
                                           "permessage-deflate"));
        request->is_upgrade = true;
        EXPECT_TRUE(routes_admit(request));
        routes_handle(request);
        EXPECT_EQ(request->reply.kind, REPLY_MQTT);
        EXPECT_SPAN(fakes_reply_header(request, "Sec-WebSocket-Protocol"), "mqtt");
        EXPECT_FALSE(handshake_deflates(request));
        EXPECT_EQ(handshake_accept_mqtt(request, &why), OK);
    }
}

#define OFFER "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n"

TEST(permessage_deflate_is_agreed_on_where_it_is_offered) {
    EXPECT_EQ(shake(VERSION KEY OFFER), OK);
    EXPECT_TRUE(handshake_deflates(request));
    EXPECT_SPAN(fakes_reply_header(request, "Sec-WebSocket-Extensions"),
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    EXPECT_EQ(shake(VERSION KEY), OK);
    EXPECT_FALSE(handshake_deflates(request));
    EXPECT_EQ(shake(VERSION KEY "Sec-WebSocket-Extensions: foo\n" OFFER OFFER), OK);
    EXPECT_TRUE(handshake_deflates(request));
}

TEST(a_rule_may_forbid_permessage_deflate_to_its_channel) {
    struct config config = *fakes.broker.config;
    const struct rules *rules = fakes.broker.rules;
    config.rule_default.deflate = false;
    fakes.broker.rules = rules_create(&config, NULL);
    EXPECT_EQ(shake(VERSION KEY OFFER), OK);
    EXPECT_TRUE(handshake_deflates(request)); /* no channel: each frame is asked about */
    request_destroy(request);
    request = fakes_request("GET", "/channels/a", NULL, VERSION KEY OFFER);
    EXPECT_EQ(buffer_put(&request->channel, SPAN("a")), OK);
    EXPECT_EQ(handshake_accept(request, &(struct error){0}), OK);
    EXPECT_FALSE(handshake_deflates(request));
    rules_destroy((struct rules *)(uintptr_t)fakes.broker.rules);
    fakes.broker.rules = rules;
}

#define SHAKE(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(SHAKE(the_key_is_answered_as_rfc_6455_says),
           SHAKE(the_first_subprotocol_that_is_known_decides),
           SHAKE(ours_is_no_choice_where_it_is_not_spoken),
           SHAKE(mqtt_is_spoken_on_any_path_and_never_compressed),
           SHAKE(another_version_is_told_ours), SHAKE(a_key_that_is_none_is_refused),
           SHAKE(permessage_deflate_is_agreed_on_where_it_is_offered),
           SHAKE(a_rule_may_forbid_permessage_deflate_to_its_channel),
           SHAKE(the_subprotocol_is_chosen_only_where_it_is_offered))
