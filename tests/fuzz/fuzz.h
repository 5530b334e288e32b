/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h — what every fuzz target shares: the entry point's name and a claim that ends the run.
 *
 * Place:   included by each *_fuzz.c; libFuzzer (clang) brings main().
 * Thread:  one.
 * Bounds:  inputs are at most what tests/fuzz/run says (-max_len).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/support/buffer.h"
#include "broker/support/span.h"

#define FUZZ_BUFFER_BYTES_MAX 1048576

/* Holds for every input, or the input is written to a file and the run fails. */
#define CLAIM(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);                    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* The first byte of an input as a number from 1 to 16: how many bytes come at a time. */
static inline size_t fuzz_take_step(struct span *input) {
    if (input->length == 0) {
        return 1;
    }
    size_t step = 1 + (input->bytes[0] & 15);
    *input = span_of(input->bytes + 1, input->length - 1);
    return step;
}
