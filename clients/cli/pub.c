/* SPDX-License-Identifier: Apache-2.0 */
/* A message is sent again only when it was surely not stored: nothing answered the connection, or
 * the broker refused with 429 or 503. A fault of TLS is not tried again: it would be the same.
 * Where the connection broke behind the body it may be stored, and without an idempotency key a
 * second one would be another message; then this says so and ends.
 *
 * libcurl by itself repeats a request on a kept connection that turns out to be closed. It does so
 * only where it can rewind the body, so the body comes from a callback that cannot be rewound.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/client.h"
#include "clients/cli/envelope.h"
#include "clients/cli/http.h"
#include "clients/cli/input.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"
#include "clients/cli/paho.h"
#include "clients/cli/paho_pub.h"
#include "clients/cli/trust.h"

#define ATTEMPTS_MAX 8
#define BACKOFF_BASE_MS 250
#define BACKOFF_CEILING_MS 15000
#define STALLED_AFTER_S 60        /* a request in which nothing moves for so long is given up */
#define KEPT_CONNECTION_AGE_S 30L /* less than any broker or proxy keeps an idle connection */

enum { URL, KEY, EVENT, TYPE, QUIET, CA, CERTIFICATE, CERTIFICATE_KEY, TOKEN };
static const struct option_row rows[] = {
    [URL] = {"--url", "URL",
             "The broker, http(s):// or mqtt(s):// (TIDINGS_URL; unless told: " CLIENT_URL_DEFAULT
             ")"},
    [KEY] = {"--key", "KEY", "What the message is about, for conflation and latest values"},
    [EVENT] = {"--event", "NAME", "The event's name"},
    [TYPE] = {"--type", "TYPE", "The media type; unless told: JSON if it parses, else text"},
    [QUIET] = {"--quiet", NULL, "Do not write offset and id of what was stored"},
    [CA] = TRUST_CA_ROW,
    [CERTIFICATE] = TRUST_CERTIFICATE_ROW,
    [CERTIFICATE_KEY] = TRUST_CERTIFICATE_KEY_ROW,
    [TOKEN] = TRUST_TOKEN_ROW,
};

static const struct options_table table = {
    .usage = "tidings pub CHANNEL [DATA | -] [flags]",
    .about = "Publishes DATA, or with - each line of standard input, or without either all of\n"
             "standard input as one message. Writes offset and id of each.\n\n"
             "Waits and tries again where the broker cannot be reached or says so (429, 503).\n"
             "Where an answer was lost the message may be stored: over HTTP it is not sent again;\n"
             "over MQTT it is, and stored once.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .operands_min = 1,
    .operands_max = 2,
};

struct publisher {
    CURL *curl;
    struct curl_slist *headers;
    const char *channel;
    bool is_quiet;
    bool has_told;    /* that it tries again; until a message gets through at once */
    const char *body; /* of the message that is being sent */
    size_t length;
    size_t sent;
    struct http_answer answer;
    char failure[CURL_ERROR_SIZE]; /* what libcurl says about the last request */
};

static struct trust trust_of(const struct options *options) {
    struct trust trust = {.authorities = options->values[CA],
                          .certificate = options->values[CERTIFICATE],
                          .certificate_key = options->values[CERTIFICATE_KEY],
                          .token = options->values[TOKEN]};
    trust_complete(&trust, TRUST_TOKEN_VARIABLE);
    return trust;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct publisher *publisher = context;
    size_t room = size * count;
    size_t left = publisher->length - publisher->sent;
    size_t taken = left < room ? left : room;
    if (taken > 0) {
        memcpy(bytes, publisher->body + publisher->sent, taken);
    }
    publisher->sent += taken;
    return taken;
}

static bool was_surely_not_sent(CURLcode code) {
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
           code == CURLE_COULDNT_RESOLVE_PROXY;
}

/* One request: its status, or 0 and what libcurl says. */
static long send_once(struct publisher *publisher, CURLcode *ret_code) {
    publisher->sent = 0;
    publisher->answer.length = 0;
    publisher->failure[0] = '\0';
    curl_easy_setopt(publisher->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)publisher->length);
    *ret_code = curl_easy_perform(publisher->curl);
    long status = 0;
    if (*ret_code == CURLE_OK) {
        curl_easy_getinfo(publisher->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    return status;
}

/* False: it was complained about. */
static bool write_stored(const struct publisher *publisher) {
    struct envelope_value offset;
    struct envelope_value id;
    const char *text = publisher->answer.bytes;
    size_t length = publisher->answer.length;
    if (!publisher->is_quiet && envelope_find(text, length, "offset", &offset) &&
        envelope_find(text, length, "id", &id) && id.length >= 2) {
        printf("%.*s %.*s\n", (int)offset.length, offset.bytes, (int)id.length - 2, id.bytes + 1);
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr,
                "tidings: %s: standard output cannot be written: %s; the message is stored\n",
                publisher->channel, strerrordesc_np(errno));
        return false;
    }
    return true;
}

/* Once an outage, before it waits: silence would look like a program that hangs. */
static void tell_retry(struct publisher *publisher, CURLcode code, long status, long long asked_s) {
    if (publisher->has_told) {
        return;
    }
    publisher->has_told = true;
    if (code == CURLE_OK) {
        fprintf(stderr, "tidings: %s: the broker answered %ld", publisher->channel, status);
    } else {
        http_tell_failure(stderr, publisher->channel, code, publisher->failure);
    }
    fprintf(stderr, "; trying again, %d times at most, ", ATTEMPTS_MAX - 1);
    if (asked_s > 0) {
        fprintf(stderr, "first in %lld s as it asks\n", asked_s);
    } else {
        uint64_t sum_ms =
            http_backoff_sum_ms(BACKOFF_BASE_MS, BACKOFF_CEILING_MS, ATTEMPTS_MAX - 1);
        fprintf(stderr, "with waits of %llu s at most in all\n",
                (unsigned long long)(sum_ms + 999) / 1000);
    }
}

/* Waits before the next attempt: what the server asked for, else more each time. */
static void wait_for_attempt(struct publisher *publisher, CURLcode code, long status,
                             unsigned attempt) {
    curl_off_t asked_s = 0;
    curl_easy_getinfo(publisher->curl, CURLINFO_RETRY_AFTER, &asked_s);
    uint64_t wait_ms =
        asked_s > 0 ? http_retry_after_ms((uint64_t)asked_s, 4 * BACKOFF_CEILING_MS, http_random())
                    : http_backoff_ms(BACKOFF_BASE_MS, BACKOFF_CEILING_MS, attempt, http_random());
    tell_retry(publisher, code, status, (long long)asked_s);
    poll(NULL, 0, (int)wait_ms);
}

static void tell_failure(const struct publisher *publisher, CURLcode code, long status) {
    if (code == CURLE_OK) {
        http_tell_problem(stderr, publisher->channel, status, publisher->answer.bytes,
                          publisher->answer.length);
        return;
    }
    bool is_unsent = was_surely_not_sent(code) || http_is_tls_fault(code);
    http_tell_failure(stderr, publisher->channel, code, publisher->failure);
    fputs(is_unsent ? "\n" : "; the message may be stored or not, and was not sent again\n",
          stderr);
}

/* Publishes the body. False: it was complained about. */
static bool publish(void *context, const char *body, size_t length) {
    struct publisher *publisher = context;
    publisher->body = body;
    publisher->length = length;
    for (unsigned attempt = 0;; attempt++) {
        bool is_last = attempt + 1 == ATTEMPTS_MAX;
        CURLcode code;
        long status = send_once(publisher, &code);
        if (status >= 200 && status < 300) {
            publisher->has_told &= attempt > 0;
            return write_stored(publisher);
        }
        bool may_try = status == 429 || status == 503 || was_surely_not_sent(code);
        if (may_try && !is_last) {
            wait_for_attempt(publisher, code, status, attempt);
            continue;
        }
        tell_failure(publisher, code, status);
        return false;
    }
}

static bool add_headers(struct publisher *publisher, const struct options *options) {
    struct curl_slist **headers = &publisher->headers;
    const char *type = options->values[TYPE];
    const char *key = options->values[KEY];
    const char *event = options->values[EVENT];
    /* libcurl would say application/x-www-form-urlencoded, and wait for "100 Continue". */
    *headers = curl_slist_append(NULL, "Expect:");
    struct curl_slist *longer =
        type == NULL ? curl_slist_append(*headers, "Content-Type:") : *headers;
    return longer != NULL && (type == NULL || http_add_header(headers, "Content-Type", type)) &&
           (key == NULL || http_add_header(headers, "Tidings-Key", key)) &&
           (event == NULL || http_add_header(headers, "Tidings-Event", event));
}

static bool prepare(struct publisher *publisher, const struct options *options) {
    char *url = http_channel_url(http_base_url(options->values[URL]), publisher->channel, NULL);
    CURL *curl = url == NULL ? NULL : http_create(url);
    struct trust trust = trust_of(options);
    free(url);
    publisher->curl = curl;
    if (curl == NULL || !trust_apply_to_http(&trust, curl)) {
        fputs("tidings: out of memory\n", stderr);
        return false;
    }
    if (!add_headers(publisher, options)) {
        return false;
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, publisher->headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, publisher->failure);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_READDATA, publisher);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, http_on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &publisher->answer);
    curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, KEPT_CONNECTION_AGE_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALLED_AFTER_S);
    return true;
}

/* DATA, or what standard input holds. */
static bool publish_all(const struct options *options, input_on_message *on_message,
                        void *context) {
    const char *data = options->operand_count < 2 ? NULL : options->operands[1];
    if (data == NULL || strcmp(data, "-") == 0) {
        return input_each(data != NULL, on_message, context);
    }
    return on_message(context, data, strlen(data));
}

static bool publish_over_http(const struct options *options) {
    struct publisher *publisher = calloc(1, sizeof(*publisher)); /* 64 KiB: not on the stack */
    if (publisher == NULL) {
        return false;
    }
    publisher->channel = options->operands[0];
    publisher->is_quiet = options->values[QUIET] != NULL;
    bool is_good = prepare(publisher, options) && publish_all(options, publish, publisher);
    curl_easy_cleanup(publisher->curl);
    curl_slist_free_all(publisher->headers);
    free(publisher);
    return is_good;
}

static bool publish_over_mqtt(const struct options *options) {
    struct paho_pub_options wanted = {
        .url = http_base_url(options->values[URL]),
        .channel = options->operands[0],
        .key = options->values[KEY],
        .event = options->values[EVENT],
        .type = options->values[TYPE],
        .is_quiet = options->values[QUIET] != NULL,
        .trust = trust_of(options),
    };
    struct paho_pub *pub = paho_pub_create(&wanted);
    bool is_good = pub != NULL && publish_all(options, paho_pub_message, pub);
    paho_pub_destroy(pub);
    return is_good;
}

int client_pub(int count, char *const *words) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    const char *url = http_base_url(options.values[URL]);
    if (options.operand_count == 1 && isatty(STDIN_FILENO)) {
        fprintf(stderr, "tidings: what is to be published?\nUsage: %s\n", table.usage);
        leave = CLIENT_USAGE;
    } else if (!paho_takes_url(url)) {
        leave = CLIENT_USAGE;
    } else if (!output_is_open() ||
               !(paho_is_url(url) ? publish_over_mqtt(&options) : publish_over_http(&options))) {
        leave = CLIENT_FAILED;
    }
    options_finish(&options);
    return leave;
}
