/* SPDX-License-Identifier: Apache-2.0 */
/* opening.h — the data directory, opened as the configuration asks, with the rules of channels as
 * what is kept.
 *
 * Place:   called by main before anything is published.
 * Thread:  main's; what the storage asks then is answered on any thread.
 * Bounds:  storage.bytes_max and the bounds of limits.h.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct broker;

/* Sets broker->storage. As storage_open(). */
MUST_USE enum error_code opening_storage(struct broker *broker, struct error *why);
