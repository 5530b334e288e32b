/* SPDX-License-Identifier: Apache-2.0 */
/* exposition_checker.h — is a text in Prometheus' format 0.0.4, and would promtool be content?
 *
 * Place:   tests that scrape.
 * Thread:  pure.
 * Bounds:  CHECKER_SAMPLES_MAX samples a family.
 *
 * Held to: one HELP and one TYPE a family, in front of its samples, and no family twice; names and
 * labels by their grammar; escapes; no sample twice; numbers; counters that end with _total and
 * nothing else that does; base units; buckets that grow up to +Inf, which equals _count.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/span.h"

#define CHECKER_FAULT_BYTES 256

/* True: nothing to say against it. Else `ret_fault` tells the first fault and its line. */
bool exposition_is_clean(struct span text, char ret_fault[CHECKER_FAULT_BYTES]);

/* The number of the sample that is written exactly so ("name" or `name{label="value"}`). False:
 * there is none. */
bool exposition_find(struct span text, const char *series, double *ret_number);
