/* SPDX-License-Identifier: Apache-2.0 */
/* process.h — what the kernel knows of this process, as metrics.
 *
 * Place:   called by the operator's port before a scrape.
 * Thread:  the collector's; writes the process_* rows of its shard.
 * Bounds:  reads two small files and one folder of /proc.
 */
#pragma once

#include <stdbool.h>

#include "broker/metrics/metrics.h"
#include "broker/support/span.h"

/* Sets the process_* metrics and tidings_memory_anonymous_bytes. What cannot be read keeps its
 * former value: a scrape is not worth an error. */
void process_collect(struct metrics_shard *shard);

/* The number behind `name` ("RssAnon:") in the text of /proc/self/status, in kilobytes. */
MUST_USE bool process_find_kilobytes(struct span status, const char *name, uint64_t *ret_kilobytes);

/* Field `number` (from 1, as in proc(5); above 2) of the text of /proc/self/stat. The second,
 * a name, may hold blanks and parentheses: what follows is counted from the last `)`. */
MUST_USE bool process_find_stat(struct span stat, unsigned number, uint64_t *ret_value);
