/* SPDX-License-Identifier: Apache-2.0 */
/* credentials.h — what a request says of who sends it: header, query or cookie.
 *
 * Place:   called by authorization.c; whether it is true is access.h's question.
 * Thread:  pure.
 * Bounds:  TOKEN_BYTES_MAX.
 *
 *     Authorization: Bearer <JWT or API key>      ?access_token=<the same>
 *     Cookie: tidings_token=<the same>            ?ticket=<of POST /token>
 *
 * More than one of them contradict each other (RFC 6750, section 2), but for the cookie: a browser
 * adds it unasked, so any other beats it.
 *
 * Nor does a cookie say that its owner wants what is asked: any page can make a browser send it. It
 * counts where the browser vouches for the page (an Origin that passed origin.h, or Sec-Fetch-Site:
 * same-origin). Without either it counts only where nothing is changed and no stream is opened:
 * what a foreign page asks for in that way it cannot look into. Else it is as if it had not come.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct credentials;
struct request;

/* Fills in `bearer` or `ticket`, which stand in the request or in `text`; neither where none came.
 * ERR_BAD_REQUEST: two came, or one is broken; ERR_UNAUTHORIZED: a scheme that is not spoken here.
 * The names `ticket` and `access_token` of a query are nobody else's. */
MUST_USE enum error_code credentials_find(const struct request *request, const char *cookie_name,
                                          struct buffer *text, struct credentials *credentials,
                                          struct error *why);

/* "ticket", "access_token": a resource that refuses parameters it does not know lets them pass. */
bool credentials_is_parameter(struct span encoded_name);
