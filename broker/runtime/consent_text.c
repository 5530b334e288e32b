/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/consent_text.h"

#include "broker/admission/claims.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"

#define SECONDS_MAX 3153600000 /* 100 years: the sum with any time fits */

static const char *const kind_names[] = {
#define CONSENT(kind, name) [kind] = name,
    CONSENT_TABLE(CONSENT)
#undef CONSENT
};

static const char *const identity_names[] = {
#define IDENTITY_KIND(kind, name) [kind] = name,
    IDENTITY_KIND_TABLE(IDENTITY_KIND)
#undef IDENTITY_KIND
};

/* --- questions ------------------------------------------------------------------------------- */

struct text_member {
    const char *name;
    struct span value; /* empty: left out */
};

/* Members of an object that is open: `*is_first` tells whether one stands in it. */
static enum error_code put_members(struct buffer *buffer, const struct text_member *members,
                                   size_t count, bool *is_first) {
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < count; i++) {
        if (members[i].value.length == 0) {
            continue;
        }
        code = buffer_printf(buffer, "%s\"%s\":", *is_first ? "" : ",", members[i].name);
        *is_first = false;
        if (code == OK) {
            code = json_escape_put(buffer, members[i].value);
        }
    }
    return code;
}

static enum error_code put_object(struct buffer *buffer, const char *name,
                                  const struct text_member *members, size_t count) {
    bool is_first = true;
    enum error_code code = buffer_printf(buffer, ",\"%s\":{", name);
    if (code == OK) {
        code = put_members(buffer, members, count, &is_first);
    }
    return code == OK ? buffer_put(buffer, SPAN("}")) : code;
}

static enum error_code put_identity(struct buffer *buffer, const struct identity *identity) {
    if (identity == NULL) {
        return buffer_put(buffer, SPAN(",\"identity\":null"));
    }
    const struct identity_facts *facts = &identity->facts;
    const struct text_member members[] = {
        {"kind", span_of_string(identity_names[facts->kind])},
        {"sub", facts->subject},
        {"tenant", facts->tenant},
        {"issuer", facts->issuer},
        {"jti", facts->token_id},
    };
    return put_object(buffer, "identity", members, ARRAY_COUNT(members));
}

static enum error_code put_connect(struct buffer *buffer, const struct credentials *credentials) {
    bool is_first = false;
    const struct text_member members[] = {
        {"peer", span_of_string(credentials->peer)},
        {"protocol", span_of_string(credentials->protocol)},
        {"client_id", credentials->client_id},
    };
    const struct text_member secrets[] = {
        {"bearer", credentials->bearer},
        {"user", credentials->user},
        {"certificate", credentials->certificate},
    };
    enum error_code code = put_members(buffer, members, ARRAY_COUNT(members), &is_first);
    return code == OK ? put_object(buffer, "credentials", secrets, ARRAY_COUNT(secrets)) : code;
}

enum error_code consent_put_question(struct buffer *buffer, enum consent_kind kind,
                                     const struct identity *identity,
                                     const struct credentials *credentials, struct span channel,
                                     bool is_history) {
    INVARIANT(kind < CONSENT_COUNT);
    bool is_first = false;
    const struct text_member members[] = {{"channel", channel}};
    enum error_code code = buffer_printf(buffer, "{\"action\":\"%s\"", kind_names[kind]);
    if (code == OK) {
        code = put_identity(buffer, identity);
    }
    if (code == OK && kind == CONSENT_CONNECT) {
        code = put_connect(buffer, credentials);
    } else if (code == OK) {
        code = put_members(buffer, members, ARRAY_COUNT(members), &is_first);
    }
    if (code == OK && is_history) {
        code = buffer_put(buffer, SPAN(",\"history\":true"));
    }
    return code == OK ? buffer_put(buffer, SPAN("}")) : code;
}

/* --- answers --------------------------------------------------------------------------------- */

/* False: it is there and no number of seconds. */
static bool take_seconds(const struct members *members, const char *name, bool *ret_has,
                         uint64_t *ret_seconds) {
    const struct json_value *value = members_find(members, name);
    *ret_has = value != NULL && value->kind != JSON_KIND_NULL;
    *ret_seconds = 0;
    return !*ret_has || (claims_parse_time(*value, ret_seconds) && *ret_seconds <= SECONDS_MAX);
}

static enum error_code take_allow(struct consent_answer *answer, struct error *why) {
    const struct json_value *allow = members_find(&answer->members, "allow");
    if (allow == NULL || (allow->kind != JSON_KIND_TRUE && allow->kind != JSON_KIND_FALSE)) {
        return error_set(why, ERR_BAD_JSON, "`allow` of the answer is not true or false");
    }
    answer->is_allowed = allow->kind == JSON_KIND_TRUE;
    return OK;
}

static enum error_code take_texts(struct consent_answer *answer, struct error *why) {
    if (!members_take(&answer->members, "sub", &answer->subject) ||
        !members_take(&answer->members, "tenant", &answer->tenant) ||
        !members_take(&answer->members, "reason", &answer->reason)) {
        return error_set(why, ERR_BAD_JSON, "`sub`, `tenant` or `reason` of the answer is no text");
    }
    if (claims_check_text(answer->subject, "`sub` of the answer", SUBJECT_BYTES_MAX, why) != OK) {
        return ERR_BAD_JSON;
    }
    return answer->tenant.length == 0 || scope_is_tenant(answer->tenant)
               ? OK
               : error_set(why, ERR_BAD_JSON, "`tenant` of the answer is no name of a tenant");
}

static enum error_code take_rest(struct consent_answer *answer, struct error *why) {
    const struct json_value *rights = members_find(&answer->members, "rights");
    if (!take_seconds(&answer->members, "cache", &answer->has_cache, &answer->cache_s) ||
        !take_seconds(&answer->members, "expires_in", &answer->has_end, &answer->expires_in_s)) {
        return error_set(why, ERR_BAD_JSON, "`cache` or `expires_in` is no number of seconds");
    }
    if (rights == NULL || rights->kind == JSON_KIND_NULL) {
        return OK;
    }
    enum error_code code = claims_read_rights(*rights, "`rights`", &answer->rights, why);
    return code == ERR_UNAUTHORIZED ? ERR_BAD_JSON : code;
}

enum error_code consent_read_answer(struct span text, struct consent_answer *ret_answer,
                                    struct error *why) {
    ret_answer->rights = NULL;
    enum error_code code = members_read(text, "the answer", &ret_answer->members, why);
    if (code != OK) {
        return code;
    }
    code = take_allow(ret_answer, why);
    if (code == OK) {
        code = take_texts(ret_answer, why);
    }
    if (code == OK) {
        code = take_rest(ret_answer, why);
    }
    if (code != OK) {
        consent_answer_finish(ret_answer);
    }
    return code;
}

void consent_answer_finish(struct consent_answer *answer) {
    grants_destroy(answer->rights);
    members_finish(&answer->members);
}
