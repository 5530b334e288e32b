/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/invariant.h"

#include <stdlib.h>

#include "broker/support/logger.h"

void invariant_failed(const char *claim, const char *file, int line) {
    log_event(INVARIANT_BROKEN, .claim = claim, .file = file, .line = (uint64_t)line);
    abort();
}
