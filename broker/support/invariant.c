/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/invariant.h"

#include <stdio.h>
#include <stdlib.h>

void invariant_failed(const char *claim, const char *file, int line) {
    fprintf(stderr, "level=fatal event=INVARIANT_BROKEN claim=\"%s\" at=%s:%d\n", claim, file,
            line);
    abort();
}
