/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/clock.h"

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

static void write_digits(char *text, uint64_t number, size_t digits) {
    for (size_t i = digits; i > 0; i--, number /= 10) {
        text[i - 1] = (char)('0' + number % 10);
    }
}

/* The date of a day since 1970 (Hinnant, as below, the other way round). gmtime_r() and snprintf()
 * would take half of the time that an envelope takes. */
static void write_date(char *text, uint64_t days) {
    uint64_t shifted = days + 719468; /* since the first of March of the year 0 */
    uint64_t era = shifted / 146097;
    uint64_t day_of_era = shifted % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    write_digits(text, era * 400 + year_of_era + (month <= 2), 4);
    write_digits(text + 5, month, 2);
    write_digits(text + 8, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
}

void clock_format_rfc3339(uint64_t time_ms, char ret_text[CLOCK_RFC3339_BYTES]) {
    uint64_t seconds = time_ms / MS_PER_SECOND;
    memcpy(ret_text, "0000-00-00T00:00:00.000Z", CLOCK_RFC3339_BYTES);
    write_date(ret_text, time_ms / MS_PER_DAY);
    write_digits(ret_text + 11, seconds / 3600 % 24, 2);
    write_digits(ret_text + 14, seconds / 60 % 60, 2);
    write_digits(ret_text + 17, seconds % 60, 2);
    write_digits(ret_text + 20, time_ms % MS_PER_SECOND, 3);
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
