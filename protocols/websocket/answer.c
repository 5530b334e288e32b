/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/answer.h"

#include "broker/support/json.h"
#include "protocols/envelope.h"

/* {"ref":…,"ok":{ — or without ref. */
static enum error_code put_head(struct buffer *buffer, struct span ref, const char *what) {
    return ref.length == 0
               ? buffer_printf(buffer, "{\"%s\":{", what)
               : buffer_printf(buffer, "{\"ref\":%.*s,\"%s\":{", SPAN_PRINTF(ref), what);
}

enum error_code answer_put_published(struct buffer *buffer, struct span ref,
                                     const struct message *message) {
    enum error_code code = put_head(buffer, ref, "ok");
    if (code == OK) {
        code = buffer_printf(buffer, "\"offset\":%llu,", (unsigned long long)message->place.offset);
    }
    if (code == OK) {
        code = envelope_put_id(buffer, "id", &message->place);
    }
    return code != OK ? code : buffer_put(buffer, SPAN("}}"));
}

enum error_code answer_put_subscribed(struct buffer *buffer, struct span ref, uint64_t subscription,
                                      const struct place *place) {
    enum error_code code = put_head(buffer, ref, "ok");
    if (code == OK) {
        code = buffer_printf(buffer, "\"sub\":%llu", (unsigned long long)subscription);
    }
    if (code == OK && place->log_id != 0) {
        code = buffer_put(buffer, SPAN(","));
        code = code != OK ? code : envelope_put_id(buffer, "at", place);
    }
    return code != OK ? code : buffer_put(buffer, SPAN("}}"));
}

enum error_code answer_put_done(struct buffer *buffer, struct span ref) {
    enum error_code code = put_head(buffer, ref, "ok");
    return code != OK ? code : buffer_put(buffer, SPAN("}}"));
}

/* The members that say what is wrong. */
static enum error_code put_reason(struct buffer *buffer, enum error_code result,
                                  const struct error *why) {
    const struct error_row *row = error_row(result);
    bool has_detail = why != NULL && why->detail[0] != '\0';
    enum error_code code = buffer_printf(buffer, "\"code\":\"%s\",\"message\":", row->slug);
    return code != OK
               ? code
               : json_escape_put(buffer, span_of_string(has_detail ? why->detail : row->title));
}

enum error_code answer_put_error(struct buffer *buffer, struct span ref, enum error_code result,
                                 const struct error *why) {
    enum error_code code = put_head(buffer, ref, "error");
    if (code == OK) {
        code = put_reason(buffer, result, why);
    }
    if (code == OK && why != NULL && why->field[0] != '\0') {
        code = buffer_put(buffer, SPAN(",\"field\":"));
        code = code != OK ? code : json_escape_put(buffer, span_of_string(why->field));
    }
    if (code == OK && why != NULL && why->retry_after_ms > 0) {
        code = buffer_printf(buffer, ",\"retry_after_ms\":%u", why->retry_after_ms);
    }
    return code != OK ? code : buffer_put(buffer, SPAN("}}"));
}

/* What the broker says unasked of one subscription, or of the one channel. */
static enum error_code put_place(struct buffer *buffer, uint64_t subscription, const char *what,
                                 const struct place *place) {
    enum error_code code = buffer_put(buffer, SPAN("{"));
    if (code == OK && subscription != 0) {
        code = buffer_printf(buffer, "\"sub\":%llu,", (unsigned long long)subscription);
    }
    if (code == OK) {
        code = buffer_put(buffer, span_of_string(what));
    }
    if (code == OK) {
        code = envelope_put_id(buffer, "at", place);
    }
    return code != OK ? code : buffer_put(buffer, SPAN("}"));
}

enum error_code answer_put_progress(struct buffer *buffer, uint64_t subscription,
                                    const struct place *place) {
    return put_place(buffer, subscription, "", place);
}

enum error_code answer_put_limit(struct buffer *buffer, uint64_t subscription,
                                 const struct place *place) {
    return put_place(buffer, subscription, "\"done\":true,", place);
}

enum error_code answer_put_closed(struct buffer *buffer, uint64_t subscription,
                                  enum error_code result, const struct error *why) {
    enum error_code code =
        buffer_printf(buffer, "{\"sub\":%llu,\"closed\":{", (unsigned long long)subscription);
    if (code == OK) {
        code = put_reason(buffer, result, why);
    }
    return code != OK ? code : buffer_put(buffer, SPAN("}}"));
}
