/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/origin.h"

#include <arpa/inet.h>
#include <string.h>

static const struct {
    const char *prefix;
    const char *port_default;
    bool is_secure;
} schemes[] = {{"http://", "80", false}, {"https://", "443", true}};

static bool is_port(struct span text) {
    uint64_t number = 0;
    return text.length <= 5 && span_parse_u64(text, &number) && number <= 65535;
}

/* "name:port", "[address]:port": the parts. `ret_port` is empty where there is none. False: neither
 * form (RFC 9110, section 7.2). */
static bool split_host(struct span host, struct span *ret_name, struct span *ret_port) {
    struct span rest = host;
    struct span name = {0};
    if (host.length > 0 && host.bytes[0] == '[') {
        name = span_split(&rest, ']');
        if (name.length == host.length) {
            return false;
        }
        name = span_of(host.bytes, name.length + 1);
        if (rest.length > 0 && rest.bytes[0] != ':') {
            return false;
        }
        if (rest.length > 0) {
            rest = span_of(rest.bytes + 1, rest.length - 1);
        }
    } else {
        name = span_split(&rest, ':');
    }
    if (name.length == 0 || (rest.length > 0 && !is_port(rest))) {
        return false;
    }
    *ret_name = name;
    *ret_port = rest;
    return true;
}

/* "localhost", a name below it, an address of 127.0.0.0/8, or "[::1]". */
static bool is_loopback_name(struct span name) {
    struct span below = SPAN(".localhost");
    if (span_is_equal_nocase(name, SPAN("localhost")) || span_is_equal(name, SPAN("[::1]"))) {
        return true;
    }
    if (name.length > below.length &&
        span_is_equal_nocase(span_of(name.bytes + name.length - below.length, below.length),
                             below)) {
        return true;
    }
    char text[INET_ADDRSTRLEN] = "";
    struct in_addr address;
    if (name.length >= sizeof(text)) {
        return false;
    }
    memcpy(text, name.bytes, name.length);
    return inet_pton(AF_INET, text, &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

/* May a page of this scheme have come over a connection of that kind? */
static bool fits_connection(bool is_scheme_secure, bool is_secure, struct span host_name) {
    return is_scheme_secure == is_secure || (is_scheme_secure && !is_loopback_name(host_name));
}

bool origin_is_same(struct span origin, struct span host, bool is_secure) {
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        struct span prefix = span_of_string(schemes[i].prefix);
        if (origin.length <= prefix.length ||
            !span_is_equal_nocase(span_of(origin.bytes, prefix.length), prefix)) {
            continue;
        }
        struct span origin_name, origin_port, host_name, host_port;
        if (!split_host(span_of(origin.bytes + prefix.length, origin.length - prefix.length),
                        &origin_name, &origin_port) ||
            !split_host(host, &host_name, &host_port)) {
            return false;
        }
        struct span standard = span_of_string(schemes[i].port_default);
        return fits_connection(schemes[i].is_secure, is_secure, host_name) &&
               span_is_equal_nocase(origin_name, host_name) &&
               span_is_equal(origin_port.length == 0 ? standard : origin_port,
                             host_port.length == 0 ? standard : host_port);
    }
    return false;
}

/* The port has to be told: the default one of https is not that of a clear connection. */
static bool is_same_but_for_scheme(struct span origin, struct span host) {
    struct span name, port;
    return split_host(host, &name, &port) && port.length > 0 && origin_is_same(origin, host, true);
}

static bool is_own(const struct origin_question *question) {
    return question->has_host &&
           (origin_is_same(question->origin, question->host, question->is_secure) ||
            (question->ignores_scheme && is_same_but_for_scheme(question->origin, question->host)));
}

static bool is_in(char *const *items, size_t count, struct span text) {
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal_nocase(span_of_string(items[i]), text)) {
            return true;
        }
    }
    return false;
}

static enum error_code check_host(const struct origin_policy *policy,
                                  const struct origin_question *question, struct error *why) {
    struct span name, port;
    /* Without Host it is HTTP/1.0; no browser speaks that, so no page is behind it. */
    if (!question->has_host || (policy->is_open && policy->host_count == 0)) {
        return OK;
    }
    if (!split_host(question->host, &name, &port)) {
        return error_set_field(why, ERR_BAD_REQUEST, "Host", "Host is not a name and a port");
    }
    if (is_in(policy->hosts, policy->host_count, name) || is_loopback_name(name)) {
        return OK;
    }
    return error_set_field(why, ERR_MISDIRECTED, "Host",
                           "this host is not served here; public.hosts can name it");
}

enum error_code origin_check(const struct origin_policy *policy,
                             const struct origin_question *question, bool *ret_is_listed,
                             struct error *why) {
    enum error_code code = check_host(policy, question, why);
    if (code != OK) {
        return code;
    }
    if (question->origin.length == 0) {
        /* A browser that sends no Origin asks for an image, a script or a page to show. Other sites
         * cannot look into what they get (no CORS headers go out), so reading is harmless. */
        if (question->changes_state &&
            (span_is_equal_nocase(question->fetch_site, SPAN("cross-site")) ||
             span_is_equal_nocase(question->fetch_site, SPAN("same-site")))) {
            return error_set_field(why, ERR_FORBIDDEN_ORIGIN, "Sec-Fetch-Site",
                                   "pages of other sites may not publish");
        }
        *ret_is_listed = false;
        return OK;
    }
    /* "null" is what sandboxed frames, files and some redirects say: anybody's. It can
     * not even be listed. */
    if (!span_is_equal(question->origin, SPAN("null"))) {
        if (is_in(policy->origins, policy->origin_count, question->origin)) {
            *ret_is_listed = true;
            return OK;
        }
        if (is_own(question)) {
            *ret_is_listed = false;
            return OK;
        }
    }
    return error_set_field(why, ERR_FORBIDDEN_ORIGIN, "Origin",
                           "pages of this origin may not use the broker; public.origins can "
                           "name it");
}
