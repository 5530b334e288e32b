/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/log_event.h"

#include <assert.h>

static_assert(sizeof(struct span) <= LOG_SLOT_BYTES, "the largest value fits its slot");

#define LOG_COUNT(key) {#key, LOG_KIND_COUNT},
#define LOG_SWITCH(key) {#key, LOG_KIND_SWITCH},
#define LOG_TEXT(key) {#key, LOG_KIND_TEXT},
#define LOG_SPAN(key) {#key, LOG_KIND_SPAN},
#define KEYS(event, level, happened, advice, keys)                                                 \
    static const struct log_key keys_of_##event[] = {keys};
LOG_EVENT_TABLE(KEYS)
#undef KEYS

#define ROW(event, level, happened, advice, keys)                                                  \
    [LOG_EVENT_##event] = {#event, LOG_LEVEL_##level, happened,                                    \
                           advice, keys_of_##event,   ARRAY_COUNT(keys_of_##event)},
const struct log_event_row log_event_rows[LOG_EVENT_NUMBER] = {LOG_EVENT_TABLE(ROW)};
#undef ROW

const char *log_level_name(enum log_level level) {
    static const char *const names[] = {"debug", "info", "warning", "error"};
    return names[level];
}

/* --- the page ------------------------------------------------------------------------------- */

static const char page_opening[] =
    "<!-- Made from `broker/support/log_event.h`; a test fails when it is not current. -->\n"
    "# Logs\n\n"
    "A line an event on standard error. `log.level` leaves out what is less important, and\n"
    "`log.format` is `logfmt` or `json`:\n\n"
    "    time=2026-01-31T08:05:09.123Z level=warning event=DISK_SLOW "
    "message=\"the disk took long\" step=sync took_ms=1873\n"
    "    {\"time\":\"2026-01-31T08:05:09.123Z\",\"level\":\"warning\",\"event\":\"DISK_SLOW\","
    "\"message\":\"the disk took long\",\"step\":\"sync\",\"took_ms\":1873}\n\n"
    "Both are written from the same values, so nothing that comes in (a channel's name, a\n"
    "header) can end a line or forge a key. A text is quoted and escaped as in JSON; logfmt\n"
    "leaves the quotes out where a word needs none. What is no UTF-8 becomes U+FFFD. A text above\n"
    "512 bytes is cut and ends with `…`. Numbers are whole, switches `true` or `false`; a text\n"
    "that is not known is left out. `time`, `level`, `event`, `message` and `suppressed` come\n"
    "first, then the keys of the event. Names and keys are stable, and a key has one type\n"
    "wherever it stands; `message` is for people. A line has at most 4,096 bytes and leaves in\n"
    "one write, so that lines of several threads do not mix, in a pipe neither.\n\n"
    "**Limits.** Of one event 10 lines may come at once, then one a second. The rest is held\n"
    "back, and the event's next line counts it (`suppressed=17`); where none follows,\n"
    "LINES_SUPPRESSED says so within 10 seconds, and at the end. Events of level `debug` are not\n"
    "held back (who asks for them wants them all), nor is CONFIGURATION_FAULT, of which a reload\n"
    "has 100 at most.\n\n"
    "Payloads and secrets are never logged. What standard output gets at the start (the URLs) is\n"
    "for a person at a terminal.\n\n"
    "| event | level | message | keys | what it means, and what to do |\n"
    "| --- | --- | --- | --- | --- |\n";

static enum error_code put_row(struct buffer *buffer, const struct log_event_row *row) {
    enum error_code code = buffer_printf(buffer, "| `%s` | %s | %s | ", row->name,
                                         log_level_name(row->level), row->happened);
    for (size_t i = 0; code == OK && i < row->key_count; i++) {
        code = buffer_printf(buffer, "%s`%s`", i == 0 ? "" : ", ", row->keys[i].name);
    }
    return code != OK ? code : buffer_printf(buffer, " | %s |\n", row->advice);
}

enum error_code log_event_put_reference(struct buffer *buffer) {
    enum error_code code = buffer_put(buffer, SPAN(page_opening));
    for (size_t i = 0; code == OK && i < LOG_EVENT_NUMBER; i++) {
        code = put_row(buffer, &log_event_rows[i]);
    }
    return code;
}
