/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h — what the answers of the administration have in common.
 *
 * Place:   called by the resources of api.c.
 * Thread:  the operator's.
 * Bounds:  the buffer's ceiling.
 */
#pragma once

#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct config_faults;
struct request;

/* `,"name":` is given whole; then the text as a string, or null. What is no UTF-8 is cut off. */
MUST_USE enum error_code answer_put_text(struct buffer *body, struct span name, const char *text);

/* `,"name":7`. */
MUST_USE enum error_code answer_put_number(struct buffer *body, const char *name, uint64_t number);

/* The reply's body is JSON and not to be kept by anyone, if it could be `written`; else that. */
MUST_USE enum error_code answer_as_json(struct request *request, uint16_t status,
                                        enum error_code written, struct error *why);

/* The reply is a problem with `faults`: each one's line, field and reason. */
void answer_refuse_with_faults(struct request *request, const struct config_faults *faults);
