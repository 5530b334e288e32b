/* SPDX-License-Identifier: Apache-2.0 */
/* A template that was checked is filled in, and one without braces is itself. */
#include "protocols/sinks/template.h"
#include "tests/fuzz/fuzz.h"

static const char *const words[] = {"channel", "key", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    const struct template_value values[] = {
        {"channel", SPAN("a/{b}"), '/', '.'},
        {"key", SPAN(""), 0, 0},
    };
    struct span text = span_of(bytes, length);
    struct buffer buffer;
    struct error why = {0};
    bool has_brace =
        length > 0 && (memchr(bytes, '{', length) != NULL || memchr(bytes, '}', length) != NULL);
    buffer_init(&buffer, FUZZ_BUFFER_BYTES_MAX);
    if (template_check(text, words, &why) == OK) {
        CLAIM(template_put(&buffer, text, values, ARRAY_COUNT(values)) == OK);
        CLAIM(has_brace || span_is_equal(buffer_borrow(&buffer), text));
    } else {
        CLAIM(has_brace && why.code == ERR_CONFIG && why.detail[0] != '\0');
    }
    buffer_finish(&buffer);
    return 0;
}
