/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/credentials.h"

#include "broker/limits.h"
#include "broker/runtime/access.h"
#include "protocols/http/accept.h"
#include "protocols/http/query.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"

/* Of a query. */
static const struct {
    const char *name;
    bool is_ticket;
} parameters[] = {{"ticket", true}, {"access_token", false}};

static enum error_code refuse_second(struct error *why, const char *field) {
    return error_set_field(why, ERR_BAD_REQUEST, field,
                           "credentials come once: in Authorization, a cookie, `ticket` or "
                           "`access_token`");
}

/* b64token (RFC 6750, section 2.1), which all tokens and keys fit. */
static bool is_token(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] <= 0x20 || text.bytes[i] >= 0x7f) {
            return false;
        }
    }
    return text.length > 0 && text.length <= TOKEN_BYTES_MAX;
}

static enum error_code check_token(struct span text, const char *field, struct error *why) {
    return is_token(text)
               ? OK
               : error_set_field(why, ERR_UNAUTHORIZED, field,
                                 "a token has 1 to %d visible characters", TOKEN_BYTES_MAX);
}

/* --- the header ------------------------------------------------------------------------------- */

static enum error_code take_header(const struct request *request, struct credentials *credentials,
                                   struct error *why) {
    struct span scheme = SPAN("Bearer ");
    for (size_t i = 0; i < request->header_count; i++) {
        struct span value = request->headers[i].value;
        if (!span_is_equal_nocase(request->headers[i].name, SPAN("Authorization"))) {
            continue;
        }
        if (credentials->bearer.length > 0) {
            return refuse_second(why, "Authorization");
        }
        if (value.length < scheme.length ||
            !span_is_equal_nocase(span_of(value.bytes, scheme.length), scheme)) {
            return error_set_field(why, ERR_UNAUTHORIZED, "Authorization",
                                   "the scheme spoken here is Bearer");
        }
        credentials->bearer =
            span_trim(span_of(value.bytes + scheme.length, value.length - scheme.length));
        enum error_code code = check_token(credentials->bearer, "Authorization", why);
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

/* --- the query -------------------------------------------------------------------------------- */

static size_t count_of(struct span query, const char *name) {
    struct span encoded_name, value;
    size_t count = 0;
    while (query_next(&query, &encoded_name, &value)) {
        count += query_name_is(encoded_name, name);
    }
    return count;
}

static enum error_code take_parameter(const struct request *request, size_t row,
                                      struct buffer *text, struct credentials *credentials,
                                      struct error *why) {
    const char *name = parameters[row].name;
    size_t count = count_of(request->query, name);
    bool is_found = false;
    if (count == 0) {
        return OK;
    }
    if (count > 1 || credentials->bearer.length > 0 || credentials->ticket.length > 0) {
        return refuse_second(why, name);
    }
    enum error_code code = query_find(request->query, name, text, &is_found, why);
    if (code == ERR_TOO_LARGE) {
        code = OK; /* the check says what is wrong with it */
    }
    if (code == OK) {
        code = check_token(buffer_borrow(text), name, why);
    }
    if (code == OK) {
        *(parameters[row].is_ticket ? &credentials->ticket : &credentials->bearer) =
            buffer_borrow(text);
    }
    return code;
}

/* --- the cookie ------------------------------------------------------------------------------- */

static bool opens_stream(const struct request *request) {
    static const char *const offers[] = {"application/json", "text/event-stream"};
    struct span accept = {0};
    size_t index = 0;
    return request->is_upgrade || span_is_equal(request->path, SPAN("/stream")) ||
           (request_find_header(request, "Accept", &accept) &&
            accept_choose(accept, offers, ARRAY_COUNT(offers), &index) && index == 1);
}

static bool does_cookie_count(const struct request *request) {
    struct span origin = {0}, site = {0};
    if (request_find_header(request, "Origin", &origin)) {
        return true; /* the browser says so, and origin_check() has let it pass */
    }
    if (request_find_header(request, "Sec-Fetch-Site", &site)) {
        bool is_typed = span_is_equal_nocase(site, SPAN("none"));
        return span_is_equal_nocase(site, SPAN("same-origin")) ||
               (is_typed && request->method_bit == METHOD_GET && !opens_stream(request));
    }
    return (request->method_bit & (METHOD_GET | METHOD_HEAD)) != 0 && !opens_stream(request);
}

/* RFC 6265, section 4.1.1: the value may stand in quotes. */
static struct span unquote(struct span value) {
    bool is_quoted =
        value.length >= 2 && value.bytes[0] == '"' && value.bytes[value.length - 1] == '"';
    return is_quoted ? span_of(value.bytes + 1, value.length - 2) : value;
}

/* Two of one name are of different paths or domains: one of them may be somebody else's gift. */
static enum error_code take_cookie(const struct request *request, const char *cookie_name,
                                   struct credentials *credentials, struct error *why) {
    struct span wanted = span_of_string(cookie_name);
    for (size_t i = 0; i < request->header_count; i++) {
        struct span rest = request->headers[i].value;
        if (!span_is_equal_nocase(request->headers[i].name, SPAN("Cookie"))) {
            continue;
        }
        while (rest.length > 0) {
            struct span value = span_trim(span_split(&rest, ';'));
            struct span name = span_split(&value, '=');
            if (!span_is_equal(name, wanted)) {
                continue;
            }
            if (credentials->bearer.length > 0) {
                return refuse_second(why, "Cookie");
            }
            credentials->bearer = unquote(value);
            enum error_code code = check_token(credentials->bearer, "Cookie", why);
            if (code != OK) {
                return code;
            }
        }
    }
    return OK;
}

enum error_code credentials_find(const struct request *request, const char *cookie_name,
                                 struct buffer *text, struct credentials *credentials,
                                 struct error *why) {
    enum error_code code = take_header(request, credentials, why);
    for (size_t i = 0; code == OK && request->query.length > 0 && i < ARRAY_COUNT(parameters);
         i++) {
        code = take_parameter(request, i, text, credentials, why);
    }
    bool is_explicit = credentials->bearer.length > 0 || credentials->ticket.length > 0;
    if (code == OK && !is_explicit && cookie_name != NULL && does_cookie_count(request)) {
        code = take_cookie(request, cookie_name, credentials, why);
    }
    return code;
}

bool credentials_is_parameter(struct span encoded_name) {
    for (size_t i = 0; i < ARRAY_COUNT(parameters); i++) {
        if (query_name_is(encoded_name, parameters[i].name)) {
            return true;
        }
    }
    return false;
}
