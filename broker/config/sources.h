/* SPDX-License-Identifier: Apache-2.0 */
/* sources.h — values from the environment and from flags, named by the table.
 *
 * Place:   called by config_load and by the commands of command.h.
 * Thread:  pure.
 * Bounds:  what the process was started with.
 *
 * `public.listen` is TIDINGS_PUBLIC_LISTEN; lists are parted by commas; an empty variable counts as
 * not set, because Compose files pass those on. A variable that is nearly a known one is a fault;
 * others are left alone, because Kubernetes makes TIDINGS_PORT for a service called tidings.
 */
#pragma once

#include "broker/config/config.h"

#define SOURCE_ENVIRONMENT "environment"
#define SOURCE_FLAGS "command line"

void sources_read_environment(char *const *environment, struct config *config,
                              struct config_faults *faults);

void sources_read_flags(int count, char *const *flags, struct config *config,
                        struct config_faults *faults);

/* The file to read: what `sources` name, else --config, else TIDINGS_CONFIG, else NULL. */
const char *sources_find_file(const struct config_sources *sources);

/* True: one of the words is --help or -h. */
bool sources_wants_help(int count, char *const *flags);
