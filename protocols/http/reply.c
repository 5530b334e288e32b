/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/reply.h"

#include "broker/support/invariant.h"
#include "protocols/rest/hardening.h"
#include "protocols/rest/request.h"

/* Status with its reason, Date, Connection, Content-Length, what hardens, and what is between. */
#define FIRST_LINES_BYTES_MAX (256 + HARDENING_BYTES)

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {204, "No Content"},
    {302, "Found"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *reply_reason(unsigned status) {
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "";
}

static void put_digits(char *text, unsigned number, unsigned width) {
    for (unsigned i = width; i > 0; i--) {
        text[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* By hand: it is written once a reply, and printf with gmtime_r take a microsecond. The date is
 * found from the days since 1 March 0000, in eras of 400 years (the proleptic Gregorian
 * calendar). */
void reply_format_date(uint64_t wall_ms, char ret_text[REPLY_DATE_BYTES]) {
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* the epoch was a Thursday */
    static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
    static const char form[REPLY_DATE_BYTES] = "Thu, 01 Jan 1970 00:00:00 GMT";
    uint64_t seconds = wall_ms / 1000;
    uint64_t days = seconds / 86400;
    unsigned of_day = (unsigned)(seconds % 86400);
    uint64_t since_march = days + 719468;
    unsigned of_era = (unsigned)(since_march % 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153; /* 0: March */
    year += (unsigned)(since_march / 146097) * 400 + (month >= 10);
    memcpy(ret_text, form, REPLY_DATE_BYTES);
    memcpy(ret_text, weekdays + 3 * (days % 7), 3);
    put_digits(ret_text + 5, of_year - (153 * month + 2) / 5 + 1, 2);
    memcpy(ret_text + 8, months + (size_t)3 * month, 3);
    put_digits(ret_text + 12, year, 4);
    put_digits(ret_text + 17, of_day / 3600, 2);
    put_digits(ret_text + 20, of_day / 60 % 60, 2);
    put_digits(ret_text + 23, of_day % 60, 2);
}

static bool has_length(const struct reply *reply) {
    return !reply->has_no_length && reply->status != 101 && reply->status != 204 &&
           reply->status != 304;
}

static struct span connection_line(const struct reply *reply, enum reply_connection connection) {
    static const char *const lines[] = {
        [REPLY_KEEPS] = "",
        [REPLY_KEEPS_AS_1_0] = "Connection: keep-alive\r\n",
        [REPLY_CLOSES] = "Connection: close\r\n",
    };
    return span_of_string(reply->status == 101 ? "Connection: Upgrade\r\n" : lines[connection]);
}

static uint8_t *copy(uint8_t *at, struct span part) {
    memcpy(at, part.bytes, part.length);
    return at + part.length;
}

/* Behind bytes that were reserved, so that nothing here is asked twice whether it fits. */
static uint8_t *put_first_lines(uint8_t *at, const struct reply *reply,
                                enum reply_connection connection, uint64_t wall_ms) {
    char date[REPLY_DATE_BYTES];
    uint8_t digits[SPAN_U64_DIGITS];
    reply_format_date(wall_ms, date);
    at = copy(at, SPAN("HTTP/1.1 "));
    at = copy(at, span_format_u64(reply->status, digits));
    at = copy(at, SPAN(" "));
    at = copy(at, span_of_string(reply_reason(reply->status)));
    at = copy(at, SPAN("\r\nDate: "));
    at = copy(at, span_of(date, REPLY_DATE_BYTES - 1));
    at = copy(at, SPAN("\r\n"));
    at = copy(at, SPAN(HARDENING_LINES));
    if (reply->is_secure) {
        at = copy(at, SPAN(HARDENING_LINES_OF_TLS));
    }
    at = copy(at, connection_line(reply, connection));
    if (has_length(reply)) {
        at = copy(at, SPAN("Content-Length: "));
        at = copy(at, span_format_u64(reply_body(reply).length, digits));
        at = copy(at, SPAN("\r\n"));
    }
    return at;
}

enum error_code reply_put_head(struct buffer *buffer, const struct reply *reply,
                               enum reply_connection connection, uint64_t wall_ms) {
    struct span rest = buffer_borrow(&reply->headers);
    struct span name, value;
    /* A pair takes four bytes for its lengths there, and as many for what is around it here. */
    size_t length_max = FIRST_LINES_BYTES_MAX + rest.length + sizeof("\r\n");
    enum error_code code = buffer_reserve(buffer, length_max);
    if (code != OK) {
        return code;
    }
    uint8_t *begin = buffer->bytes + buffer->length;
    uint8_t *at = put_first_lines(begin, reply, connection, wall_ms);
    while (reply_next_header(&rest, &name, &value)) {
        at = copy(at, name);
        at = copy(at, SPAN(": "));
        at = copy(at, value);
        at = copy(at, SPAN("\r\n"));
    }
    at = copy(at, SPAN("\r\n"));
    INVARIANT((size_t)(at - begin) <= length_max);
    buffer->length += (size_t)(at - begin);
    return OK;
}
