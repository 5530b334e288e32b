/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/answer.h"

#include "broker/config/config.h"
#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/rest/request.h"

enum error_code answer_put_text(struct buffer *body, struct span name, const char *text) {
    TRY(buffer_put(body, name));
    return text == NULL ? buffer_put(body, SPAN("null"))
                        : json_escape_put(body, utf8_cut(span_of_string(text), SIZE_MAX));
}

enum error_code answer_put_number(struct buffer *body, const char *name, uint64_t number) {
    return buffer_printf(body, ",\"%s\":%llu", name, (unsigned long long)number);
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

static enum error_code put_fault(struct buffer *body, const struct config_fault *fault) {
    TRY(answer_put_text(body, SPAN("{\"source\":"), fault->source));
    if (fault->line > 0) {
        TRY(buffer_printf(body, ",\"line\":%u,\"column\":%u", fault->line, fault->column));
    }
    if (fault->key[0] != '\0') {
        TRY(answer_put_text(body, SPAN(",\"field\":"), fault->key));
    }
    TRY(answer_put_text(body, SPAN(",\"reason\":"), fault->reason));
    return buffer_put_byte(body, '}');
}

static enum error_code put_faults(struct buffer *body, const struct config_faults *faults) {
    TRY(buffer_put(body, SPAN(",\"faults\":[")));
    for (size_t i = 0; i < faults->count; i++) {
        TRY(i == 0 ? OK : buffer_put_byte(body, ','));
        TRY(put_fault(body, &faults->rows[i]));
    }
    return buffer_printf(body, "],\"faults_left_out\":%zu}", faults->count_beyond);
}

/* An extension member of the problem (RFC 9457, section 3.2). */
void answer_refuse_with_faults(struct request *request, const struct config_faults *faults) {
    size_t count = faults->count + faults->count_beyond;
    request_refuse_because(request, ERR_CONFIG, NULL, "%zu fault%s; nothing was changed", count,
                           count == 1 ? "" : "s");
    struct buffer *body = &request->reply.body;
    if (body->length > 0) {
        body->length--; /* its closing brace */
        if (put_faults(body, faults) != OK) {
            request_refuse(request, ERR_MEMORY, NULL);
        }
    }
}
