/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/logger.h"

#include <stdatomic.h>
#include <unistd.h>

#include "broker/support/clock.h"
#include "broker/support/log_gate.h"
#include "broker/support/macros.h"

/* Of the process, as standard error is: the one state that no owner hands down, so that a codec can
 * log. Level and format are set once or twice, by main. */
struct logger {
    _Atomic(enum log_level) least;
    _Atomic(enum log_format) format;
    atomic_uint_fast64_t suppressed_total;
    struct log_gate gates[LOG_EVENT_NUMBER];
};

static struct logger *logger_of_process(void) {
    static struct logger logger = {.least = LOG_LEVEL_DEBUG, .format = LOG_FORMAT_LOGFMT};
    return &logger;
}

void logger_set_level(enum log_level least) {
    logger_of_process()->least = least;
}

void logger_set_format(enum log_format format) {
    logger_of_process()->format = format;
}

bool logger_is_on(enum log_event event) {
    return log_event_rows[event].level >= logger_of_process()->least;
}

static void write_line(enum log_event event, uint64_t suppressed, const void *values) {
    char line[LOG_LINE_BYTES_MAX];
    size_t length = log_line_write(logger_of_process()->format, event, clock_wall_ms(), suppressed,
                                   values, line);
    IGNORE_RESULT(write(STDERR_FILENO, line, length) < 0); /* nowhere left to say it */
}

/* Lines of level debug are asked for one by one, and faults are at most CONFIG_FAULTS_MAX and the
 * operator's own doing. */
static bool is_free(enum log_event event) {
    return log_event_rows[event].level == LOG_LEVEL_DEBUG || event == LOG_EVENT_CONFIGURATION_FAULT;
}

void logger_write(enum log_event event, const void *values) {
    struct logger *logger = logger_of_process();
    uint64_t suppressed = 0;
    if (is_free(event) || log_gate_pass(&logger->gates[event], clock_monotonic_ms(), &suppressed)) {
        write_line(event, suppressed, values);
    } else {
        atomic_fetch_add(&logger->suppressed_total, 1);
    }
}

void logger_tell_suppressed(void) {
    for (size_t i = 0; i < LOG_EVENT_NUMBER; i++) {
        uint64_t held_back = log_gate_take_held_back(&logger_of_process()->gates[i]);
        if (held_back > 0) {
            write_line(LOG_EVENT_LINES_SUPPRESSED, 0,
                       &(struct log_values_LINES_SUPPRESSED){.of = log_event_rows[i].name,
                                                             .suppressed = held_back});
        }
    }
}

uint64_t logger_suppressed_total(void) {
    return atomic_load(&logger_of_process()->suppressed_total);
}
