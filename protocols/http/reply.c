/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/reply.h"

#include <stdio.h>
#include <time.h>

#include "protocols/rest/request.h"

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

void reply_format_date(uint64_t wall_ms, char ret_text[REPLY_DATE_BYTES]) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm broken = {0};
    gmtime_r(&seconds, &broken);
    /* Not strftime: its names follow the locale. The remainders keep the widths provable. */
    snprintf(ret_text, REPLY_DATE_BYTES, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             days + 3 * (broken.tm_wday % 7), (unsigned)broken.tm_mday % 32u,
             months + 3 * (broken.tm_mon % 12), ((unsigned)broken.tm_year + 1900u) % 10000u,
             (unsigned)broken.tm_hour % 24u, (unsigned)broken.tm_min % 60u,
             (unsigned)broken.tm_sec % 61u);
}

static bool has_length(const struct reply *reply) {
    return !reply->has_no_length && reply->status != 101 && reply->status != 204 &&
           reply->status != 304;
}

static const char *connection_line(const struct reply *reply, enum reply_connection connection) {
    static const char *const lines[] = {
        [REPLY_KEEPS] = "",
        [REPLY_KEEPS_AS_1_0] = "Connection: keep-alive\r\n",
        [REPLY_CLOSES] = "Connection: close\r\n",
    };
    return reply->status == 101 ? "Connection: Upgrade\r\n" : lines[connection];
}

enum error_code reply_put_head(struct buffer *buffer, const struct reply *reply,
                               enum reply_connection connection, uint64_t wall_ms) {
    char date[REPLY_DATE_BYTES];
    size_t length_before = buffer->length;
    reply_format_date(wall_ms, date);
    enum error_code code =
        buffer_printf(buffer, "HTTP/1.1 %u %s\r\nDate: %s\r\n%s", reply->status,
                      reply_reason(reply->status), date, connection_line(reply, connection));
    if (code == OK && has_length(reply)) {
        code = buffer_printf(buffer, "Content-Length: %zu\r\n", reply_body(reply).length);
    }
    struct span rest = buffer_borrow(&reply->headers);
    struct span name, value;
    while (code == OK && reply_next_header(&rest, &name, &value)) {
        code = buffer_printf(buffer, "%.*s: %.*s\r\n", SPAN_PRINTF(name), SPAN_PRINTF(value));
    }
    if (code == OK) {
        code = buffer_put(buffer, SPAN("\r\n"));
    }
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}
