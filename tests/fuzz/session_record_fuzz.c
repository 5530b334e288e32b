/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored of a session: whatever is read is written again as the same bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "broker/runtime/session_record.h"
#include "broker/support/invariant.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct session_record record;
    if (!session_record_parse(span_of(bytes, length), &record)) {
        return 0;
    }
    INVARIANT(session_record_size(&record) == length);
    uint8_t *again = malloc(length);
    INVARIANT(again != NULL);
    session_record_put(&record, again);
    INVARIANT(memcmp(again, bytes, length) == 0);
    free(again);
    return 0;
}
