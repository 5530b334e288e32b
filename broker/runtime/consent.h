/* SPDX-License-Identifier: Apache-2.0 */
/* consent.h — the application's yes or no (auth.webhook), on one thread.
 *
 * Place:   access.h asks it after the broker's own rules said yes; stands on the courier.
 * Thread:  its access's; answers come to that thread's mailbox.
 * Bounds:  CONSENTS_CACHED_MAX answers, CONSENTS_WAITING_MAX questions under way. Those that are
 *          alike share one call.
 *
 * What is remembered is alike in action, identity, channel and, to connect, in credentials, address
 * (without the port), protocol and client id. An application that is down says neither yes nor no:
 * then `when_down` decides, and the next who ask within CONSENT_DOWN_MS are told the same.
 */
#pragma once

#include <stdbool.h>

#include "broker/admission/policy.h"
#include "broker/runtime/access.h"
#include "broker/runtime/consent_text.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"

struct broker;
struct consent;
struct metrics_shard;

#define CONSENT_DOWN_MS 1000

/* One question: the asker's memory until it is answered. */
struct consent_question {
    struct list in_flight;
    enum consent_kind kind;
    struct identity *identity;             /* borrowed; NULL: nobody that the broker knows */
    const struct credentials *credentials; /* of CONSENT_CONNECT; borrowed for the asking alone */
    struct span channel;                   /* of the others; likewise */
    bool is_history;
    struct mailbox *reply_to;
    void (*on_answered)(struct consent_question *question);

    enum error_code result;
    struct identity *given; /* to connect: who it is; a reference that the asker takes */
    struct error why;
};

/* NULL: out of memory. Both are borrowed. */
struct consent *consent_create(struct broker *broker, struct metrics_shard *metrics);

/* Nothing is under way. Accepts NULL. */
void consent_destroy(struct consent *consent);

/* Answers that are known are forgotten. */
void consent_forget(struct consent *consent);

/* The answer is in the question: OK, with `given` to connect; ERR_FORBIDDEN; ERR_UNAUTHORIZED:
 * nobody knows who it is; ERR_BUSY: the application is down, or too many wait; ERR_MEMORY.
 * ERR_AGAIN: on_answered follows, exactly once. */
MUST_USE enum error_code consent_ask(struct consent *consent, const struct policy *policy,
                                     struct consent_question *question);

/* The same without waiting. ERR_NOT_FOUND: it is not remembered. */
MUST_USE enum error_code consent_recall(struct consent *consent, const struct policy *policy,
                                        struct consent_question *question);
