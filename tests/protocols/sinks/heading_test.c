/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/heading.h"

#include "broker/support/string_map.h"
#include "tests/unit.h"

static char own_header[] = "Authorization: Bearer x%20y";

/* The lines that come of a message, parted by '\n' in place of NUL. */
static void write_lines(struct sink_row *row, const struct message_fields *fields,
                        char ret_lines[4096]) {
    struct message *message = message_create(fields);
    struct place place = {.log_id = 1, .position = 9, .channel_id = 2, .offset = 7};
    struct shipment shipment = {.messages = &message, .count = 1, .id = "msg_1"};
    struct buffer lines;
    EXPECT_NOT_NULL(message);
    message_order(message, &place, 1);
    buffer_init(&lines, 4095);
    const struct heading heading = {.row = row,
                                    .shipment = &shipment,
                                    .media_type = SPAN("text/plain"),
                                    .body = SPAN("{}"),
                                    .time_s = 1614265330};
    EXPECT_EQ(heading_put(&lines, &heading), OK);
    for (size_t i = 0; i < lines.length; i++) {
        ret_lines[i] = lines.bytes[i] == '\0' ? '\n' : (char)lines.bytes[i];
    }
    ret_lines[lines.length] = '\0';
    buffer_finish(&lines);
    message_unref(message);
}

TEST(a_request_has_the_headers_of_standard_webhooks) {
    char *headers[] = {own_header};
    char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    struct sink_row row = {.format = SINK_FORMAT_ENVELOPE,
                           .batch_count = 1,
                           .webhook_secret = secret,
                           .webhook_headers = {.items = headers, .count = 1}};
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a/b")};
    char lines[4096];
    write_lines(&row, &fields, lines);
    EXPECT_STRING(lines, "User-Agent: tidings/" TIDINGS_VERSION "\n"
                         "Content-Type: text/plain\n"
                         "webhook-id: msg_1\n"
                         "webhook-timestamp: 1614265330\n"
                         "webhook-signature: v1,ZztYR0IIDCBCUcYzh8ZE+qsQWpIgtHU7R1hpe8htaD4=\n"
                         "Authorization: Bearer x%20y\n");
}

TEST(without_a_secret_nothing_is_signed) {
    struct sink_row row = {.format = SINK_FORMAT_CLOUDEVENTS, .batch_count = 1};
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a/b")};
    char lines[4096];
    write_lines(&row, &fields, lines);
    EXPECT_NULL(strstr(lines, "webhook-signature"));
    EXPECT_NULL(strstr(lines, "tidings-channel"));
}

/* What the envelope says stands in headers where the body is the payload alone. */
TEST(bare_data_is_described_by_headers) {
    struct sink_row row = {.format = SINK_FORMAT_DATA, .batch_count = 1};
    struct buffer map;
    char lines[4096];
    buffer_init(&map, 1024);
    EXPECT_EQ(string_map_put(&map, SPAN("trace"), SPAN("50%\r\nx: y")), OK);
    EXPECT_EQ(string_map_put(&map, SPAN("no token"), SPAN("z")), OK);
    EXPECT_EQ(string_map_put(&map, SPAN("empty"), SPAN("")), OK);
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = SPAN("\x01"
                                                    "acme/b\xc3\xbc"),
                                    .event = SPAN("goal"),
                                    .key = SPAN("k"),
                                    .headers = buffer_borrow(&map)};
    write_lines(&row, &fields, lines);
    EXPECT_NOT_NULL(
        strstr(lines, "\ntidings-offset: 7\ntidings-channel: b\xc3\xbc\ntidings-id: t1"));
    EXPECT_NOT_NULL(strstr(lines, "\ntidings-event: goal\ntidings-key: k\n"
                                  "tidings-header-trace: 50%25%0D%0Ax: y\n"));
    EXPECT_NULL(strstr(lines, "token"));
    EXPECT_NULL(strstr(lines, "empty"));
    buffer_finish(&map);
}

TEST(a_list_of_data_has_no_headers_of_one_message) {
    struct sink_row row = {.format = SINK_FORMAT_DATA, .batch_count = 2};
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a/b")};
    char lines[4096];
    write_lines(&row, &fields, lines);
    EXPECT_NULL(strstr(lines, "tidings-channel"));
}

UNIT_TESTS(UNIT(a_request_has_the_headers_of_standard_webhooks),
           UNIT(without_a_secret_nothing_is_signed), UNIT(bare_data_is_described_by_headers),
           UNIT(a_list_of_data_has_no_headers_of_one_message))
