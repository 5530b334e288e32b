/* SPDX-License-Identifier: Apache-2.0 */
/* shed.h — memory is short: closes the readers of a worker that hold the most, and lag the most.
 *
 * Place:   called by the worker at each beat.
 * Thread:  the worker's.
 * Bounds:  after a look of the budget one walk over the worker's connections; SHED_MAX of them.
 */
#pragma once

struct worker;

/* Does something once after each look of a budget that is shedding. */
void shed_readers(struct worker *worker);
