/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/troubles.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void troubles_note(struct troubles *troubles, const char *cause, uint64_t count) {
    size_t index = 0;
    while (index < troubles->count && strcmp(troubles->rows[index].cause, cause) != 0) {
        index++;
    }
    if (index == TROUBLES_MAX) {
        index--;
    } else if (index == troubles->count) {
        troubles->rows[troubles->count++] = (struct trouble){.cause = cause};
    }
    troubles->rows[index].count += count;
}

void troubles_merge(struct troubles *troubles, const struct troubles *other) {
    for (size_t index = 0; index < other->count; index++) {
        troubles_note(troubles, other->rows[index].cause, other->rows[index].count);
    }
}

void troubles_tell(const struct troubles *troubles, const char *whose) {
    for (size_t index = 0; index < troubles->count; index++) {
        const struct trouble *row = &troubles->rows[index];
        fprintf(stderr, "tidings: bench: %" PRIu64 " %s%s: %s\n", row->count, whose,
                row->count == 1 ? "" : "s", row->cause);
    }
}
