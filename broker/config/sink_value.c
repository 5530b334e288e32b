/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/sink_value.h"

#include "broker/config/value.h"
#include "broker/limits.h"
#include "broker/support/base64.h"

#define SECRET_PREFIX "whsec_"
#define SECRET_BYTES_MIN 24 /* Standard Webhooks 1.0.0, "Signature scheme" */
#define SECRET_BYTES_MAX 64
#define RETRY_MS_MIN 10 /* a wait of nothing would be a loop */
#define RETRY_MS_MAX (UINT64_C(30) * 24 * 60 * 60 * 1000)

enum error_code sink_check_name(struct span text, struct error *why) {
    bool is_name = text.length <= SINK_NAME_BYTES_MAX &&
                   span_consists_of(text, SPAN(SPAN_LOWER SPAN_DIGITS "-_.")) &&
                   strchr("-_.", text.bytes[0]) == NULL;
    return is_name ? OK
                   : error_set(why, ERR_CONFIG, "\"%.*s\" is no name: %s", VALUE_SHOWN(text),
                               config_type_looks(CONFIG_SINK_NAME));
}

/* What it says is read where ids are known (declaration.h). */
enum error_code sink_check_start(struct span text, struct error *why) {
    return sink_check_text(text, why);
}

enum error_code sink_check_source_start(struct span text, struct error *why) {
    bool is_known = span_is_equal(text, SPAN("now")) || span_is_equal(text, SPAN("earliest"));
    return is_known ? OK
                    : error_set(why, ERR_CONFIG, "\"%.*s\" is not one of %s", VALUE_SHOWN(text),
                                config_type_looks(CONFIG_SOURCE_START));
}

enum error_code sink_check_signing_secret(struct span text, struct error *why) {
    struct span prefix = SPAN(SECRET_PREFIX);
    if (!span_has_prefix(text, prefix)) {
        return error_set(why, ERR_CONFIG, "is not %s", config_type_looks(CONFIG_SIGNING_SECRET));
    }
    struct buffer buffer;
    buffer_init(&buffer, VALUE_TEXT_BYTES_MAX);
    struct span rest = span_of(text.bytes + prefix.length, text.length - prefix.length);
    bool is_base64 = base64_put_decoded(&buffer, rest) == OK;
    size_t length = buffer.length;
    if (length > 0) {
        explicit_bzero(buffer.bytes, length);
    }
    buffer_finish(&buffer);
    if (!is_base64) {
        return error_set(why, ERR_CONFIG, "is no base64 behind `" SECRET_PREFIX "`");
    }
    return length >= SECRET_BYTES_MIN && length <= SECRET_BYTES_MAX
               ? OK
               : error_set(why, ERR_CONFIG, "is a secret of %zu bytes: %d to %d are needed", length,
                           SECRET_BYTES_MIN, SECRET_BYTES_MAX);
}

/* Host and port alone: a path would mean nothing, and a user would be shown. */
enum error_code sink_check_mqtt_url(struct span text, struct error *why) {
    struct span rest = {0};
    if (span_has_prefix(text, SPAN("mqtts://"))) {
        rest = span_of(text.bytes + 8, text.length - 8);
    } else if (span_has_prefix(text, SPAN("mqtt://"))) {
        rest = span_of(text.bytes + 7, text.length - 7);
    }
    if (memchr(rest.bytes == NULL ? text.bytes : rest.bytes, '@', rest.length) != NULL) {
        return error_set(why, ERR_CONFIG,
                         "has a user in its URL, which would be shown: there is `mqtt.username`");
    }
    return value_is_host_and_port(rest)
               ? OK
               : error_set(why, ERR_CONFIG, "is not %s", config_type_looks(CONFIG_MQTT_URL));
}

enum error_code sink_check_text(struct span text, struct error *why) {
    return text.length > 0 ? OK : error_set(why, ERR_CONFIG, "is empty");
}

/* RFC 9110, section 5.6.2. */
static bool is_token(struct span text) {
    return span_consists_of(text, SPAN(SPAN_LETTERS SPAN_DIGITS "!#$%&'*+-.^_`|~"));
}

/* Those that a request has anyway, or that say where it ends. */
static bool is_own_header(struct span name) {
    static const char *const names[] = {"accept-encoding",
                                        "connection",
                                        "content-encoding",
                                        "content-length",
                                        "content-type",
                                        "expect",
                                        "host",
                                        "keep-alive",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "user-agent",
                                        "transfer-encoding",
                                        "proxy-connection"};
    static const struct span prefixes[] = {SPAN_ROW("webhook-"), SPAN_ROW("tidings-")};
    bool is_own = false;
    for (size_t i = 0; i < ARRAY_COUNT(names) && !is_own; i++) {
        is_own = span_is_equal_nocase(name, span_of_string(names[i]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(prefixes) && !is_own; i++) {
        is_own = name.length >= prefixes[i].length &&
                 span_is_equal_nocase(span_of(name.bytes, prefixes[i].length), prefixes[i]);
    }
    return is_own;
}

/* The value may be a credential: no fault repeats it. */
enum error_code sink_check_header(struct span text, struct error *why) {
    struct span rest = text;
    struct span name = span_split(&rest, ':');
    if (name.length == text.length || !is_token(name)) {
        return error_set(why, ERR_CONFIG, "is not `Name: value`");
    }
    if (is_own_header(name)) {
        return error_set(why, ERR_CONFIG, "has `%.*s`, which the broker writes itself",
                         VALUE_SHOWN(name));
    }
    for (size_t i = 0; i < rest.length; i++) {
        if ((rest.bytes[i] < ' ' && rest.bytes[i] != '\t') || rest.bytes[i] == 0x7f) {
            return error_set(why, ERR_CONFIG, "has a control character in the value of `%.*s`",
                             VALUE_SHOWN(name));
        }
    }
    return span_trim(rest).length > 0
               ? OK
               : error_set(why, ERR_CONFIG, "has no value for `%.*s`", VALUE_SHOWN(name));
}

static bool holds(struct span text, struct span word) {
    for (size_t i = 0; i + word.length <= text.length; i++) {
        if (memcmp(text.bytes + i, word.bytes, word.length) == 0) {
            return true;
        }
    }
    return false;
}

/* Options are shown, so that none may be a secret; no fault repeats a value all the same. */
enum error_code sink_check_option(struct span text, struct error *why) {
    struct span rest = text;
    struct span name = span_split(&rest, '=');
    if (!span_consists_of(name, SPAN(SPAN_LOWER SPAN_DIGITS "-_.")) || rest.length == 0) {
        return error_set(why, ERR_CONFIG, "is not `name=value`");
    }
    if (holds(name, SPAN("password")) || holds(name, SPAN("secret")) || holds(name, SPAN(".pem"))) {
        return error_set(why, ERR_CONFIG,
                         "has `%.*s`, a secret, and options are shown: there are `kafka.password` "
                         "and files (`ssl.key.location`)",
                         VALUE_SHOWN(name));
    }
    return OK;
}

enum error_code sink_check_duration(struct span text, struct error *why) {
    uint64_t ms = 0;
    enum error_code code = value_parse_duration_ms(text, &ms, why);
    if (code == OK && (ms < RETRY_MS_MIN || ms > RETRY_MS_MAX)) {
        code =
            error_set(why, ERR_CONFIG, "\"%.*s\" is not between 10ms and 30d", VALUE_SHOWN(text));
    }
    return code;
}
