/* SPDX-License-Identifier: Apache-2.0 */
/* assets.h — files that are built into the program, as the routes see them.
 *
 * Place:   the table is made by clients/, handed in by main, served by protocols/rest/demo.c.
 * Thread:  constant.
 * Bounds:  what was built in.
 */
#pragma once

#include <stddef.h>

#include "broker/support/span.h"

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
