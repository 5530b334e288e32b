/* SPDX-License-Identifier: Apache-2.0 */
/* manual.h — what the tables say, written for people.
 *
 * Place:   settings.c, for --help; docs/reference/bench.md is what manual_write_reference writes.
 * Thread:  pure, but for the stream.
 * Bounds:  the tables of settings, protocols and measures.
 */
#pragma once

#include <stdio.h>

void manual_write_help(FILE *stream);

/* The whole of docs/reference/bench.md, in Markdown: `tidings help bench-reference`. */
void manual_write_reference(FILE *stream);
