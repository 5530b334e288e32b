/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/petition.h"

#include <stdlib.h>

#include "broker/runtime/access.h"
#include "broker/support/invariant.h"

/* Outlives an asker who goes while a question is under way. */
struct hearing {
    struct inquiry inquiry;
    struct petition *petition; /* NULL: nobody waits any more */
    unsigned met_count;        /* of petition_permit(), that need not be asked again */
    bool is_identifying;       /* the question is who it is; else the one behind these */
    bool is_under_way;         /* it is being asked … */
    bool is_answered;          /* … or its answer is in `inquiry` */
};

static void destroy(struct hearing *hearing) {
    identity_unref(hearing->inquiry.identity);
    free(hearing);
}

static void on_answered(struct inquiry *inquiry) {
    struct hearing *hearing = CONTAINER_OF(inquiry, struct hearing, inquiry);
    INVARIANT(hearing->is_under_way);
    hearing->is_under_way = false;
    hearing->is_answered = true;
    if (hearing->petition == NULL) {
        destroy(hearing);
    } else {
        hearing->petition->on_answered(hearing->petition);
    }
}

void petition_move(struct petition *petition, struct petition *from) {
    *petition = *from;
    from->hearing = NULL;
    from->asked_count = 0;
    if (petition->hearing != NULL) {
        petition->hearing->petition = petition;
    }
}

void petition_begin_round(struct petition *petition) {
    petition->asked_count = 0;
}

bool petition_is_under_way(const struct petition *petition) {
    return petition->hearing != NULL && petition->hearing->is_under_way;
}

/* The inquiry of the next question; NULL: out of memory. */
static struct inquiry *prepare(struct petition *petition) {
    struct hearing *hearing = petition->hearing;
    if (hearing == NULL) {
        hearing = malloc(sizeof(*hearing));
        if (hearing == NULL) {
            return NULL;
        }
        hearing->inquiry.identity = NULL;
        hearing->petition = petition;
        hearing->met_count = 0;
        hearing->is_under_way = false;
        hearing->is_answered = false;
        petition->hearing = hearing;
    }
    INVARIANT(!hearing->is_under_way);
    identity_unref(hearing->inquiry.identity);
    hearing->is_identifying = false;
    hearing->is_answered = false;
    hearing->inquiry.is_abandoned = false;
    hearing->inquiry.on_answered = on_answered;
    hearing->inquiry.context = hearing;
    hearing->inquiry.reply_to = petition->reply_to;
    hearing->inquiry.result = OK;
    hearing->inquiry.identity = NULL;
    hearing->inquiry.why = (struct error){0};
    return &hearing->inquiry;
}

/* The answer to what was asked last. */
static enum error_code take_result(struct hearing *hearing, struct error *why) {
    hearing->is_answered = false;
    if (hearing->inquiry.result != OK && why != NULL) {
        *why = hearing->inquiry.why;
    }
    return hearing->inquiry.result;
}

enum error_code petition_identify(struct petition *petition, const struct credentials *credentials,
                                  struct identity **ret_identity, struct error *why) {
    struct hearing *hearing = petition->hearing;
    INVARIANT(petition->access != NULL);
    if (petition_is_under_way(petition)) {
        return ERR_AGAIN;
    }
    if (hearing != NULL && hearing->is_identifying && hearing->is_answered) {
        enum error_code result = take_result(hearing, why);
        INVARIANT(result != OK || hearing->inquiry.identity != NULL);
        *ret_identity = hearing->inquiry.identity;
        hearing->inquiry.identity = NULL;
        return result;
    }
    struct inquiry *inquiry = prepare(petition);
    if (inquiry == NULL) {
        return ERR_MEMORY;
    }
    enum error_code code =
        access_identify(petition->access, credentials, inquiry, ret_identity, why);
    if (code == ERR_AGAIN) {
        petition->hearing->is_identifying = true;
        petition->hearing->is_under_way = true;
    }
    return code;
}

/* Asks the next question, unless it was answered in a round before. */
static enum error_code ask(struct petition *petition, struct identity *identity, enum action action,
                           struct span text, struct error *why) {
    unsigned index = petition->asked_count++;
    struct hearing *hearing = petition->hearing;
    if (hearing != NULL && index < hearing->met_count) {
        return OK;
    }
    if (hearing != NULL && hearing->is_answered && !hearing->is_identifying) {
        hearing->met_count = petition->asked_count;
        return take_result(hearing, why);
    }
    struct inquiry *inquiry = prepare(petition);
    if (inquiry == NULL) {
        return ERR_MEMORY;
    }
    enum error_code code = access_permit(petition->access, identity, action, text, inquiry, why);
    if (code == ERR_AGAIN) {
        petition->hearing->met_count = index; /* all before this one */
        petition->hearing->is_under_way = true;
    }
    return code;
}

/* Nobody has said who they are: that they may not do it is not the last word. */
static enum error_code soften(enum error_code code, const struct identity *identity) {
    return code == ERR_FORBIDDEN && identity->facts.kind == IDENTITY_ANONYMOUS ? ERR_UNAUTHORIZED
                                                                               : code;
}

enum error_code petition_permit(struct petition *petition, struct identity *identity,
                                enum action action, struct span text, struct error *why) {
    if (identity == NULL || identity->facts.kind == IDENTITY_EVERYONE) {
        return OK;
    }
    if (petition->access == NULL) {
        return soften(identity_may(identity, action, text, why), identity);
    }
    if (petition_is_under_way(petition)) {
        return ERR_AGAIN;
    }
    return soften(ask(petition, identity, action, text, why), identity);
}

void petition_finish(struct petition *petition) {
    struct hearing *hearing = petition->hearing;
    petition->hearing = NULL;
    petition->asked_count = 0;
    if (hearing == NULL) {
        return;
    }
    if (!hearing->is_under_way) {
        destroy(hearing);
        return;
    }
    hearing->petition = NULL; /* first: the answer may come at once */
    inquiry_abandon(&hearing->inquiry);
}
