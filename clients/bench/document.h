/* SPDX-License-Identifier: Apache-2.0 */
/* document.h — a result as the JSON document that programs read and the HTML page draws.
 *
 * Place:   report_json.c writes it, report_html.c puts it into the page; docs/bench.md lists it.
 * Thread:  main.
 * Bounds:  those of the result; a distribution has a point at each eighth of a halving of the rest,
 *          DOCUMENT_POINTS_MAX at most.
 *
 * Durations are nanoseconds and shares are of 1, but for what has its unit in its name.
 */
#pragma once

#include <jansson.h>

#include "clients/bench/result.h"

#define DOCUMENT_POINTS_MAX 256

/* The caller gives it back with json_decref. Out of memory ends the program. */
json_t *document_create(const struct result *result);
