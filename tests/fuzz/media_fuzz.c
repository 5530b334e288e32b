/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/media.h"

#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/http/accept.h"
#include "protocols/http/media_type.h"
#include "tests/fuzz/fuzz.h"

static void check_accept(struct span accept) {
    static const char *const offers[] = {"application/json", "text/event-stream", "text/html"};
    size_t index = SIZE_MAX, alone = SIZE_MAX;
    if (accept_choose(accept, offers, 3, &index)) {
        CLAIM(index < 3);
        CLAIM(accept_choose(accept, &offers[index], 1, &alone) && alone == 0);
    } else {
        for (size_t i = 0; i < 3; i++) {
            CLAIM(!accept_choose(accept, &offers[i], 1, &alone));
        }
    }
}

/* Input: a media type or Accept, a line end, a body. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span body = span_of(bytes, length);
    struct span text = span_split(&body, '\n');
    struct media_type type;
    struct media media;
    check_accept(text);
    if (media_type_parse(text, &type)) {
        struct span rest = type.parameters, name, value;
        CLAIM(type.type.length > 0 && type.subtype.length > 0);
        while (media_type_next_parameter(&rest, &name, &value)) {
            CLAIM(name.length > 0);
        }
        CLAIM(span_trim(rest).length == 0);
    }
    if (media_classify(text, body, &media, NULL) == OK) {
        bool is_json = json_check(body, NULL, NULL) == OK, is_text = utf8_is_valid(body);
        CLAIM(media.payload_kind != PAYLOAD_JSON || is_json);
        CLAIM(media.payload_kind != PAYLOAD_TEXT || is_text);
        CLAIM(utf8_is_valid(media.type));
        CLAIM(media.type.length > 0 || media.payload_kind == PAYLOAD_JSON);
    }
    return 0;
}
