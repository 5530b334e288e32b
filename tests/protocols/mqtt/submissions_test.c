/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/log.h"
#include "tests/protocols/mqtt/peer.h"

static unsigned done_count;
static enum error_code done_code;

static void on_done(struct mqtt *mqtt, void *context, enum error_code code, const struct error *why,
                    struct message *const *messages, size_t count) {
    (void)why;
    EXPECT_TRUE(context == &done_count);
    EXPECT_EQ(count, 1);
    EXPECT_SPAN(messages[0]->fields.channel, "a");
    EXPECT_NOT_NULL(mqtt->session);
    done_count++;
    done_code = code;
}

static struct message *make(void) {
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a")};
    return message_create(&fields);
}

TEST(an_answer_comes_to_who_asked) {
    peer_connect(CONNECT_5);
    struct message *message = make();
    done_count = 0;
    EXPECT_EQ(mqtt_submit(peer_mqtt(), &message, 1, on_done, &done_count), OK);
    EXPECT_EQ(fakes.publish->counted_as, METRICS_PROTOCOL_MQTT);
    peer_answer(ERR_IO);
    EXPECT_EQ(done_count, 1);
    EXPECT_EQ(done_code, ERR_IO);
}

TEST(an_answer_finds_the_session_when_the_client_is_gone) {
    peer_connect(CONNECT_5);
    struct message *message = make();
    done_count = 0;
    EXPECT_EQ(mqtt_submit(peer_mqtt(), &message, 1, on_done, &done_count), OK);
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    EXPECT_EQ(peer.release_count, 0);
    peer_answer(OK);
    EXPECT_EQ(done_count, 1);
    EXPECT_EQ(peer.release_count, 1);
}

TEST(what_the_log_does_not_take_stays_with_its_maker) {
    peer_connect(CONNECT_5);
    struct message *message = make();
    fakes.submit_result = ERR_BUSY;
    done_count = 0;
    EXPECT_EQ(mqtt_submit(peer_mqtt(), &message, 1, on_done, &done_count), ERR_BUSY);
    message_unref(message);
    EXPECT_EQ(done_count, 0);
}

UNIT_TESTS(PEER(an_answer_comes_to_who_asked),
           PEER(an_answer_finds_the_session_when_the_client_is_gone),
           PEER(what_the_log_does_not_take_stays_with_its_maker))
