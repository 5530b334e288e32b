/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h — the demo page's files, compiled into the binary, so that /demo works wherever it runs.
 *
 * Place:   main hands the table to the routes that serve /demo; includes nothing of the others.
 * Thread:  constant data; any thread may read it.
 * Bounds:  the files of clients/demo, some 45 KiB, fixed when the binary is built.
 */
#pragma once

/* What the page may do and load: its own files, and streams from the origin that served it. The
 * schemes stand beside 'self' because older browsers do not count ws: as the page's own origin. */
#define DEMO_CONTENT_SECURITY_POLICY                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "                    \
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/* Revalidated at each load (the tag answers 304), so that a page never mixes two builds' files. */
#define DEMO_CACHE_CONTROL "no-cache"

struct demo_asset {
    const char *path; /* as in the request: "/demo", "/demo/demo.css"; NUL-terminated, unique */
    const char *type; /* for Content-Type */
    const char *etag; /* for ETag, with its quotes (RFC 9110, section 8.8.3) */
    const unsigned char *bytes;
    unsigned long length; /* bytes */
};

/* All files, the page itself first. Never fails; the table lives as long as the process. */
const struct demo_asset *demo_assets(unsigned long *ret_count);
