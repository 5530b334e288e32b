/* SPDX-License-Identifier: Apache-2.0 */
/* console.h — the operator's console: / and /console/… on the operator's port.
 *
 * Place:   main hands the table to the routes of that port; includes nothing of the others.
 * Thread:  constant data; any thread may read it.
 * Bounds:  the files of clients/console, some 85 KiB, fixed when the binary is built.
 */
#pragma once

#include "clients/assets.h"

/* Its own files, and calls to the port that served it; no page may frame it, so that none can have
 * a visitor press a button there without seeing it. */
#define CONSOLE_CONTENT_SECURITY_POLICY                                                            \
    "default-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; "                 \
    "form-action 'none'; frame-ancestors 'none'"

/* All files, the page itself first. Never fails; the table lives as long as the process. */
const struct client_asset *console_assets(unsigned long *ret_count);
