/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/admin.h"
#include "clients/cli/client.h"
#include "clients/cli/grid.h"
#include "clients/cli/http.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"

#define ANSWER_TIMEOUT_MS 330000 /* a test waits as long as the sink's own timeout, 5m at most */
#define KEY_DEPTH_MAX 4          /* of `--set a.b=c` */

enum { CHANNEL, WEBHOOK, SECRET, SET, SINCE, DEAD_LETTERS, JSON, OPERATOR, CA, KEY };
static const struct option_row rows[] = {
    [CHANNEL] = {"--channel", "PATTERN", "create: a channel or pattern; may be given again"},
    [WEBHOOK] = {"--webhook", "URL", "create: where messages are sent by POST"},
    [SECRET] = {"--secret", "SECRET",
                "create: what they are signed with (unless told: they are not)"},
    [SET] = {"--set", "KEY=VALUE",
             "create: any key, as batch.count=100 or retry.schedule='[\"5s\",\"1m\"]'"},
    [SINCE] = {"--since", "WHERE", "replay: earliest, an id, a time (RFC 3339), or -5m"},
    [DEAD_LETTERS] = {"--dead-letters", NULL, "replay: what was given up"},
    [JSON] = {"--json", NULL, "Print the answer as JSON"},
    [OPERATOR] = ADMIN_URL_ROW,
    [CA] = TRUST_CA_ROW,
    [KEY] = ADMIN_KEY_ROW,
};

static const struct options_table table = {
    .usage = "tidings sink [list | VERB NAME] [flags]",
    .about = "What pushes messages to other systems.\n\n"
             "  list     all sinks, and the sources that bring messages in\n"
             "  show     one sink, with what it was declared with\n"
             "  test     sends it one message of its own, and prints what came back\n"
             "  pause    it waits, and keeps its place\n"
             "  resume   it goes on, also where it was disabled\n"
             "  replay   it sends everything since some point again, or its dead letters\n"
             "  create   makes one that is not of the configuration\n"
             "  delete   removes such a one, and what it remembers\n",
    .exits = "0 done, 1 failed, 3 the endpoint did not take the test",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .operands_max = 2,
};

/* --- asking ---------------------------------------------------------------------------------- */

struct exchange {
    const struct options *options;
    struct admin admin;
    const char *name;  /* NULL: of all … */
    const char *after; /* … behind this one, where there are more than a page */
    json_t *body;      /* NULL: none */
    json_t *whole;     /* what the answer says; NULL where that is no JSON */
};

/* "/api/v1/sinks/<name>/<action>", or "/api/v1/sinks?after=<name>". The caller frees. NULL: out of
 * memory. */
static char *make_path(const struct exchange *exchange, const char *page, const char *action) {
    const char *which = exchange->name != NULL ? exchange->name : exchange->after;
    const char *before = which == NULL ? "" : exchange->name != NULL ? "/" : "?after=";
    char *name = http_encode(which == NULL ? "" : which, false);
    char *path = NULL;
    if (name == NULL || asprintf(&path, "/api/v1/%s%s%s%s%s", page, before, name,
                                 *action == '\0' ? "" : "/", action) < 0) {
        path = NULL;
    }
    free(name);
    return path;
}

static const char *text_of(const json_t *object, const char *name, const char *otherwise) {
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? otherwise : text;
}

/* One question; what the answer says is in the exchange, and the last one's is gone. False: it was
 * complained about. */
static bool ask(struct exchange *exchange, const char *method, const char *page,
                const char *action) {
    bool has_body = strcmp(method, "POST") == 0;
    char *path = make_path(exchange, page, action);
    char *text = !has_body                ? NULL
                 : exchange->body == NULL ? strdup("{}")
                                          : json_dumps(exchange->body, JSON_COMPACT);
    bool is_good = path != NULL && (text != NULL || !has_body);
    if (!is_good) {
        fputs("tidings: out of memory\n", stderr);
    }
    struct admin *admin = &exchange->admin;
    admin->about = exchange->name == NULL ? "sinks" : exchange->name;
    is_good = is_good && admin_ask(admin, method, path, text);
    json_decref(exchange->whole);
    exchange->whole = is_good ? json_loadb(admin->bytes, admin->length, 0, NULL) : NULL;
    free(path);
    free(text);
    return is_good;
}

static int print_json(const struct exchange *exchange) {
    if (exchange->admin.length > 0) {
        fwrite(exchange->admin.bytes, 1, exchange->admin.length, stdout);
        putchar('\n');
    }
    return CLIENT_OK;
}

/* What answered is a broker whose answers are others. */
static int tell_stranger(void) {
    fputs("tidings: sink: what answered is no broker of this version\n", stderr);
    return CLIENT_FAILED;
}

/* --- verbs ----------------------------------------------------------------------------------- */

/* Appends all of a list to `ret_list`, page by page. False: it was complained about. */
static bool collect(struct exchange *exchange, const char *page, json_t *ret_list) {
    char *after = NULL;
    bool is_good = true;
    do {
        exchange->after = after;
        is_good = ask(exchange, "GET", page, "");
        json_t *list = json_object_get(exchange->whole, page);
        if (is_good && json_array_extend(ret_list, list) != 0) {
            tell_stranger();
            is_good = false;
        }
        free(after);
        const char *next = is_good ? text_of(exchange->whole, "next", NULL) : NULL;
        after = next == NULL ? NULL : strdup(next);
    } while (after != NULL);
    exchange->after = NULL;
    return is_good;
}

static int run_list(struct exchange *exchange) {
    json_t *sinks = json_array();
    json_t *sources = json_array();
    int leave = CLIENT_FAILED;
    if (!collect(exchange, "sinks", sinks) || !collect(exchange, "sources", sources)) {
        goto out;
    }
    leave = CLIENT_OK;
    if (exchange->options->values[JSON] != NULL) {
        json_t *both = json_pack("{s:O, s:O}", "sinks", sinks, "sources", sources);
        leave = json_dumpf(both, stdout, JSON_COMPACT) == 0 ? CLIENT_OK : CLIENT_FAILED;
        json_decref(both);
        putchar('\n');
        goto out;
    }
    grid_write(stdout, &grid_sinks, sinks);
    if (json_array_size(sources) > 0) {
        putchar('\n');
        grid_write(stdout, &grid_sources, sources);
    }
out:
    json_decref(sinks);
    json_decref(sources);
    return leave;
}

static int run_show(struct exchange *exchange) {
    if (!ask(exchange, "GET", "sinks", "")) {
        return CLIENT_FAILED;
    }
    if (exchange->options->values[JSON] != NULL) {
        return print_json(exchange);
    }
    char *text = json_dumps(exchange->whole, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    if (text == NULL) {
        return tell_stranger();
    }
    puts(text); /* JSON has control characters escaped */
    free(text);
    return CLIENT_OK;
}

static int run_test(struct exchange *exchange) {
    if (!ask(exchange, "POST", "sinks", "test")) {
        return CLIENT_FAILED;
    }
    const char *outcome = text_of(exchange->whole, "outcome", NULL);
    json_int_t status = json_integer_value(json_object_get(exchange->whole, "status"));
    double took_ms = json_number_value(json_object_get(exchange->whole, "took_ms"));
    if (outcome == NULL) {
        return tell_stranger();
    }
    int leave = strcmp(outcome, "delivered") == 0 ? CLIENT_OK : CLIENT_REFUSED;
    if (exchange->options->values[JSON] != NULL) {
        print_json(exchange);
        return leave;
    }
    output_safely(stdout, outcome);
    if (status != 0) {
        printf(" %lld", (long long)status);
    }
    printf(" in %.1f ms", took_ms);
    const char *detail = text_of(exchange->whole, "detail", "");
    fputs(*detail == '\0' ? "" : ": ", stdout);
    output_safely(stdout, detail);
    putchar('\n');
    return leave;
}

/* "orders: paused". */
static int tell_state(const struct exchange *exchange) {
    if (exchange->options->values[JSON] != NULL) {
        return print_json(exchange);
    }
    output_safely(stdout, exchange->name);
    fputs(": ", stdout);
    output_safely(stdout, text_of(exchange->whole, "state", "done"));
    putchar('\n');
    return CLIENT_OK;
}

static int run_pause(struct exchange *exchange) {
    return ask(exchange, "POST", "sinks", "pause") ? tell_state(exchange) : CLIENT_FAILED;
}

static int run_resume(struct exchange *exchange) {
    return ask(exchange, "POST", "sinks", "resume") ? tell_state(exchange) : CLIENT_FAILED;
}

static int run_replay(struct exchange *exchange) {
    const char *since = exchange->options->values[SINCE];
    bool is_dead = exchange->options->values[DEAD_LETTERS] != NULL;
    if ((since == NULL) == !is_dead) {
        fprintf(stderr, "tidings: one of --since and --dead-letters\nUsage: %s\n", table.usage);
        return CLIENT_USAGE;
    }
    exchange->body =
        is_dead ? json_pack("{s:b}", "dead_letters", 1) : json_pack("{s:s}", "since", since);
    if (exchange->body == NULL) {
        fputs("tidings: --since is no UTF-8\n", stderr);
        return CLIENT_USAGE;
    }
    if (!ask(exchange, "POST", "sinks", "replay")) {
        return CLIENT_FAILED;
    }
    const json_t *replayed = json_object_get(exchange->whole, "replayed");
    if (!is_dead || !json_is_integer(replayed) || exchange->options->values[JSON] != NULL) {
        return tell_state(exchange);
    }
    output_safely(stdout, exchange->name);
    printf(": dead letters sent again: %lld\n", (long long)json_integer_value(replayed));
    return CLIENT_OK;
}

/* Puts the value at `a.b.c`: as JSON where it is JSON, else as text. False: out of memory, or the
 * key is no key. */
static bool put_at(json_t *object, const char *key, const char *value) {
    json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
    parsed = parsed == NULL ? json_string(value) : parsed;
    for (size_t depth = 0; depth < KEY_DEPTH_MAX; depth++) {
        size_t length = strcspn(key, ".");
        char *part = strndup(key, length);
        if (part == NULL || length == 0) {
            free(part);
            break;
        }
        if (key[length] == '\0') {
            bool is_put = json_object_set_new(object, part, parsed) == 0;
            free(part);
            return is_put;
        }
        json_t *inner = json_object_get(object, part);
        if (!json_is_object(inner)) {
            inner = json_object();
            json_object_set_new(object, part, inner);
        }
        object = inner;
        key += length + 1;
        free(part);
    }
    json_decref(parsed);
    return false;
}

/* One `--set KEY=VALUE`. */
static bool put_setting(json_t *row, const char *setting) {
    const char *equals = strchr(setting, '=');
    char *key = equals == NULL ? NULL : strndup(setting, (size_t)(equals - setting));
    bool is_good = key != NULL && put_at(row, key, equals + 1);
    free(key);
    if (!is_good) {
        fputs("tidings: --set is KEY=VALUE, as batch.count=100\n", stderr);
    }
    return is_good;
}

/* The sink as the broker takes it. NULL: it was complained about. */
static json_t *make_row(const struct exchange *exchange) {
    const struct options *options = exchange->options;
    json_t *row = json_object();
    json_t *channels = json_array();
    size_t cursor = 0;
    const char *next;
    bool is_good = json_object_set_new(row, "name", json_string(exchange->name)) == 0;
    while (is_good && (next = options_next(options, CHANNEL, &cursor)) != NULL) {
        is_good = json_array_append_new(channels, json_string(next)) == 0;
    }
    is_good = json_object_set_new(row, "channels", channels) == 0 && is_good;
    if (is_good && options->values[WEBHOOK] != NULL) {
        is_good = put_at(row, "webhook.url", options->values[WEBHOOK]);
    }
    if (is_good && options->values[SECRET] != NULL) {
        is_good = put_at(row, "webhook.secret", options->values[SECRET]);
    }
    if (!is_good) {
        fputs("tidings: a word is no UTF-8, or there is no memory\n", stderr);
    }
    cursor = 0;
    while (is_good && (next = options_next(options, SET, &cursor)) != NULL) {
        is_good = put_setting(row, next);
    }
    if (!is_good) {
        json_decref(row);
        row = NULL;
    }
    return row;
}

static int run_create(struct exchange *exchange) {
    exchange->body = make_row(exchange);
    if (exchange->body == NULL) {
        return CLIENT_USAGE;
    }
    const char *name = exchange->name;
    exchange->name = NULL;
    bool is_good = ask(exchange, "POST", "sinks", "");
    exchange->name = name;
    return is_good ? tell_state(exchange) : CLIENT_FAILED;
}

static int run_delete(struct exchange *exchange) {
    if (!ask(exchange, "DELETE", "sinks", "")) {
        return CLIENT_FAILED;
    }
    output_safely(stdout, exchange->name);
    puts(": deleted");
    return CLIENT_OK;
}

struct verb {
    const char *word;
    bool has_name;
    int (*run)(struct exchange *exchange);
};

static const struct verb verbs[] = {
    {"list", false, run_list},    {"show", true, run_show},     {"test", true, run_test},
    {"pause", true, run_pause},   {"resume", true, run_resume}, {"replay", true, run_replay},
    {"create", true, run_create}, {"delete", true, run_delete},
};

/* NULL: there is none that takes those words. */
static const struct verb *find_verb(const struct options *options) {
    const char *word = options->operand_count == 0 ? "list" : options->operands[0];
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].word, word) == 0) {
            return verbs[i].has_name == (options->operand_count == 2) ? &verbs[i] : NULL;
        }
    }
    return NULL;
}

static int refuse_words(void) {
    fputs("tidings: sink wants one of", stderr);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        fprintf(stderr, " `%s`", verbs[i].word);
    }
    fprintf(stderr, ", and the name of a sink behind all but `list`\nUsage: %s\n", table.usage);
    return CLIENT_USAGE;
}

int client_sink(int count, char *const *words) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    const struct verb *verb = find_verb(&options);
    if (verb == NULL) {
        leave = refuse_words();
    } else if (!output_is_open()) {
        leave = CLIENT_FAILED;
    } else {
        struct exchange exchange = {.options = &options,
                                    .admin = {.url = options.values[OPERATOR],
                                              .authorities = options.values[CA],
                                              .key = options.values[KEY],
                                              .timeout_ms = ANSWER_TIMEOUT_MS},
                                    .name = verb->has_name ? options.operands[1] : NULL};
        leave = verb->run(&exchange);
        leave = fflush(stdout) == 0 ? leave : CLIENT_FAILED;
        json_decref(exchange.body);
        json_decref(exchange.whole);
        admin_finish(&exchange.admin);
    }
    options_finish(&options);
    return leave;
}
