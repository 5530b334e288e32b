/* SPDX-License-Identifier: Apache-2.0 */
/* scenario.h — a load as a YAML file: the flags' names as keys, and `assert:`, a list.
 *
 * Place:   settings.c, before the flags, which win.
 * Thread:  main.
 * Bounds:  SCENARIO_BYTES_MAX.
 *
 * `compare:` is left alone: tests/bench/compare reads it. Any other key that is no row is a fault,
 * and so is one given twice, an alias, or a list where a value belongs.
 */
#pragma once

#include "clients/bench/draft.h"

#define SCENARIO_BYTES_MAX (1u << 20)

/* Reads the file into the draft, which has the faults. */
void scenario_read(const char *path, struct draft *draft);
