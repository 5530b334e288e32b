/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/seek.h"

#include <string.h>

size_t seek_number(const void *rows, size_t count, size_t row_bytes, size_t number_at,
                   uint64_t number) {
    size_t low = 0;
    for (size_t high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        uint64_t found;
        memcpy(&found, (const uint8_t *)rows + middle * row_bytes + number_at, sizeof(found));
        if (found < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
