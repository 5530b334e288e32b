/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/declaration.h"

#include "protocols/sinks/driver.h"
#include "protocols/sources/source.h"
#include "tests/fuzz/fuzz.h"

/* No driver: what they say to a row is their own affair. */
const struct driver *driver_of(const struct sink_row *row) {
    (void)row;
    return NULL;
}

const struct source_driver *source_driver_of(const struct source_row *row) {
    (void)row;
    return NULL;
}

/* What is stored of a row is that row again. */
static void check_row(const struct sink_row *row) {
    static struct config_faults faults;
    struct buffer text;
    struct sink_row *same = NULL;
    buffer_init(&text, DECLARATION_BYTES_MAX);
    CLAIM(declaration_put(&text, row, true) == OK);
    CLAIM(declaration_parse(buffer_borrow(&text), DECLARATION_STORED, &same, &faults) == OK);
    CLAIM(declaration_is_equal(row, same));
    declaration_destroy(same);
    buffer_finish(&text);
}

/* Any body is read to its end; every fault has a place and a reason; what has no fault is a sink of
 * one kind that can be stored and changed. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct config_faults faults;
    struct sink_row *row = NULL;
    struct sink_row *changed = NULL;
    enum error_code code =
        declaration_parse(span_of(bytes, length), DECLARATION_NEW, &row, &faults);
    CLAIM((code == OK) == (faults.count == 0));
    for (size_t i = 0; i < faults.count; i++) {
        CLAIM(faults.rows[i].line >= 1 && faults.rows[i].column >= 1);
        CLAIM(faults.rows[i].reason[0] != '\0');
    }
    if (code == OK) {
        check_row(row);
    }
    if (declaration_parse(span_of(bytes, length), DECLARATION_CHANGE, &changed, &faults) == OK) {
        enum error_code kept = declaration_inherit(changed, row, NULL);
        CLAIM(kept == OK || kept == ERR_CONFIG);
        if (kept == OK) {
            check_row(changed);
        }
    }
    declaration_destroy(changed);
    declaration_destroy(row);
    return 0;
}
