/* SPDX-License-Identifier: Apache-2.0 */
/* One stream, of all channels, so that messages come in the order of the log, each once. It is
 * either connected (its easy handle is in the multi), waiting for its next attempt, or over. It
 * resumes from the id of the last event that was whole, so that nothing is written twice and
 * nothing is left out. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clients/cli/client.h"
#include "clients/cli/http.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"
#include "clients/cli/paho.h"
#include "clients/cli/paho_sub.h"
#include "clients/cli/sse.h"
#include "clients/cli/trust.h"

#define CHANNELS_MAX 64
/* Text of 16 MiB may be six times as long in JSON, and an envelope adds a little. */
#define EVENT_BYTES_MAX (6UL * CLIENT_MESSAGE_BYTES_MAX + 1048576)
#define BACKOFF_BASE_MS 500
#define BACKOFF_CEILING_MS 30000
#define SILENCE_MS 45000     /* three heartbeats of the broker's are missing */
#define STEADY_AFTER_MS 5000 /* a connection that lasted so long was no failed attempt */
#define WAIT_MS_MAX 1000

enum { URL, SINCE, JSON, LIMIT, CA, CERTIFICATE, CERTIFICATE_KEY, TOKEN };
static const struct option_row rows[] = {
    [URL] = {"--url", "URL",
             "The broker, http(s):// or mqtt(s):// (TIDINGS_URL; unless told: " CLIENT_URL_DEFAULT
             ")"},
    [SINCE] = {"--since", "SINCE",
               "earliest, now, an offset, an id, -N, a time, or -30s, -5m, -2h"},
    [JSON] = {"--json", NULL,
              "Write the whole envelope, not the payload alone (without `time` over MQTT)"},
    [LIMIT] = {"--limit", "N", "End after N messages"},
    [CA] = TRUST_CA_ROW,
    [CERTIFICATE] = TRUST_CERTIFICATE_ROW,
    [CERTIFICATE_KEY] = TRUST_CERTIFICATE_KEY_ROW,
    [TOKEN] = TRUST_TOKEN_ROW,
};

static const struct options_table table = {
    .usage = "tidings sub CHANNEL… [flags]",
    .about =
        "Writes a line a message of the channels and patterns, in the order in which they were\n"
        "published, until told to stop; --json says of which channel. Text keeps its own line\n"
        "ends; binary is written as base64. Reconnects and resumes by itself. Gaps are told on\n"
        "standard error.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .operands_min = 1,
    .operands_max = CHANNELS_MAX,
};

enum stream_state { WAITING, CONNECTED, OVER };

struct subscriber;

struct stream {
    struct subscriber *subscriber;
    char *const *channels; /* borrowed from the words */
    size_t channel_count;
    char *label; /* the channels, for what is said about them */
    CURL *curl;
    struct curl_slist *headers;
    struct sse_parser parser;
    enum stream_state state;
    unsigned attempt;      /* failed ones in a row */
    uint64_t due_ms;       /* WAITING: when the next attempt is made */
    uint64_t connected_ms; /* CONNECTED: since when */
    uint64_t bytes_ms;     /* CONNECTED: when something was last heard */
    bool has_events;       /* of this connection */
    bool has_streamed;     /* on any connection: the address is good */
    bool may_not_return;   /* the broker closed it for good */
    struct http_answer answer;
    char failure[CURL_ERROR_SIZE]; /* what libcurl says about the last connection */
};

struct subscriber {
    CURLM *multi;
    const char *url;
    const char *since;
    bool is_whole;
    uint64_t left; /* messages until the end; UINT64_MAX: no limit */
    bool has_failed;
    bool is_output_gone;
    struct stream stream;
    struct trust trust;
};

static bool is_event_stream(CURL *curl) {
    const char *type = NULL;
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    return status == 200 && type != NULL && strncasecmp(type, "text/event-stream", 17) == 0;
}

/* The reader of a pipe may go when it has enough; everything else is a failure. */
static void on_output_failed(struct stream *stream, int number) {
    struct subscriber *subscriber = stream->subscriber;
    const char *id = sse_last_event_id(&stream->parser);
    subscriber->is_output_gone = true;
    if (number == EPIPE) {
        return;
    }
    subscriber->has_failed = true;
    fprintf(stderr, "tidings: %s: standard output cannot be written: %s%s%s\n", stream->label,
            strerrordesc_np(number), *id == '\0' ? "" : "; what is not written is behind --since ",
            id);
}

static bool on_event(void *context, const struct sse_event *event) {
    struct stream *stream = context;
    struct subscriber *subscriber = stream->subscriber;
    stream->has_events = true;
    if (strcmp(event->type, "gap") == 0) {
        output_gap(stderr, stream->label, event->data, event->length);
    } else if (strcmp(event->type, "close") == 0) {
        stream->may_not_return = !output_close(stderr, stream->label, event->data, event->length);
    } else if (strcmp(event->type, "message") == 0 && subscriber->left > 0) {
        if (!output_message(stdout, event->data, event->length, subscriber->is_whole)) {
            on_output_failed(stream, errno);
            return false;
        }
        subscriber->left -= subscriber->left != UINT64_MAX;
    }
    return true;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context) {
    struct stream *stream = context;
    stream->bytes_ms = http_now_ms();
    if (!is_event_stream(stream->curl)) {
        return http_on_answer(bytes, size, count, &stream->answer);
    }
    stream->has_streamed = true;
    bool is_taken =
        !stream->subscriber->is_output_gone && sse_feed(&stream->parser, bytes, size * count);
    return is_taken ? size * count : 0;
}

/* The URL of the next attempt: `since` counts until there is an id to resume from. */
static char *make_url(const struct stream *stream) {
    const char *since = stream->subscriber->since;
    char *query = NULL;
    if (since != NULL && *sse_last_event_id(&stream->parser) == '\0') {
        char *encoded = http_encode(since, false);
        if (encoded == NULL || asprintf(&query, "since=%s", encoded) < 0) {
            query = NULL;
        }
        free(encoded);
        if (query == NULL) {
            return NULL;
        }
    }
    const char *base = stream->subscriber->url;
    char *url = stream->channel_count == 1
                    ? http_channel_url(base, stream->channels[0], query)
                    : http_stream_url(base, stream->channels, stream->channel_count, query);
    free(query);
    return url;
}

static bool connect_stream(struct stream *stream) {
    const char *id = sse_last_event_id(&stream->parser);
    char *url = make_url(stream);
    curl_slist_free_all(stream->headers);
    stream->headers = NULL;
    bool is_good = url != NULL &&
                   http_add_header(&stream->headers, "Accept", "text/event-stream") &&
                   (*id == '\0' || http_add_header(&stream->headers, "Last-Event-ID", id)) &&
                   curl_easy_setopt(stream->curl, CURLOPT_URL, url) == CURLE_OK;
    free(url);
    curl_easy_setopt(stream->curl, CURLOPT_HTTPHEADER, stream->headers);
    sse_restart(&stream->parser);
    stream->answer.length = 0;
    stream->failure[0] = '\0';
    stream->has_events = false;
    stream->connected_ms = stream->bytes_ms = http_now_ms();
    if (!is_good || curl_multi_add_handle(stream->subscriber->multi, stream->curl) != CURLM_OK) {
        return false;
    }
    stream->state = CONNECTED;
    return true;
}

static void end_stream(struct stream *stream, bool has_failed) {
    stream->state = OVER;
    stream->subscriber->has_failed |= has_failed;
}

/* Says once an outage what is wrong, and comes back after a while. */
static void retry_later(struct stream *stream, CURLcode code, const char *reason) {
    uint64_t now_ms = http_now_ms();
    if (stream->has_events || now_ms - stream->connected_ms >= STEADY_AFTER_MS) {
        stream->attempt = 0;
    }
    if (stream->attempt == 0) {
        http_tell_failure(stderr, stream->label, code, reason);
        fputs("; reconnecting\n", stderr);
    }
    curl_off_t asked_s = 0;
    curl_easy_getinfo(stream->curl, CURLINFO_RETRY_AFTER, &asked_s);
    uint64_t base_ms = stream->parser.retry_ms > 0 ? stream->parser.retry_ms : BACKOFF_BASE_MS;
    uint64_t wait_ms =
        asked_s > 0 ? http_retry_after_ms((uint64_t)asked_s, 4 * BACKOFF_CEILING_MS, http_random())
                    : http_backoff_ms(base_ms, BACKOFF_CEILING_MS, stream->attempt, http_random());
    stream->attempt++;
    stream->due_ms = now_ms + wait_ms;
    stream->state = WAITING;
}

/* TLS that worked before may work again: the proxy is being restarted, or its certificate renewed.
 * TLS that never worked is a wrong address or a missing authority. */
static bool is_hopeless(const struct stream *stream, CURLcode code) {
    return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
           code == CURLE_OUT_OF_MEMORY || code == CURLE_WRITE_ERROR ||
           (http_is_tls_fault(code) && !stream->has_streamed);
}

/* 501 and 505 say that this will never work; the other faults of a server pass. */
static bool is_passing(long status) {
    return status == 429 || (status >= 500 && status != 501 && status != 505);
}

/* A connection ended: for good, or until the next attempt. */
static void on_ended(struct stream *stream, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(stream->subscriber->multi, stream->curl);
    if (stream->subscriber->is_output_gone) {
        end_stream(stream, false); /* what there is to say has been said */
    } else if (stream->may_not_return) {
        end_stream(stream, true);
    } else if (is_hopeless(stream, code)) {
        http_tell_failure(stderr, stream->label, code,
                          code == CURLE_WRITE_ERROR ? "an event is too large" : stream->failure);
        fputc('\n', stderr);
        end_stream(stream, true);
    } else if (code != CURLE_OK) {
        retry_later(stream, code, stream->failure);
    } else if (status == 204) {
        end_stream(stream, false); /* HTML standard: the server wants no reconnect */
    } else if (is_event_stream(stream->curl)) {
        retry_later(stream, CURLE_OK, "the stream ended");
    } else if (is_passing(status)) {
        retry_later(stream, CURLE_OK, "the broker is not ready");
    } else {
        http_tell_problem(stderr, stream->label, status, stream->answer.bytes,
                          stream->answer.length);
        end_stream(stream, true);
    }
}

static void collect_ended(struct subscriber *subscriber) {
    int left = 0;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(subscriber->multi, &left)) != NULL) {
        char *stream = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &stream);
        on_ended((struct stream *)(void *)stream, code);
    }
}

/* Does what time has made due; gives how long nothing more is due. */
static uint64_t tend_stream(struct stream *stream) {
    uint64_t now_ms = http_now_ms();
    if (stream->state == CONNECTED && now_ms - stream->bytes_ms >= SILENCE_MS) {
        curl_multi_remove_handle(stream->subscriber->multi, stream->curl);
        retry_later(stream, CURLE_OK, "nothing was heard for 45 s");
    }
    if (stream->state == WAITING && stream->due_ms <= now_ms && !connect_stream(stream)) {
        fputs("tidings: out of memory\n", stderr);
        end_stream(stream, true);
    }
    bool is_due_soon = stream->state == WAITING && stream->due_ms - now_ms < WAIT_MS_MAX;
    return is_due_soon ? stream->due_ms - now_ms : WAIT_MS_MAX;
}

/* Takes the signal: one that stays pending keeps LeakSanitizer from stopping the process. */
static bool take_signal(int signal_descriptor) {
    struct signalfd_siginfo taken;
    return read(signal_descriptor, &taken, sizeof(taken)) == (ssize_t)sizeof(taken);
}

/* `| head` reads no more: poll(2) tells it without a write. */
static bool is_output_closed(void) {
    struct pollfd output = {.fd = STDOUT_FILENO};
    return poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
}

static bool is_over(const struct subscriber *subscriber) {
    return subscriber->stream.state == OVER || subscriber->left == 0;
}

/* Until a signal, the limit, the end of the output, or the end of the stream. */
static void run(struct subscriber *subscriber, int signal_descriptor) {
    bool is_told_to_stop = false;
    while (!is_told_to_stop && !is_over(subscriber) && !subscriber->is_output_gone) {
        uint64_t wait_ms = tend_stream(&subscriber->stream);
        int running = 0;
        curl_multi_perform(subscriber->multi, &running);
        collect_ended(subscriber);
        struct curl_waitfd others[] = {
            {.fd = signal_descriptor, .events = CURL_WAIT_POLLIN},
            {.fd = STDOUT_FILENO},
        };
        curl_multi_poll(subscriber->multi, others, 2, is_over(subscriber) ? 0 : (int)wait_ms, NULL);
        is_told_to_stop = take_signal(signal_descriptor);
        subscriber->is_output_gone |= is_output_closed();
    }
}

/* "a, b and 3 more" */
static char *make_label(char *const *channels, size_t count) {
    char *label = NULL;
    int length = count <= 2
                     ? asprintf(&label, "%s%s%s", channels[0], count == 2 ? ", " : "",
                                count == 2 ? channels[1] : "")
                     : asprintf(&label, "%s, %s and %zu more", channels[0], channels[1], count - 2);
    return length < 0 ? NULL : label;
}

static bool prepare(struct subscriber *subscriber, const struct options *options) {
    struct stream *stream = &subscriber->stream;
    stream->subscriber = subscriber;
    stream->channels = options->operands;
    stream->channel_count = options->operand_count;
    sse_init(&stream->parser, EVENT_BYTES_MAX, on_event, stream);
    subscriber->multi = curl_multi_init();
    stream->label = make_label(stream->channels, stream->channel_count);
    stream->curl = http_create(subscriber->url);
    if (subscriber->multi == NULL || stream->label == NULL || stream->curl == NULL ||
        !trust_apply_to_http(&subscriber->trust, stream->curl)) {
        return false;
    }
    curl_easy_setopt(stream->curl, CURLOPT_PRIVATE, stream);
    curl_easy_setopt(stream->curl, CURLOPT_ERRORBUFFER, stream->failure);
    curl_easy_setopt(stream->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(stream->curl, CURLOPT_WRITEDATA, stream);
    curl_easy_setopt(stream->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    return true;
}

static void finish(struct subscriber *subscriber) {
    struct stream *stream = &subscriber->stream;
    if (stream->state == CONNECTED) {
        curl_multi_remove_handle(subscriber->multi, stream->curl);
    }
    curl_easy_cleanup(stream->curl);
    curl_slist_free_all(stream->headers);
    sse_finish(&stream->parser);
    free(stream->label);
    curl_multi_cleanup(subscriber->multi);
}

/* SIGINT and SIGTERM become readable, and SIGPIPE an error of the write. */
static int catch_signals(void) {
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaction(SIGPIPE, &ignored, NULL);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A number from 1 on of digits alone. */
static bool parse_limit(const char *text, uint64_t *ret_limit) {
    char *end = NULL;
    errno = 0;
    unsigned long long limit = strtoull(text, &end, 10);
    bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    if (is_number && limit > 0) {
        *ret_limit = limit;
    }
    return is_number && limit > 0;
}

static bool follow_over_http(struct subscriber *subscriber, const struct options *options,
                             int signal_descriptor) {
    if (prepare(subscriber, options)) {
        run(subscriber, signal_descriptor);
    } else {
        fputs("tidings: out of memory or of descriptors\n", stderr);
        subscriber->has_failed = true;
    }
    finish(subscriber);
    return !subscriber->has_failed;
}

static bool follow_over_mqtt(const struct subscriber *subscriber, const struct options *options,
                             int signal_descriptor) {
    char *label = make_label(options->operands, options->operand_count);
    struct paho_sub_options wanted = {
        .url = subscriber->url,
        .channels = options->operands,
        .channel_count = options->operand_count,
        .label = label,
        .since = subscriber->since,
        .is_whole = subscriber->is_whole,
        .left = subscriber->left,
        .signal_descriptor = signal_descriptor,
        .trust = subscriber->trust,
    };
    bool is_good = label != NULL && paho_sub_run(&wanted);
    free(label);
    return is_good;
}

static bool follow(struct subscriber *subscriber, const struct options *options) {
    int signal_descriptor = catch_signals();
    bool is_good =
        signal_descriptor >= 0 &&
        (paho_is_url(subscriber->url) ? follow_over_mqtt(subscriber, options, signal_descriptor)
                                      : follow_over_http(subscriber, options, signal_descriptor));
    close(signal_descriptor);
    return is_good;
}

int client_sub(int count, char *const *words) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    struct subscriber subscriber = {
        .url = http_base_url(options.values[URL]),
        .since = options.values[SINCE],
        .is_whole = options.values[JSON] != NULL,
        .left = UINT64_MAX,
        .trust = {.authorities = options.values[CA],
                  .certificate = options.values[CERTIFICATE],
                  .certificate_key = options.values[CERTIFICATE_KEY],
                  .token = options.values[TOKEN]},
    };
    trust_complete(&subscriber.trust, TRUST_TOKEN_VARIABLE);
    const char *limit = options.values[LIMIT];
    if (limit != NULL && !parse_limit(limit, &subscriber.left)) {
        fprintf(stderr, "tidings: --limit %s is not a number from 1 on\n", limit);
        leave = CLIENT_USAGE;
    } else if (!paho_takes_url(subscriber.url)) {
        leave = CLIENT_USAGE;
    } else if (!output_is_open() || !follow(&subscriber, &options)) {
        leave = CLIENT_FAILED;
    }
    options_finish(&options);
    return leave;
}
