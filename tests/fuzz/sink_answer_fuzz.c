/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/utf8.h"
#include "protocols/sinks/answer.h"

#include "tests/fuzz/fuzz.h"

#define NOW_MS 1800000000000
#define SECRET "s3cret"

/* What comes before an empty line goes in by lines, the rest by steps. */
static bool feed(struct answer *answer, struct span input, size_t step) {
    answer_init(answer);
    while (input.length > 0 && !answer->is_complete) {
        const uint8_t *end = memchr(input.bytes, '\n', input.length);
        size_t length = end == NULL ? input.length : (size_t)(end - input.bytes) + 1;
        if (!answer_take_line(answer, span_of(input.bytes, length), NOW_MS)) {
            return false;
        }
        input = span_of(input.bytes + length, input.length - length);
    }
    while (input.length > 0) {
        size_t length = step < input.length ? step : input.length;
        if (!answer_take_bytes(answer, span_of(input.bytes, length))) {
            return false;
        }
        input = span_of(input.bytes + length, input.length - length);
    }
    return true;
}

/* Whatever an endpoint answers, the verdict is one, and its detail a printable line without what is
 * secret. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct answer answer;
    static struct answer at_once;
    struct verdict verdict;
    struct verdict other;
    struct span input = span_of(bytes, length);
    size_t step = fuzz_take_step(&input);
    CLAIM(feed(&answer, input, step) == feed(&at_once, input, SIZE_MAX));
    CLAIM(answer.is_complete == at_once.is_complete);
    if (!answer.is_complete) {
        return 0;
    }
    answer_conceal(&answer, SPAN(SECRET));
    answer_conceal(&at_once, SPAN(SECRET));
    answer_judge(&answer, &verdict);
    answer_judge(&at_once, &other);
    CLAIM(verdict.outcome == other.outcome && strcmp(verdict.detail, other.detail) == 0);
    CLAIM(verdict.status >= 200 && verdict.status < 1000);
    CLAIM((verdict.outcome == OUTCOME_DELIVERED) == (verdict.status < 300));
    CLAIM(strlen(verdict.detail) < SINK_DETAIL_BYTES);
    CLAIM(strstr(verdict.detail, SECRET) == NULL);
    CLAIM(utf8_is_valid(span_of_string(verdict.detail)));
    for (const char *at = verdict.detail; *at != '\0'; at++) {
        CLAIM((uint8_t)*at >= ' ' && *at != 0x7f);
    }
    return 0;
}
