/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "broker/config/amount.h"
#include "broker/config/choice.h"
#include "broker/config/credential.h"
#include "broker/config/exposure.h"
#include "broker/config/sink_value.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/utf8.h"

/* A text that is copied out to be ended by NUL for inet_pton(3). */
#define ADDRESS_BYTES_MAX 63

enum error_code value_parse_bytes(struct span text, uint64_t *ret_bytes, struct error *why) {
    return amount_parse(CONFIG_BYTES, text, ret_bytes, why);
}

enum error_code value_parse_duration_ms(struct span text, uint64_t *ret_ms, struct error *why) {
    return amount_parse(CONFIG_DURATION, text, ret_ms, why);
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
        return error_set(why, ERR_CONFIG, "\"%.*s\" has no port: write %s", VALUE_SHOWN(text),
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
        return error_set(why, ERR_CONFIG, "\"%.*s\" is not an IP address: write %s",
                         VALUE_SHOWN(host), config_type_looks(CONFIG_ADDRESS));
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
                         VALUE_SHOWN(text));
    }
    for (size_t bit = (size_t)bits; bit < bits_max; bit++) {
        if ((bytes[bit / 8] & (0x80 >> (bit % 8))) != 0) {
            return error_set(why, ERR_CONFIG, "\"%.*s\" has bits set behind its prefix of %u",
                             VALUE_SHOWN(text), (unsigned)bits);
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
    return span_consists_of(text, SPAN(SPAN_LETTERS SPAN_DIGITS "-_.")) &&
           text.length <= 253; /* RFC 1035, section 2.3.4 */
}

enum error_code value_check_host(struct span text, struct error *why) {
    if (is_host_name(text)) {
        return OK;
    }
    return error_set(why, ERR_CONFIG,
                     "\"%.*s\" is not a host name: write it without scheme, port and path",
                     VALUE_SHOWN(text));
}

bool value_is_host_and_port(struct span text) {
    size_t colon = text.length;
    while (colon > 0 && isdigit(text.bytes[colon - 1])) {
        colon--;
    }
    uint64_t port = 1;
    if (colon > 0 && colon < text.length && text.bytes[colon - 1] == ':') {
        bool is_number = span_parse_u64(span_of(text.bytes + colon, text.length - colon), &port);
        port = is_number ? port : 0;
        text.length = colon - 1;
    }
    return port > 0 && port <= UINT16_MAX && is_host_name(text);
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
    if (value_is_host_and_port(rest)) {
        return OK;
    }
    return error_set(why, ERR_CONFIG,
                     "\"%.*s\" is not an origin: write it as `https://example.org`, without a path",
                     VALUE_SHOWN(text));
}

/* A bound of the row in its own unit; rows are constants, so that a bad one is a broken claim. */
static uint64_t bound(const struct config_row *row, const char *text, uint64_t otherwise) {
    uint64_t value = otherwise;
    if (text != NULL && strcmp(text, "unlimited") != 0) {
        enum error_code code = amount_parse(row->type, span_of_string(text), &value, NULL);
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
    enum error_code code = amount_parse(row->type, text, &value, why);
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
        return error_set(why, ERR_CONFIG, "\"%.*s\" is below the least, %s", VALUE_SHOWN(text),
                         row->minimum);
    }
    if (value > maximum) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" is above the most, %s", VALUE_SHOWN(text),
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
        return error_set(why, ERR_CONFIG, "\"%.*s\" is neither true nor false", VALUE_SHOWN(text));
    }
    *field = is_true;
    return OK;
}

static enum error_code set_choice(enum config_type type, void *field, struct span text,
                                  struct error *why) {
    int value = 0;
    enum error_code code = choice_parse(type, text, &value, why);
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
_Static_assert(sizeof(enum when_down) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum sink_format) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum sink_mode) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum sink_order) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum sink_batch) == sizeof(int), "set_choice writes an int");
_Static_assert(sizeof(enum sink_delivery) == sizeof(int), "set_choice writes an int");

static enum error_code set_checked(enum config_type type, char **field, struct span text,
                                   struct error *why) {
    static enum error_code (*const check_of[CONFIG_TYPE_COUNT])(struct span, struct error *) = {
        [CONFIG_HASH] = credential_check_hash,
        [CONFIG_KEY] = credential_check_key,
        [CONFIG_LOCATION] = credential_check_location,
        [CONFIG_URL] = credential_check_url,
        [CONFIG_TENANT] = credential_check_tenant,
        [CONFIG_TENANTS] = credential_check_tenants,
        [CONFIG_SINK_NAME] = sink_check_name,
        [CONFIG_START] = sink_check_start,
        [CONFIG_SOURCE_START] = sink_check_source_start,
        [CONFIG_MQTT_URL] = sink_check_mqtt_url,
        [CONFIG_SIGNING_SECRET] = sink_check_signing_secret,
    };
    enum error_code code = check_of[type] == NULL ? OK : check_of[type](text, why);
    return code != OK ? code : set_text(field, text, why);
}

enum error_code value_set(const struct config_row *row, void *values, struct span text,
                          struct error *why) {
    INVARIANT(!config_type_is_list(row->type));
    void *field = (char *)values + row->offset;
    if (text.length > VALUE_TEXT_BYTES_MAX) {
        return error_set(why, ERR_CONFIG, "is longer than %d bytes", VALUE_TEXT_BYTES_MAX);
    }
    if (config_type_is_text(row->type)) {
        return set_checked(row->type, field, text, why);
    }
    if (config_type_is_number(row->type)) {
        return set_number(row, field, text, why);
    }
    if (choice_is(row->type)) {
        return set_choice(row->type, field, text, why);
    }
    if (row->type == CONFIG_ADDRESS) {
        return value_parse_address(text, field, why);
    }
    if (row->type == CONFIG_LISTENER) {
        return exposure_parse_listener(text, field, why);
    }
    INVARIANT(row->type == CONFIG_SWITCH);
    return set_switch(field, text, why);
}

enum error_code value_add_item(const struct config_row *row, void *values, struct span text,
                               struct error *why) {
    static enum error_code (*const check_of[CONFIG_TYPE_COUNT])(struct span, struct error *) = {
        [CONFIG_ORIGINS] = value_check_origin,
        [CONFIG_HOSTS] = value_check_host,
        [CONFIG_NETWORKS] = value_check_network,
        [CONFIG_PATTERNS] = credential_check_pattern,
        [CONFIG_ALGORITHMS] = credential_check_algorithm,
        [CONFIG_EVENTS] = credential_check_event,
        [CONFIG_CHANNELS] = sink_check_text,
        [CONFIG_HEADERS] = sink_check_header,
        [CONFIG_OPTIONS] = sink_check_option,
        [CONFIG_TOPICS] = sink_check_text,
        [CONFIG_DURATIONS] = sink_check_duration,
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
        list->is_given = true;
    }
    return code;
}

void value_set_given(const struct config_row *row, void *values) {
    INVARIANT(config_type_is_list(row->type));
    struct config_list *list = (void *)((char *)values + row->offset);
    list->is_given = true;
}

/* Rights that were not given are other than none. */
static enum error_code put_list(enum config_type type, const struct config_list *list,
                                struct buffer *buffer) {
    if (type == CONFIG_PATTERNS && !list->is_given) {
        return buffer_put(buffer, SPAN("null"));
    }
    enum error_code code = buffer_put_byte(buffer, '[');
    for (size_t i = 0; code == OK && i < list->count; i++) {
        const char *item = config_type_is_secret(type) ? "set" : list->items[i];
        code = i == 0 ? OK : buffer_put_byte(buffer, ',');
        code = code != OK ? code : json_escape_put(buffer, span_of_string(item));
    }
    return code != OK ? code : buffer_put_byte(buffer, ']');
}

static enum error_code put_text(enum config_type type, const char *text, struct buffer *buffer) {
    if (text == NULL) {
        return buffer_put(buffer, SPAN("null"));
    }
    return config_type_is_secret(type) ? buffer_put(buffer, SPAN("\"set\""))
                                       : json_escape_put(buffer, span_of_string(text));
}

enum error_code value_put(const struct config_row *row, const void *values, struct buffer *buffer) {
    const void *field = (const char *)values + row->offset;
    char address[EXPOSURE_ADDRESS_BYTES];
    int choice = 0;
    if (config_type_is_list(row->type)) {
        return put_list(row->type, field, buffer);
    }
    if (config_type_is_text(row->type)) {
        return put_text(row->type, *(char *const *)field, buffer);
    }
    if (config_type_is_number(row->type)) {
        return amount_put(row->type, *(const uint64_t *)field, buffer);
    }
    if (choice_is(row->type)) {
        memcpy(&choice, field, sizeof(choice));
        return buffer_printf(buffer, "\"%s\"", choice_name(row->type, choice));
    }
    if (row->type == CONFIG_SWITCH) {
        return buffer_printf(buffer, "%s", *(const bool *)field ? "true" : "false");
    }
    INVARIANT(row->type == CONFIG_ADDRESS || row->type == CONFIG_LISTENER);
    exposure_format_address(field, address);
    return buffer_printf(buffer, "\"%s\"", address);
}

static bool is_list_equal(const struct config_list *left, const struct config_list *right) {
    if (left->is_given != right->is_given) {
        return false;
    }
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
    if (config_type_is_text(row->type)) {
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
    if (config_type_is_text(row->type)) {
        char **text = field;
        if (*text != NULL && config_type_is_secret(row->type)) {
            explicit_bzero(*text, strlen(*text));
        }
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
