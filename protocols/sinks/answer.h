/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h — what an endpoint answered to a webhook, and what that means.
 *
 * Place:   fed by webhook.c with what libcurl hands over.
 * Thread:  pure.
 * Bounds:  ANSWER_HEAD_BYTES_MAX and ANSWER_BODY_BYTES_MAX are read, ANSWER_TEXT_BYTES_MAX kept.
 *
 * | status               | outcome                                  |
 * | 2xx                  | delivered, whatever becomes of the body  |
 * | 410                  | gone                                     |
 * | 429, 502, 503, 504   | throttled, with its Retry-After          |
 * | all others, also 3xx | failed: a redirect is followed by nobody |
 *
 * Where no head came to its end nothing was answered: webhook.c says what that is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/span.h"
#include "protocols/sinks/driver.h"

#define ANSWER_HEAD_BYTES_MAX 65536 /* more is no answer */
#define ANSWER_BODY_BYTES_MAX 65536 /* reading stops, the status stands */
#define ANSWER_TEXT_BYTES_MAX 1024  /* of the body: what is left of it is a verdict's detail */

struct answer {
    unsigned status;  /* of the last head that began; 0: none did */
    bool is_complete; /* its head has ended: it counts */
    uint64_t retry_after_ms;
    size_t head_bytes;
    size_t body_bytes;
    size_t text_length;
    char text[ANSWER_TEXT_BYTES_MAX];
};

void answer_init(struct answer *answer);

/* Retry-After (RFC 9110, section 10.2.3): seconds, or a date. False: it is neither. */
bool answer_parse_retry_after(struct span value, uint64_t now_ms, uint64_t *ret_wait_ms);

/* A line of a head with its end, also the status line and the empty one; of interim answers (1xx)
 * too. `now_ms` is the wall clock's. False: too much came. */
bool answer_take_line(struct answer *answer, struct span line, uint64_t now_ms);

/* Bytes of the body. False: too many came. */
bool answer_take_bytes(struct answer *answer, struct span bytes);

/* Blanks out whatever of the text is `secret`: an endpoint may echo what it was sent. */
void answer_conceal(struct answer *answer, struct span secret);

/* One line of printable ASCII and what of UTF-8 is whole; runs of blanks are one. */
void answer_put_detail(char ret_detail[SINK_DETAIL_BYTES], struct span text);

/* Of a complete head. */
void answer_judge(const struct answer *answer, struct verdict *ret_verdict);
