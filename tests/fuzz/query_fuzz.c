/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/query.h"

#include "broker/support/percent.h"
#include "tests/fuzz/fuzz.h"

/* What is decoded and encoded again means the same. */
static void check_text(struct span text, enum percent_kind kind) {
    struct buffer decoded, encoded, again;
    buffer_init(&decoded, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&encoded, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&again, FUZZ_BUFFER_BYTES_MAX);
    if (percent_put_decoded(&decoded, text, kind) == OK) {
        CLAIM(decoded.length <= text.length);
        CLAIM(percent_put_encoded(&encoded, buffer_borrow(&decoded), kind) == OK);
        CLAIM(percent_put_decoded(&again, buffer_borrow(&encoded), kind) == OK);
        CLAIM(span_is_equal(buffer_borrow(&decoded), buffer_borrow(&again)));
    } else {
        CLAIM(decoded.length == 0);
    }
    buffer_finish(&decoded);
    buffer_finish(&encoded);
    buffer_finish(&again);
}

/* A pair that the walk finds by its meaning is the one that the search finds. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length), rest = input, name, value;
    bool has_walked_past = false;
    check_text(input, PERCENT_PATH);
    while (query_next(&rest, &name, &value)) {
        CLAIM(name.length + value.length <= length);
        check_text(name, PERCENT_QUERY);
        check_text(value, PERCENT_QUERY);
        has_walked_past |= query_name_is(name, "since");
    }
    struct buffer found;
    bool is_found = false;
    buffer_init(&found, FUZZ_BUFFER_BYTES_MAX);
    enum error_code code = query_find(input, "since", &found, &is_found, NULL);
    CLAIM(code == OK ? is_found == has_walked_past : has_walked_past && !is_found);
    buffer_finish(&found);
    return 0;
}
