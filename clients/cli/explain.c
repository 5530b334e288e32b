/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>

#include "clients/cli/admin.h"
#include "clients/cli/client.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"

#define ANSWER_TIMEOUT_MS 40000 /* the application that the broker asks has 30 s at most */

enum {
    TOKEN,
    KEY,
    CERTIFICATE,
    PUBLISH,
    SUBSCRIBE,
    HISTORY,
    PRESENCE,
    DELETE,
    JSON,
    OPERATOR,
    OPERATOR_KEY,
    CA
};
static const struct option_row rows[] = {
    [TOKEN] = {"--token", "TOKEN",
               "The token that is presented (better: " TRUST_TOKEN_VARIABLE ")"},
    [KEY] = {"--key", "KEY", "Or the API key"},
    [CERTIFICATE] = {"--certificate", "SUBJECT", "Or the subject of the certificate, as CN=a,O=b"},
    [PUBLISH] = {"--publish", "CHANNEL", "May it publish there?"},
    [SUBSCRIBE] = {"--subscribe", "PATTERN", "May it read that from now on, and resume?"},
    [HISTORY] = {"--history", "PATTERN", "May it read the past of that?"},
    [PRESENCE] = {"--presence", "CHANNEL", "May it ask who is there?"},
    [DELETE] = {"--delete", "CHANNEL", "May it delete there?"},
    [JSON] = {"--json", NULL, "Print the whole answer as JSON"},
    [OPERATOR] = ADMIN_URL_ROW,
    [OPERATOR_KEY] = {"--operator-key", "KEY",
                      "What opens that (better: " TRUST_OPERATOR_KEY_VARIABLE ")"},
    [CA] = TRUST_CA_ROW,
};

static const struct options_table table = {
    .usage =
        "tidings explain [--token TOKEN | --key KEY | --certificate SUBJECT] --publish CHANNEL",
    .about = "Says whether a running broker would allow something, and which claim or line of its\n"
             "configuration decides. Without credentials: whether anybody may.\n",
    .exits = "0 it is allowed, 3 it is refused, 1 nobody could be asked",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
};

static size_t count_given(const struct options *options, size_t first, size_t last) {
    size_t count = 0;
    for (size_t row = first; row <= last; row++) {
        count += options->values[row] != NULL;
    }
    return count;
}

/* The caller frees. NULL: no memory, or a word that is no UTF-8. */
static char *make_question(const struct options *options) {
    json_t *question = json_object();
    const char *token = getenv(TRUST_TOKEN_VARIABLE);
    bool is_good = question != NULL;
    for (size_t row = TOKEN; is_good && row <= DELETE; row++) {
        if (options->values[row] != NULL) {
            is_good = json_object_set_new(question, rows[row].flag + 2,
                                          json_string(options->values[row])) == 0;
        }
    }
    if (is_good && count_given(options, TOKEN, CERTIFICATE) == 0 && token != NULL &&
        *token != '\0') {
        is_good = json_object_set_new(question, "token", json_string(token)) == 0;
    }
    char *text = is_good ? json_dumps(question, JSON_COMPACT) : NULL;
    json_decref(question);
    return text;
}

static void print_identity(const json_t *identity) {
    const char *kind = json_string_value(json_object_get(identity, "kind"));
    const char *subject = json_string_value(json_object_get(identity, "subject"));
    const char *tenant = json_string_value(json_object_get(identity, "tenant"));
    if (kind == NULL) {
        return;
    }
    fputs("who      ", stdout);
    output_safely(stdout, kind);
    fputs(subject == NULL ? "" : " ", stdout);
    output_safely(stdout, subject);
    fputs(tenant == NULL ? "" : " of tenant ", stdout);
    output_safely(stdout, tenant);
    putchar('\n');
}

/* What to exit with. */
static int tell(const struct admin *admin, bool is_whole) {
    json_t *verdict = json_loadb(admin->bytes, admin->length, 0, NULL);
    const json_t *allowed = json_object_get(verdict, "allowed");
    const json_t *rate = json_object_get(verdict, "publish_rate");
    const char *reason = json_string_value(json_object_get(verdict, "reason"));
    int leave = json_is_true(allowed) ? CLIENT_OK : CLIENT_REFUSED;
    if (!json_is_boolean(allowed) || reason == NULL) {
        fputs("tidings: explain: what answered is no broker of this version\n", stderr);
        leave = CLIENT_FAILED;
    } else if (is_whole) {
        fwrite(admin->bytes, 1, admin->length, stdout);
        putchar('\n');
    } else {
        fputs(leave == CLIENT_OK ? "allowed  " : "refused  ", stdout);
        output_safely(stdout, reason);
        putchar('\n');
        if (json_is_integer(rate)) {
            printf("rate     the channel takes %" JSON_INTEGER_FORMAT " messages a second\n",
                   json_integer_value(rate));
        }
        print_identity(json_object_get(verdict, "identity"));
    }
    json_decref(verdict);
    return fflush(stdout) == 0 ? leave : CLIENT_FAILED;
}

static int explain(const struct options *options) {
    struct admin admin = {.about = "explain",
                          .url = options->values[OPERATOR],
                          .authorities = options->values[CA],
                          .key = options->values[OPERATOR_KEY],
                          .timeout_ms = ANSWER_TIMEOUT_MS};
    char *question = make_question(options);
    int leave = CLIENT_FAILED;
    if (question == NULL) {
        fputs("tidings: a word is no UTF-8, or there is no memory\n", stderr);
    } else if (admin_ask(&admin, "POST", "/api/v1/explain", question)) {
        leave = tell(&admin, options->values[JSON] != NULL);
    }
    admin_finish(&admin);
    free(question);
    return leave;
}

int client_explain(int count, char *const *words) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    const char *wrong = count_given(&options, PUBLISH, DELETE) != 1
                            ? "one of --publish, --subscribe, --history, --presence and --delete"
                        : count_given(&options, TOKEN, CERTIFICATE) > 1
                            ? "one of --token, --key and --certificate at most"
                            : NULL;
    if (wrong != NULL) {
        fprintf(stderr, "tidings: %s\nUsage: %s\n", wrong, table.usage);
        leave = CLIENT_USAGE;
    } else {
        leave = output_is_open() ? explain(&options) : CLIENT_FAILED;
    }
    options_finish(&options);
    return leave;
}
