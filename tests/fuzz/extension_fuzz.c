/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/extension.h"

#include "tests/fuzz/fuzz.h"

/* What is chosen of a list is chosen of each list that has it in front, and our own answer is one
 * that we would take. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct extension extension = {0}, again = {0};
    struct span offers = span_of(bytes, length);
    bool is_chosen = extension_choose(offers, &extension);
    if (!is_chosen) {
        return 0;
    }
    CLAIM(extension_choose(span_of_string(extension_answer(&extension)), &again));
    CLAIM(again.tells_window == extension.tells_window);
    struct buffer longer;
    buffer_init(&longer, length + 64);
    CLAIM(buffer_put(&longer, SPAN("foo; a=\"b\\\",c\", ")) == OK);
    CLAIM(buffer_put(&longer, offers) == OK);
    CLAIM(extension_choose(buffer_borrow(&longer), &again));
    CLAIM(again.tells_window == extension.tells_window);
    buffer_finish(&longer);
    return 0;
}
