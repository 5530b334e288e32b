/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/deletion.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/channels/since.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/throttle.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "protocols/envelope.h"
#include "protocols/http/query.h"
#include "protocols/rest/credentials.h"
#include "protocols/rest/request.h"

struct deletion {
    struct request *request;
    uint64_t from; /* offsets, both of them deleted */
    uint64_t to;
    bool has_before; /* `to` is found by a read, from this id */
    struct place before;
    struct read read;
    struct buffer channel; /* as the log knows it */
    struct message *message;
    struct publish publish;
};

static void on_state_finish(void *state) {
    struct deletion *deletion = state;
    message_unref(deletion->message);
    buffer_finish(&deletion->channel);
    free(deletion);
}

/* --- which messages --------------------------------------------------------------------------- */

static enum error_code on_before(struct deletion *deletion, struct span text, struct error *why) {
    enum error_code code = before_parse(text, &deletion->before, why);
    if (code != OK) {
        return code;
    }
    deletion->has_before = deletion->before.position > 0;
    deletion->to = deletion->has_before ? 0 : deletion->before.offset - 1;
    return OK;
}

static enum error_code on_offset(struct deletion *deletion, struct span text, struct error *why) {
    if (!span_parse_u64(text, &deletion->from) || deletion->from == 0) {
        return error_set(why, ERR_BAD_REQUEST, "an offset is a number from 1 on");
    }
    deletion->to = deletion->from;
    return OK;
}

/* `channel` is for names that do not fit the path, and was read already. */
static enum error_code on_channel(struct deletion *deletion, struct span text, struct error *why) {
    (void)deletion;
    (void)text;
    (void)why;
    return OK;
}

static const struct {
    const char *name;
    enum error_code (*on_value)(struct deletion *deletion, struct span text, struct error *why);
    bool chooses_messages;
} rows[] = {
    {"before", on_before, true},
    {"offset", on_offset, true},
    {"channel", on_channel, false},
};

static enum error_code take_parameter(struct deletion *deletion, struct span query,
                                      struct span encoded_name, unsigned *choice_count,
                                      struct error *why) {
    size_t row = 0;
    bool is_found = false;
    struct buffer text;
    while (row < ARRAY_COUNT(rows) && !query_name_is(encoded_name, rows[row].name)) {
        row++;
    }
    if (row == ARRAY_COUNT(rows)) {
        char field[sizeof(why->field)];
        snprintf(field, sizeof(field), "%.*s", SPAN_PRINTF(encoded_name));
        return error_set_field(why, ERR_BAD_REQUEST, field,
                               "deleting knows `before` and `offset`, and no other parameter");
    }
    *choice_count += rows[row].chooses_messages;
    if (*choice_count > 1) {
        return error_set_field(why, ERR_BAD_REQUEST, rows[row].name,
                               "either `before` or `offset`, and once");
    }
    buffer_init(&text, HTTP_TARGET_BYTES_MAX);
    enum error_code code = query_find(query, rows[row].name, &text, &is_found, why);
    if (code == OK) {
        code = rows[row].on_value(deletion, buffer_borrow(&text), why);
    }
    buffer_finish(&text);
    return error_blame(why, code, rows[row].name);
}

enum error_code deletion_admit(struct request *request, struct error *why) {
    struct deletion *deletion = calloc(1, sizeof(*deletion));
    struct span rest = request->query;
    struct span name, value;
    unsigned choice_count = 0;
    enum error_code code = OK;
    if (deletion == NULL) {
        return ERR_MEMORY;
    }
    deletion->request = request;
    deletion->from = 1;
    deletion->to = UINT64_MAX;
    request->state = deletion;
    request->on_state_finish = on_state_finish;
    while (code == OK && query_next(&rest, &name, &value)) {
        if (credentials_is_parameter(name)) {
            continue; /* read already */
        }
        code = take_parameter(deletion, request->query, name, &choice_count, why);
    }
    if (code == OK && deletion->to < deletion->from && !deletion->has_before) {
        code = error_set_field(why, ERR_BAD_REQUEST, "before", "nothing stands before offset 1");
    }
    return code;
}

/* --- the record ------------------------------------------------------------------------------- */

static enum error_code put_answer(struct buffer *buffer, const struct message *message,
                                  uint64_t from, uint64_t to) {
    enum error_code code = buffer_put(buffer, SPAN("{\"channel\":"));
    if (code == OK) {
        code = json_escape_put(buffer, scope_visible(message->fields.channel));
    }
    if (code == OK) {
        code = buffer_printf(buffer, ",\"from\":%llu,\"to\":%llu,", (unsigned long long)from,
                             (unsigned long long)to);
    }
    if (code == OK) {
        code = envelope_put_id(buffer, "id", &message->place);
    }
    return code == OK ? buffer_put_byte(buffer, '}') : code;
}

static enum error_code answer(struct deletion *deletion, struct error *why) {
    struct reply *reply = &deletion->request->reply;
    uint64_t from = 0;
    uint64_t to = 0;
    bool is_delete = message_get_deleted(deletion->message, &from, &to);
    INVARIANT(is_delete);
    if (from > to) {
        return error_set_field(why, ERR_NOT_FOUND, "offset", "the channel's last offset is %llu",
                               (unsigned long long)to);
    }
    reply->status = 200;
    reply_add_header(reply, "Content-Type", "application/json");
    reply_add_header(reply, "Cache-Control", "no-store");
    return put_answer(&reply->body, deletion->message, from, to);
}

static void on_answered(struct publish *publish) {
    struct deletion *deletion = CONTAINER_OF(publish, struct deletion, publish);
    struct request *request = deletion->request;
    struct error why = publish->why;
    enum error_code code = publish->result;
    if (code == OK && request_is_wanted(request)) {
        code = answer(deletion, &why);
    }
    request_end(request, code, &why);
}

/* The record is a message to the log, and counts as one. */
static enum error_code take_rate(const struct deletion *deletion, struct error *why) {
    const struct request *request = deletion->request;
    const struct throttle_offer offer = {
        .count = 1, .bytes = MESSAGE_DELETE_BYTES, .channel = buffer_borrow(&deletion->channel)};
    return request->connection == NULL
               ? OK
               : throttle_publish(request->connection, request->identity, &offer, NULL, why);
}

/* Hands the record to the log. OK: on_answered follows. */
static enum error_code submit(struct deletion *deletion, struct error *why) {
    struct request *request = deletion->request;
    struct span channel = buffer_borrow(&deletion->channel);
    const struct channel_rule *rule =
        rules_find(request->broker->rules, buffer_borrow(&request->channel));
    uint8_t payload[MESSAGE_DELETE_BYTES];
    message_put_deleted(deletion->from, deletion->to, payload);
    struct message_fields fields = {
        .kind = MESSAGE_DELETE,
        .payload_kind = PAYLOAD_BINARY,
        .flags = rule->durability == DURABILITY_FSYNC ? MESSAGE_FSYNC : 0,
        .channel = channel,
        .payload = span_of(payload, sizeof(payload)),
    };
    enum error_code code = take_rate(deletion, why);
    if (code != OK) {
        return code;
    }
    deletion->message = message_create(&fields);
    if (deletion->message == NULL) {
        return error_set(why, ERR_MEMORY, "there was no memory for the record");
    }
    deletion->publish = (struct publish){.reply_to = request->reply_to,
                                         .on_answered = on_answered,
                                         .messages = &deletion->message,
                                         .count = 1};
    code = log_submit(request->broker->log, &deletion->publish);
    return code == OK ? OK : error_set(why, code, "the log takes nothing more at the moment");
}

/* --- the offset of an id ---------------------------------------------------------------------- */

/* What stands before a position is the channel's own question, whichever channel the id is of. A
 * page of the newest message before it ends at that message, or at the hole in its place. */
static enum error_code take_end(struct deletion *deletion, const struct read *read,
                                struct error *why) {
    const struct storage_page *page = &read->page;
    if (read->result != OK) {
        *why = read->why;
        return read->result;
    }
    if (page->end.log_id != deletion->before.log_id) {
        return error_set_field(why, ERR_BAD_SINCE, "before", "this id is of another log");
    }
    deletion->to = page->end.offset;
    return page->channel_id == 0 || deletion->to == 0
               ? error_set_field(why, ERR_NOT_FOUND, "before",
                                 "the channel has nothing before this id")
               : OK;
}

static void on_read(struct read *read) {
    struct deletion *deletion = CONTAINER_OF(read, struct deletion, read);
    struct request *request = deletion->request;
    struct error why = {0};
    enum error_code code = OK;
    if (request_is_wanted(request)) {
        code = take_end(deletion, read, &why);
    }
    reads_release(request->broker->reads, read);
    if (!request_is_wanted(request)) {
        request_answer(request); /* nobody waits, and nothing has been promised yet */
        return;
    }
    if (code == OK) {
        code = submit(deletion, &why);
    }
    if (code != OK) {
        request_end(request, code, &why);
    }
}

void deletion_handle(struct request *request) {
    struct deletion *deletion = request->state;
    struct error why = {0};
    buffer_init(&deletion->channel, SCOPED_BYTES_MAX);
    enum error_code code =
        scope_put(&deletion->channel, request->tenant, buffer_borrow(&request->channel));
    request_wait(request);
    if (code == OK && deletion->has_before) {
        deletion->read.reply_to = request->reply_to;
        deletion->read.on_read = on_read;
        deletion->read.query = (struct storage_query){.channel = buffer_borrow(&deletion->channel),
                                                      .start = STORAGE_NEWEST,
                                                      .has_before = true,
                                                      .before = deletion->before,
                                                      .limit = 1,
                                                      .bytes_max = 1};
        reads_submit(request->broker->reads, &deletion->read);
        return;
    }
    if (code == OK) {
        code = submit(deletion, &why);
    }
    if (code != OK) {
        request_end(request, code, &why);
    }
}
