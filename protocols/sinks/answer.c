/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/answer.h"

#include <curl/curl.h>
#include <stdio.h>

#include "broker/support/invariant.h"
#include "broker/support/macros.h"
#include "broker/support/utf8.h"

#define DATE_BYTES_MAX 64
#define MS_PER_SECOND 1000
#define SECONDS_MAX 3153600000 /* 100 years: the sum with any time fits */

void answer_init(struct answer *answer) {
    answer->status = 0;
    answer->is_complete = false;
    answer->retry_after_ms = 0;
    answer->head_bytes = 0;
    answer->body_bytes = 0;
    answer->text_length = 0;
}

/* --- the head -------------------------------------------------------------------------------- */

bool answer_parse_retry_after(struct span value, uint64_t now_ms, uint64_t *ret_wait_ms) {
    char date[DATE_BYTES_MAX];
    uint64_t seconds = SECONDS_MAX;
    value = span_trim(value);
    if (span_consists_of(value, SPAN(SPAN_DIGITS))) {
        IGNORE_RESULT(span_parse_u64(value, &seconds)); /* of too large a number: the longest */
        *ret_wait_ms = (seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * MS_PER_SECOND;
        return true;
    }
    if (value.length == 0 || value.length >= sizeof(date)) {
        return false;
    }
    snprintf(date, sizeof(date), "%.*s", SPAN_PRINTF(value));
    time_t time = curl_getdate(date, NULL);
    if (time < 0) {
        return false;
    }
    uint64_t time_ms = (uint64_t)time * MS_PER_SECOND;
    *ret_wait_ms = time_ms > now_ms ? time_ms - now_ms : 0;
    return true;
}

/* "HTTP/1.1 200 OK": libcurl takes no other beginning. */
static void take_status(struct answer *answer, struct span line) {
    uint64_t status = 0;
    span_split(&line, ' ');
    bool is_status = span_parse_u64(span_split(&line, ' '), &status) && status < 1000;
    answer->status = is_status ? (unsigned)status : 0;
    answer->retry_after_ms = 0;
}

bool answer_take_line(struct answer *answer, struct span line, uint64_t now_ms) {
    answer->head_bytes += line.length;
    if (answer->is_complete) { /* trailers behind a body say nothing here */
        return answer->head_bytes <= ANSWER_HEAD_BYTES_MAX;
    }
    while (line.length > 0 &&
           (line.bytes[line.length - 1] == '\n' || line.bytes[line.length - 1] == '\r')) {
        line.length--;
    }
    struct span value = line;
    if (line.length == 0) {
        answer->is_complete = answer->status >= 200;
    } else if (span_has_prefix(line, SPAN("HTTP/"))) {
        take_status(answer, line);
    } else if (span_is_equal_nocase(span_split(&value, ':'), SPAN("retry-after"))) {
        IGNORE_RESULT(answer_parse_retry_after(value, now_ms, &answer->retry_after_ms));
    }
    return answer->head_bytes <= ANSWER_HEAD_BYTES_MAX;
}

/* --- the body -------------------------------------------------------------------------------- */

bool answer_take_bytes(struct answer *answer, struct span bytes) {
    size_t room = sizeof(answer->text) - answer->text_length;
    size_t length = bytes.length < room ? bytes.length : room;
    memcpy(answer->text + answer->text_length, bytes.bytes, length);
    answer->text_length += length;
    answer->body_bytes += bytes.length;
    return answer->body_bytes <= ANSWER_BODY_BYTES_MAX;
}

void answer_conceal(struct answer *answer, struct span secret) {
    char *rest = answer->text;
    char *end = answer->text + answer->text_length;
    if (secret.length == 0) {
        return;
    }
    while ((rest = memmem(rest, (size_t)(end - rest), secret.bytes, secret.length)) != NULL) {
        memset(rest, '*', secret.length);
        rest += secret.length;
    }
}

/* Cuts what the end has cut within a character. */
static size_t length_of_whole(const char *text, size_t length) {
    struct utf8_state state = {0};
    if (!utf8_feed(&state, span_of(text, length))) {
        return 0; /* it is no UTF-8 at all */
    }
    size_t cut = 0;
    while (!utf8_is_complete(&state) && cut < length) {
        cut++;
        state = (struct utf8_state){0};
        IGNORE_RESULT(utf8_feed(&state, span_of(text, length - cut)));
    }
    return length - cut;
}

void answer_put_detail(char ret_detail[SINK_DETAIL_BYTES], struct span text) {
    size_t length = 0;
    for (size_t i = 0; i < text.length && length < SINK_DETAIL_BYTES - 1; i++) {
        uint8_t byte = text.bytes[i];
        bool is_blank = byte <= ' ' || byte == 0x7f;
        if (!is_blank || (length > 0 && ret_detail[length - 1] != ' ')) {
            ret_detail[length++] = is_blank ? ' ' : (char)byte;
        }
    }
    size_t whole = length_of_whole(ret_detail, length);
    for (size_t i = 0; whole == 0 && i < length; i++) {
        ret_detail[i] = (uint8_t)ret_detail[i] < 0x80 ? ret_detail[i] : '?';
    }
    length = whole == 0 ? length : whole;
    while (length > 0 && ret_detail[length - 1] == ' ') {
        length--;
    }
    ret_detail[length] = '\0';
}

/* --- what it means --------------------------------------------------------------------------- */

/* The first row that has the status decides. */
static const struct {
    unsigned from, to;
    enum outcome outcome;
    const char *detail; /* NULL: what the body says */
} meanings[] = {
    {200, 299, OUTCOME_DELIVERED, NULL},
    {300, 399, OUTCOME_FAILED, "it answers with a redirect, which is not followed"},
    {410, 410, OUTCOME_GONE, NULL},
    {429, 429, OUTCOME_THROTTLED, NULL},
    {502, 504, OUTCOME_THROTTLED, NULL},
    {0, 999, OUTCOME_FAILED, NULL},
};

void answer_judge(const struct answer *answer, struct verdict *ret_verdict) {
    INVARIANT(answer->is_complete);
    size_t row = 0;
    while (answer->status < meanings[row].from || answer->status > meanings[row].to) {
        row++;
    }
    *ret_verdict = (struct verdict){.outcome = meanings[row].outcome,
                                    .status = answer->status,
                                    .retry_after_ms = answer->retry_after_ms};
    answer_put_detail(ret_verdict->detail, meanings[row].detail != NULL
                                               ? span_of_string(meanings[row].detail)
                                               : span_of(answer->text, answer->text_length));
}
