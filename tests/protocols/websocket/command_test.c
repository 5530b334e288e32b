/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/command.h"

#include "broker/support/string_map.h"
#include "tests/unit.h"

static struct buffer scratch;
static struct command command;
static struct error why;

static enum error_code parse(const char *text) {
    buffer_finish(&scratch);
    buffer_init(&scratch, 100000);
    why = (struct error){0};
    return command_parse(span_of_string(text), &scratch, &command, &why);
}

TEST(a_publish_has_all_its_fields) {
    EXPECT_EQ(parse("{\"ref\":2,\"publish\":{\"channel\":\"chat\\/7\",\"data\":{ \"text\":\"hi\"},"
                    "\"event\":\"goal\",\"key\":\"\\u00fc\","
                    "\"headers\":{\"lang\":\"de\",\"x\":\"\"},"
                    "\"ttl\":60,\"retain\":true,\"idempotency_key\":\"k\"}}"),
              OK);
    EXPECT_EQ(command.kind, COMMAND_PUBLISH);
    EXPECT_SPAN(command.ref, "2");
    EXPECT_SPAN(command.publish.channel, "chat/7");
    EXPECT_EQ(command.publish.kind, MESSAGE_DATA);
    EXPECT_EQ(command.publish.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(command.publish.payload, "{ \"text\":\"hi\"}");
    EXPECT_SPAN(command.publish.event, "goal");
    EXPECT_SPAN(command.publish.key, "\xC3\xBC");
    EXPECT_EQ(command.publish.ttl_ms, 60000);
    EXPECT_EQ(command.publish.flags, MESSAGE_RETAIN);
    EXPECT_SPAN(command.idempotency_key, "k");
    struct span rest = command.publish.headers, name, value;
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "lang");
    EXPECT_SPAN(value, "de");
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "x");
    EXPECT_FALSE(string_map_next(&rest, &name, &value));
}

TEST(a_publish_on_a_socket_of_one_channel_needs_no_channel) {
    EXPECT_EQ(parse("{\"publish\":{\"data\":null}}"), OK);
    EXPECT_EQ(command.publish.channel.length, 0);
    EXPECT_EQ(command.ref.length, 0);
    EXPECT_SPAN(command.publish.payload, "null");
}

TEST(a_type_says_what_data_is) {
    EXPECT_EQ(parse("{\"publish\":{\"data\":\"a\\nb\",\"type\":\"text/plain\"}}"), OK);
    EXPECT_EQ(command.publish.payload_kind, PAYLOAD_TEXT);
    EXPECT_SPAN(command.publish.payload, "a\nb");
    EXPECT_SPAN(command.publish.type, "text/plain");
    EXPECT_EQ(parse("{\"publish\":{\"type\":\"application/json\",\"data\":\"a\"}}"), OK);
    EXPECT_EQ(command.publish.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(command.publish.payload, "\"a\"");
    EXPECT_EQ(command.publish.type.length, 0);
    EXPECT_EQ(parse("{\"publish\":{\"type\":\"application/geo+json\",\"data\":{}}}"), OK);
    EXPECT_SPAN(command.publish.type, "application/geo+json");
    EXPECT_EQ(parse("{\"publish\":{\"type\":\"text/plain\",\"data\":1}}"), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "data");
    EXPECT_EQ(parse("{\"publish\":{\"type\":\"text/plain;charset=koi8-r\",\"data\":\"\"}}"),
              ERR_MEDIA_TYPE);
}

TEST(base64_carries_bytes_and_what_its_type_says) {
    EXPECT_EQ(parse("{\"publish\":{\"data_base64\":\"\\/\\/4=\"}}"), OK);
    EXPECT_EQ(command.publish.payload_kind, PAYLOAD_BINARY);
    EXPECT_SPAN(command.publish.payload, "\xFF\xFE");
    EXPECT_SPAN(command.publish.type, "application/octet-stream");
    EXPECT_EQ(parse("{\"publish\":{\"data_base64\":\"\"}}"), OK);
    EXPECT_EQ(command.publish.payload.length, 0);
    EXPECT_EQ(parse("{\"publish\":{\"data_base64\":\"WzFd\",\"type\":\"application/json\"}}"), OK);
    EXPECT_EQ(command.publish.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(command.publish.payload, "[1]");
    EXPECT_EQ(parse("{\"publish\":{\"data_base64\":\"WzFd\",\"type\":\"text/x\"}}"), OK);
    EXPECT_EQ(command.publish.payload_kind, PAYLOAD_TEXT);
    EXPECT_EQ(parse("{\"publish\":{\"data_base64\":\"WzE=\",\"type\":\"application/json\"}}"),
              ERR_BAD_JSON);
    EXPECT_EQ(parse("{\"publish\":{\"data_base64\":\"W\"}}"), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "data_base64");
}

TEST(the_other_verbs_are_understood) {
    EXPECT_EQ(parse("{\"subscribe\":\"tennis/*\",\"since\":\"-5m\",\"on_lag\":\"conflate\","
                    "\"ref\":\"a\"}"),
              OK);
    EXPECT_EQ(command.kind, COMMAND_SUBSCRIBE);
    EXPECT_SPAN(command.subscribe, "tennis/*");
    EXPECT_SPAN(command.since, "-5m");
    EXPECT_SPAN(command.on_lag, "conflate");
    EXPECT_SPAN(command.ref, "\"a\"");
    EXPECT_EQ(parse("{\"subscribe\":\"a\",\"since\":42}"), OK);
    EXPECT_SPAN(command.since, "42");
    EXPECT_EQ(parse("{\"unsubscribe\":1}"), OK);
    EXPECT_EQ(command.kind, COMMAND_UNSUBSCRIBE);
    EXPECT_EQ(command.unsubscribe, 1);
    EXPECT_EQ(parse("{\"auth\":\"token\"}"), OK);
    EXPECT_EQ(command.kind, COMMAND_AUTH);
    EXPECT_SPAN(command.auth, "token");
}

TEST(what_is_not_known_is_named) {
    EXPECT_EQ(parse("{\"publish\":{\"data\":1,\"chanel\":\"a\"},\"ref\":9}"), ERR_BAD_REQUEST);
    EXPECT_NOT_NULL(strstr(why.detail, "`chanel`"));
    EXPECT_SPAN(command.ref, "9");
    EXPECT_EQ(parse("{\"subscribe\":\"a\",\"Since\":1}"), ERR_BAD_REQUEST);
    EXPECT_NOT_NULL(strstr(why.detail, "`Since`"));
    EXPECT_EQ(parse("{\"\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
                    "x\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
                    "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\":1}"),
              ERR_BAD_REQUEST);
    EXPECT_NOT_NULL(strstr(why.detail, "…"));
}

TEST(commands_against_the_rules_are_refused) {
    static const struct {
        const char *text;
        enum error_code code;
        const char *field;
    } bad[] = {
        {"", ERR_BAD_JSON, ""},
        {"hello", ERR_BAD_JSON, ""},
        {"[]", ERR_BAD_REQUEST, ""},
        {"{}", ERR_BAD_REQUEST, ""},
        {"{\"ref\":1}", ERR_BAD_REQUEST, ""},
        {"{\"ref\":{},\"auth\":\"a\"}", ERR_BAD_REQUEST, "ref"},
        {"{\"auth\":\"a\",\"unsubscribe\":1}", ERR_BAD_REQUEST, ""},
        {"{\"auth\":\"a\",\"auth\":\"b\"}", ERR_BAD_REQUEST, "auth"},
        {"{\"auth\":\"\"}", ERR_BAD_REQUEST, "auth"},
        {"{\"auth\":\"a\\n\"}", ERR_BAD_REQUEST, "auth"},
        {"{\"auth\":\"a\",\"since\":1}", ERR_BAD_REQUEST, ""},
        {"{\"unsubscribe\":-1}", ERR_BAD_REQUEST, "unsubscribe"},
        {"{\"subscribe\":1}", ERR_BAD_REQUEST, "subscribe"},
        {"{\"subscribe\":\"a\",\"limit\":0}", ERR_BAD_REQUEST, "limit"},
        {"{\"subscribe\":\"a\",\"limit\":\"1\"}", ERR_BAD_REQUEST, "limit"},
        {"{\"unsubscribe\":1,\"limit\":1}", ERR_BAD_REQUEST, ""},
        {"{\"subscribe\":\"\\ud800\"}", ERR_BAD_REQUEST, "subscribe"},
        {"{\"publish\":1}", ERR_BAD_REQUEST, "publish"},
        {"{\"publish\":{}}", ERR_BAD_REQUEST, "data"},
        {"{\"publish\":{\"data\":1,\"data_base64\":\"\"}}", ERR_BAD_REQUEST, "data"},
        {"{\"publish\":{\"data\":1,\"ttl\":0}}", ERR_BAD_REQUEST, "ttl"},
        {"{\"publish\":{\"data\":1,\"ttl\":18446744073709551615}}", ERR_BAD_REQUEST, "ttl"},
        {"{\"publish\":{\"data\":1,\"retain\":1}}", ERR_BAD_REQUEST, "retain"},
        {"{\"publish\":{\"data\":1,\"event\":\"a\\nb\"}}", ERR_BAD_REQUEST, "event"},
        {"{\"publish\":{\"data\":1,\"type\":\"json\"}}", ERR_BAD_REQUEST, "type"},
        {"{\"publish\":{\"data\":1,\"headers\":[]}}", ERR_BAD_REQUEST, "headers"},
        {"{\"publish\":{\"data\":1,\"headers\":{\"a\":1}}}", ERR_BAD_REQUEST, "headers"},
        {"{\"publish\":{\"data\":1,\"headers\":{\"\":\"a\"}}}", ERR_BAD_REQUEST, "headers"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        enum error_code code = parse(bad[i].text);
        if (code != bad[i].code) {
            print_error("%s\n", bad[i].text);
        }
        EXPECT_EQ(code, bad[i].code);
        EXPECT_STRING(why.field, bad[i].field);
        EXPECT_TRUE(why.detail[0] != '\0');
    }
    buffer_finish(&scratch);
}

UNIT_TESTS(UNIT(a_publish_has_all_its_fields),
           UNIT(a_publish_on_a_socket_of_one_channel_needs_no_channel),
           UNIT(a_type_says_what_data_is), UNIT(base64_carries_bytes_and_what_its_type_says),
           UNIT(the_other_verbs_are_understood), UNIT(what_is_not_known_is_named),
           UNIT(commands_against_the_rules_are_refused))
