/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/answer.h"

#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/rest/request.h"

enum error_code answer_put_text(struct buffer *body, struct span name, const char *text) {
    struct span value = text == NULL ? (struct span){0} : span_of_string(text);
    while (value.length > 0 && !utf8_is_valid(value)) {
        value.length--;
    }
    TRY(buffer_put(body, name));
    return text == NULL ? buffer_put(body, SPAN("null")) : json_escape_put(body, value);
}

enum error_code answer_as_json(struct request *request, uint16_t status, enum error_code written,
                               struct error *why) {
    if (written != OK) {
        return error_set(why, written, "the answer could not be written");
    }
    request->reply.status = status;
    reply_add_header(&request->reply, "Content-Type", "application/json");
    reply_add_header(&request->reply, "Cache-Control", "no-store");
    return OK;
}
