/* SPDX-License-Identifier: Apache-2.0 */
/* quantity.h — measured numbers as people read them: 12.4ms, 1,000,000/s, 99.98%, 1.52KiB.
 *
 * Place:   verdict.c reads them out of assertions; verdict.c, live.c and report_text.c write them.
 * Thread:  pure.
 * Bounds:  QUANTITY_BYTES of text.
 *
 * What is written here can be read here again.
 */
#pragma once

#include <stddef.h>

#define QUANTITY_BYTES 40

enum quantity {
    QUANTITY_COUNT,
    QUANTITY_DURATION, /* nanoseconds */
    QUANTITY_RATE,     /* a second */
    QUANTITY_SHARE,    /* 1 is all */
    QUANTITY_SIZE,     /* bytes */
};

/* NULL, or what the text should have looked like. */
const char *quantity_parse(enum quantity quantity, const char *text, double *ret_value);

/* Three significant digits, but counts whole; `size` is QUANTITY_BYTES at least. */
void quantity_format(enum quantity quantity, double value, char *text, size_t size);
