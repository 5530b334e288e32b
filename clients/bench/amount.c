/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/amount.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct unit {
    const char *name;
    uint64_t size;
};

static const struct unit multiples[] = {
    {"", 1}, {"k", 1000}, {"K", 1000}, {"M", 1000000}, {"G", 1000000000}};

/* The largest first: amount_write_duration takes the first that divides. */
static const struct unit times[] = {{"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
                                    {"ms", 1000000},      {"us", 1000},       {"ns", 1}};

static const struct unit *find_unit(const struct unit *units, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].name, name) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

/* A number without sign, exponent or hexadecimal digits; `ret_unit` is what follows it. */
static bool take_number(const char *text, double *ret_number, const char **ret_unit) {
    size_t length = strspn(text, "0123456789.");
    if (length == 0 || !isdigit((unsigned char)text[0]) || length > 40) {
        return false;
    }
    char digits[48];
    memcpy(digits, text, length);
    digits[length] = '\0';
    char *end;
    *ret_number = strtod(digits, &end);
    *ret_unit = text + length;
    return *end == '\0' && isfinite(*ret_number);
}

const char *amount_parse_count(const char *text, uint64_t *ret_count) {
    static const char looks[] = "is a whole number: 1000, 100k or 1M";
    if (!isdigit((unsigned char)text[0])) {
        return looks;
    }
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    const struct unit *unit = find_unit(multiples, ARRAY_COUNT(multiples), end);
    if (errno != 0 || unit == NULL || number > UINT64_MAX / unit->size) {
        return looks;
    }
    *ret_count = number * unit->size;
    return NULL;
}

const char *amount_parse_rate(const char *text, double *ret_rate) {
    double number;
    const char *unit;
    char multiple[4] = "";
    if (take_number(text, &number, &unit)) {
        size_t length = strlen(unit);
        if (length >= 2 && strcmp(unit + length - 2, "/s") == 0) {
            length -= 2;
        }
        if (length < sizeof(multiple)) {
            memcpy(multiple, unit, length);
            const struct unit *row = find_unit(multiples, ARRAY_COUNT(multiples), multiple);
            if (row != NULL) {
                *ret_rate = number * (double)row->size;
                return NULL;
            }
        }
    }
    return "is a number a second: 100, 20k or 0.5";
}

const char *amount_parse_duration(const char *text, uint64_t *ret_ns) {
    static const char looks[] = "is a time with its unit: 10s, 250ms or 5m";
    double number;
    const char *name;
    if (!take_number(text, &number, &name)) {
        return looks;
    }
    /* 0 needs no unit. */
    const struct unit *unit =
        find_unit(times, ARRAY_COUNT(times), number > 0 || name[0] != '\0' ? name : "s");
    if (unit == NULL || number * (double)unit->size > 1e18) {
        return looks;
    }
    *ret_ns = (uint64_t)(number * (double)unit->size + 0.5);
    return NULL;
}

const char *amount_parse_share(const char *text, double *ret_share) {
    double number;
    const char *unit;
    bool is_number = take_number(text, &number, &unit);
    bool is_percent = is_number && strcmp(unit, "%") == 0;
    if (!is_number || (!is_percent && unit[0] != '\0')) {
        return "is a share: 0.1 or 10%";
    }
    *ret_share = is_percent ? number / 100 : number;
    return NULL;
}

void amount_write_duration(uint64_t ns, char *text, size_t size) {
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        if (ns % times[i].size == 0 && ns > 0) {
            snprintf(text, size, "%" PRIu64 "%s", ns / times[i].size, times[i].name);
            return;
        }
    }
    snprintf(text, size, "0s");
}
