/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/command.h"

#include "broker/limits.h"
#include "broker/support/json.h"
#include "broker/support/string_map.h"
#include "broker/support/utf8.h"
#include "tests/fuzz/fuzz.h"

static void check_publish(const struct message_fields *publish) {
    struct span rest = publish->headers, name, value;
    CLAIM(publish->kind == MESSAGE_DATA);
    CLAIM(utf8_is_valid(publish->channel) && utf8_is_valid(publish->type));
    CLAIM(utf8_is_valid(publish->event) && publish->event.length <= EVENT_BYTES_MAX);
    CLAIM(utf8_is_valid(publish->key) && publish->key.length <= KEY_BYTES_MAX);
    while (string_map_next(&rest, &name, &value)) {
        CLAIM(name.length > 0 && utf8_is_valid(name) && utf8_is_valid(value));
    }
    CLAIM(rest.length == 0);
    CLAIM(publish->payload_kind != PAYLOAD_JSON || json_check(publish->payload, NULL, NULL) == OK);
    CLAIM(publish->payload_kind != PAYLOAD_TEXT || utf8_is_valid(publish->payload));
}

/* What is accepted can go out again as it is; what is refused says why. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct buffer scratch;
    struct command command;
    struct error why = {0};
    buffer_init(&scratch, FUZZ_BUFFER_BYTES_MAX);
    enum error_code code = command_parse(span_of(bytes, length), &scratch, &command, &why);
    CLAIM(command.ref.length == 0 || json_check(command.ref, NULL, NULL) == OK);
    if (code != OK) {
        CLAIM(why.code == code && why.detail[0] != '\0');
        CLAIM(utf8_is_valid(span_of_string(why.detail)) || strlen(why.detail) > 250);
    } else if (command.kind == COMMAND_PUBLISH) {
        check_publish(&command.publish);
    } else {
        CLAIM(command.kind != COMMAND_SUBSCRIBE || utf8_is_valid(command.subscribe));
        CLAIM(command.kind != COMMAND_AUTH || command.auth.length > 0);
    }
    buffer_finish(&scratch);
    return 0;
}
