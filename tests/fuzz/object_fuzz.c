/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/message_object.h"

#include "broker/limits.h"
#include "broker/support/string_map.h"
#include "broker/support/utf8.h"
#include "protocols/cloudevents.h"
#include "tests/fuzz/fuzz.h"

static void check_fields(const struct message_fields *fields) {
    struct span rest = fields->headers, name, value;
    CLAIM(fields->kind == MESSAGE_DATA);
    CLAIM(utf8_is_valid(fields->channel) && fields->channel.length <= CHANNEL_NAME_BYTES_MAX);
    CLAIM(utf8_is_valid(fields->type) && fields->type.length <= MEDIA_TYPE_BYTES_MAX);
    CLAIM(utf8_is_valid(fields->event) && fields->event.length <= EVENT_BYTES_MAX);
    CLAIM(utf8_is_valid(fields->key) && fields->key.length <= KEY_BYTES_MAX);
    CLAIM(fields->headers.length <= MESSAGE_HEADERS_BYTES_MAX);
    while (string_map_next(&rest, &name, &value)) {
        CLAIM(name.length > 0 && utf8_is_valid(name) && utf8_is_valid(value));
    }
    CLAIM(rest.length == 0);
    CLAIM(fields->payload_kind != PAYLOAD_JSON || json_check(fields->payload, NULL, NULL) == OK);
    CLAIM(fields->payload_kind != PAYLOAD_TEXT || utf8_is_valid(fields->payload));
}

static void check_why(const struct error *why, enum error_code code) {
    CLAIM(why->code == code && why->detail[0] != '\0');
}

static void read_object(struct json_value value, struct buffer *scratch) {
    struct message_object object;
    struct error why = {0};
    enum error_code code = message_object_parse(value, true, scratch, &object, &why);
    if (code == OK) {
        check_fields(&object.fields);
        CLAIM(object.idempotency_key.length <= IDEMPOTENCY_KEY_BYTES_MAX);
    } else {
        check_why(&why, code);
    }
}

static void read_event(struct json_value value, struct buffer *scratch) {
    struct message_fields fields = {0};
    struct error why = {0};
    struct buffer headers;
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    enum error_code code = cloudevent_parse(value, scratch, &headers, &fields, &why);
    if (code == OK) {
        fields.headers = buffer_borrow(&headers);
        CLAIM(fields.event.length > 0);
        check_fields(&fields);
    } else {
        check_why(&why, code);
    }
    buffer_finish(&headers);
}

/* One JSON text, read as a message and as a CloudEvent: what is accepted can go out again as it is;
 * what is refused says why. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct buffer scratch;
    struct json_value value;
    if (json_parse(span_of(bytes, length), &value, NULL, NULL) != OK) {
        return 0;
    }
    buffer_init(&scratch, FUZZ_BUFFER_BYTES_MAX);
    CLAIM(buffer_reserve(&scratch, message_object_scratch_bytes(value.text)) == OK);
    const uint8_t *scratch_bytes = scratch.bytes;
    read_object(value, &scratch);
    buffer_clear(&scratch);
    read_event(value, &scratch);
    CLAIM(scratch.bytes == scratch_bytes);
    buffer_finish(&scratch);
    return 0;
}
