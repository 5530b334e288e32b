/* SPDX-License-Identifier: Apache-2.0 */
/* assets.h — the files of a page, compiled into the binary, so that it works wherever that runs.
 *
 * Place:   tables made by clients/demo/embed.py, one a page; main hands them to the routes.
 * Thread:  constant data; any thread may read it.
 * Bounds:  the files of the page's folder, fixed when the binary is built.
 */
#pragma once

/* Revalidated at each load (the tag answers 304), so that a page never mixes two builds' files. */
#define CLIENT_ASSETS_CACHE_CONTROL "no-cache"

struct client_asset {
    const char *path; /* as in the request: "/demo", "/demo/demo.css"; NUL-terminated, unique */
    const char *type; /* for Content-Type */
    const char *etag; /* for ETag, with its quotes (RFC 9110, section 8.8.3) */
    const unsigned char *bytes;
    unsigned long length; /* bytes */
};
