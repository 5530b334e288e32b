/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h — `tidings bench`: puts a load on a server, measures, and judges.
 *
 * Place:   main's table of subcommands, with the words behind the subcommand.
 * Thread:  main; load.c starts and joins the others.
 * Bounds:  as asked for, up to the process's limit of open files, which it raises to the hard one.
 *
 * Exits: 0 all assertions hold; 1 one does not, or the server closed every reader; 2 the command
 * line or the scenario is wrong; 3 the load could not run, or a report could not be written; 130
 * SIGINT ended it, 143 SIGTERM.
 */
#pragma once

#include "clients/assets.h"

int bench_run(int count, char *const *words);

/* The files that report_html.c makes the page of. Never fails; as long-lived as the process. */
const struct client_asset *bench_assets(unsigned long *ret_count);
