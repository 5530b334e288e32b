/* SPDX-License-Identifier: Apache-2.0 */
/* input.h — the messages that standard input holds: one, or one a line.
 *
 * Place:   `tidings pub`, whichever way it publishes.
 * Thread:  the caller's.
 * Bounds:  one message of CLIENT_MESSAGE_BYTES_MAX; what is longer is refused, not cut.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Publishes one message; false: it was complained about. */
typedef bool input_on_message(void *context, const char *body, size_t length);

/* Hands on each line (`has_lines`), or all of standard input as one message. False: it was
 * complained about, and what came before is published. */
bool input_each(bool has_lines, input_on_message *on_message, void *context);
