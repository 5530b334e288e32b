/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/config/exposure.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/utf8.h"

/* A text that is copied out to be ended by NUL for inet_pton(3). */
#define ADDRESS_BYTES_MAX 63

/* For printf's "%.*s": as much of a wrong value as an error has room for. */
#define SHOWN_BYTES_MAX 64
#define SHOWN(span)                                                                                \
    (int)((span).length < SHOWN_BYTES_MAX ? (span).length : SHOWN_BYTES_MAX),                      \
        (const char *)(span).bytes

struct unit {
    struct span name;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    {{(const uint8_t *)"", 0}, 1},
#define BYTE_UNIT(text, factor) {{(const uint8_t *)text, sizeof(text) - 1}, factor},
    BYTE_UNIT("B", 1) BYTE_UNIT("KB", 1000) BYTE_UNIT("MB", 1000000) BYTE_UNIT("GB", 1000000000)
        BYTE_UNIT("TB", 1000000000000) BYTE_UNIT("KiB", 1024) BYTE_UNIT("MiB", 1048576)
            BYTE_UNIT("GiB", 1073741824) BYTE_UNIT("TiB", 1099511627776)
#undef BYTE_UNIT
};

static const struct unit duration_units[] = {
#define DURATION_UNIT(text, factor) {{(const uint8_t *)text, sizeof(text) - 1}, factor},
    DURATION_UNIT("ms", 1) DURATION_UNIT("s", 1000) DURATION_UNIT("m", 60000)
        DURATION_UNIT("h", 3600000) DURATION_UNIT("d", 86400000)
#undef DURATION_UNIT
};

static const struct unit plain_unit[] = {{{(const uint8_t *)"", 0}, 1}};

/* What may be typed for an enum. */
struct choice {
    const char *name;
    int value;
};

static const struct choice durability_choices[] = {
    {"async", DURABILITY_ASYNC},
    {"fsync", DURABILITY_FSYNC},
    {NULL, 0},
};
static const struct choice on_lag_choices[] = {
    {"auto", ON_LAG_AUTO}, {"catch_up", ON_LAG_CATCH_UP},     {"conflate", ON_LAG_CONFLATE},
    {"drop", ON_LAG_DROP}, {"disconnect", ON_LAG_DISCONNECT}, {NULL, 0},
};
static const struct choice retain_choices[] = {
    {"flagged", RETAIN_FLAGGED},
    {"latest", RETAIN_LATEST},
    {NULL, 0},
};
static const struct choice log_level_choices[] = {
    {"debug", LOG_LEVEL_DEBUG},
    {"info", LOG_LEVEL_INFO},
    {"warning", LOG_LEVEL_WARNING},
    {"error", LOG_LEVEL_ERROR},
    {NULL, 0},
};
static const struct choice log_format_choices[] = {
    {"logfmt", LOG_FORMAT_LOGFMT},
    {"json", LOG_FORMAT_JSON},
    {NULL, 0},
};

/* A whole number with one of the units; `looks` ends the sentence that refuses it. */
static enum error_code parse_quantity(struct span text, const struct unit *units, size_t unit_count,
                                      const char *looks, uint64_t *ret_value, struct error *why) {
    size_t digits = 0;
    while (digits < text.length && isdigit(text.bytes[digits])) {
        digits++;
    }
    uint64_t number = 0;
    if (!span_parse_u64(span_of(text.bytes, digits), &number)) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" is not %s", SHOWN(text), looks);
    }
    struct span unit = span_of(text.bytes + digits, text.length - digits);
    for (size_t i = 0; i < unit_count; i++) {
        if (!span_is_equal(units[i].name, unit)) {
            continue;
        }
        if (number > (CONFIG_UNLIMITED - 1) / units[i].factor) {
            return error_set(why, ERR_CONFIG, "\"%.*s\" is too large", SHOWN(text));
        }
        *ret_value = number * units[i].factor;
        return OK;
    }
    if (unit.length == 0) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" has no unit: write %s", SHOWN(text), looks);
    }
    return error_set(why, ERR_CONFIG, "\"%.*s\" has an unknown unit \"%.*s\": write %s",
                     SHOWN(text), SHOWN(unit), looks);
}

enum error_code value_parse_bytes(struct span text, uint64_t *ret_bytes, struct error *why) {
    return parse_quantity(text, byte_units, ARRAY_COUNT(byte_units),
                          config_type_looks(CONFIG_BYTES), ret_bytes, why);
}

enum error_code value_parse_duration_ms(struct span text, uint64_t *ret_ms, struct error *why) {
    return parse_quantity(text, duration_units, ARRAY_COUNT(duration_units),
                          config_type_looks(CONFIG_DURATION), ret_ms, why);
}

static bool copy_text(struct span text, char ret_text[ADDRESS_BYTES_MAX + 1]) {
    if (text.length > ADDRESS_BYTES_MAX) {
        return false;
    }
    memcpy(ret_text, text.bytes, text.length);
    ret_text[text.length] = '\0';
    return strlen(ret_text) == text.length;
}

/* No host is every IPv4 address: IPv6 may be switched off, and then `::` cannot be bound. */
static bool parse_ipv4(struct span host, struct in_addr *ret_address) {
    char text[ADDRESS_BYTES_MAX + 1];
    if (host.length == 0) {
        ret_address->s_addr = htonl(INADDR_ANY);
        return true;
    }
    if (span_is_equal_nocase(host, SPAN("localhost"))) {
        ret_address->s_addr = htonl(INADDR_LOOPBACK);
        return true;
    }
    return copy_text(host, text) && inet_pton(AF_INET, text, ret_address) == 1;
}

static bool parse_ipv6(struct span host, struct in6_addr *ret_address) {
    char text[ADDRESS_BYTES_MAX + 1];
    return copy_text(host, text) && inet_pton(AF_INET6, text, ret_address) == 1;
}

/* The last colon parts host and port, so that a bare `::1` is refused rather than misread. */
enum error_code value_parse_address(struct span text, struct config_address *ret_address,
                                    struct error *why) {
    size_t colon = text.length;
    while (colon > 0 && text.bytes[colon - 1] != ':') {
        colon--;
    }
    uint64_t port = 0;
    struct span host = span_of(text.bytes, colon == 0 ? 0 : colon - 1);
    if (colon == 0 || !span_parse_u64(span_of(text.bytes + colon, text.length - colon), &port)) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" has no port: write %s", SHOWN(text),
                         config_type_looks(CONFIG_ADDRESS));
    }
    if (port > UINT16_MAX) {
        return error_set(why, ERR_CONFIG, "port %llu is above 65535", (unsigned long long)port);
    }
    struct config_address address = {0};
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)(void *)&address.socket;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)(void *)&address.socket;
    bool is_bracketed =
        host.length >= 2 && host.bytes[0] == '[' && host.bytes[host.length - 1] == ']';
    if (is_bracketed && parse_ipv6(span_of(host.bytes + 1, host.length - 2), &ipv6->sin6_addr)) {
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons((uint16_t)port);
        address.length = sizeof(*ipv6);
    } else if (!is_bracketed && parse_ipv4(host, &ipv4->sin_addr)) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons((uint16_t)port);
        address.length = sizeof(*ipv4);
    } else {
        return error_set(why, ERR_CONFIG, "\"%.*s\" is not an IP address: write %s", SHOWN(host),
                         config_type_looks(CONFIG_ADDRESS));
    }
    *ret_address = address;
    return OK;
}

enum error_code value_check_network(struct span text, struct error *why) {
    struct span rest = text;
    struct span host = span_split(&rest, '/');
    uint8_t bytes[sizeof(struct in6_addr)] = {0};
    size_t bits_max = 0;
    if (parse_ipv6(host, (struct in6_addr *)(void *)bytes)) {
        bits_max = 128;
    } else if (host.length > 0 && isdigit(host.bytes[0]) &&
               parse_ipv4(host, (struct in_addr *)(void *)bytes)) {
        bits_max = 32;
    }
    uint64_t bits = 0;
    if (bits_max == 0 || !span_parse_u64(rest, &bits) || bits > bits_max) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" is not a network: write it as `10.0.0.0/8`",
                         SHOWN(text));
    }
    for (size_t bit = (size_t)bits; bit < bits_max; bit++) {
        if ((bytes[bit / 8] & (0x80 >> (bit % 8))) != 0) {
            return error_set(why, ERR_CONFIG, "\"%.*s\" has bits set behind its prefix of %u",
                             SHOWN(text), (unsigned)bits);
        }
    }
    return OK;
}

static bool is_host_name(struct span text) {
    bool is_ipv6 = text.length > 2 && text.bytes[0] == '[' && text.bytes[text.length - 1] == ']';
    struct in6_addr address;
    if (is_ipv6) {
        return parse_ipv6(span_of(text.bytes + 1, text.length - 2), &address);
    }
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.bytes[i];
        if (!isalnum(byte) && byte != '.' && byte != '-' && byte != '_') {
            return false;
        }
    }
    return text.length > 0 && text.length <= 253; /* RFC 1035, section 2.3.4 */
}

enum error_code value_check_host(struct span text, struct error *why) {
    if (is_host_name(text)) {
        return OK;
    }
    return error_set(why, ERR_CONFIG,
                     "\"%.*s\" is not a host name: write it without scheme, port and path",
                     SHOWN(text));
}

/* An origin is scheme, host and port alone (RFC 6454, section 6.2): browsers send no path. */
enum error_code value_check_origin(struct span text, struct error *why) {
    struct span rest = text;
    if (span_has_prefix(text, SPAN("https://"))) {
        rest = span_of(text.bytes + 8, text.length - 8);
    } else if (span_has_prefix(text, SPAN("http://"))) {
        rest = span_of(text.bytes + 7, text.length - 7);
    } else {
        rest = (struct span){0};
    }
    size_t colon = rest.length;
    while (colon > 0 && isdigit(rest.bytes[colon - 1])) {
        colon--;
    }
    uint64_t port = 1;
    if (colon > 0 && colon < rest.length && rest.bytes[colon - 1] == ':') {
        bool is_number = span_parse_u64(span_of(rest.bytes + colon, rest.length - colon), &port);
        port = is_number ? port : 0;
        rest.length = colon - 1;
    }
    if (port > 0 && port <= UINT16_MAX && is_host_name(rest)) {
        return OK;
    }
    return error_set(why, ERR_CONFIG,
                     "\"%.*s\" is not an origin: write it as `https://example.org`, without a path",
                     SHOWN(text));
}

static enum error_code parse_choice(struct span text, const struct choice *choices, int *ret_value,
                                    struct error *why) {
    char known[128] = "";
    size_t length = 0;
    for (const struct choice *choice = choices; choice->name != NULL; choice++) {
        if (span_is_equal(span_of_string(choice->name), text)) {
            *ret_value = choice->value;
            return OK;
        }
        length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s",
                                   length == 0 ? "" : ", ", choice->name);
        INVARIANT(length < sizeof(known));
    }
    return error_set(why, ERR_CONFIG, "\"%.*s\" is not one of: %s", SHOWN(text), known);
}

static enum error_code parse_cores(struct span text, uint64_t *ret_count, struct error *why) {
    if (!span_is_equal(text, SPAN("cores"))) {
        return parse_quantity(text, plain_unit, ARRAY_COUNT(plain_unit),
                              config_type_looks(CONFIG_CORES), ret_count, why);
    }
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    *ret_count = count < 1 ? 1 : (uint64_t)count;
    return OK;
}

static enum error_code parse_number(enum config_type type, struct span text, uint64_t *ret_value,
                                    struct error *why) {
    if (type == CONFIG_BYTES) {
        return value_parse_bytes(text, ret_value, why);
    }
    if (type == CONFIG_DURATION) {
        return value_parse_duration_ms(text, ret_value, why);
    }
    if (type == CONFIG_CORES) {
        return parse_cores(text, ret_value, why);
    }
    return parse_quantity(text, plain_unit, ARRAY_COUNT(plain_unit),
                          config_type_looks(CONFIG_COUNT), ret_value, why);
}

/* A bound of the row in its own unit; rows are constants, so that a bad one is a broken claim. */
static uint64_t bound(const struct config_row *row, const char *text, uint64_t otherwise) {
    uint64_t value = otherwise;
    if (text != NULL && strcmp(text, "unlimited") != 0) {
        enum error_code code = parse_number(row->type, span_of_string(text), &value, NULL);
        INVARIANT(code == OK);
    }
    return value;
}

static enum error_code set_number(const struct config_row *row, uint64_t *field, struct span text,
                                  struct error *why) {
    bool may_be_unlimited = row->maximum != NULL && strcmp(row->maximum, "unlimited") == 0;
    if (span_is_equal(text, SPAN("unlimited"))) {
        if (!may_be_unlimited) {
            return error_set(why, ERR_CONFIG, "cannot be unlimited: %s at most", row->maximum);
        }
        *field = CONFIG_UNLIMITED;
        return OK;
    }
    uint64_t value = 0;
    enum error_code code = parse_number(row->type, text, &value, why);
    if (code != OK) {
        return code;
    }
    bool is_cores = span_is_equal(text, SPAN("cores"));
    uint64_t maximum = bound(row, row->maximum, CONFIG_UNLIMITED - 1);
    if (value > maximum && is_cores) {
        value = maximum; /* a machine with more cores than threads are allowed */
    }
    uint64_t minimum = bound(row, row->minimum, 0);
    if (value == 0 && may_be_unlimited && minimum > 0) {
        return error_set(why, ERR_CONFIG, "0 is not \"no limit\": write unlimited");
    }
    if (value < minimum) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" is below the least, %s", SHOWN(text),
                         row->minimum);
    }
    if (value > maximum) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" is above the most, %s", SHOWN(text),
                         row->maximum);
    }
    *field = value;
    return OK;
}

static enum error_code set_text(char **field, struct span text, struct error *why) {
    if (text.length == 0) {
        return error_set(why, ERR_CONFIG, "is empty");
    }
    if (memchr(text.bytes, '\0', text.length) != NULL) {
        return error_set(why, ERR_CONFIG, "holds a NUL");
    }
    if (!utf8_is_valid(text)) {
        return error_set(why, ERR_CONFIG, "is no UTF-8");
    }
    char *copy = strndup((const char *)text.bytes, text.length);
    if (copy == NULL) {
        return error_set(why, ERR_MEMORY, "out of memory");
    }
    free(*field);
    *field = copy;
    return OK;
}

static enum error_code set_switch(bool *field, struct span text, struct error *why) {
    bool is_true = span_is_equal(text, SPAN("true")) || span_is_equal(text, SPAN("1"));
    bool is_false = span_is_equal(text, SPAN("false")) || span_is_equal(text, SPAN("0"));
    if (!is_true && !is_false) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" is neither true nor false", SHOWN(text));
    }
    *field = is_true;
    return OK;
}

static const struct choice *const choices_of[CONFIG_TYPE_COUNT] = {
    [CONFIG_DURABILITY] = durability_choices, [CONFIG_ON_LAG] = on_lag_choices,
    [CONFIG_RETAIN] = retain_choices,         [CONFIG_LOG_LEVEL] = log_level_choices,
    [CONFIG_LOG_FORMAT] = log_format_choices,
};

static enum error_code set_choice(enum config_type type, void *field, struct span text,
                                  struct error *why) {
    INVARIANT(choices_of[type] != NULL);
    int value = 0;
    enum error_code code = parse_choice(text, choices_of[type], &value, why);
    if (code == OK) {
        memcpy(field, &value, sizeof(value)); /* every enum here is an int wide: see below */
    }
    return code;
}
_Static_assert(sizeof(enum durability) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum on_lag) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum retain) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum log_level) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum log_format) == sizeof(int), "set_choice writes an int");

enum error_code value_set(const struct config_row *row, void *values, struct span text,
                          struct error *why) {
    INVARIANT(!config_type_is_list(row->type));
    void *field = (char *)values + row->offset;
    if (text.length > VALUE_TEXT_BYTES_MAX) {
        return error_set(why, ERR_CONFIG, "is longer than %d bytes", VALUE_TEXT_BYTES_MAX);
    }
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_PATTERN:
        return set_text(field, text, why);
    case CONFIG_ADDRESS:
        return value_parse_address(text, field, why);
    case CONFIG_LISTENER:
        return exposure_parse_listener(text, field, why);
    case CONFIG_BYTES:
    case CONFIG_DURATION:
    case CONFIG_COUNT:
    case CONFIG_CORES:
        return set_number(row, field, text, why);
    case CONFIG_SWITCH:
        return set_switch(field, text, why);
    case CONFIG_DURABILITY:
    case CONFIG_ON_LAG:
    case CONFIG_RETAIN:
    case CONFIG_LOG_LEVEL:
    case CONFIG_LOG_FORMAT:
        return set_choice(row->type, field, text, why);
    case CONFIG_ORIGINS:
    case CONFIG_HOSTS:
    case CONFIG_NETWORKS:
    case CONFIG_TYPE_COUNT:
        break;
    }
    return error_set(why, ERR_INTERNAL, "has a type without a reader");
}

enum error_code value_add_item(const struct config_row *row, void *values, struct span text,
                               struct error *why) {
    static enum error_code (*const check_of[CONFIG_TYPE_COUNT])(struct span, struct error *) = {
        [CONFIG_ORIGINS] = value_check_origin,
        [CONFIG_HOSTS] = value_check_host,
        [CONFIG_NETWORKS] = value_check_network,
    };
    INVARIANT(check_of[row->type] != NULL);
    struct config_list *list = (void *)((char *)values + row->offset);
    if (list->count >= CONFIG_LIST_ITEMS_MAX) {
        return error_set(why, ERR_CONFIG, "has more than %d items", CONFIG_LIST_ITEMS_MAX);
    }
    if (text.length > VALUE_TEXT_BYTES_MAX) {
        return error_set(why, ERR_CONFIG, "is longer than %d bytes", VALUE_TEXT_BYTES_MAX);
    }
    enum error_code code = check_of[row->type](text, why);
    if (code != OK) {
        return code;
    }
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (items == NULL) {
        return error_set(why, ERR_MEMORY, "out of memory");
    }
    list->items = items;
    char *copy = NULL;
    code = set_text(&copy, text, why);
    if (code == OK) {
        items[list->count++] = copy;
    }
    return code;
}

/* In the largest unit that divides it. */
static enum error_code put_quantity(uint64_t value, const struct unit *units, size_t unit_count,
                                    struct buffer *buffer) {
    const struct unit *best = &units[0];
    for (size_t i = 1; i < unit_count; i++) {
        if (value % units[i].factor == 0 && units[i].factor > best->factor) {
            best = &units[i];
        }
    }
    return buffer_printf(buffer, "\"%llu%.*s\"", (unsigned long long)(value / best->factor),
                         SPAN_PRINTF(best->name));
}

static enum error_code put_number(const struct config_row *row, uint64_t value,
                                  struct buffer *buffer) {
    if (value == CONFIG_UNLIMITED) {
        return buffer_put(buffer, SPAN("\"unlimited\""));
    }
    if (row->type == CONFIG_BYTES) {
        return put_quantity(value, byte_units, ARRAY_COUNT(byte_units), buffer);
    }
    if (row->type == CONFIG_DURATION) {
        return put_quantity(value, duration_units, ARRAY_COUNT(duration_units), buffer);
    }
    return buffer_printf(buffer, "%llu", (unsigned long long)value);
}

static enum error_code put_list(const struct config_list *list, struct buffer *buffer) {
    enum error_code code = buffer_put_byte(buffer, '[');
    for (size_t i = 0; code == OK && i < list->count; i++) {
        code = i == 0 ? OK : buffer_put_byte(buffer, ',');
        code = code != OK ? code : json_escape_put(buffer, span_of_string(list->items[i]));
    }
    return code != OK ? code : buffer_put_byte(buffer, ']');
}

static enum error_code put_choice(enum config_type type, const void *field, struct buffer *buffer) {
    int value = 0;
    memcpy(&value, field, sizeof(value));
    const struct choice *choice = choices_of[type];
    while (choice->name != NULL && choice->value != value) {
        choice++;
    }
    INVARIANT(choice->name != NULL);
    return buffer_printf(buffer, "\"%s\"", choice->name);
}

enum error_code value_put(const struct config_row *row, const void *values, struct buffer *buffer) {
    const void *field = (const char *)values + row->offset;
    char address[EXPOSURE_ADDRESS_BYTES];
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_PATTERN: {
        const char *text = *(char *const *)field;
        return text == NULL ? buffer_put(buffer, SPAN("null"))
                            : json_escape_put(buffer, span_of_string(text));
    }
    case CONFIG_ADDRESS:
    case CONFIG_LISTENER:
        exposure_format_address(field, address);
        return buffer_printf(buffer, "\"%s\"", address);
    case CONFIG_BYTES:
    case CONFIG_DURATION:
    case CONFIG_COUNT:
    case CONFIG_CORES:
        return put_number(row, *(const uint64_t *)field, buffer);
    case CONFIG_SWITCH:
        return buffer_printf(buffer, "%s", *(const bool *)field ? "true" : "false");
    case CONFIG_ORIGINS:
    case CONFIG_HOSTS:
    case CONFIG_NETWORKS:
        return put_list(field, buffer);
    case CONFIG_DURABILITY:
    case CONFIG_ON_LAG:
    case CONFIG_RETAIN:
    case CONFIG_LOG_LEVEL:
    case CONFIG_LOG_FORMAT:
        return put_choice(row->type, field, buffer);
    case CONFIG_TYPE_COUNT:
        break;
    }
    return ERR_INTERNAL;
}

static bool is_list_equal(const struct config_list *left, const struct config_list *right) {
    for (size_t i = 0; i < left->count && i < right->count; i++) {
        if (strcmp(left->items[i], right->items[i]) != 0) {
            return false;
        }
    }
    return left->count == right->count;
}

static bool is_text_equal(const char *left, const char *right) {
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

bool value_is_equal(const struct config_row *row, const void *left_values,
                    const void *right_values) {
    const void *left = (const char *)left_values + row->offset;
    const void *right = (const char *)right_values + row->offset;
    if (config_type_is_list(row->type)) {
        return is_list_equal(left, right);
    }
    if (row->type == CONFIG_TEXT || row->type == CONFIG_PATTERN) {
        return is_text_equal(*(char *const *)left, *(char *const *)right);
    }
    static const size_t size_of[] = {
#define SIZE(type, c_type, looks) [CONFIG_##type] = sizeof(c_type),
        CONFIG_TYPE_TABLE(SIZE)
#undef SIZE
    };
    return memcmp(left, right, size_of[row->type]) == 0; /* numbers; addresses were zeroed */
}

void value_clear(const struct config_row *row, void *values) {
    void *field = (char *)values + row->offset;
    if (row->type == CONFIG_TEXT || row->type == CONFIG_PATTERN) {
        char **text = field;
        free(*text);
        *text = NULL;
    } else if (config_type_is_list(row->type)) {
        struct config_list *list = field;
        for (size_t i = 0; i < list->count; i++) {
            free(list->items[i]);
        }
        free(list->items);
        *list = (struct config_list){0};
    }
}
