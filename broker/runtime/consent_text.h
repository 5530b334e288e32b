/* SPDX-License-Identifier: Apache-2.0 */
/* consent_text.h — what is said to the application at auth.webhook, and what it says.
 *
 * Place:   consent.h.
 * Thread:  pure.
 * Bounds:  CONSENT_BYTES_MAX each way.
 *
 *     {"action":"connect","identity":{"kind":"token","sub":"alice","tenant":"acme"},
 *      "peer":"203.0.113.9:40001","protocol":"mqtt","client_id":"phone",
 *      "credentials":{"bearer":"…"}}
 *     {"action":"subscribe","identity":{…},"channel":"chat/7","history":true}
 *
 *     {"allow":true,"cache":30}      and to connect, all of them optional:
 *     {"allow":true,"sub":"alice","tenant":"acme","expires_in":3600,
 *      "rights":{"publish":["chat/{sub}"]}}
 *     {"allow":false,"reason":"blocked"}
 *
 * Signed as Standard Webhooks 1.0.0 has it (signature.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/admission/members.h"
#include "broker/runtime/access.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

/* X(what is asked about, its name in the question) */
#define CONSENT_TABLE(X)                                                                           \
    X(CONSENT_CONNECT, "connect")                                                                  \
    X(CONSENT_SUBSCRIBE, "subscribe")                                                              \
    X(CONSENT_PUBLISH, "publish")

enum consent_kind {
#define CONSENT(kind, name) kind,
    CONSENT_TABLE(CONSENT)
#undef CONSENT
        CONSENT_COUNT
};

/* `identity` NULL: nobody that the broker knows. `credentials` are of CONSENT_CONNECT alone,
 * `channel` of the others. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code consent_put_question(struct buffer *buffer, enum consent_kind kind,
                                              const struct identity *identity,
                                              const struct credentials *credentials,
                                              struct span channel, bool is_history);

/* Spans are parts of the text or of `members`. */
struct consent_answer {
    bool is_allowed;
    bool has_cache;
    uint64_t cache_s;
    bool has_end;
    uint64_t expires_in_s;
    struct span subject;
    struct span tenant;
    struct span reason;
    struct grants *rights; /* not bound; NULL: not told */
    struct members members;
};

/* The answer is to be finished on success alone. ERR_BAD_JSON: it is none, with a sentence. */
MUST_USE enum error_code consent_read_answer(struct span text, struct consent_answer *ret_answer,
                                             struct error *why);
void consent_answer_finish(struct consent_answer *answer);
