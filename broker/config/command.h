/* SPDX-License-Identifier: Apache-2.0 */
/* command.h — the subcommands that are about configuration: what `serve` begins with, and `check`.
 *
 * Place:   called by main's table of subcommands, with the words behind the subcommand.
 * Thread:  main.
 * Bounds:  those of config.h.
 *
 * Results go to standard output, faults to standard error, a line each.
 */
#pragma once

#include "broker/config/config.h"

/* What every subcommand of `tidings` exits with. */
enum command_exit {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2, /* the command line is wrong; nothing was tried */
};

/* Loads the configuration for `serve`, holds it against the exposure rule, sets the log's level.
 * True: run with `ret_config`, which the caller owns. False: exit with `ret_exit`; help or faults
 * were printed. */
MUST_USE bool command_prepare_serve(const struct config_sources *sources,
                                    struct config **ret_config, int *ret_exit);

/* `tidings check FILE`: the words behind "check", and what is handed in from above. Returns what to
 * exit with. */
MUST_USE int command_check(int count, char *const *words, const struct config_sources *hooks);
