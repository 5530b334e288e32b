/* SPDX-License-Identifier: Apache-2.0 */
/* authorization.h — who sends this request, and may they have what it asks for?
 *
 * Place:   called by routes.c around the resources' own admission, and by those that find names of
 *          channels in a body; asks through protocols/petition.h.
 * Thread:  the request's.
 * Bounds:  those of petition.h; one question a channel and right, PUBLISH_QUESTIONS_MAX of a body.
 *
 * Nearly always all is known when the head is: a refusal then saves the body. Where somebody has to
 * be asked over the network, the request is taken on probation: it overlaps no other of its
 * connection, its body is collected, and it goes on to its resource when the answer is there.
 *
 * Where no credentials are configured, or the adapter has said whose the request is (the operator's
 * port), nothing is read and nobody is asked.
 */
#pragma once

#include <stdbool.h>

#include "broker/admission/grants.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct error;
struct request;

/* No credentials are configured: whatever comes as such means nothing. */
bool authorization_is_open(const struct request *request);

/* Who is it? OK also where that is still asked. ERR_UNAUTHORIZED and its kin, ERR_BAD_REQUEST,
 * ERR_RATE. */
MUST_USE enum error_code authorization_identify(struct request *request, struct error *why);

/* May they have what the resource found in the head: request->channel, request->reading? OK also
 * where that is still asked. */
MUST_USE enum error_code authorization_admit(struct request *request, struct error *why);

/* Hands the request to its resource, now or when all is known; refused, it is answered. */
void authorization_proceed(struct request *request);

/* For on_request: may they do that with a channel that the body names? ERR_AGAIN: return at once,
 * and it is called again from the start, with the same body. ERR_TOO_LARGE: too much is asked. */
MUST_USE enum error_code authorization_permit(struct request *request, enum action action,
                                              struct span channel, struct error *why);

/* What an answer of 401 or 403 says of credentials (RFC 6750, section 3). */
void authorization_challenge(struct request *request, enum error_code code,
                             const struct error *why);

/* Lets everything go. */
void authorization_finish(struct request *request);
