/* SPDX-License-Identifier: Apache-2.0 */
/* configuration.h — /api/v1/configuration: what is in force and why, a check, a reload.
 *
 * Place:   called by api.c; a reload is asked of main (broker/runtime/reload.h).
 * Thread:  the operator's; the reload itself is main's.
 * Bounds:  CONFIG_FILE_BYTES_MAX of text to check; CONFIG_FAULTS_MAX faults.
 *
 * Values are written as in the file, so that they can be put there. This version's configuration
 * holds no secret; a row of the table that does must not be shown here.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* {"file","keys":[{"key","value","default","source","reloadable","configured"?}],"channels":[…],
 *  "unmatched":{…}}: `configured` was read at a reload and waits for the next start. */
MUST_USE enum error_code configuration_show(struct request *request, struct error *why);

/* The body is YAML: {"rules","note"?}, or 422 with all faults. Changes nothing. */
MUST_USE enum error_code configuration_check(struct request *request, struct error *why);

/* What SIGHUP does: {"changed","waiting":[{"key","value","configured"}],"rules"}, or 422 with all
 * faults, and then everything stays. */
MUST_USE enum error_code configuration_reload(struct request *request, struct error *why);
