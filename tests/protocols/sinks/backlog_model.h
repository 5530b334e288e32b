/* SPDX-License-Identifier: Apache-2.0 */
/* backlog_model.h — a sink without a driver: a log, a backlog and a ledger that do what bytes say,
 * beside a list of what has become of each message.
 *
 * Place:   tests/fuzz/backlog_fuzz.c, and backlog_test.c with bytes of its own.
 * Thread:  one.
 * Bounds:  MODEL_MESSAGES messages.
 *
 * It claims, at every step: what is shipped is neither done nor under way, is due, and is in the
 * order of its lane; what left together and came back leaves together, those and no others; the
 * floor passes nothing that is not done; what the ledger is told to stand before a message does. At
 * the end everything is delivered, whatever was put back, let go of, killed, expired or not named
 * among the channels before.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MODEL_MESSAGES 240

/* Aborts where a claim does not hold. */
void backlog_model_run(const uint8_t *bytes, size_t length);
