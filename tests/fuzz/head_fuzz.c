/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/head.h"

#include "tests/fuzz/fuzz.h"

static bool is_inside(struct span part, struct span whole) {
    return part.length == 0 ||
           (part.bytes >= whole.bytes && part.bytes + part.length <= whole.bytes + whole.length);
}

static size_t count_headers(const struct head *head, struct span name) {
    size_t count = 0;
    for (size_t i = 0; i < head->header_count; i++) {
        count += span_is_equal_nocase(head->headers[i].name, name);
    }
    return count;
}

static enum error_code find_in_steps(struct span input, size_t step, size_t *ret_length) {
    struct head_search search = {0};
    enum error_code code = ERR_AGAIN;
    for (size_t come = step; code == ERR_AGAIN; come += step) {
        size_t length = come < input.length ? come : input.length;
        code = head_find_end(&search, span_of(input.bytes, length), ret_length, NULL);
        if (length == input.length) {
            break;
        }
    }
    return code;
}

/* A head means the same however its bytes come, and one that is accepted is not ambiguous. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct head head;
    struct span input = span_of(bytes, length);
    size_t step = fuzz_take_step(&input), end = 0, end_in_steps = 0;
    struct head_search search = {0};
    enum error_code code = head_find_end(&search, input, &end, NULL);
    CLAIM(find_in_steps(input, step, &end_in_steps) == code);
    CLAIM(end == end_in_steps);
    if (code != OK) {
        return 0;
    }
    CLAIM(end <= input.length && end <= HTTP_HEAD_BYTES_MAX);
    struct span whole = span_of(input.bytes, end);
    search = (struct head_search){0};
    if (head_take(&search, whole, &head, &end, NULL) != OK) {
        return 0;
    }
    CLAIM(head.path.length > 0);
    CLAIM(head.is_asterisk || head.path.bytes[0] == '/');
    CLAIM(head.path.length == 1 || is_inside(head.path, whole));
    CLAIM(is_inside(head.query, whole) && is_inside(head.host, whole));
    CLAIM(head.version_minor == 0 || count_headers(&head, SPAN("host")) == 1);
    CLAIM(count_headers(&head, SPAN("content-length")) +
              count_headers(&head, SPAN("transfer-encoding")) <=
          1);
    CLAIM(!head.is_chunked || head.version_minor == 1);
    for (size_t i = 0; i < head.header_count; i++) {
        struct span value = head.headers[i].value, element;
        CLAIM(head_is_token(head.headers[i].name));
        CLAIM(is_inside(value, whole));
        CLAIM(value.length == 0 || memchr(value.bytes, '\n', value.length) == NULL);
        while (head_list_next(&value, &element)) {
            CLAIM(element.length > 0 && is_inside(element, whole));
        }
    }
    return 0;
}
