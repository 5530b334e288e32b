/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/problem.h"

#include "broker/support/json.h"

static enum error_code put_member(struct buffer *buffer, struct span name, const char *text) {
    TRY(buffer_put(buffer, name));
    return json_escape_put(buffer, span_of_string(text));
}

enum error_code problem_put(struct buffer *buffer, enum error_code code, const struct error *why) {
    const struct error_row *row = error_row(code);
    size_t length_before = buffer->length;
    enum error_code result =
        buffer_printf(buffer, "{\"type\":\"/problems/%s\",\"title\":\"%s\",\"status\":%u",
                      row->slug, row->title, row->http_status);
    if (result == OK && why != NULL && why->detail[0] != '\0') {
        result = put_member(buffer, SPAN(",\"detail\":"), why->detail);
    }
    if (result == OK && why != NULL && why->field[0] != '\0') {
        result = put_member(buffer, SPAN(",\"field\":"), why->field);
    }
    if (result == OK) {
        result = buffer_put_byte(buffer, '}');
    }
    if (result != OK) {
        buffer->length = length_before;
    }
    return result;
}
