/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/rights.h"

#include <stdio.h>

#include "clients/cli/output.h"

#define WHY_BYTES 256

static bool check(const char *flag, const char *text, client_judge *judge) {
    char why[WHY_BYTES];
    bool is_good = judge(text, why, sizeof(why));
    if (!is_good) {
        fprintf(stderr, "tidings: %s ", flag);
        output_safely(stderr, text);
        fprintf(stderr, ": %s\n", why);
    }
    return is_good;
}

bool rights_check(const struct options_table *table, const struct options *options, size_t tenant,
                  size_t first, size_t last, const struct client_judges *judges) {
    bool is_good = true;
    for (size_t i = 0; i < options->given_count; i++) {
        const struct option_given *given = &options->given[i];
        const char *flag = table->rows[given->row].flag;
        if (given->row == tenant) {
            is_good &= check(flag, given->value, judges->tenant);
        } else if (given->row >= first && given->row <= last) {
            is_good &= check(flag, given->value, judges->pattern);
        }
    }
    return is_good;
}
