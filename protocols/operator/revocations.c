/* SPDX-License-Identifier: Apache-2.0 */
/* The set is in no order, so a page is a look at all of it that keeps the first keys it meets,
 * sorted: 100,000 entries take a few milliseconds of the operator's thread. */
#include "protocols/operator/revocations.h"

#include <stdlib.h>
#include <string.h>

#include "broker/admission/accounts.h"
#include "broker/channels/scope.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/revoking.h"
#include "broker/support/base64.h"
#include "broker/support/clock.h"
#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/http/query.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/listing.h"
#include "protocols/rest/request.h"

/* --- what is asked --------------------------------------------------------------------------- */

/* The words of a question, decoded. An empty one was not given. */
struct words {
    struct buffer of[REVOCATION_COUNT]; /* by kind: jti, sub, tenant */
    bool is_given[REVOCATION_COUNT];
};

static void init(struct words *words) {
    *words = (struct words){0};
    for (int kind = 0; kind < REVOCATION_COUNT; kind++) {
        buffer_init(&words->of[kind], HTTP_TARGET_BYTES_MAX);
    }
}

static void finish(struct words *words) {
    for (int kind = 0; kind < REVOCATION_COUNT; kind++) {
        buffer_finish(&words->of[kind]);
    }
}

static enum error_code check_word(const struct words *words, enum revocation_kind kind,
                                  struct error *why) {
    struct span value = buffer_borrow(&words->of[kind]);
    const char *name = revocation_kind_name(kind);
    if (!words->is_given[kind]) {
        return OK;
    }
    if (value.length == 0 || value.length > revocation_value_bytes_max(kind)) {
        return error_set_field(why, ERR_UNPROCESSABLE, name, "`%s` has 1 to %zu bytes", name,
                               revocation_value_bytes_max(kind));
    }
    if (!utf8_is_valid(value) || (kind == REVOCATION_TENANT && !scope_is_tenant(value))) {
        return error_set_field(why, ERR_UNPROCESSABLE, name, "no `%s` is like that", name);
    }
    return OK;
}

/* Which entry the words mean. Its spans are those of the words. */
static enum error_code understand(const struct words *words, struct revocation *ret_revocation,
                                  struct error *why) {
    bool has_token = words->is_given[REVOCATION_TOKEN];
    bool has_subject = words->is_given[REVOCATION_SUBJECT];
    for (int kind = 0; kind < REVOCATION_COUNT; kind++) {
        TRY(check_word(words, (enum revocation_kind)kind, why));
    }
    if (has_token && has_subject) {
        return error_set_field(why, ERR_UNPROCESSABLE, "sub",
                               "`jti` or `sub`: a token, or all of a subject");
    }
    if (!has_token && !has_subject && !words->is_given[REVOCATION_TENANT]) {
        return error_set(why, ERR_UNPROCESSABLE, "one of `jti`, `sub` and `tenant` is needed");
    }
    enum revocation_kind kind = has_token     ? REVOCATION_TOKEN
                                : has_subject ? REVOCATION_SUBJECT
                                              : REVOCATION_TENANT;
    *ret_revocation = (struct revocation){.kind = kind,
                                          .value = buffer_borrow(&words->of[kind]),
                                          .tenant = buffer_borrow(&words->of[REVOCATION_TENANT])};
    return OK;
}

static enum error_code take_text(struct words *words, enum revocation_kind kind,
                                 struct json_value value, struct error *why) {
    const char *name = revocation_kind_name(kind);
    if (value.kind == JSON_KIND_NULL) {
        return OK;
    }
    if (value.kind != JSON_KIND_STRING) {
        return error_set_field(why, ERR_UNPROCESSABLE, name, "`%s` is a string", name);
    }
    words->is_given[kind] = true;
    return json_string_put(&words->of[kind], value.text);
}

/* How long the entry is kept, as the body says it. */
struct lifetime {
    bool is_given;
    uint64_t until_s;
};

static enum error_code take_number(struct lifetime *lifetime, const char *name, uint64_t now_s,
                                   struct json_value value, struct error *why) {
    bool is_relative = strcmp(name, "expires_in") == 0;
    uint64_t number = 0;
    if (lifetime->is_given) {
        return error_set_field(why, ERR_UNPROCESSABLE, name, "`expires_in` or `until`, not both");
    }
    if (!json_number_u64(value, &number) || number == 0) {
        return error_set_field(why, ERR_UNPROCESSABLE, name, "`%s` is a number of seconds", name);
    }
    if (number > (is_relative ? 0 : now_s) + REVOCATION_LONGEST_S) {
        return error_set_field(why, ERR_UNPROCESSABLE, name, "ten years at most");
    }
    lifetime->is_given = true;
    lifetime->until_s = is_relative ? now_s + number : number;
    return OK;
}

static enum error_code take_member(struct words *words, struct lifetime *lifetime, uint64_t now_s,
                                   const struct json_member *member, struct error *why) {
    static const char *const times[] = {"expires_in", "until"};
    for (int kind = 0; kind < REVOCATION_COUNT; kind++) {
        if (json_string_is(member->name, revocation_kind_name((enum revocation_kind)kind))) {
            return take_text(words, (enum revocation_kind)kind, member->value, why);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        if (json_string_is(member->name, times[i])) {
            return take_number(lifetime, times[i], now_s, member->value, why);
        }
    }
    return error_set(why, ERR_UNPROCESSABLE,
                     "a revocation has `jti`, `sub`, `tenant`, `expires_in` and `until` alone");
}

/* A token is taken until its end and the leeway of clocks: so long the entry counts too. */
static enum error_code read_body(struct span body, uint64_t now_s, struct words *words,
                                 struct revocation *ret_revocation, struct error *why) {
    struct json_value object;
    struct json_member member;
    struct lifetime lifetime = {.until_s = now_s + REVOCATION_LONGEST_S};
    const char *fault = NULL;
    size_t position = 0;
    if (json_parse(body, &object, &position, &fault) != OK) {
        return error_set(why, ERR_BAD_JSON, "at byte %zu: %s", position, fault);
    }
    if (object.kind != JSON_KIND_OBJECT) {
        return error_set(why, ERR_UNPROCESSABLE, "a revocation is an object");
    }
    struct json_walk walk = json_walk_of(object);
    while (json_object_next(&walk, &member)) {
        TRY(take_member(words, &lifetime, now_s, &member, why));
    }
    TRY(understand(words, ret_revocation, why));
    ret_revocation->revoked_s = now_s;
    ret_revocation->until_s = lifetime.until_s + TOKEN_LEEWAY_S;
    return OK;
}

/* --- rows ------------------------------------------------------------------------------------ */

static enum error_code put_text(struct buffer *body, const char *separator, const char *name,
                                bool is_given, struct span text) {
    TRY(buffer_printf(body, "%s\"%s\":", separator, name));
    return is_given ? json_escape_put(body, text) : buffer_put(body, SPAN("null"));
}

static enum error_code put_row(struct buffer *body, const struct revocation *it) {
    char revoked[CLOCK_RFC3339_BYTES];
    char until[CLOCK_RFC3339_BYTES];
    bool is_tenant = it->kind == REVOCATION_TENANT;
    clock_format_rfc3339(it->revoked_s * 1000, revoked);
    clock_format_rfc3339(it->until_s * 1000, until);
    TRY(put_text(body, "{", "jti", it->kind == REVOCATION_TOKEN, it->value));
    TRY(put_text(body, ",", "sub", it->kind == REVOCATION_SUBJECT, it->value));
    TRY(put_text(body, ",", "tenant", is_tenant || it->tenant.length > 0,
                 is_tenant ? it->value : it->tenant));
    return buffer_printf(body, ",\"revoked\":\"%s\",\"until\":\"%s\"}", revoked, until);
}

/* Tokens that were taken already were issued before, whatever their issuer's clock says. */
static void reach_taken(struct accounts *accounts, struct revocation *revocation) {
    bool is_tenant = revocation->kind == REVOCATION_TENANT;
    uint64_t latest_s =
        accounts_latest_issue_s(accounts, is_tenant ? revocation->value : revocation->tenant);
    revocation->revoked_s = latest_s > revocation->revoked_s ? latest_s : revocation->revoked_s;
}

/* --- a change -------------------------------------------------------------------------------- */

static void on_changed(void *context, enum error_code result, const struct error *why) {
    request_end(context, result, why);
}

static enum error_code change(struct request *request, const struct revocation *revocation,
                              bool is_lifted, struct error *why) {
    TRY(revoking_ask(request->broker->revoking, revocation, is_lifted, request->reply_to,
                     on_changed, request, why));
    request_wait(request);
    return OK;
}

enum error_code revocations_add(struct request *request, struct error *why) {
    struct words words;
    struct revocation revocation = {0};
    init(&words);
    enum error_code code =
        read_body(request->body, clock_wall_ms() / 1000, &words, &revocation, why);
    if (code == OK && request->broker->accounts != NULL) {
        reach_taken(request->broker->accounts, &revocation);
    }
    if (code == OK) {
        code = answer_as_json(request, 200, put_row(&request->reply.body, &revocation), why);
    }
    if (code == OK) {
        code = change(request, &revocation, false, why);
    }
    finish(&words);
    return code;
}

static enum error_code read_query(struct span query, struct words *words,
                                  struct revocation *ret_revocation, struct error *why) {
    for (int kind = 0; kind < REVOCATION_COUNT; kind++) {
        TRY(query_find(query, revocation_kind_name((enum revocation_kind)kind), &words->of[kind],
                       &words->is_given[kind], why));
    }
    return understand(words, ret_revocation, why);
}

enum error_code revocations_lift_one(struct request *request, struct error *why) {
    struct words words;
    struct revocation revocation = {0};
    struct revocation known;
    init(&words);
    enum error_code code = read_query(request->query, &words, &revocation, why);
    if (code == OK &&
        !revocations_find(revoking_borrow(request->broker->revoking), &revocation, &known)) {
        code = error_set(why, ERR_NOT_FOUND, "nothing like that is revoked");
    }
    if (code == OK) {
        request->reply.status = 204;
        code = change(request, &revocation, true, why);
    }
    finish(&words);
    return code;
}

/* --- a page ---------------------------------------------------------------------------------- */

struct row {
    struct revocation revocation; /* of the set */
    size_t key_length;
    uint8_t key[REVOCATION_KEY_BYTES_MAX];
};

struct page {
    uint64_t now_s;
    struct span after;
    size_t limit;
    size_t count;
    bool has_more;
    struct row **sorted; /* limit + 1: one is filled before the last falls out */
};

static struct span key_of(const struct row *row) {
    return span_of(row->key, row->key_length);
}

static void look_at(void *context, const struct revocation *revocation) {
    struct page *page = context;
    struct row *row = page->sorted[page->count]; /* not in use */
    row->revocation = *revocation;
    row->key_length = revocation_put_key(revocation, row->key);
    if (revocation->until_s <= page->now_s || span_compare(key_of(row), page->after) <= 0) {
        return;
    }
    size_t place = page->count;
    while (place > 0 && span_compare(key_of(row), key_of(page->sorted[place - 1])) < 0) {
        page->sorted[place] = page->sorted[place - 1];
        place--;
    }
    page->sorted[place] = row;
    page->has_more |= page->count == page->limit;
    page->count += page->count < page->limit;
}

static enum error_code put_page(struct buffer *body, const struct page *page) {
    TRY(buffer_put(body, SPAN("{\"revocations\":[")));
    for (size_t i = 0; i < page->count; i++) {
        TRY(i == 0 ? OK : buffer_put_byte(body, ','));
        TRY(put_row(body, &page->sorted[i]->revocation));
    }
    if (!page->has_more) {
        return buffer_put(body, SPAN("],\"next\":null}"));
    }
    TRY(buffer_put(body, SPAN("],\"next\":\"")));
    TRY(base64_url_put(body, key_of(page->sorted[page->count - 1])));
    return buffer_put(body, SPAN("\"}"));
}

static enum error_code fill(struct page *page, const struct revocations *set, struct buffer *body) {
    struct row *rows = calloc(page->limit + 1, sizeof(*rows));
    page->sorted = calloc(page->limit + 1, sizeof(struct row *));
    enum error_code code = rows == NULL || page->sorted == NULL ? ERR_MEMORY : OK;
    for (size_t i = 0; code == OK && i <= page->limit; i++) {
        page->sorted[i] = &rows[i];
    }
    if (code == OK) {
        revocations_each(set, look_at, page);
        code = put_page(body, page);
    }
    free(page->sorted);
    free(rows);
    return code;
}

static enum error_code find_after(struct span query, struct buffer *text, struct buffer *after,
                                  struct error *why) {
    bool is_found = false;
    buffer_clear(text);
    TRY(query_find(query, "after", text, &is_found, why));
    enum error_code code = base64_url_put_decoded(after, buffer_borrow(text));
    return code == ERR_BAD_REQUEST || code == ERR_TOO_LARGE
               ? error_set_field(why, ERR_BAD_REQUEST, "after", "this is the `next` of no page")
               : code;
}

enum error_code revocations_list(struct request *request, struct error *why) {
    struct page page = {.now_s = clock_wall_ms() / 1000};
    struct buffer text;
    struct buffer after;
    bool is_found = false;
    buffer_init(&text, HTTP_TARGET_BYTES_MAX);
    buffer_init(&after, REVOCATION_KEY_BYTES_MAX);
    enum error_code code = query_find(request->query, "limit", &text, &is_found, why);
    code = code == OK ? listing_parse_limit(buffer_borrow(&text), &page.limit, why) : code;
    code = code == OK ? find_after(request->query, &text, &after, why) : code;
    if (code == OK) {
        page.after = buffer_borrow(&after);
        code = fill(&page, revoking_borrow(request->broker->revoking), &request->reply.body);
        code = answer_as_json(request, 200, code, why);
    }
    buffer_finish(&after);
    buffer_finish(&text);
    return code;
}
