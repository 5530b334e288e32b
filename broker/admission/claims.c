/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/claims.h"

#include <stdio.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"

#define SHOWN_BYTES_MAX 64
#define TIME_S_MAX 253402300799 /* the end of the year 9999 */

static int shown(struct span text) {
    return text.length > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : (int)text.length;
}

/* --- do they hold ---------------------------------------------------------------------------- */

bool claims_parse_time(struct json_value value, uint64_t *ret_time_s) {
    if (value.kind != JSON_KIND_NUMBER) {
        return false;
    }
    struct span fraction = value.text;
    struct span whole = span_split(&fraction, '.');
    for (size_t i = 0; i < fraction.length; i++) {
        if (fraction.bytes[i] < '0' || fraction.bytes[i] > '9') {
            return false;
        }
    }
    return span_parse_u64(whole, ret_time_s) && *ret_time_s <= TIME_S_MAX;
}

/* 0: there is no such claim. */
static enum error_code read_time(const struct members *claims, const char *name,
                                 uint64_t *ret_time_s, struct error *why) {
    const struct json_value *value = members_find(claims, name);
    *ret_time_s = 0;
    return value == NULL || claims_parse_time(*value, ret_time_s)
               ? OK
               : error_set(why, ERR_UNAUTHORIZED, "claim %s: is no time in seconds since 1970",
                           name);
}

static enum error_code check_times(const struct members *claims, uint64_t now_s,
                                   struct error *why) {
    static const char *const names[] = {"exp", "nbf", "iat"};
    uint64_t times[ARRAY_COUNT(names)];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        enum error_code code = read_time(claims, names[i], &times[i], why);
        if (code != OK) {
            return code;
        }
    }
    if (times[0] == 0) {
        return error_set(why, ERR_UNAUTHORIZED, "claim exp: is missing; a token must end");
    }
    if (times[0] + TOKEN_LEEWAY_S <= now_s) {
        return error_set(why, ERR_TOKEN_EXPIRED, "claim exp: the token expired %llu s ago",
                         (unsigned long long)(now_s - times[0]));
    }
    for (size_t i = 1; i < ARRAY_COUNT(names); i++) {
        if (times[i] > now_s + TOKEN_LEEWAY_S) {
            return error_set(why, ERR_UNAUTHORIZED, "claim %s: the token is good in %llu s only",
                             names[i], (unsigned long long)(times[i] - now_s));
        }
    }
    return OK;
}

/* A string, or an array of strings of which one is meant (RFC 7519, section 4.1.3). */
static bool has_audience(struct members *claims, struct json_value value, struct span wanted) {
    struct span text;
    if (value.kind == JSON_KIND_STRING) {
        return members_take_string(claims, value, &text) && span_is_equal(text, wanted);
    }
    struct json_walk walk = json_walk_of(value);
    struct json_value element;
    while (value.kind == JSON_KIND_ARRAY && json_array_next(&walk, &element)) {
        if (members_take_string(claims, element, &text) && span_is_equal(text, wanted)) {
            return true;
        }
    }
    return false;
}

enum error_code claims_check(struct members *claims, struct span issuer,
                             const struct policy_issuer *row, uint64_t now_s, struct error *why) {
    if (row->issuer != NULL && !span_is_equal(issuer, span_of_string(row->issuer))) {
        return error_set(why, ERR_UNAUTHORIZED, "claim iss: is not that of auth.jwt[%zu].issuer",
                         row->index);
    }
    const struct json_value *audience = members_find(claims, "aud");
    if (row->audience == NULL && audience != NULL) { /* RFC 7519, section 4.1.3 */
        return error_set(why, ERR_UNAUTHORIZED,
                         "claim aud: is for others, unless auth.jwt[%zu].audience is told",
                         row->index);
    }
    if (row->audience != NULL && audience == NULL) {
        return error_set(why, ERR_UNAUTHORIZED,
                         "claim aud: is missing; auth.jwt[%zu].audience asks for it", row->index);
    }
    if (row->audience != NULL && !has_audience(claims, *audience, span_of_string(row->audience))) {
        return error_set(why, ERR_UNAUTHORIZED, "claim aud: has not what auth.jwt[%zu].audience is",
                         row->index);
    }
    return check_times(claims, now_s, why);
}

/* --- whose are they -------------------------------------------------------------------------- */

enum error_code claims_check_text(struct span text, const char *name, size_t length_max,
                                  struct error *why) {
    if (text.length > length_max) {
        return error_set(why, ERR_UNAUTHORIZED, "%s: is longer than %zu bytes", name, length_max);
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < 0x20 || text.bytes[i] == 0x7f) {
            return error_set(why, ERR_UNAUTHORIZED, "%s: has a control character", name);
        }
    }
    return OK;
}

static enum error_code read_text(struct members *claims, const char *name, size_t length_max,
                                 struct span *ret_text, struct error *why) {
    char what[32];
    snprintf(what, sizeof(what), "claim %s", name);
    return members_take(claims, name, ret_text)
               ? claims_check_text(*ret_text, what, length_max, why)
               : error_set(why, ERR_UNAUTHORIZED, "%s: is no string", what);
}

/* The row's tenant is that of all its tokens; a claim may only say the same. */
static enum error_code settle_tenant(const struct policy_issuer *row, struct span *tenant,
                                     struct error *why) {
    if (tenant->length > 0 && !scope_is_tenant(*tenant)) {
        return error_set(why, ERR_UNAUTHORIZED, "claim tenant: is no name of a tenant");
    }
    struct span wanted = span_of_string(row->tenant);
    if (wanted.length > 0 && tenant->length > 0 && !span_is_equal(*tenant, wanted)) {
        return error_set(why, ERR_UNAUTHORIZED, "claim tenant: is not that of auth.jwt[%zu].tenant",
                         row->index);
    }
    *tenant = wanted.length > 0 ? wanted : *tenant;
    return OK;
}

enum error_code claims_read_facts(struct members *claims, const struct policy_issuer *row,
                                  struct identity_facts *facts, struct error *why) {
    enum error_code code = read_text(claims, "sub", SUBJECT_BYTES_MAX, &facts->subject, why);
    if (code == OK) {
        code = read_text(claims, "jti", TOKEN_ID_BYTES_MAX, &facts->token_id, why);
    }
    if (code == OK) {
        code = read_text(claims, "tenant", TENANT_BYTES_MAX, &facts->tenant, why);
    }
    if (code == OK) {
        code = settle_tenant(row, &facts->tenant, why);
    }
    if (code == OK) {
        code = read_time(claims, "iat", &facts->issued_s, why);
    }
    return code == OK ? read_time(claims, "exp", &facts->expires_s, why) : code;
}

/* --- what may they --------------------------------------------------------------------------- */

static enum error_code read_list(struct members *rights, struct json_value list, enum action action,
                                 const char *what, struct grants *grants, struct error *why) {
    struct json_walk walk = json_walk_of(list);
    struct json_value element;
    if (list.kind != JSON_KIND_ARRAY) {
        return error_set(why, ERR_UNAUTHORIZED, "%s.%s: is no list of patterns", what,
                         action_name(action));
    }
    while (json_array_next(&walk, &element)) {
        struct span pattern;
        struct error fault;
        if (!members_take_string(rights, element, &pattern)) {
            return error_set(why, ERR_UNAUTHORIZED, "%s.%s: a pattern is no string", what,
                             action_name(action));
        }
        enum error_code code = grants_add(grants, action, pattern, &fault);
        if (code == ERR_MEMORY) {
            return error_set(why, code, "no memory for rights");
        }
        if (code != OK) {
            return error_set(why, ERR_UNAUTHORIZED, "%s.%s: `%.*s`: %.120s", what,
                             action_name(action), shown(pattern), (const char *)pattern.bytes,
                             fault.detail);
        }
    }
    return OK;
}

static enum error_code read_lists(struct members *rights, const char *what, struct grants *grants,
                                  struct error *why) {
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < rights->count; i++) {
        enum action action;
        struct span name = rights->rows[i].name;
        code = action_parse(name, &action)
                   ? read_list(rights, rights->rows[i].value, action, what, grants, why)
                   : error_set(why, ERR_UNAUTHORIZED, "%s: `%.*s` is no right", what, shown(name),
                               (const char *)name.bytes);
    }
    return code;
}

enum error_code claims_read_rights(struct json_value value, const char *what,
                                   struct grants **ret_grants, struct error *why) {
    struct members rights;
    enum error_code code = members_read(value.text, what, &rights, why);
    if (code == ERR_BAD_JSON) {
        code = ERR_UNAUTHORIZED;
        if (why != NULL) {
            why->code = code;
        }
    }
    if (code != OK) {
        return code;
    }
    struct grants *grants = grants_create();
    code = grants == NULL ? error_set(why, ERR_MEMORY, "no memory for rights")
                          : read_lists(&rights, what, grants, why);
    members_finish(&rights);
    if (code != OK) {
        grants_destroy(grants);
        return code;
    }
    *ret_grants = grants;
    return OK;
}

/* What the row lets its tokens have: of a right that it does not name, all. */
static struct grants *make_cap(const struct policy_issuer *row,
                               const struct identity_facts *facts) {
    struct grants *cap = grants_bind(row->rights, facts->subject, facts->tenant);
    for (size_t i = 0; cap != NULL && i < ACTION_COUNT; i++) {
        if ((row->given & (1U << i)) == 0) {
            grants_set_all(cap, (enum action)i);
        }
    }
    return cap;
}

enum error_code claims_read_layers(const struct members *claims, const struct policy_issuer *row,
                                   const struct identity_facts *facts, struct grants **ret_own,
                                   struct grants **ret_cap, struct error *why) {
    const struct json_value *claim = members_find(claims, "tidings");
    struct grants *own = NULL;
    struct grants *cap = NULL;
    if (claim == NULL) {
        cap = grants_bind(row->rights, facts->subject, facts->tenant);
    } else {
        struct grants *claimed = NULL;
        enum error_code code = claims_read_rights(*claim, "claim tidings", &claimed, why);
        if (code != OK) {
            return code;
        }
        own = grants_bind(claimed, facts->subject, facts->tenant);
        grants_destroy(claimed);
        cap = make_cap(row, facts);
    }
    if (cap == NULL || (claim != NULL && own == NULL)) {
        grants_destroy(own);
        grants_destroy(cap);
        return error_set(why, ERR_MEMORY, "no memory for rights");
    }
    *ret_own = own;
    *ret_cap = cap;
    return OK;
}
