/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/live.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clients/bench/quantity.h"

#define LINE_BYTES 240

void live_init(struct live *live, bool is_quiet) {
    struct winsize size;
    *live = (struct live){.is_quiet = is_quiet, .is_terminal = isatty(STDERR_FILENO) == 1};
    if (live->is_terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0) {
        live->columns = size.ws_col;
    }
}

/* On a terminal over the last one, with blanks over what was longer there. */
static void tell(struct live *live, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct live *live, const char *format, ...) {
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (live->is_quiet || length < 0) {
        return;
    }
    if (live->is_terminal) {
        unsigned shown = (unsigned)length < sizeof(line) ? (unsigned)length : sizeof(line) - 1;
        if (live->columns > 0 && shown >= live->columns) {
            shown = live->columns - 1; /* a line that wraps cannot be written over */
        }
        fprintf(stderr, "\r%-*.*s", (int)live->width, (int)shown, line);
        live->width = shown;
    } else {
        fprintf(stderr, "%s\n", line);
    }
    fflush(stderr);
}

void live_tell_connecting(struct live *live, uint64_t ready, uint64_t all) {
    tell(live, "connecting %" PRIu64 "/%" PRIu64, ready, all);
}

void live_tell_second(struct live *live, const struct result_second *second) {
    char published[QUANTITY_BYTES];
    char delivered[QUANTITY_BYTES];
    char p50[QUANTITY_BYTES] = "-";
    char p99[QUANTITY_BYTES] = "-";
    char lag[QUANTITY_BYTES] = "";
    double length_s = second->length_s > 0 ? second->length_s : 1;
    quantity_format(QUANTITY_RATE, (double)second->published / length_s, published,
                    sizeof(published));
    quantity_format(QUANTITY_RATE, (double)second->delivered / length_s, delivered,
                    sizeof(delivered));
    if (second->delivered > 0) {
        quantity_format(QUANTITY_DURATION, (double)second->p50_ns, p50, sizeof(p50));
        quantity_format(QUANTITY_DURATION, (double)second->p99_ns, p99, sizeof(p99));
    }
    live->due += second->due;
    live->published += second->published;
    if (live->due > live->published) {
        quantity_format(QUANTITY_COUNT, (double)(live->due - live->published), lag, sizeof(lag));
    }
    tell(live, "%.0fs  published %s  delivered %s  p50 %s  p99 %s%s%s",
         second->from_s + second->length_s, published, delivered, p50, p99,
         lag[0] != '\0' ? "  behind by " : "", lag);
}

void live_finish(struct live *live) {
    if (live->is_terminal && live->width > 0) {
        fputc('\n', stderr);
        fflush(stderr);
    }
    live->width = 0;
}
