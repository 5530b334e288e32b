/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h — the demo page's files: /demo on the public port.
 *
 * Place:   main hands the table to the routes that serve /demo; includes nothing of the others.
 * Thread:  constant data; any thread may read it.
 * Bounds:  the files of clients/demo and the client, some 60 KiB, fixed when the binary is built.
 */
#pragma once

#include "clients/assets.h"

/* What the page may do and load: its own files, and streams from the origin that served it. The
 * schemes stand beside 'self' because older browsers do not count ws: as the page's own origin. */
#define DEMO_CONTENT_SECURITY_POLICY                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "                    \
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/* All files, the page itself first. Never fails; the table lives as long as the process. */
const struct client_asset *demo_assets(unsigned long *ret_count);
