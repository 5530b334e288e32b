/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/guard.h"

#include "broker/admission/origin.h"
#include "broker/admission/policy.h"
#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/throttle.h"
#include "broker/support/base64.h"
#include "broker/support/logger.h"
#include "protocols/rest/request.h"

enum error_code guard_check(const struct request *request, bool changes_state, struct error *why) {
    const struct config *config = request->broker->config;
    struct origin_policy policy = {.is_open = config->open,
                                   .hosts = config->public_hosts.items,
                                   .host_count = config->public_hosts.count};
    struct origin_question question = {.is_secure = request->is_secure,
                                       .changes_state = changes_state};
    bool is_listed;
    question.has_host = request_find_header(request, "Host", &question.host);
    /* A header that did not come leaves its span empty, which is what the question wants. */
    IGNORE_RESULT(request_find_header(request, "Origin", &question.origin));
    IGNORE_RESULT(request_find_header(request, "Sec-Fetch-Site", &question.fetch_site));
    return origin_check(&policy, &question, &is_listed, why);
}

/* --- keys ------------------------------------------------------------------------------------- */

static bool is_free(struct span path) {
    return span_is_equal(path, SPAN("/healthz")) || span_is_equal(path, SPAN("/readyz"));
}

static bool needs_key(const struct broker *broker, const struct policy *policy) {
    const struct config *config = broker->config;
    bool has_keys = policy != NULL && policy_has_operator(policy);
    return has_keys || (!config->open && !exposure_is_loopback(&config->operator_listen));
}

/* What is left behind "Bearer " or "Basic ", whose letters may be of either case. */
static bool take_scheme(struct span value, const char *scheme, struct span *ret_rest) {
    struct span rest = value;
    struct span word = span_split(&rest, ' ');
    *ret_rest = span_trim(rest);
    return span_is_equal_nocase(word, span_of_string(scheme));
}

/* The password of "user:password"; the user may be anybody (RFC 7617). */
static bool take_password(struct span text, struct buffer *scratch, struct span *ret_key) {
    if (base64_put_decoded(scratch, text) != OK) {
        return false;
    }
    *ret_key = buffer_borrow(scratch);
    span_split(ret_key, ':');
    return true;
}

/* False: there is no key at all. */
static bool find_key(const struct request *request, struct buffer *scratch, struct span *ret_key) {
    struct span value;
    struct span rest;
    if (!request_find_header(request, "Authorization", &value)) {
        return false;
    }
    if (take_scheme(value, "Bearer", ret_key)) {
        return true;
    }
    return take_scheme(value, "Basic", &rest) && take_password(rest, scratch, ret_key);
}

static enum error_code judge_key(const struct policy *policy, bool has_key, struct span key,
                                 struct error *why) {
    const struct identity *identity = has_key ? policy_find_key(policy, key) : NULL;
    if (identity == NULL) {
        return error_set_field(why, ERR_UNAUTHORIZED, "Authorization", "%s",
                               has_key ? "this is no key of auth.keys"
                                       : "the operator's port asks for a key of auth.keys with "
                                         "operator: true, as a Bearer token or as the password of "
                                         "Basic");
    }
    return identity->is_operator
               ? OK
               : error_set_field(why, ERR_FORBIDDEN, "Authorization", "%s has no operator: true",
                                 identity->facts.source.length == 0 ? "the key" : "the key's row");
}

/* As access.c does for the other ports. */
static void tell(const struct request *request, struct metrics_shard *metrics, bool has_key,
                 enum error_code code, const struct error *why) {
    enum metrics_credentials kind = has_key ? METRICS_CREDENTIALS_KEY : METRICS_CREDENTIALS_NONE;
    metrics_add_at(metrics, METRIC_AUTHENTICATIONS,
                   METRICS_PAIR(METRIC_AUTHENTICATIONS, kind, code), 1);
    if (code != OK) {
        log_event(AUTH_REFUSED, .peer = request->peer, .protocol = "operator",
                  .credentials = has_key ? "key" : "none", .code = error_row(code)->slug,
                  .detail = why->detail);
    }
}

/* Who sends no key guesses none: a browser asks so before it asks its user. */
static enum error_code identify(const struct policy *policy, const struct request *request,
                                const struct sockaddr_storage *address,
                                struct metrics_shard *metrics, struct error *why) {
    struct span key = {0};
    struct buffer scratch;
    buffer_init(&scratch, HTTP_HEAD_BYTES_MAX);
    bool has_key = find_key(request, &scratch, &key);
    enum error_code code =
        has_key ? throttle_may_operate(request->broker, address, metrics, why) : OK;
    if (code == OK) {
        code = judge_key(policy, has_key, key, why);
        tell(request, metrics, has_key, code, why);
    }
    if (has_key) {
        throttle_note_operator(request->broker, address, code);
    }
    if (scratch.bytes != NULL) {
        explicit_bzero(scratch.bytes, scratch.capacity); /* a password */
    }
    buffer_finish(&scratch);
    return code;
}

enum error_code guard_identify(const struct request *request,
                               const struct sockaddr_storage *address,
                               struct metrics_shard *metrics, struct error *why) {
    const struct policy *policy = atomic_load(&request->broker->policy);
    if (is_free(request->path) || !needs_key(request->broker, policy)) {
        return OK;
    }
    return identify(policy, request, address, metrics, why);
}

void guard_challenge(struct request *request) {
    reply_add_header(&request->reply, "WWW-Authenticate",
                     "Basic realm=\"tidings operator\", charset=\"UTF-8\"");
}
