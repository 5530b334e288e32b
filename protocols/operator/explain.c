/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/explain.h"

#include <stdlib.h>

#include "broker/channels/name.h"
#include "broker/channels/pattern.h"
#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/runtime/access.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/worker.h"
#include "broker/support/clock.h"
#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/operator/answer.h"
#include "protocols/petition.h"
#include "protocols/rest/request.h"

/* One question on its way to a worker and back. The request's state. */
struct explaining {
    struct letter letter;
    struct request *request;
    struct access *access; /* the worker's */
    struct petition petition;
    struct buffer bearer; /* wiped */
    struct buffer certificate;
    struct buffer text; /* the channel or pattern */
    enum action action; /* ACTION_COUNT: not given yet */
    bool is_finished;   /* on the worker */
    struct identity *identity;
    enum error_code code; /* of who it is */
    struct error why;
    struct ruling ruling;
};

static void destroy(void *state) {
    struct explaining *explaining = state;
    if (explaining->bearer.length > 0) {
        explicit_bzero(explaining->bearer.bytes, explaining->bearer.length);
    }
    buffer_finish(&explaining->bearer);
    buffer_finish(&explaining->certificate);
    buffer_finish(&explaining->text);
    identity_unref(explaining->identity);
    free(explaining);
}

/* --- what is asked --------------------------------------------------------------------------- */

static enum error_code take_text(struct buffer *buffer, const char *name, struct json_value value,
                                 struct error *why) {
    if (value.kind != JSON_KIND_STRING) {
        return error_set_field(why, ERR_UNPROCESSABLE, name, "`%s` is a string", name);
    }
    if (buffer->length > 0) {
        return error_set_field(why, ERR_UNPROCESSABLE, name, "one question at a time");
    }
    TRY(json_string_put(buffer, value.text));
    return buffer->length > 0
               ? OK
               : error_set_field(why, ERR_UNPROCESSABLE, name, "`%s` is empty", name);
}

static enum error_code take_member(struct explaining *explaining, const struct json_member *member,
                                   struct error *why) {
    static const char *const bearers[] = {"token", "key"};
    for (size_t i = 0; i < ARRAY_COUNT(bearers); i++) {
        if (json_string_is(member->name, bearers[i])) {
            return take_text(&explaining->bearer, bearers[i], member->value, why);
        }
    }
    if (json_string_is(member->name, "certificate")) {
        return take_text(&explaining->certificate, "certificate", member->value, why);
    }
    for (size_t action = 0; action < ACTION_COUNT; action++) {
        const char *name = action_name((enum action)action);
        if (json_string_is(member->name, name)) {
            explaining->action = (enum action)action;
            return take_text(&explaining->text, name, member->value, why);
        }
    }
    return error_set(why, ERR_UNPROCESSABLE,
                     "a question has `token`, `key` or `certificate`, and one of `publish`, "
                     "`subscribe`, `history`, `presence` and `delete`");
}

static enum error_code check_text(const struct explaining *explaining, struct error *why) {
    if (explaining->action == ACTION_COUNT) {
        return error_set(why, ERR_UNPROCESSABLE, "what is to be done? `publish`, `subscribe` …");
    }
    struct span text = buffer_borrow(&explaining->text);
    bool may_be_pattern =
        explaining->action == ACTION_SUBSCRIBE || explaining->action == ACTION_HISTORY;
    return may_be_pattern ? pattern_check(text, true, why) : channel_name_check(text, true, why);
}

static enum error_code read_body(struct explaining *explaining, struct span body,
                                 struct error *why) {
    struct json_value object;
    struct json_member member;
    const char *fault = NULL;
    size_t position = 0;
    if (json_parse(body, &object, &position, &fault) != OK) {
        return error_set(why, ERR_BAD_JSON, "at byte %zu: %s", position, fault);
    }
    struct json_walk walk = json_walk_of(object);
    while (json_object_next(&walk, &member)) {
        TRY(take_member(explaining, &member, why));
    }
    return check_text(explaining, why);
}

/* --- on the worker --------------------------------------------------------------------------- */

/* What no credentials allow: such a publish is refused before anybody asks for rights. */
static bool is_out_of_question(const struct explaining *explaining) {
    return explaining->action == ACTION_PUBLISH &&
           channel_name_is_reserved(buffer_borrow(&explaining->text));
}

/* Asks until something has to be waited for. */
static void look(struct explaining *explaining) {
    struct petition *petition = &explaining->petition;
    const struct credentials credentials = {.bearer = buffer_borrow(&explaining->bearer),
                                            .certificate = buffer_borrow(&explaining->certificate),
                                            .peer = explaining->request->peer,
                                            .protocol = "explain"};
    struct span text = buffer_borrow(&explaining->text);
    petition_begin_round(petition);
    if (explaining->identity == NULL) {
        explaining->code =
            petition_identify(petition, &credentials, &explaining->identity, &explaining->why);
        if (explaining->code != OK) {
            explaining->is_finished = explaining->code != ERR_AGAIN;
            return;
        }
    }
    struct ruling *ruling = &explaining->ruling;
    if (is_out_of_question(explaining)) {
        *ruling = (struct ruling){.reason = "channels that begin with $ are the broker's own"};
        explaining->is_finished = true;
        return;
    }
    identity_explain(explaining->identity, explaining->action, text, ruling);
    struct error why = {0};
    enum error_code code = ruling->is_allowed ? petition_permit(petition, explaining->identity,
                                                                explaining->action, text, &why)
                                              : OK;
    if (code != OK && code != ERR_AGAIN) {
        *ruling = (struct ruling){.rule = "auth.webhook"};
        memcpy(ruling->reason, why.detail, sizeof(why.detail));
    }
    explaining->is_finished = code != ERR_AGAIN;
}

static void on_answered(struct letter *letter, void *consumer);

static void send_back_if_finished(struct explaining *explaining) {
    if (explaining->is_finished) {
        petition_finish(&explaining->petition);
        explaining->letter.on_delivered = on_answered;
        mailbox_put_answer(explaining->request->reply_to, &explaining->letter);
    }
}

static void on_petition_answered(struct petition *petition) {
    struct explaining *explaining = petition->context;
    look(explaining);
    send_back_if_finished(explaining);
}

static void on_asked(struct letter *letter, void *consumer) {
    struct explaining *explaining = CONTAINER_OF(letter, struct explaining, letter);
    struct worker *worker = consumer;
    explaining->petition = (struct petition){.access = worker_access(worker),
                                             .reply_to = worker_mailbox(worker),
                                             .on_answered = on_petition_answered,
                                             .context = explaining};
    look(explaining);
    send_back_if_finished(explaining);
}

/* --- the answer ------------------------------------------------------------------------------ */

static enum error_code put_fact(struct buffer *body, const char *name, struct span text) {
    if (text.length == 0 || !utf8_is_valid(text)) {
        return OK;
    }
    TRY(buffer_printf(body, ",\"%s\":", name));
    return json_escape_put(body, text);
}

static enum error_code put_identity(struct buffer *body, const struct identity *identity) {
    const struct identity_facts *facts = &identity->facts;
    TRY(buffer_printf(body, ",\"identity\":{\"kind\":\"%s\"", identity_kind_name(facts->kind)));
    TRY(put_fact(body, "subject", facts->subject));
    TRY(put_fact(body, "tenant", facts->tenant));
    TRY(put_fact(body, "issuer", facts->issuer));
    TRY(put_fact(body, "jti", facts->token_id));
    TRY(put_fact(body, "source", facts->source));
    if (facts->line > 0) {
        TRY(buffer_printf(body, ",\"line\":%u", facts->line));
    }
    if (facts->expires_s > 0) {
        char expires[CLOCK_RFC3339_BYTES];
        clock_format_rfc3339(facts->expires_s * 1000, expires);
        TRY(buffer_printf(body, ",\"expires\":\"%s\"", expires));
    }
    return buffer_put_byte(body, '}');
}

/* What would be refused all the same, if it came too often. */
static enum error_code put_rate(struct buffer *body, const struct explaining *explaining) {
    const struct rules *rules = explaining->request->broker->rules;
    if (explaining->action != ACTION_PUBLISH || !rules_have_publish_rate(rules)) {
        return OK;
    }
    uint64_t rate = rules_find(rules, buffer_borrow(&explaining->text))->publish_rate;
    return rate == CONFIG_UNLIMITED
               ? OK
               : buffer_printf(body, ",\"publish_rate\":%llu", (unsigned long long)rate);
}

/* Who it is not is an answer too, and no refusal of the question. */
static enum error_code put_answer(struct buffer *body, const struct explaining *explaining) {
    bool is_known = explaining->code == OK;
    const struct ruling *ruling = &explaining->ruling;
    TRY(buffer_printf(body, "{\"allowed\":%s,\"action\":\"%s\",\"channel\":",
                      is_known && ruling->is_allowed ? "true" : "false",
                      action_name(explaining->action)));
    TRY(json_escape_put(body, buffer_borrow(&explaining->text)));
    if (!is_known) {
        const struct error_row *row = error_row(explaining->code);
        TRY(buffer_printf(body, ",\"code\":\"%s\"", row->slug));
        TRY(answer_put_text(body, SPAN(",\"reason\":"),
                            explaining->why.detail[0] == '\0' ? row->title
                                                              : explaining->why.detail));
        return buffer_put_byte(body, '}');
    }
    if (!ruling->is_allowed) {
        TRY(buffer_printf(body, ",\"code\":\"%s\"", error_row(ERR_FORBIDDEN)->slug));
    }
    if (ruling->rule[0] != '\0') {
        TRY(answer_put_text(body, SPAN(",\"rule\":"), ruling->rule));
    }
    TRY(answer_put_text(body, SPAN(",\"reason\":"), ruling->reason));
    TRY(put_rate(body, explaining));
    TRY(put_identity(body, explaining->identity));
    return buffer_put_byte(body, '}');
}

static void on_answered(struct letter *letter, void *consumer) {
    (void)consumer;
    struct explaining *explaining = CONTAINER_OF(letter, struct explaining, letter);
    struct request *request = explaining->request;
    struct error why = {0};
    enum error_code code = OK;
    if (request_is_wanted(request)) {
        code = put_answer(&request->reply.body, explaining);
        code = answer_as_json(request, 200, code, &why);
    }
    request_end(request, code, &why);
}

enum error_code explain_ask(struct request *request, struct error *why) {
    struct explaining *explaining = calloc(1, sizeof(*explaining));
    if (explaining == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a question");
    }
    explaining->request = request;
    explaining->action = ACTION_COUNT;
    buffer_init(&explaining->bearer, EXPLAIN_BODY_BYTES_MAX);
    buffer_init(&explaining->certificate, EXPLAIN_BODY_BYTES_MAX);
    buffer_init(&explaining->text, EXPLAIN_BODY_BYTES_MAX);
    request->state = explaining;
    request->on_state_finish = destroy;
    TRY(read_body(explaining, request->body, why));
    if (atomic_load(&request->broker->is_stopping)) {
        return error_set(why, ERR_DRAINING, "the broker goes down");
    }
    explaining->letter.on_delivered = on_asked;
    TRY(mailbox_put(worker_mailbox(request->broker->workers[0]), &explaining->letter));
    request_wait(request);
    return OK;
}
