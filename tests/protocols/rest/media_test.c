/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/media.h"

#include "broker/support/json.h"
#include "tests/unit.h"

static void expect_media(const char *type, struct span body, enum payload_kind kind,
                         const char *kept) {
    struct media media;
    EXPECT_EQ(media_classify(span_of_string(type), body, &media, NULL), OK);
    EXPECT_EQ(media.payload_kind, kind);
    EXPECT_SPAN(media.type, kept);
}

static const char *const LOOKED_AT[] = {"", " ", "application/x-www-form-urlencoded",
                                        "application/octet-stream",
                                        "Application/X-WWW-Form-URLencoded; charset=utf-8"};

TEST(what_curl_sends_by_default_is_looked_at) {
    for (size_t i = 0; i < ARRAY_COUNT(LOOKED_AT); i++) {
        expect_media(LOOKED_AT[i], SPAN("{\"score\":\"40-15\"}"), PAYLOAD_JSON, "");
        expect_media(LOOKED_AT[i], SPAN("advantage"), PAYLOAD_TEXT, "text/plain");
        expect_media(LOOKED_AT[i], SPAN(""), PAYLOAD_TEXT, "text/plain");
        expect_media(LOOKED_AT[i], SPAN("\xFF\x00"), PAYLOAD_BINARY, "application/octet-stream");
    }
}

TEST(json_must_be_json) {
    expect_media("application/json", SPAN(" [1] "), PAYLOAD_JSON, "");
    expect_media("application/json; charset=UTF-8", SPAN("1"), PAYLOAD_JSON, "");
    expect_media("application/geo+json", SPAN("{}"), PAYLOAD_JSON, "application/geo+json");
    struct media media;
    struct error why = {0};
    EXPECT_EQ(media_classify(SPAN("application/json"), SPAN("{\"a\":}"), &media, &why),
              ERR_BAD_JSON);
    EXPECT_NOT_NULL(strstr(why.detail, "byte 5"));
    EXPECT_EQ(media_classify(SPAN("a/b+json"), SPAN(""), &media, NULL), ERR_BAD_JSON);
}

TEST(json_that_is_too_deep_is_refused_and_never_text) {
    char body[2 * (JSON_DEPTH_MAX + 1)];
    const size_t depth = sizeof(body) / 2;
    struct media media;
    memset(body, '[', depth);
    memset(body + depth, ']', depth);
    expect_media("", span_of(body + 1, sizeof(body) - 2), PAYLOAD_JSON, "");
    for (size_t i = 0; i <= ARRAY_COUNT(LOOKED_AT); i++) {
        struct error why = {0};
        const char *type = i == 0 ? "application/json" : LOOKED_AT[i - 1];
        EXPECT_EQ(media_classify(span_of_string(type), span_of(body, sizeof(body)), &media, &why),
                  ERR_BAD_JSON);
        EXPECT_TRUE(why.is_too_deep);
        EXPECT_STRING(why.detail, "The body is nested too deep at byte 64: "
                                  "more than 64 values inside each other");
    }
    expect_media("text/plain", span_of(body, sizeof(body)), PAYLOAD_TEXT, "text/plain");
}

TEST(text_must_be_utf8) {
    expect_media("text/html", SPAN("{}"), PAYLOAD_TEXT, "text/html");
    expect_media("text/plain;charset=us-ascii", SPAN("a"), PAYLOAD_TEXT,
                 "text/plain;charset=us-ascii");
    struct media media;
    EXPECT_EQ(media_classify(SPAN("text/plain"), SPAN("\xFC"), &media, NULL), ERR_BAD_UTF8);
    EXPECT_EQ(media_classify(SPAN("text/plain; charset=iso-8859-1"), SPAN("a"), &media, NULL),
              ERR_MEDIA_TYPE);
    EXPECT_EQ(media_classify(SPAN("application/json; charset=utf-16"), SPAN("1"), &media, NULL),
              ERR_MEDIA_TYPE);
}

TEST(all_else_is_bytes_unless_it_is_known_to_be_readable) {
    expect_media("image/png", SPAN("abc"), PAYLOAD_BINARY, "image/png");
    expect_media("application/xml", SPAN("<a/>"), PAYLOAD_TEXT, "application/xml");
    expect_media("image/svg+xml", SPAN("<a/>"), PAYLOAD_TEXT, "image/svg+xml");
    expect_media("image/svg+xml", SPAN("\xFF"), PAYLOAD_BINARY, "image/svg+xml");
    expect_media("application/xml; charset=utf-16", SPAN("<a/>"), PAYLOAD_BINARY,
                 "application/xml; charset=utf-16");
}

TEST(text_is_taken_as_utf8_alone) {
    EXPECT_TRUE(media_is_utf8(SPAN("")));
    EXPECT_TRUE(media_is_utf8(SPAN("application/x-ndjson")));
    EXPECT_TRUE(media_is_utf8(SPAN("application/x-ndjson; Charset=UTF-8")));
    EXPECT_FALSE(media_is_utf8(SPAN("application/x-ndjson; charset=utf-16")));
}

TEST(what_is_no_type_is_refused) {
    static const char *const bad[] = {"json", "text/", "text/plain; charset", "a b/c"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct media media;
        EXPECT_EQ(media_classify(span_of_string(bad[i]), SPAN("1"), &media, NULL), ERR_MEDIA_TYPE);
    }
}

UNIT_TESTS(UNIT(what_curl_sends_by_default_is_looked_at), UNIT(json_must_be_json),
           UNIT(json_that_is_too_deep_is_refused_and_never_text), UNIT(text_must_be_utf8),
           UNIT(all_else_is_bytes_unless_it_is_known_to_be_readable),
           UNIT(text_is_taken_as_utf8_alone), UNIT(what_is_no_type_is_refused))
