/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/amount.h"

#include <ctype.h>
#include <unistd.h>

#include "broker/config/memory.h"
#include "broker/config/value.h"
#include "broker/support/invariant.h"

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

static const struct unit rate_units[] = {{{(const uint8_t *)"/s", 2}, 1}};

static const struct unit byte_rate_units[] = {
#define BYTE_RATE_UNIT(text, factor) {{(const uint8_t *)text "/s", sizeof(text "/s") - 1}, factor},
    BYTE_RATE_UNIT("", 1) BYTE_RATE_UNIT("B", 1) BYTE_RATE_UNIT("KB", 1000)
        BYTE_RATE_UNIT("MB", 1000000) BYTE_RATE_UNIT("GB", 1000000000) BYTE_RATE_UNIT("KiB", 1024)
            BYTE_RATE_UNIT("MiB", 1048576) BYTE_RATE_UNIT("GiB", 1073741824)
#undef BYTE_RATE_UNIT
};

static const struct unit plain_unit[] = {{{(const uint8_t *)"", 0}, 1}};

struct units {
    const struct unit *rows;
    size_t count;
};

static const struct units units_of[CONFIG_TYPE_COUNT] = {
    [CONFIG_BYTES] = {byte_units, ARRAY_COUNT(byte_units)},
    [CONFIG_DURATION] = {duration_units, ARRAY_COUNT(duration_units)},
    [CONFIG_COUNT] = {plain_unit, ARRAY_COUNT(plain_unit)},
    [CONFIG_MEMORY] = {byte_units, ARRAY_COUNT(byte_units)},
    [CONFIG_CORES] = {plain_unit, ARRAY_COUNT(plain_unit)},
    [CONFIG_RATE] = {rate_units, ARRAY_COUNT(rate_units)},
    [CONFIG_BYTES_RATE] = {byte_rate_units, ARRAY_COUNT(byte_rate_units)},
};

static uint64_t count_cores(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (uint64_t)count;
}

enum error_code amount_parse(enum config_type type, struct span text, uint64_t *ret_value,
                             struct error *why) {
    const struct units *units = &units_of[type];
    const char *looks = config_type_looks(type);
    INVARIANT(units->rows != NULL);
    if (type == CONFIG_CORES && span_is_equal(text, SPAN("cores"))) {
        *ret_value = count_cores();
        return OK;
    }
    if (type == CONFIG_MEMORY && span_is_equal(text, SPAN("auto"))) {
        *ret_value = memory_available_bytes() / 5 * 4;
        return OK;
    }
    size_t digits = 0;
    while (digits < text.length && isdigit(text.bytes[digits])) {
        digits++;
    }
    uint64_t number = 0;
    if (!span_parse_u64(span_of(text.bytes, digits), &number)) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" is not %s", VALUE_SHOWN(text), looks);
    }
    struct span unit = span_of(text.bytes + digits, text.length - digits);
    for (size_t i = 0; i < units->count; i++) {
        if (!span_is_equal(units->rows[i].name, unit)) {
            continue;
        }
        if (number > (CONFIG_UNLIMITED - 1) / units->rows[i].factor) {
            return error_set(why, ERR_CONFIG, "\"%.*s\" is too large", VALUE_SHOWN(text));
        }
        *ret_value = number * units->rows[i].factor;
        return OK;
    }
    if (unit.length == 0) {
        return error_set(why, ERR_CONFIG, "\"%.*s\" has no unit: write %s", VALUE_SHOWN(text),
                         looks);
    }
    return error_set(why, ERR_CONFIG, "\"%.*s\" has an unknown unit \"%.*s\": write %s",
                     VALUE_SHOWN(text), VALUE_SHOWN(unit), looks);
}

/* In the largest unit that divides it; nothing, which all divide, in the smallest. */
enum error_code amount_put(enum config_type type, uint64_t value, struct buffer *buffer) {
    const struct units *units = &units_of[type];
    INVARIANT(units->rows != NULL);
    if (value == CONFIG_UNLIMITED) {
        return buffer_put(buffer, SPAN("\"unlimited\""));
    }
    if (units->rows == plain_unit) {
        return buffer_printf(buffer, "%llu", (unsigned long long)value);
    }
    const struct unit *best = &units->rows[0];
    for (size_t i = 1; i < units->count; i++) {
        if (value > 0 && value % units->rows[i].factor == 0 &&
            units->rows[i].factor > best->factor) {
            best = &units->rows[i];
        }
    }
    return buffer_printf(buffer, "\"%llu%.*s\"", (unsigned long long)(value / best->factor),
                         SPAN_PRINTF(best->name));
}
