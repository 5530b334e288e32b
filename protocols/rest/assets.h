/* SPDX-License-Identifier: Apache-2.0 */
/* assets.h — files that are built into the program: the demo, the operator's console.
 *
 * Place:   the tables are made by clients/ and handed in by main, one a port; rows of routes.c.
 * Thread:  the tables are constant; a request is answered on its own.
 * Bounds:  what was built in; files are sent from where they stand.
 */
#pragma once

#include <stddef.h>

#include "broker/support/span.h"

struct request;

struct static_asset {
    const char *path;       /* as in the request: "/demo", "/demo/demo.css" */
    const char *media_type; /* for Content-Type */
    const char *etag;       /* with its quotes (RFC 9110, section 8.8.3); NULL: none */
    struct span content;
};

struct static_assets {
    const struct static_asset *rows;
    size_t count;
    const char *content_security_policy; /* of all of them */
    const char *cache_control;
};

/* The file of request->assets that has the request's path, else 404. */
void assets_handle(struct request *request);

/* `/` and `/demo/` of the public port lead to /demo; without assets they are 404. */
void assets_handle_root(struct request *request);
