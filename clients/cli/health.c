/* SPDX-License-Identifier: Apache-2.0 */
/* Asks once and does not wait: Docker's HEALTHCHECK, or a script, asks again by itself. */
#include <stdlib.h>

#include "clients/cli/client.h"
#include "clients/cli/http.h"
#include "clients/cli/options.h"

#define ANSWER_TIMEOUT_MS 5000 /* a broker that needs longer for /readyz takes no traffic */

enum { OPERATOR };
static const struct option_row rows[] = {
    [OPERATOR] = {"--operator", "URL",
                  "The operator's port (unless told: " CLIENT_OPERATOR_URL_DEFAULT ")"},
};

static const struct options_table table = {
    .usage = "tidings health [flags]",
    .about = "Asks the broker once, at /readyz, whether it takes traffic. Says why it does not.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
};

/* False: it was complained about. */
static bool ask(const char *base) {
    bool is_ready = false;
    struct http_answer *answer = calloc(1, sizeof(*answer)); /* 64 KiB: not on the stack */
    char *url = http_page_url(base, "/readyz");
    CURL *curl = answer == NULL || url == NULL ? NULL : http_create(url);
    if (curl == NULL) {
        fputs("tidings: out of memory\n", stderr);
        goto out;
    }
    char failure[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, failure);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, http_on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK) {
        http_tell_failure(stderr, url, code, failure);
        fputc('\n', stderr);
    } else if (status != 200) {
        http_tell_problem(stderr, url, status, answer);
    } else {
        is_ready = true;
    }
out:
    curl_easy_cleanup(curl);
    free(url);
    free(answer);
    return is_ready;
}

int client_health(int count, char *const *words) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    const char *flag = options.values[OPERATOR];
    bool is_ready = ask(flag != NULL ? flag : CLIENT_OPERATOR_URL_DEFAULT);
    options_finish(&options);
    return is_ready ? CLIENT_OK : CLIENT_FAILED;
}
