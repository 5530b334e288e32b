/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/declaration.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/config/sink_rules.h"
#include "protocols/sinks/driver.h"
#include "protocols/sources/source.h"
#include "tests/unit.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define HEAD "{\"name\":\"a\",\"channels\":[\"b\"],"
#define HOOK(more) HEAD "\"webhook\":{\"url\":\"https://h\"" more "}}"

/* Drivers that know nothing, but that the file "/nowhere" is not there. */
static void check(const struct sink_row *row, const char *source, const char *key,
                  struct config_faults *faults) {
    if (row->webhook_ca != NULL && strcmp(row->webhook_ca, "/nowhere") == 0) {
        config_faults_add(faults, source, row->place.line, row->place.column, key,
                          "`webhook.ca` is not there");
    }
}

static const struct driver webhook = {.kind = "webhook", .check = check};

const struct driver *driver_of(const struct sink_row *row) {
    return row->webhook_url == NULL ? NULL : &webhook;
}

const struct source_driver *source_driver_of(const struct source_row *row) {
    (void)row;
    return NULL;
}

static struct config_faults faults; /* 50 KB: on no stack */

static struct sink_row *parse(const char *json, enum declaration_use use) {
    struct sink_row *row = NULL;
    if (declaration_parse(span_of_string(json), use, &row, &faults) != OK) {
        config_faults_print(&faults, stderr);
        EXPECT_EQ(faults.count, 0);
    }
    return row;
}

static void expect_put(const struct sink_row *row, bool with_secrets, const char *json) {
    struct buffer buffer;
    buffer_init(&buffer, DECLARATION_BYTES_MAX);
    EXPECT_EQ(declaration_put(&buffer, row, with_secrets), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), json);
    buffer_finish(&buffer);
}

static void expect_fault(const char *json, enum declaration_use use, unsigned line, const char *key,
                         const char *words) {
    struct sink_row *row = NULL;
    EXPECT_EQ(declaration_parse(span_of_string(json), use, &row, &faults), ERR_CONFIG);
    EXPECT_NULL(row);
    EXPECT_EQ(faults.count, 1);
    EXPECT_STRING(faults.rows[0].key, key);
    EXPECT_EQ(faults.rows[0].line, line);
    if (strstr(faults.rows[0].reason, words) == NULL) {
        EXPECT_STRING(faults.rows[0].reason, words);
    }
}

TEST(sections_are_objects_and_the_rest_is_as_in_the_file) {
    struct sink_row *row = parse("{\"name\":\"orders\",\"channels\":[\"orders/**\",\"b\"],"
                                 "\"format\":\"data\",\"rate\":\"5/s\",\"paused\":true,"
                                 "\"batch\":{\"count\":100,\"age\":\"1s\"},"
                                 "\"retry\":{\"schedule\":[\"1s\",\"5m\"]},"
                                 "\"webhook\":{\"url\":\"https://h\\/c\"}}",
                                 DECLARATION_NEW);
    EXPECT_STRING(row->name, "orders");
    EXPECT_EQ(row->channels.count, 2);
    EXPECT_EQ(row->format, SINK_FORMAT_DATA);
    EXPECT_EQ(row->rate, 5);
    EXPECT_TRUE(row->is_paused);
    EXPECT_EQ(row->batch_count, 100);
    EXPECT_EQ(row->batch_age_ms, 1000);
    EXPECT_EQ(row->retries.count, 2);
    EXPECT_STRING(row->webhook_url, "https://h/c");
    EXPECT_EQ(row->concurrency, 8);
    EXPECT_EQ(sink_rules_kind(row), SINK_KIND_WEBHOOK);
    declaration_destroy(row);
}

TEST(what_is_put_reads_back_to_the_same) {
    struct sink_row *row =
        parse(HEAD "\"start\":\"earliest\",\"webhook\":{\"url\":\"https://h\",\"secret\":\"" SECRET
                   "\",\"headers\":[\"X-A: \\\"b\\\"\"]}}",
              DECLARATION_NEW);
    struct buffer buffer;
    buffer_init(&buffer, DECLARATION_BYTES_MAX);
    EXPECT_EQ(declaration_put(&buffer, row, true), OK);
    EXPECT_EQ(buffer_put_byte(&buffer, '\0'), OK);
    struct sink_row *same = parse((const char *)buffer.bytes, DECLARATION_STORED);
    EXPECT_TRUE(declaration_is_equal(row, same));
    struct sink_row *copy = NULL;
    EXPECT_EQ(declaration_copy(row, &copy), OK);
    EXPECT_TRUE(declaration_is_equal(copy, same));
    EXPECT_STRING(copy->webhook_headers.items[0], "X-A: \"b\"");
    copy->batch_count++;
    EXPECT_FALSE(declaration_is_equal(copy, same));
    declaration_destroy(copy);
    declaration_destroy(same);
    declaration_destroy(row);
    buffer_finish(&buffer);
}

TEST(secrets_are_not_shown) {
    struct sink_row *row = parse(
        HOOK(",\"secret\":\"" SECRET "\",\"headers\":[\"X-A: b\",\"X-C: d\"]"), DECLARATION_NEW);
    expect_put(row, false,
               HEAD "\"start\":\"now\",\"paused\":false,\"format\":\"envelope\","
                    "\"mode\":\"ordered\",\"order\":\"channel\",\"concurrency\":8,"
                    "\"rate\":\"unlimited\",\"batch\":{\"count\":1,\"bytes\":\"256KiB\","
                    "\"age\":\"0ms\",\"form\":\"array\"},\"retry\":{\"after_max\":\"1d\"},"
                    "\"disable_after\":\"5d\",\"webhook\":{\"url\":\"https://h\","
                    "\"secret\":\"set\",\"headers\":[\"set\",\"set\"],"
                    "\"connect_timeout\":\"5s\",\"timeout\":\"15s\"}}");
    declaration_destroy(row);
    expect_fault(HOOK(",\"secret\":\"set\""), DECLARATION_NEW, 1, "webhook.secret",
                 "give the secret itself");
}

TEST(what_another_kind_has_is_left_out) {
    struct sink_row *row = parse(HEAD "\"mqtt\":{\"url\":\"mqtt://m\"}}", DECLARATION_NEW);
    expect_put(row, false,
               HEAD "\"start\":\"now\",\"paused\":false,\"format\":\"envelope\","
                    "\"mode\":\"ordered\",\"order\":\"channel\",\"rate\":\"unlimited\","
                    "\"retry\":{\"after_max\":\"1d\"},\"disable_after\":\"5d\","
                    "\"mqtt\":{\"url\":\"mqtt://m\",\"topic\":\"{channel}\",\"qos\":1}}");
    declaration_destroy(row);
}

TEST(a_change_keeps_the_secrets_that_it_does_not_speak_of) {
    struct sink_row *old = parse(HOOK(",\"secret\":\"" SECRET "\",\"secret_previous\":\"" OTHER
                                      "\",\"headers\":[\"X-A: b\"]"),
                                 DECLARATION_NEW);
    struct sink_row *row = parse(HOOK(",\"secret_previous\":null"), DECLARATION_CHANGE);
    EXPECT_EQ(declaration_inherit(row, old, NULL), OK);
    EXPECT_STRING(row->webhook_secret, SECRET);
    EXPECT_NULL(row->webhook_secret_previous);
    EXPECT_STRING(row->webhook_headers.items[0], "X-A: b");
    declaration_destroy(row);

    row =
        parse(HOOK(",\"secret\":\"set\",\"secret_previous\":\"" SECRET "\",\"headers\":[\"set\"]"),
              DECLARATION_CHANGE);
    EXPECT_EQ(declaration_inherit(row, old, NULL), OK);
    EXPECT_STRING(row->webhook_secret, SECRET);
    EXPECT_STRING(row->webhook_secret_previous, SECRET);
    EXPECT_EQ(row->webhook_headers.count, 1);
    declaration_destroy(row);

    row = parse(HOOK(",\"secret\":\"" OTHER "\",\"headers\":[]"), DECLARATION_CHANGE);
    EXPECT_EQ(declaration_inherit(row, old, NULL), OK);
    EXPECT_STRING(row->webhook_secret, OTHER);
    EXPECT_STRING(row->webhook_secret_previous, OTHER);
    EXPECT_EQ(row->webhook_headers.count, 0);
    declaration_destroy(row);
    expect_fault(HOOK(",\"headers\":[\"set\",\"X: y\"]"), DECLARATION_CHANGE, 1, "webhook.headers",
                 "give all of them");
    declaration_destroy(old);
}

TEST(a_change_of_kind_inherits_nothing) {
    struct sink_row *old = parse(HOOK(",\"secret\":\"" SECRET "\""), DECLARATION_NEW);
    struct sink_row *row = parse(HEAD "\"kafka\":{\"brokers\":\"k:9092\"}}", DECLARATION_CHANGE);
    EXPECT_EQ(declaration_inherit(row, old, NULL), OK);
    EXPECT_NULL(row->webhook_secret);
    EXPECT_NULL(row->kafka_password);
    declaration_destroy(row);
    declaration_destroy(old);
}

TEST(a_secret_that_is_needed_must_be_there_to_be_kept) {
    struct error why = {0};
    struct sink_row *old = parse(HOOK(",\"secret\":\"" SECRET "\""), DECLARATION_NEW);
    struct sink_row *row =
        parse(HEAD "\"kafka\":{\"brokers\":\"k:9092\",\"username\":\"u\",\"password\":\"set\"}}",
              DECLARATION_CHANGE);
    EXPECT_EQ(declaration_inherit(row, old, &why), ERR_CONFIG);
    EXPECT_TRUE(strstr(why.detail, "`kafka.password`") != NULL);
    declaration_destroy(row);
    declaration_destroy(old);
    old = parse(HOOK(""), DECLARATION_NEW);
    row = parse(HOOK(",\"secret_previous\":\"" OTHER "\""), DECLARATION_CHANGE);
    EXPECT_EQ(declaration_inherit(row, old, &why), ERR_CONFIG);
    declaration_destroy(row);
    expect_fault(HOOK(",\"secret\":null,\"secret_previous\":\"" OTHER "\""), DECLARATION_CHANGE, 1,
                 "sink", "without `webhook.secret`");
    expect_fault(HOOK(",\"secret\":null,\"secret\":null"), DECLARATION_CHANGE, 1, "webhook.secret",
                 "is given twice");
    declaration_destroy(old);
}

TEST(every_fault_is_told_at_once_with_its_line) {
    static const char json[] = "{\"name\": \"A\",\n"
                               "\"channels\": [\"a**\", \"$dlq/**\"],\n"
                               "\"start\": \"yesterday\",\n"
                               "\"concurrency\": 0, \"paused\": [],\n"
                               "\"webhook\": {\"url\": \"ftp://x\", \"ca\": \"/nowhere\",\n"
                               "  \"timeuot\": \"1s\", \"ca\": \"x\"},\n"
                               "\"mqtt\": {\"topic\": \"t\"}, \"batch\": 5, \"retry\": null}";
    static const struct {
        unsigned line;
        const char *key;
    } expected[] = {{1, "name"},
                    {4, "concurrency"},
                    {4, "paused"},
                    {5, "webhook.url"},
                    {6, "webhook.timeuot"},
                    {6, "webhook.ca"},
                    {7, "batch"},
                    {1, "sink"},
                    {1, "sink"},
                    {1, "sink"}};
    struct sink_row *row = NULL;
    EXPECT_EQ(declaration_parse(SPAN(json), DECLARATION_NEW, &row, &faults), ERR_CONFIG);
    EXPECT_EQ(faults.count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        EXPECT_STRING(faults.rows[i].key, expected[i].key);
        EXPECT_EQ(faults.rows[i].line, expected[i].line);
    }
}

TEST(what_is_needed_is_needed_and_files_are_looked_at) {
    expect_fault("{\"name\":\"a\",\"webhook\":{\"url\":\"https://h\"}}", DECLARATION_NEW, 1, "sink",
                 "has no `channels`");
    expect_fault(HEAD "\"paused\":true}", DECLARATION_NEW, 1, "sink", "needs one of");
    expect_fault(HOOK(",\"ca\":\"/nowhere\""), DECLARATION_NEW, 1, "sink", "is not there");
    declaration_destroy(parse(HOOK(",\"ca\":\"/nowhere\""), DECLARATION_STORED));
    expect_fault(HOOK(",\"secret_previous\":\"" SECRET "\""), DECLARATION_NEW, 1, "sink",
                 "without `webhook.secret`");
}

TEST(a_sink_does_not_get_its_own_dead_letters_and_events) {
    expect_fault("{\"name\":\"a\",\"channels\":[\"$dlq/a\"],\"mqtt\":{\"url\":\"mqtt://m\"}}",
                 DECLARATION_NEW, 1, "sink", "own dead letters");
    expect_fault("{\"name\":\"a\",\"channels\":[\"$events/**\"],\"mqtt\":{\"url\":\"mqtt://m\"}}",
                 DECLARATION_NEW, 1, "sink", "own dead letters");
    declaration_destroy(parse("{\"name\":\"a\",\"channels\":[\"$dlq/b\",\"**\"],"
                              "\"mqtt\":{\"url\":\"mqtt://m\"}}",
                              DECLARATION_NEW));
}

TEST(an_offset_is_of_one_channel) {
    declaration_destroy(
        parse("{\"name\":\"a\",\"channels\":[\"b\"],\"start\":5,\"mqtt\":{\"url\":\"mqtt://m\"}}",
              DECLARATION_NEW));
    expect_fault("{\"name\":\"a\",\"channels\":[\"b\",\"c\"],\"start\":\"5\",\"mqtt\":{"
                 "\"url\":\"mqtt://m\"}}",
                 DECLARATION_NEW, 1, "sink", "`channels` names more");
    expect_fault("{\"name\":\"a\",\"channels\":[\"b/*\"],\"start\":\"5\",\"mqtt\":{"
                 "\"url\":\"mqtt://m\"}}",
                 DECLARATION_NEW, 1, "sink", "`channels` names more");
}

TEST(what_is_no_object_is_refused) {
    expect_fault("", DECLARATION_NEW, 1, "", "is not JSON");
    expect_fault("{\"name\":\n}", DECLARATION_NEW, 2, "", "is not JSON");
    expect_fault("[]", DECLARATION_NEW, 1, "sink", "must be an object");
    expect_fault("5", DECLARATION_NEW, 1, "sink", "must be an object");
}

UNIT_TESTS(UNIT(sections_are_objects_and_the_rest_is_as_in_the_file),
           UNIT(what_is_put_reads_back_to_the_same), UNIT(secrets_are_not_shown),
           UNIT(what_another_kind_has_is_left_out),
           UNIT(a_change_keeps_the_secrets_that_it_does_not_speak_of),
           UNIT(a_change_of_kind_inherits_nothing),
           UNIT(a_secret_that_is_needed_must_be_there_to_be_kept),
           UNIT(every_fault_is_told_at_once_with_its_line),
           UNIT(what_is_needed_is_needed_and_files_are_looked_at),
           UNIT(a_sink_does_not_get_its_own_dead_letters_and_events),
           UNIT(an_offset_is_of_one_channel), UNIT(what_is_no_object_is_refused))
