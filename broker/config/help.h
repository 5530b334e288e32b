/* SPDX-License-Identifier: Apache-2.0 */
/* help.h — what the table says, written for people.
 *
 * Place:   called by command.h; the reference page docs/reference/configuration.md is its output.
 * Thread:  pure, but for the stream.
 * Bounds:  the table.
 */
#pragma once

#include <stdio.h>

void help_write_serve(FILE *stream);
void help_write_check(FILE *stream);

/* The whole of docs/reference/configuration.md, in Markdown. */
void help_write_reference(FILE *stream);
