/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/heading.h"

#include "broker/channels/id.h"
#include "broker/channels/scope.h"
#include "broker/runtime/signature.h"
#include "broker/support/string_map.h"
#include "protocols/http/head.h"

/* "prefix" "name" ": " value, NUL. */
static enum error_code put_line(struct buffer *lines, struct span prefix, struct span name,
                                struct span value) {
    if (value.length == 0) {
        return OK;
    }
    enum error_code code = buffer_put(lines, prefix);
    if (code == OK) {
        code = buffer_put(lines, name);
    }
    if (code == OK) {
        code = buffer_put(lines, SPAN(": "));
    }
    for (size_t i = 0; code == OK && i < value.length; i++) {
        uint8_t byte = value.bytes[i];
        bool is_plain = byte >= ' ' && byte != 0x7f && byte != '%';
        code = is_plain ? buffer_put_byte(lines, byte) : buffer_printf(lines, "%%%02X", byte);
    }
    return code == OK ? buffer_put_byte(lines, '\0') : code;
}

/* What the configuration has checked, or what is made here: as it is. */
static enum error_code put_whole(struct buffer *lines, const char *line) {
    return buffer_put(lines, span_of(line, strlen(line) + 1));
}

static enum error_code put_number(struct buffer *lines, struct span name, uint64_t number) {
    uint8_t digits[SPAN_U64_DIGITS];
    return put_line(lines, (struct span){0}, name, span_format_u64(number, digits));
}

static enum error_code put_signature(struct buffer *lines, const struct heading *heading) {
    const char *secrets[SIGNATURE_SECRETS_MAX] = {heading->row->webhook_secret,
                                                  heading->row->webhook_secret_previous};
    char signature[SIGNATURE_TEXT_BYTES];
    if (secrets[0] == NULL && secrets[1] == NULL) {
        return OK;
    }
    enum error_code code = signature_write(secrets, SIGNATURE_SECRETS_MAX, heading->shipment->id,
                                           heading->time_s, heading->body, signature);
    return code == OK ? put_line(lines, (struct span){0}, SPAN("webhook-signature"),
                                 span_of_string(signature))
                      : code;
}

static enum error_code put_own(struct buffer *lines, const struct config_list *headers) {
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < headers->count; i++) {
        code = put_whole(lines, headers->items[i]);
    }
    return code;
}

static enum error_code put_map(struct buffer *lines, struct span map) {
    struct span name;
    struct span value;
    enum error_code code = OK;
    while (code == OK && string_map_next(&map, &name, &value)) {
        code = head_is_token(name) ? put_line(lines, SPAN("tidings-header-"), name, value) : OK;
    }
    return code;
}

static enum error_code put_message(struct buffer *lines, const struct message *message) {
    char id[ID_TEXT_BYTES_MAX];
    const struct {
        struct span name;
        struct span value;
    } rows[] = {
        {SPAN("tidings-channel"), scope_visible(message->fields.channel)},
        {SPAN("tidings-id"), span_of(id, id_format(&message->place, id))},
        {SPAN("tidings-event"), message->fields.event},
        {SPAN("tidings-key"), message->fields.key},
    };
    enum error_code code = put_number(lines, SPAN("tidings-offset"), message->place.offset);
    for (size_t i = 0; code == OK && i < ARRAY_COUNT(rows); i++) {
        code = put_line(lines, (struct span){0}, rows[i].name, rows[i].value);
    }
    return code == OK ? put_map(lines, message->fields.headers) : code;
}

enum error_code heading_put(struct buffer *lines, const struct heading *heading) {
    const struct sink_row *row = heading->row;
    const struct shipment *shipment = heading->shipment;
    bool is_bare = row->format == SINK_FORMAT_DATA && row->batch_count == 1;
    enum error_code code = put_whole(lines, "User-Agent: tidings/" TIDINGS_VERSION);
    if (code == OK) {
        code = put_line(lines, (struct span){0}, SPAN("Content-Type"), heading->media_type);
    }
    if (code == OK) {
        code = put_line(lines, (struct span){0}, SPAN("webhook-id"), span_of_string(shipment->id));
    }
    if (code == OK) {
        code = put_number(lines, SPAN("webhook-timestamp"), heading->time_s);
    }
    if (code == OK) {
        code = put_signature(lines, heading);
    }
    if (code == OK && is_bare) {
        code = put_message(lines, shipment->messages[0]);
    }
    return code == OK ? put_own(lines, &row->webhook_headers) : code;
}
