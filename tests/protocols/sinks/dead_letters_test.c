/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/string_map.h"
#include "protocols/sinks/sink_private.h"
#include "tests/unit.h"

#define TIME_MS UINT64_C(1800000000123)

static struct sink_row row = {.name = (char *)(uintptr_t) "orders"};
static struct sink sink = {.row = &row};
static const struct place place = {.log_id = 7, .generation = 2, .position = 1000, .offset = 42};

/* A message of that tenant and channel, with those headers, as the log has it. */
static struct message *create_message(struct span tenant, struct span channel,
                                      struct span headers) {
    struct buffer scoped;
    buffer_init(&scoped, SCOPED_BYTES_MAX);
    EXPECT_EQ(scope_put(&scoped, tenant, channel), OK);
    const struct message_fields fields = {.kind = MESSAGE_DATA,
                                          .payload_kind = PAYLOAD_TEXT,
                                          .channel = buffer_borrow(&scoped),
                                          .type = SPAN("text/plain"),
                                          .event = SPAN("created"),
                                          .key = SPAN("k"),
                                          .headers = headers,
                                          .payload = SPAN("what it says")};
    struct message *message = message_create(&fields);
    EXPECT_NOT_NULL(message);
    message_order(message, &place, TIME_MS);
    buffer_finish(&scoped);
    return message;
}

static struct message *bury(const struct message *message, const char *detail) {
    struct verdict verdict = {.outcome = OUTCOME_FAILED, .status = 500};
    snprintf(verdict.detail, sizeof(verdict.detail), "%s", detail);
    struct message *letter = dead_letters_create(&sink, message, 10, &verdict);
    EXPECT_NOT_NULL(letter);
    return letter;
}

struct message *__real_message_create(const struct message_fields *fields);
struct message *__wrap_message_create(const struct message_fields *fields);

static bool is_starved; /* there is no memory for a message */

struct message *__wrap_message_create(const struct message_fields *fields) {
    return is_starved ? NULL : __real_message_create(fields);
}

static struct message *open_letter(const struct message *letter) {
    struct message *message = NULL;
    EXPECT_EQ(dead_letters_open(letter, &message), OK);
    return message;
}

static struct span header_of(const struct message *letter, const char *wanted) {
    struct span rest = letter->fields.headers, name, value;
    struct span last = {0};
    while (string_map_next(&rest, &name, &value)) {
        last = span_is_equal(name, span_of_string(wanted)) ? value : last;
    }
    return last;
}

static void expect_same(const struct message *opened, const struct message *message) {
    EXPECT_NOT_NULL(opened);
    EXPECT_TRUE(span_is_equal(opened->fields.channel, message->fields.channel));
    EXPECT_TRUE(span_is_equal(opened->fields.headers, message->fields.headers));
    EXPECT_SPAN(opened->fields.payload, "what it says");
    EXPECT_SPAN(opened->fields.type, "text/plain");
    EXPECT_SPAN(opened->fields.event, "created");
    EXPECT_SPAN(opened->fields.key, "k");
    EXPECT_EQ(opened->fields.payload_kind, PAYLOAD_TEXT);
    EXPECT_EQ(opened->place.position, place.position);
    EXPECT_EQ(opened->place.offset, place.offset);
    EXPECT_EQ(opened->place.log_id, place.log_id);
    EXPECT_EQ(opened->time_ms, TIME_MS);
}

TEST(a_letter_tells_what_became_of_its_message) {
    struct message *message = create_message(SPAN("acme"), SPAN("orders/1"), SPAN(""));
    struct message *letter = bury(message, "it answered 500");
    EXPECT_SPAN(letter->fields.channel, "$dlq/orders");
    EXPECT_SPAN(header_of(letter, "tidings-channel"), "orders/1");
    EXPECT_SPAN(header_of(letter, "tidings-tenant"), "acme");
    EXPECT_SPAN(header_of(letter, "tidings-offset"), "42");
    EXPECT_SPAN(header_of(letter, "tidings-time"), "1800000000123");
    EXPECT_SPAN(header_of(letter, "tidings-attempts"), "10");
    EXPECT_SPAN(header_of(letter, "tidings-status"), "500");
    EXPECT_SPAN(header_of(letter, "tidings-detail"), "it answered 500");
    message_unref(letter);
    message_unref(message);
}

TEST(a_letter_is_opened_as_the_message_that_it_was) {
    static const char *const tenants[] = {"", "acme"};
    struct buffer headers;
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    EXPECT_EQ(string_map_put(&headers, SPAN("a"), SPAN("1")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN("b"), SPAN("")), OK);
    for (size_t i = 0; i < ARRAY_COUNT(tenants); i++) {
        struct message *message =
            create_message(span_of_string(tenants[i]), SPAN("orders/1"), buffer_borrow(&headers));
        struct message *letter = bury(message, "");
        struct message *opened = open_letter(letter);
        expect_same(opened, message);
        message_unref(opened);
        message_unref(letter);
        message_unref(message);
    }
    buffer_finish(&headers);
}

/* Else who may publish here could have it sent again as another tenant's, or be believed by a
 * reader who takes the first of a name. */
TEST(what_its_publisher_wrote_into_the_same_headers_is_left_out) {
    struct buffer headers;
    struct buffer rest;
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    buffer_init(&rest, MESSAGE_HEADERS_BYTES_MAX);
    EXPECT_EQ(string_map_put(&rest, SPAN("a"), SPAN("1")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN("Tidings-Channel"), SPAN("secret")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN("tidings-tenant"), SPAN("other")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN("a"), SPAN("1")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN("tidings-time"), SPAN("1")), OK);
    struct message *message = create_message(SPAN(""), SPAN("public"), buffer_borrow(&headers));
    struct message *plain = create_message(SPAN(""), SPAN("public"), buffer_borrow(&rest));
    struct message *letter = bury(message, "");
    struct message *plain_letter = bury(plain, "");
    EXPECT_TRUE(span_is_equal(letter->fields.headers, plain_letter->fields.headers));
    struct message *opened = open_letter(letter);
    expect_same(opened, plain);
    EXPECT_EQ(scope_length(opened->fields.channel), 0);
    message_unref(opened);
    message_unref(plain_letter);
    message_unref(letter);
    message_unref(plain);
    message_unref(message);
    buffer_finish(&rest);
    buffer_finish(&headers);
}

TEST(the_largest_message_has_room_for_what_is_said_of_it) {
    static uint8_t bytes[MESSAGE_HEADERS_BYTES_MAX];
    char channel[CHANNEL_NAME_BYTES_MAX + 1];
    char tenant[TENANT_BYTES_MAX + 1];
    char detail[SINK_DETAIL_BYTES];
    struct buffer headers;
    memset(channel, 'c', sizeof(channel));
    memset(tenant, 't', sizeof(tenant));
    memset(detail, 'd', sizeof(detail));
    memset(bytes, 'h', sizeof(bytes));
    channel[CHANNEL_NAME_BYTES_MAX] = tenant[TENANT_BYTES_MAX] = '\0';
    detail[SINK_DETAIL_BYTES - 1] = '\0';
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX + 8);
    EXPECT_EQ(string_map_put(&headers, SPAN("h"), span_of(bytes, sizeof(bytes) - 8)), OK);
    struct message *message =
        create_message(span_of_string(tenant), span_of_string(channel), buffer_borrow(&headers));
    struct message *letter = bury(message, detail);
    EXPECT_SPAN(header_of(letter, "tidings-detail"), detail);
    struct message *opened = open_letter(letter);
    expect_same(opened, message);
    message_unref(opened);
    message_unref(letter);
    message_unref(message);
    buffer_finish(&headers);
}

TEST(what_is_no_letter_is_not_opened) {
    static const char *const pairs[][2][2] = {
        {{"a", "b"}, {"c", "d"}},
        {{"tidings-channel", "x"}, {"tidings-id", "none"}},
        {{"tidings-channel", ""}, {"tidings-id", "none"}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        struct buffer headers;
        buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
        for (size_t j = 0; j < 2; j++) {
            EXPECT_EQ(string_map_put(&headers, span_of_string(pairs[i][j][0]),
                                     span_of_string(pairs[i][j][1])),
                      OK);
        }
        struct message *message =
            create_message(SPAN(""), SPAN("$dlq/orders"), buffer_borrow(&headers));
        EXPECT_NULL(open_letter(message));
        message_unref(message);
        buffer_finish(&headers);
    }
    struct message *bare = create_message(SPAN(""), SPAN("$dlq/orders"), SPAN(""));
    EXPECT_NULL(open_letter(bare));
    message_unref(bare);
}

/* Else a replay would pass it over. */
TEST(a_letter_that_finds_no_memory_is_one_all_the_same) {
    struct message *message = create_message(SPAN(""), SPAN("orders/1"), SPAN(""));
    struct message *letter = bury(message, "");
    struct message *opened = NULL;
    is_starved = true;
    EXPECT_EQ(dead_letters_open(letter, &opened), ERR_MEMORY);
    is_starved = false;
    EXPECT_NULL(opened);
    message_unref(letter);
    message_unref(message);
}

UNIT_TESTS(UNIT(a_letter_tells_what_became_of_its_message),
           UNIT(a_letter_is_opened_as_the_message_that_it_was),
           UNIT(what_its_publisher_wrote_into_the_same_headers_is_left_out),
           UNIT(the_largest_message_has_room_for_what_is_said_of_it),
           UNIT(what_is_no_letter_is_not_opened),
           UNIT(a_letter_that_finds_no_memory_is_one_all_the_same))
