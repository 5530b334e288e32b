/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/media.h"

#include "broker/limits.h"
#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/http/media_type.h"

enum rule {
    RULE_LOOK,     /* the type says nothing: a look at the bytes decides */
    RULE_JSON,     /* must parse */
    RULE_TEXT,     /* must be UTF-8 */
    RULE_READABLE, /* text if it is UTF-8, else bytes */
    RULE_BYTES,
};

/* The first row that fits; an empty name fits all, one that begins with `+` is a suffix. */
static const struct {
    const char *type;
    const char *subtype;
    enum rule rule;
} rules[] = {
    {"application", "octet-stream", RULE_LOOK},
    {"application", "x-www-form-urlencoded", RULE_LOOK},
    {"application", "json", RULE_JSON},
    {"text", "json", RULE_JSON},
    {"", "+json", RULE_JSON},
    {"text", "", RULE_TEXT},
    {"application", "xml", RULE_READABLE},
    {"application", "yaml", RULE_READABLE},
    {"application", "javascript", RULE_READABLE},
    {"", "+xml", RULE_READABLE},
    {"", "", RULE_BYTES},
};

static bool fits(struct span name, const char *pattern) {
    struct span wanted = span_of_string(pattern);
    if (wanted.length > 0 && wanted.bytes[0] == '+') {
        return name.length > wanted.length &&
               span_is_equal_nocase(
                   span_of(name.bytes + name.length - wanted.length, wanted.length), wanted);
    }
    return wanted.length == 0 || span_is_equal_nocase(name, wanted);
}

static enum rule rule_of(const struct media_type *type) {
    size_t i = 0;
    while (!fits(type->type, rules[i].type) || !fits(type->subtype, rules[i].subtype)) {
        i++;
    }
    return rules[i].rule;
}

static bool is_charset_readable(const struct media_type *type) {
    struct span rest = type->parameters, name, value;
    while (media_type_next_parameter(&rest, &name, &value)) {
        if (span_is_equal_nocase(name, SPAN("charset"))) {
            return span_is_equal_nocase(value, SPAN("utf-8")) ||
                   span_is_equal_nocase(value, SPAN("utf8")) ||
                   span_is_equal_nocase(value, SPAN("us-ascii"));
        }
    }
    return true;
}

static enum error_code look(struct span body, struct media *ret_media, struct error *why) {
    size_t position;
    const char *fault;
    if (json_check(body, &position, &fault) == OK) {
        *ret_media = (struct media){.payload_kind = PAYLOAD_JSON};
    } else if (json_is_too_deep(fault)) {
        return json_refuse(why, "The body", position, fault);
    } else if (utf8_is_valid(body)) {
        *ret_media = (struct media){PAYLOAD_TEXT, SPAN("text/plain")};
    } else {
        *ret_media = (struct media){PAYLOAD_BINARY, SPAN("application/octet-stream")};
    }
    return OK;
}

static enum error_code check_json(struct span body, struct error *why) {
    size_t position;
    const char *fault;
    if (json_check(body, &position, &fault) == OK) {
        return OK;
    }
    return json_refuse(why, "The body", position, fault);
}

enum error_code media_classify(struct span content_type, struct span body, struct media *ret_media,
                               struct error *why) {
    struct media_type type;
    content_type = span_trim(content_type);
    if (content_type.length == 0) {
        return look(body, ret_media, why);
    }
    if (!media_type_parse(content_type, &type)) {
        return error_set_field(why, ERR_MEDIA_TYPE, "Content-Type",
                               "This is no media type, or longer than %d bytes",
                               MEDIA_TYPE_BYTES_MAX);
    }
    enum rule rule = rule_of(&type);
    struct media media = {PAYLOAD_BINARY, content_type};
    if ((rule == RULE_JSON || rule == RULE_TEXT) && !is_charset_readable(&type)) {
        return error_set_field(why, ERR_MEDIA_TYPE, "Content-Type", "Text is taken as UTF-8 only");
    }
    enum error_code code = OK;
    if (rule == RULE_LOOK) {
        code = look(body, &media, why);
    } else if (rule == RULE_JSON) {
        media.payload_kind = PAYLOAD_JSON;
        if (media_type_is(content_type, "application/json")) {
            media.type = (struct span){0};
        }
        code = check_json(body, why);
    } else if (rule == RULE_TEXT || (rule == RULE_READABLE && is_charset_readable(&type))) {
        bool is_text = utf8_is_valid(body);
        media.payload_kind = is_text ? PAYLOAD_TEXT : PAYLOAD_BINARY;
        if (!is_text && rule == RULE_TEXT) {
            code = error_set(why, ERR_BAD_UTF8, "The body is not UTF-8");
        }
    }
    if (code == OK) {
        *ret_media = media;
    }
    return code;
}

bool media_is_json(struct span content_type) {
    struct media_type type;
    return media_type_parse(span_trim(content_type), &type) && rule_of(&type) == RULE_JSON;
}

bool media_is_utf8(struct span content_type) {
    struct media_type type;
    return !media_type_parse(span_trim(content_type), &type) || is_charset_readable(&type);
}
