/* SPDX-License-Identifier: Apache-2.0 */
/* output.h — what `tidings sub` writes: a line a message, and words about what is missing.
 *
 * Place:   called by sub.c for each event, by whatever writes to standard output before it begins,
 *          and for what others wrote.
 * Thread:  pure, but for the stream.
 * Bounds:  one event.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* False: standard output was closed before the process began, which is complained about. A socket
 * would get its number, and the output with it. */
bool output_is_open(void);

/* What others wrote may be meant for the terminal: control characters are not passed on. NULL is
 * the empty text. */
void output_safely(FILE *stream, const char *text);

/* Writes the envelope (`whole`), or its payload alone: JSON as the publisher sent it, text as it
 * is, binary as base64. Line ends between JSON's tokens become blanks, so that it is one line.
 * Flushes. False: it is not all written, and errno says why. */
bool output_message(FILE *stream, const char *envelope, size_t length, bool whole);

/* "gap: tennis/court-1: offsets 44 to 90 are missing (expired)", or what there is instead of them:
 * "the channel has not come to offset 90; it ends at 43 (ahead)". The gap names its channel or
 * pattern; `channel` stands for one that does not. */
void output_gap(FILE *stream, const char *channel, const char *text, size_t length);

/* Reads {"code","reconnect"} and says so. True: coming back makes sense. */
bool output_close(FILE *stream, const char *channel, const char *text, size_t length);
