/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/admin.h"
#include "clients/cli/client.h"
#include "clients/cli/envelope.h"
#include "clients/cli/http.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"

#define PATH "/api/v1/drain"
#define LOOK_EVERY_MS 200
#define GRACE_MS 5000 /* beyond the drain's own time: closing handshakes, and answers under way */
#define ANSWER_TIMEOUT_MS 10000

enum { OPERATOR, OVER, WAIT, UNDO, CA, KEY };
static const struct option_row rows[] = {
    [OPERATOR] = ADMIN_URL_ROW,
    [OVER] = {"--over", "DURATION", "Tell readers to go over so long, as 20s (unless told: 30s)"},
    [WAIT] = {"--wait", NULL, "Return when no connection is left, or fail when the time is over"},
    [UNDO] = {"--undo", NULL, "Back into service"},
    [CA] = TRUST_CA_ROW,
    [KEY] = ADMIN_KEY_ROW,
};

static const struct options_table table = {
    .usage = "tidings drain [flags]",
    .about = "Takes a broker out of service before it is stopped: /readyz says 503 at once, and\n"
             "readers are told to go, evenly over the time; they come back elsewhere. Publishes\n"
             "and new connections are still served. The process runs until it gets SIGTERM.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
};

/* A number of the last answer; 0 where it has none of that name. */
static unsigned long long number_of(const struct admin *admin, const char *name) {
    struct envelope_value value;
    return envelope_find(admin->bytes, admin->length, name, &value)
               ? strtoull(value.bytes, NULL, 10)
               : 0;
}

static bool is_draining(const struct admin *admin) {
    struct envelope_value value;
    return envelope_find(admin->bytes, admin->length, "draining", &value) && value.bytes[0] == 't';
}

/* A number and its unit; the broker says what is too long. */
static bool is_duration(const char *text) {
    static const char *const units[] = {"ms", "s", "m", "h", "d"};
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; digits > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text + digits, units[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* NULL, or what is wrong. */
static const char *find_fault(const struct options *options) {
    const char *over = options->values[OVER];
    if (options->values[UNDO] != NULL && (options->values[WAIT] != NULL || over != NULL)) {
        return "--undo goes alone";
    }
    return over == NULL || is_duration(over) ? NULL : "--over is a duration, as 20s or 1m";
}

static void tell(const struct admin *admin) {
    printf("%s connections=%llu\n", is_draining(admin) ? "draining" : "in service",
           number_of(admin, "connections"));
}

static bool wait_until_drained(struct admin *admin) {
    uint64_t until_ms = http_now_ms() + number_of(admin, "over_ms") + GRACE_MS;
    while (number_of(admin, "connections") > 0) {
        if (!is_draining(admin)) {
            fputs("tidings: drain: it was undone meanwhile\n", stderr);
            return false;
        }
        if (http_now_ms() >= until_ms) {
            fprintf(stderr, "tidings: drain: the time is over; still open: %llu\n",
                    number_of(admin, "connections"));
            return false;
        }
        poll(NULL, 0, LOOK_EVERY_MS);
        if (!admin_ask(admin, "GET", PATH, NULL)) {
            return false;
        }
    }
    tell(admin);
    return true;
}

static bool begin(struct admin *admin, const char *over) {
    char *text = http_encode(over == NULL ? "30s" : over, false);
    char *path = NULL;
    if (text == NULL || asprintf(&path, PATH "?over=%s", text) < 0) {
        path = NULL;
        fputs("tidings: out of memory\n", stderr);
    }
    bool is_good = path != NULL && admin_ask(admin, "POST", path, NULL);
    free(text);
    free(path);
    return is_good;
}

static bool drain(struct admin *admin, const struct options *options) {
    bool is_good = options->values[UNDO] == NULL ? begin(admin, options->values[OVER])
                                                 : admin_ask(admin, "DELETE", PATH, NULL);
    if (!is_good) {
        return false;
    }
    tell(admin);
    return options->values[WAIT] == NULL || wait_until_drained(admin);
}

int client_drain(int count, char *const *words) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    const char *wrong = find_fault(&options);
    if (wrong != NULL) {
        fprintf(stderr, "tidings: %s\nUsage: %s\n", wrong, table.usage);
        options_finish(&options);
        return CLIENT_USAGE;
    }
    struct admin admin = {.about = "drain",
                          .url = options.values[OPERATOR],
                          .authorities = options.values[CA],
                          .key = options.values[KEY],
                          .timeout_ms = ANSWER_TIMEOUT_MS};
    bool is_good = output_is_open() && drain(&admin, &options);
    admin_finish(&admin);
    options_finish(&options);
    return is_good ? CLIENT_OK : CLIENT_FAILED;
}
