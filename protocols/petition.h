/* SPDX-License-Identifier: Apache-2.0 */
/* petition.h — what one request or command has to ask before it is obeyed: who is it, and may they?
 *
 * Place:   part of a request (protocols/rest/authorization.c) or of a WebSocket's command; asks
 *          broker/runtime/access.h.
 * Thread:  its asker's.
 * Bounds:  one question under way; some 600 bytes from the first question on, where credentials are
 *          configured.
 *
 * Questions are asked in the same order each time. One that cannot be answered at once (a key set,
 * the application) gives ERR_AGAIN; when it is answered, on_answered tells so, and the asker asks
 * all of them again from the first one on: those that were answered before cost nothing then.
 */
#pragma once

#include <stdbool.h>

#include "broker/admission/grants.h"
#include "broker/admission/identity.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/span.h"

struct access;
struct credentials;
struct hearing;

/* Zeroed but for the first four. */
struct petition {
    struct access *access; /* NULL: nobody is asked but the identity itself */
    struct mailbox *reply_to;
    void (*on_answered)(struct petition *petition);
    void *context;
    struct hearing *hearing; /* NULL: nothing was asked yet */
    unsigned asked_count;    /* in this round */
};

/* Another petition takes its place, with what is under way; `from` is as it was at first. */
void petition_move(struct petition *petition, struct petition *from);

/* The questions are asked from the first one on (again). */
void petition_begin_round(struct petition *petition);

/* A question is under way: on_answered follows. */
bool petition_is_under_way(const struct petition *petition);

/* Who is it? OK: a reference in `ret_identity`; ERR_AGAIN; else as access_identify(). */
MUST_USE enum error_code petition_identify(struct petition *petition,
                                           const struct credentials *credentials,
                                           struct identity **ret_identity, struct error *why);

/* May they do that with all of `text`, a checked channel or pattern without its scope? NULL may do
 * everything. ERR_FORBIDDEN with the rule; ERR_UNAUTHORIZED with it where nobody has said who they
 * are, since credentials could help; ERR_AGAIN. */
MUST_USE enum error_code petition_permit(struct petition *petition, struct identity *identity,
                                         enum action action, struct span text, struct error *why);

/* The asker goes: on_answered does not follow any more. The petition is as it was at first. */
void petition_finish(struct petition *petition);
