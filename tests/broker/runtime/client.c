/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/client.h"

#include <stdlib.h>

static void on_granted(struct session_claim *claim) {
    ((struct client *)claim->context)->is_granted = true;
}

static void on_taken_over(struct session_claim *claim) {
    ((struct client *)claim->context)->is_told = true;
}

static void on_released(struct session_claim *claim) {
    struct client *client = claim->context;
    client->is_released = true;
    EXPECT_NULL(claim->state);
}

static const struct session_claim_calls calls = {
    .on_granted = on_granted, .on_taken_over = on_taken_over, .on_released = on_released};

void client_claim_as(struct world *world, struct client *client, const char *client_id,
                     bool is_clean, uint8_t owner) {
    *client = (struct client){.world = world,
                              .claim = {.reply_to = &world->answers,
                                        .connection_id = 17,
                                        .calls = &calls,
                                        .is_clean = is_clean,
                                        .may_have_any = owner == CLIENT_EVERYONE,
                                        .owner = {.bytes = {owner}},
                                        .client_id_length = (uint16_t)strlen(client_id)}};
    if (owner == CLIENT_EVERYONE) {
        client->claim.owner = (struct session_owner){0};
    }
    client->claim.context = client;
    memcpy(client->client_id, client_id, strlen(client_id));
    client->claim.client_id = client->client_id;
    EXPECT_EQ(registry_claim(world->log, &client->claim), OK);
}

void client_claim(struct world *world, struct client *client, const char *client_id,
                  bool is_clean) {
    client_claim_as(world, client, client_id, is_clean, 0);
}

enum error_code client_come_as(struct world *world, struct client *client, const char *client_id,
                               uint8_t owner) {
    client_claim_as(world, client, client_id, false, owner);
    client_await(client, &client->is_granted);
    return client->claim.result;
}

void client_await(struct client *client, const bool *flag) {
    while (!*flag) {
        mailbox_wait(&client->world->answers, -1);
        mailbox_deliver_all(&client->world->answers, NULL);
    }
}

bool client_come(struct world *world, struct client *client, const char *client_id, bool is_clean) {
    client_claim(world, client, client_id, is_clean);
    client_await(client, &client->is_granted);
    EXPECT_EQ(client->claim.result, OK);
    return client->claim.is_present;
}

void client_release(struct client *client, uint64_t expiry_ms, const char *state,
                    const char *will_channel, uint64_t will_delay_ms) {
    struct session_release release = {
        .expiry_ms = expiry_ms, .will_delay_ms = will_delay_ms, .has_shares = client->has_shares};
    if (state != NULL) {
        release.state_length = strlen(state);
        release.state = malloc(release.state_length + 1);
        EXPECT_NOT_NULL(release.state);
        memcpy(release.state, state, release.state_length);
    }
    if (will_channel != NULL) {
        struct message_fields fields = {
            .kind = MESSAGE_DATA, .channel = span_of_string(will_channel), .payload = SPAN("gone")};
        release.will = message_create(&fields);
        EXPECT_NOT_NULL(release.will);
    }
    free(client->claim.state); /* what it was granted */
    registry_release(client->world->log, &client->claim, &release);
}

void client_leave(struct client *client, uint64_t expiry_ms, const char *state) {
    client_release(client, expiry_ms, state, NULL, 0);
    client_await(client, &client->is_released);
}

void client_leave_will(struct client *client, uint64_t expiry_ms, uint64_t will_delay_ms) {
    client_release(client, expiry_ms, "state", "a", will_delay_ms);
    client_await(client, &client->is_released);
}

void client_leave_unopened(struct client *client) {
    struct session_claim *claim = &client->claim;
    struct session_release release = {.expiry_ms = claim->expiry_ms,
                                      .is_unopened = true,
                                      .state = claim->state,
                                      .state_length = claim->state_length};
    registry_release(client->world->log, claim, &release);
    client_await(client, &client->is_released);
}

bool client_has_state(const struct client *client, const char *state) {
    return client->claim.is_present &&
           span_is_equal(span_of(client->claim.state, client->claim.state_length),
                         span_of_string(state));
}

static void on_answered(struct publish *publish) {
    *(bool *)publish->context = true;
}

void world_submit(struct world *world, struct message *message) {
    bool is_answered = false;
    struct publish publish = {.reply_to = &world->answers,
                              .on_answered = on_answered,
                              .context = &is_answered,
                              .messages = &message,
                              .count = 1};
    EXPECT_NOT_NULL(message);
    EXPECT_EQ(log_submit(world->log, &publish), OK);
    while (!is_answered) {
        mailbox_wait(&world->answers, -1);
        mailbox_deliver_all(&world->answers, NULL);
    }
    EXPECT_EQ(publish.result, OK);
    message_unref(message);
}

/* Two commands that change nothing: the turn of the second began after the first was taken. */
void world_turn(struct world *world) {
    for (int i = 0; i < 2; i++) {
        world_submit(world, storage_object_message(STORAGE_OBJECT_GROUP, STORAGE_OBJECT_DELETE,
                                                   SPAN("nobody"), (struct span){0}));
    }
}

void world_pass(struct world *world, uint64_t time_ms) {
    atomic_fetch_add(&faults.ahead_ms, time_ms);
    world_turn(world);
}
