/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/spelling.h"

#include <stdint.h>
#include <string.h>

/* The table of distances between the beginnings of both, of which a row at a time is needed. */
size_t spelling_distance(const char *name, size_t length, const char *other) {
    size_t row[SPELLING_BYTES_MAX + 1];
    size_t other_length = strlen(other);
    if (length > SPELLING_BYTES_MAX || other_length > SPELLING_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= other_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= other_length; j++) {
            size_t above = row[j];
            char letter = name[i - 1] == '-' ? '_' : name[i - 1];
            size_t change = diagonal + (letter != other[j - 1]);
            size_t add = (above < row[j - 1] ? above : row[j - 1]) + 1;
            row[j] = change < add ? change : add;
            diagonal = above;
        }
    }
    return row[other_length];
}
