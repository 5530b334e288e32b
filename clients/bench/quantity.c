/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/quantity.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clients/bench/amount.h"

struct scale {
    const char *suffix;
    double size;
};

/* The largest first: a value is written in the first that it reaches. */
static const struct scale durations[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
static const struct scale sizes[] = {{"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"B", 1}};

#define SCALES(scales) scales, sizeof(scales) / sizeof((scales)[0])

/* --- reading -------------------------------------------------------------------------------- */

/* Takes the commas out, between which a count is written: 1,000,000. */
static const char *without_commas(const char *text, char *plain, size_t size) {
    size_t length = 0;
    for (; *text != '\0' && length + 1 < size; text++) {
        if (*text != ',') {
            plain[length++] = *text;
        }
    }
    plain[length] = '\0';
    return plain;
}

static const char *parse_count(const char *text, double *ret_value) {
    uint64_t count;
    const char *looks = amount_parse_count(text, &count);
    if (looks == NULL) {
        *ret_value = (double)count;
    }
    return looks;
}

static const char *parse_duration(const char *text, double *ret_value) {
    uint64_t ns;
    if (amount_parse_duration(text, &ns) != NULL) {
        return "is a time with its unit: 30ms, 250us or 1.5s";
    }
    *ret_value = (double)ns;
    return NULL;
}

/* A size is a rate's number with another unit behind it. */
static const char *parse_size(const char *text, double *ret_value) {
    size_t digits = strspn(text, "0123456789.");
    char number[QUANTITY_BYTES];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcmp(text + digits, sizes[i].suffix) == 0 && digits < sizeof(number)) {
            memcpy(number, text, digits);
            number[digits] = '\0';
            if (amount_parse_rate(number, ret_value) == NULL) {
                *ret_value *= sizes[i].size;
                return NULL;
            }
        }
    }
    return "is a size with its unit: 1500B, 1.5KiB or 2MiB";
}

const char *quantity_parse(enum quantity quantity, const char *text, double *ret_value) {
    static const char *(*const parsers[])(const char *text, double *ret_value) = {
        [QUANTITY_COUNT] = parse_count,      [QUANTITY_DURATION] = parse_duration,
        [QUANTITY_RATE] = amount_parse_rate, [QUANTITY_SHARE] = amount_parse_share,
        [QUANTITY_SIZE] = parse_size,
    };
    char plain[QUANTITY_BYTES];
    return parsers[quantity](without_commas(text, plain, sizeof(plain)), ret_value);
}

/* --- writing -------------------------------------------------------------------------------- */

static void format_number(double value, char *text, size_t size) {
    char digits[32];
    int length = snprintf(digits, sizeof(digits), "%.0f", value < 1e18 ? value : 1e18);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[used++] = ',';
        }
        text[used++] = digits[i];
    }
    text[used] = '\0';
}

/* Three significant digits, and never a rounding up into the next scale's: 999.9us, not 1000us. */
static void format_scaled(const struct scale *scales, size_t count, double value, char *text,
                          size_t size) {
    size_t i = 0;
    while (i < count - 1 && value < scales[i].size) {
        i++;
    }
    double scaled = value / scales[i].size;
    int decimals = scaled >= 100 || scales[i].size == 1 ? 0 : scaled >= 10 ? 1 : 2;
    if (scaled >= 999.5 && i > 0) {
        decimals = 1;
        scaled = floor(scaled * 10) / 10;
    }
    snprintf(text, size, "%.*f%s", decimals, scaled, scales[i].suffix);
}

static void format_duration(double value, char *text, size_t size) {
    format_scaled(SCALES(durations), value, text, size);
}

static void format_size(double value, char *text, size_t size) {
    format_scaled(SCALES(sizes), value, text, size);
}

static void format_rate(double value, char *text, size_t size) {
    if (value < 100) {
        snprintf(text, size, "%.3g/s", value);
    } else {
        format_number(value, text, size);
        size_t length = strlen(text);
        snprintf(text + length, size - length, "/s");
    }
}

/* What is not all is never written as 100 %. */
static void format_share(double value, char *text, size_t size) {
    double percent = value * 100;
    if (value < 1 && percent > 99) {
        percent = floor(percent * 1000) / 1000;
    }
    snprintf(text, size, percent > 99 && percent < 100 ? "%.5g%%" : "%.4g%%", percent);
}

void quantity_format(enum quantity quantity, double value, char *text, size_t size) {
    static void (*const writers[])(double value, char *text, size_t size) = {
        [QUANTITY_COUNT] = format_number, [QUANTITY_DURATION] = format_duration,
        [QUANTITY_RATE] = format_rate,    [QUANTITY_SHARE] = format_share,
        [QUANTITY_SIZE] = format_size,
    };
    writers[quantity](value, text, size);
}
