/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/credential.h"

#include <ctype.h>

#include "broker/config/value.h"
#include "broker/support/base64.h"

#define SECRET_BYTES_MIN 32 /* of HS256: as long as its hash (RFC 7518, section 3.2) */

static struct span behind(struct span text, struct span prefix) {
    return span_of(text.bytes + prefix.length, text.length - prefix.length);
}

enum error_code credential_check_hash(struct span text, struct error *why) {
    struct span prefix = SPAN(CREDENTIAL_HASH_PREFIX);
    bool is_hash =
        span_has_prefix(text, prefix) && text.length == prefix.length + CREDENTIAL_HASH_DIGITS;
    for (size_t i = prefix.length; is_hash && i < text.length; i++) {
        is_hash = isxdigit(text.bytes[i]) != 0;
    }
    return is_hash ? OK
                   : error_set(why, ERR_CONFIG, "is not %s; was the key itself written here?",
                               config_type_looks(CONFIG_HASH));
}

enum error_code credential_check_key(struct span text, struct error *why) {
    struct span prefix = SPAN(CREDENTIAL_BASE64_PREFIX);
    if (!span_has_prefix(text, prefix)) {
        return OK;
    }
    struct buffer buffer;
    buffer_init(&buffer, VALUE_TEXT_BYTES_MAX);
    bool is_base64 = base64_put_decoded(&buffer, behind(text, prefix)) == OK;
    size_t length = buffer.length;
    if (length > 0) {
        explicit_bzero(buffer.bytes, length);
    }
    buffer_finish(&buffer);
    if (!is_base64) {
        return error_set(why, ERR_CONFIG, "is no base64 behind `base64:`");
    }
    return length >= SECRET_BYTES_MIN
               ? OK
               : error_set(why, ERR_CONFIG, "is a secret of %zu bytes: %d is the least", length,
                           SECRET_BYTES_MIN);
}

/* 0: it is neither of the two, which are written in any case (RFC 3986, section 3.1). */
static size_t scheme_length(struct span text) {
    static const struct span schemes[] = {SPAN_ROW("https://"), SPAN_ROW("http://")};
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        size_t length = schemes[i].length;
        if (text.length >= length &&
            span_is_equal_nocase(span_of(text.bytes, length), schemes[i])) {
            return length;
        }
    }
    return 0;
}

bool credential_is_url(struct span text) {
    return scheme_length(text) > 0;
}

/* Between the scheme and the path, the query or the fragment. */
static struct span authority_of(struct span text) {
    size_t begin = scheme_length(text);
    size_t end = begin;
    while (end < text.length && memchr("/?#", text.bytes[end], 3) == NULL) {
        end++;
    }
    return span_of(text.bytes + begin, end - begin);
}

enum error_code credential_check_url(struct span text, struct error *why) {
    if (!credential_is_url(text)) {
        return error_set(why, ERR_CONFIG, "is not %s", config_type_looks(CONFIG_URL));
    }
    struct span authority = authority_of(text);
    if (memchr(authority.bytes, '@', authority.length) != NULL) {
        return error_set(why, ERR_CONFIG, "has a user in its URL, which would be shown");
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] <= ' ' || text.bytes[i] >= 0x7f) {
            return error_set(why, ERR_CONFIG, "has a character that no URL has");
        }
    }
    return value_is_host_and_port(authority)
               ? OK
               : error_set(why, ERR_CONFIG, "has \"%.*s\" in the place of host and port",
                           VALUE_SHOWN(authority));
}

enum error_code credential_check_location(struct span text, struct error *why) {
    for (size_t i = 0; i + 2 < text.length; i++) {
        if (memcmp(text.bytes + i, "://", 3) == 0) {
            return credential_check_url(text, why);
        }
    }
    return OK;
}

enum error_code credential_check_tenant(struct span text, struct error *why) {
    bool is_tenant = text.length <= TENANT_BYTES_MAX &&
                     span_consists_of(text, SPAN(SPAN_LETTERS SPAN_DIGITS "-_."));
    return is_tenant ? OK
                     : error_set(why, ERR_CONFIG, "\"%.*s\" is no tenant: %s", VALUE_SHOWN(text),
                                 config_type_looks(CONFIG_TENANT));
}

enum error_code credential_check_tenants(struct span text, struct error *why) {
    return span_is_equal(text, SPAN("*")) ? OK : credential_check_tenant(text, why);
}

/* Channels may have braces in their names, but in a list of rights a word in braces is a
 * placeholder that was mistyped, and would match nothing. */
enum error_code credential_check_pattern(struct span text, struct error *why) {
    for (size_t i = 0; i < text.length; i++) {
        struct span rest = span_of(text.bytes + i, text.length - i);
        if (rest.bytes[0] == '{' && !span_has_prefix(rest, SPAN("{sub}")) &&
            !span_has_prefix(rest, SPAN("{tenant}"))) {
            return error_set(why, ERR_CONFIG,
                             "\"%.*s\" has an unknown placeholder: there are {sub} and {tenant}",
                             VALUE_SHOWN(text));
        }
    }
    return OK;
}

static enum error_code check_word(struct span text, const char *const *words, size_t count,
                                  enum config_type type, struct error *why) {
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal(text, span_of_string(words[i]))) {
            return OK;
        }
    }
    return error_set(why, ERR_CONFIG, "\"%.*s\" is not one of %s", VALUE_SHOWN(text),
                     config_type_looks(type));
}

enum error_code credential_check_algorithm(struct span text, struct error *why) {
    static const char *const words[] = {"HS256", "RS256", "PS256", "ES256", "EdDSA"};
    if (span_is_equal_nocase(text, SPAN("none"))) {
        return error_set(why, ERR_CONFIG,
                         "`none` is no signature: anybody could make such a token");
    }
    return check_word(text, words, ARRAY_COUNT(words), CONFIG_ALGORITHMS, why);
}

enum error_code credential_check_event(struct span text, struct error *why) {
    static const char *const words[] = {"connect", "subscribe", "publish"};
    return check_word(text, words, ARRAY_COUNT(words), CONFIG_EVENTS, why);
}
