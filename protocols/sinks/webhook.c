/* SPDX-License-Identifier: Apache-2.0 */
/* The driver that sends by HTTP. One request is a flight: an easy handle with all that it needs.
 * Those that have landed are kept for the next shipment, for setting one up costs more than it
 * saves; when an endpoint fails with nothing else under way, or nothing was sent for a while, they
 * go, so that a thousand endpoints that are down cost what their sinks do. */
#include <curl/curl.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/answer.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/format.h"
#include "protocols/sinks/heading.h"
#include "protocols/sinks/loop.h"
#include "protocols/sinks/post.h"

#define SECRET_WORD_BYTES_MIN 7 /* longer than "Bearer" and "Digest", which are no secrets */

struct webhook {
    struct sink_link link;
    struct post *post;
    struct format format;
    struct list flights;         /* under way */
    size_t flight_count;         /* of them */
    struct list spare;           /* that wait for something to send */
    struct loop_timer idle;      /* when they go */
    struct list grounded;        /* shipments that cannot even begin; `state` is their verdict */
    struct loop_chore grounding; /* tells of them */
};

struct flight {
    struct posting posting;
    struct list in_webhook;
    struct webhook *webhook;
    struct shipment *shipment; /* NULL: spare */
    struct curl_slist *headers;
    struct buffer lines;
    struct buffer body;
    struct answer answer;
    char fault[CURL_ERROR_SIZE];
};

/* --- what libcurl brings --------------------------------------------------------------------- */

static size_t on_line(char *bytes, size_t size, size_t count, void *context) {
    struct flight *flight = context;
    size_t length = size * count;
    bool has_room = answer_take_line(&flight->answer, span_of(bytes, length), clock_wall_ms());
    return has_room ? length : 0; /* libcurl ends the transfer */
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context) {
    struct flight *flight = context;
    size_t length = size * count;
    return answer_take_bytes(&flight->answer, span_of(bytes, length)) ? length : 0;
}

/* --- flights --------------------------------------------------------------------------------- */

static void on_done(struct posting *posting, CURLcode result);

/* What is the same for all requests of a sink. False: no memory, or an option that this libcurl has
 * not. */
static bool set_up(struct flight *flight) {
    const struct sink_row *row = flight->webhook->link.row;
    CURL *handle = flight->posting.handle;
    CURLcode code = CURLE_OK;
    code |= curl_easy_setopt(handle, CURLOPT_URL, row->webhook_url);
    code |= curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    code |= curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    code |=
        curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)row->webhook_connect_timeout_ms);
    code |= curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)row->webhook_timeout_ms);
    code |= curl_easy_setopt(handle, CURLOPT_POST, 1L);
    code |= curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, (long)WEBHOOK_READ_BYTES);
    code |= curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_line);
    code |= curl_easy_setopt(handle, CURLOPT_HEADERDATA, flight);
    code |= curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_bytes);
    code |= curl_easy_setopt(handle, CURLOPT_WRITEDATA, flight);
    code |= curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, flight->fault);
    return code == CURLE_OK && post_prepare(&flight->posting, row->webhook_ca);
}

static void destroy_flight(struct flight *flight) {
    list_remove(&flight->in_webhook);
    curl_easy_cleanup(flight->posting.handle);
    curl_slist_free_all(flight->headers);
    buffer_finish(&flight->lines);
    buffer_finish(&flight->body);
    free(flight);
}

static struct flight *create_flight(struct webhook *webhook) {
    struct flight *flight = calloc(1, sizeof(*flight));
    if (flight == NULL) {
        return NULL;
    }
    flight->webhook = webhook;
    flight->posting.on_done = on_done;
    flight->posting.resolve_ms = webhook->link.row->webhook_connect_timeout_ms;
    list_init(&flight->in_webhook);
    list_init(&flight->posting.in_office);
    buffer_init(&flight->lines, HEADING_BYTES_MAX);
    buffer_init(&flight->body, WEBHOOK_BODY_BYTES_MAX);
    flight->posting.handle = curl_easy_init();
    if (flight->posting.handle == NULL || !set_up(flight)) {
        destroy_flight(flight);
        return NULL;
    }
    return flight;
}

static struct flight *take_flight(struct webhook *webhook) {
    struct list *node = list_take_head(&webhook->spare);
    return node == NULL ? create_flight(webhook) : CONTAINER_OF(node, struct flight, in_webhook);
}

static void free_spare(struct webhook *webhook) {
    LIST_EACH(&webhook->spare, node) {
        destroy_flight(CONTAINER_OF(node, struct flight, in_webhook));
    }
    loop_disarm(webhook->link.loop, &webhook->idle);
}

static void on_idle(struct loop_timer *timer) {
    free_spare(CONTAINER_OF(timer, struct webhook, idle));
}

/* --- how one ends ---------------------------------------------------------------------------- */

/* Nobody was reached. All else is an answer that is none, or that was cut: somebody is there. */
static const CURLcode unreached[] = {
    CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT,          CURLE_OPERATION_TIMEDOUT,
    CURLE_SSL_CONNECT_ERROR,    CURLE_SSL_CERTPROBLEM,          CURLE_SSL_CIPHER,
    CURLE_SSL_CACERT_BADFILE,   CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR,
    CURLE_OUT_OF_MEMORY,
};

static bool is_unreached(const struct flight *flight, CURLcode result) {
    if (result == CURLE_OUT_OF_MEMORY && flight->answer.head_bytes > 0) {
        return false; /* so it calls a line of a head above 100 KB */
    }
    for (size_t i = 0; i < ARRAY_COUNT(unreached); i++) {
        if (result == unreached[i]) {
            return true;
        }
    }
    return false;
}

static void judge_failure(struct flight *flight, CURLcode result, struct verdict *ret_verdict) {
    bool is_reached = !is_unreached(flight, result);
    *ret_verdict = (struct verdict){.outcome = is_reached ? OUTCOME_FAILED : OUTCOME_UNREACHED};
    if (result == CURLE_COULDNT_CONNECT && flight->posting.refused_kind != GUARD_PUBLIC) {
        snprintf(ret_verdict->detail, sizeof(ret_verdict->detail),
                 "%s is %s, and in no network of egress.allow", flight->posting.refused,
                 guard_kind_name(flight->posting.refused_kind));
        return;
    }
    if (result == CURLE_COULDNT_CONNECT && flight->posting.is_crowded) {
        snprintf(ret_verdict->detail, sizeof(ret_verdict->detail),
                 "the broker has too many descriptors open: the rest is for its clients");
        return;
    }
    answer_put_detail(
        ret_verdict->detail,
        span_of_string(flight->fault[0] != '\0' ? flight->fault : curl_easy_strerror(result)));
}

/* A token comes back without its scheme, a cookie without its name. */
static void conceal_words(struct answer *answer, struct span value) {
    static const struct span separators = SPAN_ROW(" \t,;:=\"");
    size_t begin = 0;
    for (size_t i = 0; i <= value.length; i++) {
        if (i < value.length &&
            memchr(separators.bytes, value.bytes[i], separators.length) == NULL) {
            continue;
        }
        if (i - begin >= SECRET_WORD_BYTES_MIN) {
            answer_conceal(answer, span_of(value.bytes + begin, i - begin));
        }
        begin = i + 1;
    }
}

static void conceal_secret(struct answer *answer, struct span secret) {
    const struct span prefix = SPAN("whsec_");
    answer_conceal(answer, secret);
    if (span_has_prefix(secret, prefix)) {
        answer_conceal(answer,
                       span_of(secret.bytes + prefix.length, secret.length - prefix.length));
    }
}

/* An endpoint may send back what it got, or a part of it, and a detail is shown. */
static void conceal(struct answer *answer, const struct sink_row *row) {
    conceal_secret(answer, span_of_string(row->webhook_secret));
    conceal_secret(answer, span_of_string(row->webhook_secret_previous));
    for (size_t i = 0; i < row->webhook_headers.count; i++) {
        struct span value = span_of_string(row->webhook_headers.items[i]);
        span_split(&value, ':');
        value = span_trim(value);
        answer_conceal(answer, value);
        conceal_words(answer, value);
    }
}

static void judge(struct flight *flight, CURLcode result, struct verdict *ret_verdict) {
    const struct sink_row *row = flight->webhook->link.row;
    if (!flight->answer.is_complete) {
        judge_failure(flight, result, ret_verdict);
        return;
    }
    conceal(&flight->answer, row);
    answer_judge(&flight->answer, ret_verdict);
    if (ret_verdict->retry_after_ms > row->retry_after_max_ms) {
        ret_verdict->retry_after_ms = row->retry_after_max_ms;
    }
}

/* The flight is spare, or gone, before the sink is told: it may have the next shipment at once, or
 * close the driver. */
static void land(struct flight *flight, const struct verdict *verdict) {
    struct webhook *webhook = flight->webhook;
    struct shipment *shipment = flight->shipment;
    flight->shipment = NULL;
    list_remove(&flight->in_webhook);
    list_put_head(&webhook->spare, &flight->in_webhook);
    webhook->flight_count--;
    if (flight->body.capacity > WEBHOOK_BODY_KEPT_BYTES) {
        buffer_finish(&flight->body);
    }
    if (webhook->flight_count == 0 && verdict->outcome != OUTCOME_DELIVERED) {
        free_spare(webhook);
    } else if (webhook->flight_count == 0) {
        loop_arm(webhook->link.loop, &webhook->idle,
                 loop_now_ms(webhook->link.loop) + WEBHOOK_SPARE_MS);
    }
    sink_on_settled(shipment, verdict);
}

static void on_done(struct posting *posting, CURLcode result) {
    struct flight *flight = CONTAINER_OF(posting, struct flight, posting);
    struct verdict verdict;
    judge(flight, result, &verdict);
    land(flight, &verdict);
}

/* --- how one begins -------------------------------------------------------------------------- */

static enum error_code put_headers(struct flight *flight) {
    struct span lines = buffer_borrow(&flight->lines);
    curl_slist_free_all(flight->headers);
    flight->headers = curl_slist_append(NULL, "Expect:"); /* no wait for "100 Continue" */
    while (flight->headers != NULL && lines.length > 0) {
        struct span line = span_split(&lines, '\0');
        if (curl_slist_append(flight->headers, (const char *)line.bytes) == NULL) {
            return ERR_MEMORY;
        }
    }
    return flight->headers == NULL ? ERR_MEMORY : OK;
}

static enum error_code write_request(struct flight *flight) {
    struct webhook *webhook = flight->webhook;
    const struct shipment *shipment = flight->shipment;
    buffer_clear(&flight->body);
    buffer_clear(&flight->lines);
    enum error_code code =
        format_put(&flight->body, &webhook->format, shipment->messages, shipment->count);
    if (code != OK) {
        return code;
    }
    const struct heading heading = {
        .row = webhook->link.row,
        .shipment = shipment,
        .media_type = format_media_type(&webhook->format, shipment->messages[0]),
        .body = buffer_borrow(&flight->body),
        .time_s = clock_wall_ms() / 1000,
    };
    code = heading_put(&flight->lines, &heading);
    return code == OK ? put_headers(flight) : code;
}

static enum error_code begin(struct flight *flight, struct shipment *shipment) {
    CURL *handle = flight->posting.handle;
    flight->shipment = shipment;
    enum error_code code = write_request(flight);
    if (code != OK) {
        return code;
    }
    const char *bytes = flight->body.length == 0 ? "" : (const char *)flight->body.bytes;
    CURLcode options = CURLE_OK;
    answer_init(&flight->answer);
    flight->fault[0] = '\0';
    options |= curl_easy_setopt(handle, CURLOPT_HTTPHEADER, flight->headers);
    options |=
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)flight->body.length);
    options |= curl_easy_setopt(handle, CURLOPT_POSTFIELDS, bytes);
    return options == CURLE_OK ? post_send(flight->webhook->post, &flight->posting) : ERR_MEMORY;
}

/* Not within ship(): the sink is told when it has handed over what it wanted to. */
static void ground(struct webhook *webhook, struct shipment *shipment, enum error_code code) {
    static const struct verdict too_large = {.outcome = OUTCOME_REFUSED,
                                             .detail = "it is too large for a request"};
    static const struct verdict no_memory = {.outcome = OUTCOME_UNREACHED,
                                             .detail = "the broker is out of memory"};
    shipment->state = (void *)(code == ERR_TOO_LARGE ? &too_large : &no_memory);
    list_put_tail(&webhook->grounded, &shipment->in_driver);
    loop_put_chore(webhook->link.loop, &webhook->grounding);
}

/* One a turn: the sink may close the driver. */
static void on_grounding(struct loop_chore *chore) {
    struct webhook *webhook = CONTAINER_OF(chore, struct webhook, grounding);
    struct list *node = list_take_head(&webhook->grounded);
    INVARIANT(node != NULL);
    if (!list_is_empty(&webhook->grounded)) {
        loop_put_chore(webhook->link.loop, &webhook->grounding);
    }
    struct shipment *shipment = CONTAINER_OF(node, struct shipment, in_driver);
    sink_on_settled(shipment, shipment->state);
}

/* --- the driver ------------------------------------------------------------------------------ */

static bool has_authorities(const char *file) {
    X509_STORE *store = X509_STORE_new();
    bool has_some = store != NULL && X509_STORE_load_file(store, file) == 1;
    X509_STORE_free(store);
    ERR_clear_error();
    return has_some;
}

static void check(const struct sink_row *row, const char *source, const char *key,
                  struct config_faults *faults) {
    const char *reason = NULL;
    if (row->webhook_ca != NULL && access(row->webhook_ca, R_OK) != 0) {
        reason = strerrordesc_np(errno);
    } else if (row->webhook_ca != NULL && !has_authorities(row->webhook_ca)) {
        reason = "has no certificate in PEM";
    }
    if (reason != NULL) {
        config_faults_add(faults, source, row->place.line, row->place.column, key,
                          "`webhook.ca`, \"%s\": %s", row->webhook_ca, reason);
    }
}

static enum error_code open_webhook(const struct sink_link *link, void **ret_state,
                                    struct error *why) {
    const struct sink_row *row = link->row;
    struct webhook *webhook = calloc(1, sizeof(*webhook));
    struct post *post = webhook == NULL ? NULL : post_borrow(link->broker, link->loop);
    if (post == NULL) {
        free(webhook);
        return error_set(why, ERR_MEMORY, "no memory for a webhook");
    }
    webhook->link = *link;
    webhook->post = post;
    webhook->format = (struct format){
        .format = row->format, .form = row->batch_form, .is_list = row->batch_count > 1};
    webhook->idle.on_due = on_idle;
    list_init(&webhook->flights);
    list_init(&webhook->grounded);
    list_init(&webhook->spare);
    loop_chore_init(&webhook->grounding, on_grounding);
    *ret_state = webhook;
    return OK;
}

static void get_terms(const void *state, struct terms *ret_terms) {
    const struct webhook *webhook = state;
    const struct sink_row *row = webhook->link.row;
    *ret_terms = (struct terms){.messages_max = row->batch_count,
                                .bytes_max = row->batch_bytes,
                                .shipments_max = row->concurrency,
                                .age_ms_max = row->batch_age_ms};
}

static void start(void *state) {
    struct webhook *webhook = state;
    sink_on_up(webhook->link.sink, NULL, 0);
}

static void ship(void *state, struct shipment *shipment) {
    struct webhook *webhook = state;
    struct flight *flight = take_flight(webhook);
    enum error_code code = flight == NULL ? ERR_MEMORY : begin(flight, shipment);
    loop_disarm(webhook->link.loop, &webhook->idle);
    if (code == OK) {
        list_put_tail(&webhook->flights, &flight->in_webhook);
        webhook->flight_count++;
        return;
    }
    if (flight != NULL) {
        destroy_flight(flight);
    }
    ground(webhook, shipment, code);
}

static void abandon_flights(struct webhook *webhook) {
    const struct verdict verdict = {.outcome = OUTCOME_ABANDONED};
    struct list *node;
    while ((node = list_take_head(&webhook->flights)) != NULL) {
        struct flight *flight = CONTAINER_OF(node, struct flight, in_webhook);
        struct shipment *shipment = flight->shipment;
        post_take_back(&flight->posting);
        destroy_flight(flight);
        webhook->flight_count--;
        sink_on_settled(shipment, &verdict);
    }
}

static void stop(void *state) {
    const struct verdict verdict = {.outcome = OUTCOME_ABANDONED};
    struct webhook *webhook = state;
    struct list *node;
    abandon_flights(webhook);
    loop_take_chore_back(&webhook->grounding);
    while ((node = list_take_head(&webhook->grounded)) != NULL) {
        sink_on_settled(CONTAINER_OF(node, struct shipment, in_driver), &verdict);
    }
    free_spare(webhook);
    sink_on_stopped(webhook->link.sink);
}

static void close_webhook(void *state) {
    struct webhook *webhook = state;
    if (webhook == NULL) {
        return;
    }
    INVARIANT(webhook->flight_count == 0);
    free_spare(webhook);
    INVARIANT(list_is_empty(&webhook->grounded));
    post_give_back(webhook->post);
    free(webhook);
}

const struct driver webhook_driver = {
    .kind = "webhook",
    .check = check,
    .open = open_webhook,
    .get_terms = get_terms,
    .start = start,
    .ship = ship,
    .stop = stop,
    .close = close_webhook,
};
