/* SPDX-License-Identifier: Apache-2.0 */
/* Asks once and does not wait: Docker's HEALTHCHECK, or a script, asks again by itself. */
#include "clients/cli/admin.h"
#include "clients/cli/client.h"
#include "clients/cli/options.h"

#define ANSWER_TIMEOUT_MS 5000 /* a broker that needs longer for /readyz takes no traffic */

enum { OPERATOR, CA };
static const struct option_row rows[] = {
    [OPERATOR] = ADMIN_URL_ROW,
    [CA] = TRUST_CA_ROW,
};

static const struct options_table table = {
    .usage = "tidings health [flags]",
    .about = "Asks the broker once, at /readyz, whether it takes traffic. Says why it does not.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
};

int client_health(int count, char *const *words) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    struct admin admin = {.url = options.values[OPERATOR],
                          .authorities = options.values[CA],
                          .timeout_ms = ANSWER_TIMEOUT_MS};
    bool is_ready = admin_ask(&admin, "GET", "/readyz", NULL);
    admin_finish(&admin);
    options_finish(&options);
    return is_ready ? CLIENT_OK : CLIENT_FAILED;
}
