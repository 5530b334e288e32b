/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/clock.h"

#include <stdio.h>
#include <time.h>

#define MS_PER_SECOND 1000
#define MS_PER_DAY 86400000

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ms(void) {
    return now_ns(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t clock_monotonic_us(void) {
    return now_ns(CLOCK_MONOTONIC) / 1000u;
}

uint64_t clock_wall_ms(void) {
    return now_ns(CLOCK_REALTIME) / 1000000u;
}

void clock_format_rfc3339(uint64_t time_ms, char ret_text[CLOCK_RFC3339_BYTES]) {
    time_t seconds = (time_t)(time_ms / MS_PER_SECOND);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char text[64];
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
             (unsigned)(time_ms % MS_PER_SECOND));
    memcpy(ret_text, text, CLOCK_RFC3339_BYTES - 1);
    ret_text[CLOCK_RFC3339_BYTES - 1] = '\0';
}

/* Days since 1970 of a date of the Gregorian calendar (Howard Hinnant, "chrono-compatible
 * low-level date algorithms"). */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* Takes exactly `digits` digits from the front of `rest`. */
static bool take_number(struct span *rest, size_t digits, int64_t *ret_number) {
    uint64_t number = 0;
    if (rest->length < digits || !span_parse_u64(span_of(rest->bytes, digits), &number)) {
        return false;
    }
    *rest = span_of(rest->bytes + digits, rest->length - digits);
    *ret_number = (int64_t)number;
    return true;
}

static bool take_one_of(struct span *rest, const char *allowed, uint8_t *ret_byte) {
    if (rest->length == 0 || rest->bytes[0] == '\0' || strchr(allowed, rest->bytes[0]) == NULL) {
        return false;
    }
    *ret_byte = rest->bytes[0];
    *rest = span_of(rest->bytes + 1, rest->length - 1);
    return true;
}

/* ".123456" if it is there; what is finer than a millisecond is cut. */
static bool take_fraction(struct span *rest, int64_t *ret_ms) {
    *ret_ms = 0;
    uint8_t byte;
    if (!take_one_of(rest, ".", &byte)) {
        return true;
    }
    int64_t digit_ms = 100;
    size_t digits = 0;
    while (take_one_of(rest, "0123456789", &byte)) {
        *ret_ms += digit_ms * (byte - '0');
        digit_ms /= 10;
        digits++;
    }
    return digits > 0;
}

static bool take_zone(struct span *rest, int64_t *ret_minutes) {
    uint8_t sign;
    *ret_minutes = 0;
    if (take_one_of(rest, "Zz", &sign)) {
        return true;
    }
    int64_t hours, minutes;
    uint8_t colon;
    if (!take_one_of(rest, "+- ", &sign) || !take_number(rest, 2, &hours) ||
        !take_one_of(rest, ":", &colon) || !take_number(rest, 2, &minutes) || hours > 23 ||
        minutes > 59) {
        return false;
    }
    *ret_minutes = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
    return true;
}

static bool is_leap(int64_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_date(int64_t year, int64_t month, int64_t day) {
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

bool clock_parse_rfc3339(struct span text, uint64_t *ret_time_ms) {
    struct span rest = text;
    int64_t year, month, day, hour, minute, second, ms, zone_minutes;
    uint8_t byte;
    if (!take_number(&rest, 4, &year) || !take_one_of(&rest, "-", &byte) ||
        !take_number(&rest, 2, &month) || !take_one_of(&rest, "-", &byte) ||
        !take_number(&rest, 2, &day) || !take_one_of(&rest, "Tt ", &byte) ||
        !take_number(&rest, 2, &hour) || !take_one_of(&rest, ":", &byte) ||
        !take_number(&rest, 2, &minute) || !take_one_of(&rest, ":", &byte) ||
        !take_number(&rest, 2, &second) || !take_fraction(&rest, &ms) ||
        !take_zone(&rest, &zone_minutes) || rest.length > 0) {
        return false;
    }
    if (!is_date(year, month, day) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    int64_t time_ms = days_from_date(year, month, day) * MS_PER_DAY +
                      ((hour * 60 + minute - zone_minutes) * 60 + second) * MS_PER_SECOND + ms;
    if (time_ms < 0) {
        return false;
    }
    *ret_time_ms = (uint64_t)time_ms;
    return true;
}
