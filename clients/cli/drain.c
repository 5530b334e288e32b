/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdlib.h>

#include "clients/cli/client.h"
#include "clients/cli/envelope.h"
#include "clients/cli/http.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"

#define LOOK_EVERY_MS 200
#define GRACE_MS 5000 /* beyond the drain's own time: closing handshakes, and answers under way */
#define ANSWER_TIMEOUT_S 10L

enum { OPERATOR, OVER, WAIT, UNDO };
static const struct option_row rows[] = {
    [OPERATOR] = {"--operator", "URL",
                  "The operator's port (unless told: " CLIENT_OPERATOR_URL_DEFAULT ")"},
    [OVER] = {"--over", "DURATION", "Tell readers to go over so long, as 20s (unless told: 30s)"},
    [WAIT] = {"--wait", NULL, "Return when no connection is left, or fail when the time is over"},
    [UNDO] = {"--undo", NULL, "Back into service"},
};

static const struct options_table table = {
    .usage = "tidings drain [flags]",
    .about = "Takes a broker out of service before it is stopped: /readyz says 503 at once, and\n"
             "readers are told to go, evenly over the time; they come back elsewhere. Publishes\n"
             "and new connections are still served. The process runs until it gets SIGTERM.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
};

struct drainer {
    CURL *curl;
    struct http_answer answer;
    char failure[CURL_ERROR_SIZE];
};

/* False: it was complained about. */
static bool ask(struct drainer *drainer, const char *method) {
    long status = 0;
    drainer->answer.length = 0;
    drainer->failure[0] = '\0';
    curl_easy_setopt(drainer->curl, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(drainer->curl);
    if (code != CURLE_OK) {
        http_tell_failure(stderr, "drain", code, drainer->failure);
        fputc('\n', stderr);
        return false;
    }
    curl_easy_getinfo(drainer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status >= 300) {
        http_tell_problem(stderr, "drain", status, &drainer->answer);
        return false;
    }
    return true;
}

/* A number of the last answer; 0 where it has none of that name. */
static unsigned long long number_of(const struct drainer *drainer, const char *name) {
    struct envelope_value value;
    const struct http_answer *answer = &drainer->answer;
    return envelope_find(answer->bytes, answer->length, name, &value)
               ? strtoull(value.bytes, NULL, 10)
               : 0;
}

static bool is_draining(const struct drainer *drainer) {
    struct envelope_value value;
    const struct http_answer *answer = &drainer->answer;
    return envelope_find(answer->bytes, answer->length, "draining", &value) &&
           value.bytes[0] == 't';
}

static void tell(const struct drainer *drainer) {
    printf("%s connections=%llu\n", is_draining(drainer) ? "draining" : "in service",
           number_of(drainer, "connections"));
}

static bool wait_until_drained(struct drainer *drainer) {
    uint64_t until_ms = http_now_ms() + number_of(drainer, "over_ms") + GRACE_MS;
    while (number_of(drainer, "connections") > 0) {
        if (!is_draining(drainer)) {
            fputs("tidings: drain: it was undone meanwhile\n", stderr);
            return false;
        }
        if (http_now_ms() >= until_ms) {
            fprintf(stderr, "tidings: drain: the time is over; still open: %llu\n",
                    number_of(drainer, "connections"));
            return false;
        }
        poll(NULL, 0, LOOK_EVERY_MS);
        if (!ask(drainer, "GET")) {
            return false;
        }
    }
    tell(drainer);
    return true;
}

static char *make_url(const struct options *options) {
    const char *base = options->values[OPERATOR];
    char *over = http_encode(options->values[OVER] == NULL ? "30s" : options->values[OVER], false);
    char *path = NULL;
    if (over == NULL || asprintf(&path, "/api/v1/drain?over=%s", over) < 0) {
        path = NULL;
    }
    char *url = path == NULL
                    ? NULL
                    : http_page_url(base == NULL ? CLIENT_OPERATOR_URL_DEFAULT : base, path);
    free(over);
    free(path);
    return url;
}

static bool drain(struct drainer *drainer, const struct options *options) {
    char *url = make_url(options);
    drainer->curl = url == NULL ? NULL : http_create(url);
    free(url);
    if (drainer->curl == NULL) {
        fputs("tidings: out of memory\n", stderr);
        return false;
    }
    curl_easy_setopt(drainer->curl, CURLOPT_ERRORBUFFER, drainer->failure);
    curl_easy_setopt(drainer->curl, CURLOPT_WRITEFUNCTION, http_on_answer);
    curl_easy_setopt(drainer->curl, CURLOPT_WRITEDATA, &drainer->answer);
    curl_easy_setopt(drainer->curl, CURLOPT_TIMEOUT, ANSWER_TIMEOUT_S);
    if (!ask(drainer, options->values[UNDO] == NULL ? "POST" : "DELETE")) {
        return false;
    }
    tell(drainer);
    return options->values[WAIT] == NULL || wait_until_drained(drainer);
}

int client_drain(int count, char *const *words) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    bool is_contradiction =
        options.values[UNDO] != NULL && (options.values[WAIT] != NULL || options.values[OVER]);
    if (is_contradiction) {
        fprintf(stderr, "tidings: --undo goes alone\nUsage: %s\n", table.usage);
        options_finish(&options);
        return CLIENT_USAGE;
    }
    struct drainer *drainer = output_is_open() ? calloc(1, sizeof(*drainer)) : NULL; /* 64 KiB */
    bool is_good = drainer != NULL && drain(drainer, &options);
    if (drainer != NULL) {
        curl_easy_cleanup(drainer->curl);
    }
    free(drainer);
    options_finish(&options);
    return is_good ? CLIENT_OK : CLIENT_FAILED;
}
