/* SPDX-License-Identifier: Apache-2.0 */
/* client.h — somebody who claims client ids of a world's log and releases them.
 *
 * Place:   tests of the registry.
 * Thread:  the test's own.
 * Bounds:  one claim each.
 */
#pragma once

#include "broker/runtime/registry.h"
#include "tests/broker/runtime/world.h"

struct client {
    struct world *world;
    struct session_claim claim;
    uint8_t client_id[CLIENT_ID_BYTES_MAX];
    bool is_granted;
    bool is_told; /* to go */
    bool is_released;
    bool has_shares; /* told when it releases */
};

/* Claims and does not wait. */
void client_claim(struct world *world, struct client *client, const char *client_id, bool is_clean);

/* The same as somebody (1 and up), as nobody (0), or as everyone of an open broker. */
#define CLIENT_EVERYONE UINT8_MAX
void client_claim_as(struct world *world, struct client *client, const char *client_id,
                     bool is_clean, uint8_t owner);

/* And waits for the answer, which it returns. */
enum error_code client_come_as(struct world *world, struct client *client, const char *client_id,
                               uint8_t owner);

/* Claims, waits, and says whether there was a session. */
bool client_come(struct world *world, struct client *client, const char *client_id, bool is_clean);

/* Delivers until the flag is set. */
void client_await(struct client *client, const bool *flag);

/* With a state (NULL: none) and a will on a channel (NULL: none). Does not wait. */
void client_release(struct client *client, uint64_t expiry_ms, const char *state,
                    const char *will_channel, uint64_t will_delay_ms);

/* Releases and waits. */
void client_leave(struct client *client, uint64_t expiry_ms, const char *state);
void client_leave_will(struct client *client, uint64_t expiry_ms, uint64_t will_delay_ms);

/* The same with all that it was granted: it opened nothing. */
void client_leave_unopened(struct client *client);

/* The state that the grant brought is that text. */
bool client_has_state(const struct client *client, const char *state);

/* Submits one message and waits for its answer; the reference is taken. */
void world_submit(struct world *world, struct message *message);

/* The log thread has made a whole turn since, at this time. */
void world_turn(struct world *world);

/* Its clocks go on, and the log thread has made a turn since. */
void world_pass(struct world *world, uint64_t time_ms);
