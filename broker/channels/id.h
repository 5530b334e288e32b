/* SPDX-License-Identifier: Apache-2.0 */
/* id.h — a place in the log as the text that clients keep: "t1…".
 *
 * Place:   written into every envelope; read from since=, before=, Last-Event-ID and commands.
 * Thread:  pure.
 * Bounds:  ID_TEXT_BYTES_MAX; 27 to 34 characters in practice.
 *
 * Clients see an opaque token; id.c has the layout. A place has exactly one text, and a text that
 * this broker cannot have written is refused (but nothing here is secret or signed).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/limits.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

/* Writes the text, without NUL, and returns its length. */
size_t id_format(const struct place *place, char ret_text[ID_TEXT_BYTES_MAX]);

/* False: not an id, with `ret_place` untouched. Whether the place exists is the log's question. */
bool id_parse(struct span text, struct place *ret_place);
