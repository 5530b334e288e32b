/* SPDX-License-Identifier: Apache-2.0 */
/* What a sink may do with its backlog, in any order: tests/protocols/sinks/backlog_model.h. */
#include "tests/fuzz/fuzz.h"
#include "tests/protocols/sinks/backlog_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    backlog_model_run(bytes, length);
    return 0;
}
