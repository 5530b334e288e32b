/* SPDX-License-Identifier: Apache-2.0 */
/* sink_value.h — what the texts of `sinks` and `sources` must look like.
 *
 * Place:   called by value.h, a check for each type; what stands above the configuration (the rules
 *          of patterns, of `start`) is checked in protocols/sinks/declaration.h.
 * Thread:  pure.
 * Bounds:  none of its own.
 *
 * All give ERR_CONFIG with one sentence that can follow the key's name, and none repeats a secret.
 */
#pragma once

#include "broker/config/config.h"

MUST_USE enum error_code sink_check_name(struct span text, struct error *why);
MUST_USE enum error_code sink_check_start(struct span text, struct error *why);
MUST_USE enum error_code sink_check_source_start(struct span text, struct error *why);
MUST_USE enum error_code sink_check_signing_secret(struct span text, struct error *why);
MUST_USE enum error_code sink_check_mqtt_url(struct span text, struct error *why);

/* Of lists, an item each. */
MUST_USE enum error_code sink_check_text(struct span text, struct error *why);
MUST_USE enum error_code sink_check_header(struct span text, struct error *why);
MUST_USE enum error_code sink_check_option(struct span text, struct error *why);
MUST_USE enum error_code sink_check_duration(struct span text, struct error *why);
