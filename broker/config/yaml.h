/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h — the configuration file: YAML 1.1 through libyaml's events, held against the table.
 *
 * Place:   called by config_load; calls value.h for each value.
 * Thread:  pure.
 * Bounds:  CONFIG_FILE_BYTES_MAX of text, CONFIG_RULES_MAX rules, libyaml's own depth of nesting.
 *
 * Everything goes through the table: what it does not name is a fault that names the nearest key.
 * Aliases, tags, a second document and keys given twice are faults too. After a fault reading goes
 * on behind the node; only text that is no YAML ends it.
 */
#pragma once

#include "broker/config/config.h"

/* Overwrites the values that `text` gives, and adds a fault with line and column for each mistake.
 * `name` is what faults call the text. */
void yaml_read(const char *name, struct span text, config_check_pattern *check_pattern,
               struct config *config, struct config_faults *faults);
