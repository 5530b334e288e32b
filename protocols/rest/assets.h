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
    const char *path; /* below /demo/, without a leading slash; "" is /demo/ itself */
    const char *media_type;
    struct span content;
};

struct static_assets {
    const struct static_asset *rows;
    size_t count;
};
