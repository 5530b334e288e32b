/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/selectors.h"

#include <stdlib.h>

#include "broker/channels/name.h"
#include "broker/channels/pattern.h"
#include "broker/support/percent.h"
#include "tests/fuzz/fuzz.h"

static void check_alone(const struct storage_selector *selector) {
    struct storage_selector *again = NULL;
    CLAIM(selectors_create_one(selector->text, true, &again, NULL) == OK);
    CLAIM(span_is_equal(again->text, selector->text));
    CLAIM(again->is_pattern == selector->is_pattern);
    free(again);
}

/* What is accepted is sound, each once, and says the same when it is written as a query again. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct storage_selector *selectors = NULL, *again = NULL;
    size_t count = 0, count_again = 0;
    struct buffer query;
    if (selectors_create_of_query(span_of(bytes, length), &selectors, &count, NULL) != OK) {
        CLAIM(selectors == NULL);
        return 0;
    }
    CLAIM((count == 0) == (selectors == NULL));
    buffer_init(&query, FUZZ_BUFFER_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        check_alone(&selectors[i]);
        CLAIM(buffer_put(&query, SPAN("&channel=")) == OK);
        CLAIM(percent_put_encoded(&query, selectors[i].text, PERCENT_QUERY) == OK);
        for (size_t j = 0; j < i; j++) {
            CLAIM(!span_is_equal(selectors[i].text, selectors[j].text));
        }
    }
    CLAIM(selectors_create_of_query(buffer_borrow(&query), &again, &count_again, NULL) == OK);
    CLAIM(count_again == count);
    for (size_t i = 0; i < count; i++) {
        CLAIM(span_is_equal(again[i].text, selectors[i].text));
    }
    buffer_finish(&query);
    free(selectors);
    free(again);
    return 0;
}
