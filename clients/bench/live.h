/* SPDX-License-Identifier: Apache-2.0 */
/* live.h — the line that tells how a load goes while it runs, once a second.
 *
 * Place:   load.c; on standard error, over itself where that is a terminal, else a line each.
 * Thread:  main.
 * Bounds:  one line.
 */
#pragma once

#include <stdbool.h>

#include "clients/bench/result.h"

struct live {
    bool is_quiet;
    bool is_terminal;
    unsigned columns;   /* of the terminal, beyond which a line is cut; 0: not known */
    unsigned width;     /* of the last line, to clear it */
    uint64_t due;       /* of the seconds so far … */
    uint64_t published; /* … so that the line says by how many messages it is behind */
};

void live_init(struct live *live, bool is_quiet);

/* "connecting 812/1000". */
void live_tell_connecting(struct live *live, uint64_t ready, uint64_t all);

/* "12s  published 1,000/s  delivered 1,000,000/s  p50 1.20ms  p99 4.05ms  behind by 12". */
void live_tell_second(struct live *live, const struct result_second *second);

/* Ends the line, before something else is printed. */
void live_finish(struct live *live);
