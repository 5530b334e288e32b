/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/document.h"
#include "clients/bench/report.h"

/* Numbers as short as they can be read back within a millionth: a measured figure has no more. */
#define DIGITS 10

int report_write_json(const struct result *result, FILE *stream) {
    json_t *document = document_create(result);
    int fault = json_dumpf(document, stream, JSON_INDENT(1) | JSON_REAL_PRECISION(DIGITS));
    json_decref(document);
    if (fault != 0 || fputc('\n', stream) == EOF || fflush(stream) != 0) {
        return -1;
    }
    return 0;
}
