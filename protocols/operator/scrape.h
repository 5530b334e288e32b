/* SPDX-License-Identifier: Apache-2.0 */
/* scrape.h — /metrics: all that is counted, and what the sinks thread says of sinks and sources.
 *
 * Place:   a page of pages.c; collects figures.h, asks protocols/sinks/sinks.h by a letter, writes
 *          with broker/metrics/exposition.h.
 * Thread:  the operator's.
 * Bounds:  EXPOSITION_BYTES_MAX, and families.h.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct buffer;
struct request;
struct sink_figures;
struct source_figures;

/* Appends the families of sinks and of sources, in order of name; sorts them. ERR_TOO_LARGE,
 * ERR_MEMORY. */
MUST_USE enum error_code scrape_put_sinks(struct buffer *body, struct sink_figures *sinks,
                                          size_t count);
MUST_USE enum error_code scrape_put_sources(struct buffer *body, struct source_figures *sources,
                                            size_t count);

/* Makes the reply, or waits for the sinks thread first; where that cannot be asked (it begins, or
 * is busy, or has ended), without its part. */
MUST_USE enum error_code scrape_put(struct request *request, struct error *why);
