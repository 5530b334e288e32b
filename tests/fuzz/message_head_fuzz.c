/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/message_head.h"

#include "broker/support/string_map.h"
#include "broker/support/utf8.h"
#include "protocols/rest/request.h"
#include "tests/fuzz/fuzz.h"

static void check_head(const struct message_head *head) {
    struct span rest = buffer_borrow(&head->headers), name, value;
    CLAIM(utf8_is_valid(head->fields.event) && head->fields.event.length <= EVENT_BYTES_MAX);
    CLAIM(utf8_is_valid(head->fields.key) && head->fields.key.length <= KEY_BYTES_MAX);
    CLAIM(!head->is_event || head->fields.event.length > 0);
    CLAIM(head->fields.ttl_ms <= TTL_S_MAX * UINT64_C(1000));
    CLAIM(head->idempotency_key.length <= IDEMPOTENCY_KEY_BYTES_MAX);
    while (string_map_next(&rest, &name, &value)) {
        CLAIM(name.length > 0 && utf8_is_valid(name) && utf8_is_valid(value));
    }
    CLAIM(rest.length == 0);
}

/* "Name: value" lines: the headers of a publish. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct request_header headers[HTTP_HEADERS_MAX];
    struct message_head head;
    struct error why = {0};
    struct span rest = span_of(bytes, length);
    size_t count = 0;
    message_head_init(&head);
    while (rest.length > 0 && count < HTTP_HEADERS_MAX) {
        struct span line = span_split(&rest, '\n');
        struct span name = span_split(&line, ':');
        headers[count++] = (struct request_header){name, span_trim(line)};
    }
    enum error_code code = message_head_read(&head, headers, count, &why);
    if (code == OK) {
        check_head(&head);
    } else {
        CLAIM(why.code == code && why.detail[0] != '\0');
    }
    message_head_finish(&head);
    return 0;
}
