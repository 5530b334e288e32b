/* SPDX-License-Identifier: Apache-2.0 */
/* With TIDINGS_WRITE_REFERENCE set it writes the page instead of comparing it. */
#include "broker/metrics/reference.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit.h"

TEST(reference_page_is_current) {
    struct buffer page;
    buffer_init(&page, METRICS_REFERENCE_BYTES_MAX);
    EXPECT_EQ(metrics_put_reference(&page), OK);
    bool must_write = getenv("TIDINGS_WRITE_REFERENCE") != NULL;
    FILE *file = fopen(METRICS_REFERENCE_FILE, must_write ? "w" : "r");
    EXPECT_NOT_NULL(file);
    if (must_write) {
        EXPECT_EQ(fwrite(page.bytes, 1, page.length, file), page.length);
    } else {
        char *kept = malloc(METRICS_REFERENCE_BYTES_MAX);
        EXPECT_NOT_NULL(kept);
        size_t length = fread(kept, 1, METRICS_REFERENCE_BYTES_MAX, file);
        if (!span_is_equal(span_of(kept, length), buffer_borrow(&page))) {
            fail_msg("not current; run this test with TIDINGS_WRITE_REFERENCE=1");
        }
        free(kept);
    }
    EXPECT_EQ(fclose(file), 0);
    buffer_finish(&page);
}

UNIT_TESTS(UNIT(reference_page_is_current))
