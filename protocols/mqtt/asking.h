/* SPDX-License-Identifier: Apache-2.0 */
/* asking.h — one page of the log, asked for by whoever may be gone before it comes.
 *
 * Place:   resend.c, retained.c and subscribe.c; calls the read threads (broker/runtime/reads.h).
 * Thread:  its worker's.
 * Bounds:  one page each, and the texts of its selectors.
 */
#pragma once

#include "broker/runtime/reads.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "storage/storage.h"

struct asking;
struct worker;

/* The page is let go when this returns. `asking` is gone already. */
typedef void asking_on_answer(void *context, const struct read *read);

/* Asks what the query says of those selectors, which are copied. ERR_MEMORY: no answer follows. */
MUST_USE enum error_code asking_submit(struct worker *worker, const struct storage_query *query,
                                       const struct storage_selector *selectors,
                                       size_t selector_count, asking_on_answer *on_answer,
                                       void *context, struct asking **ret_asking);

/* No answer follows. Accepts NULL. */
void asking_cancel(struct asking *asking);
