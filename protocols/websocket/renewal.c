/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/renewal.h"

#include <string.h>

#include "broker/admission/identity.h"
#include "broker/runtime/access.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/throttle.h"
#include "protocols/petition.h"
#include "protocols/websocket/answer.h"
#include "protocols/websocket/command.h"
#include "protocols/websocket/subscriptions.h"
#include "protocols/websocket/websocket_private.h"

static bool is_same_client(const struct identity *one, const struct identity *other) {
    uint8_t hash[IDENTITY_HASH_BYTES], other_hash[IDENTITY_HASH_BYTES];
    identity_hash(one, hash);
    identity_hash(other, other_hash);
    return memcmp(hash, other_hash, sizeof(hash)) == 0;
}

static enum error_code refuse(const struct identity *before, struct error *why) {
    return error_set_field(why, ERR_FORBIDDEN, "auth",
                           before->facts.kind == IDENTITY_ANONYMOUS
                               ? "an anonymous connection takes no token: connect with it"
                               : "this token is of another client than the one that connected");
}

/* What it was allowed when it was opened is not asked of the application again. */
static bool may_go_on(const struct websocket *websocket, const struct identity *identity) {
    struct span channel = span_of(websocket->channel, websocket->channel_length);
    return identity_may(identity, ACTION_SUBSCRIBE, channel, NULL) == OK;
}

static enum error_code take(struct websocket *websocket, struct identity *identity, struct span ref,
                            struct error *why) {
    size_t start = 0;
    struct buffer *text = NULL;
    bool is_everyone = identity->facts.kind == IDENTITY_EVERYONE; /* NULL says the same */
    enum error_code code =
        connection_admit(websocket->connection, is_everyone ? NULL : identity, why);
    if (code != OK) {
        return code;
    }
    if (ref.length > 0 && (text = websocket_begin_text(websocket, &start)) != NULL) {
        websocket_end_text(websocket, text, start, answer_put_done(text, ref));
    }
    if (websocket->subscriptions != NULL) {
        subscriptions_review(websocket, identity);
    } else if (!may_go_on(websocket, identity)) {
        websocket_end_because(websocket, CLOSE_NOT_ALLOWED, NULL);
    }
    return OK;
}

enum error_code renewal_obey(struct websocket *websocket, const struct command *command,
                             struct petition *petition, struct error *why) {
    const struct identity *before = connection_identity(websocket->connection);
    const struct credentials credentials = {.bearer = command->auth,
                                            .peer = connection_peer(websocket->connection),
                                            .protocol = "websocket"};
    struct identity *identity = NULL;
    enum error_code code = throttle_may_log_in(websocket->connection, why);
    if (code == OK) {
        code = petition_identify(petition, &credentials, &identity, why);
        throttle_note_login(websocket->connection, code);
    }
    if (code != OK) {
        return code;
    }
    if (before == NULL) { /* it may do everything, with or without */
        before = identity;
    }
    if (is_same_client(before, identity)) {
        code = take(websocket, identity, command->ref, why);
    } else {
        code = refuse(before, why);
    }
    identity_unref(identity);
    return code;
}
