/* SPDX-License-Identifier: Apache-2.0 */
/* output.h — what `tidings sub` writes: a line a message, and words about what is missing.
 *
 * Place:   called by sub.c for each event.
 * Thread:  pure, but for the stream.
 * Bounds:  one event.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Writes the envelope (`whole`), or its payload alone: JSON as the publisher sent it, text as it
 * is, binary as base64. Line ends between JSON's tokens become blanks, so that it is one line. */
void output_message(FILE *stream, const char *envelope, size_t length, bool whole);

/* "gap: tennis/court-1: offsets 44 to 90 are missing (expired)". */
void output_gap(FILE *stream, const char *channel, const char *text, size_t length);

/* Reads {"code","reconnect"} and says so. True: coming back makes sense. */
bool output_close(FILE *stream, const char *channel, const char *text, size_t length);
