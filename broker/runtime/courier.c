/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/courier.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/metrics/thread.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"

#define WAIT_MS_MAX_COURIER 3600000 /* what curl_multi_poll() takes at a time: an hour */

struct courier {
    pthread_t thread;
    bool is_started;
    struct metrics_shard *metrics;
    struct mailbox mailbox;
    CURLM *multi;
    struct list calls; /* under way */
    struct list guests;
    struct letter nudge;
    atomic_bool is_nudged;
    struct letter stop;
    atomic_bool is_stopping;
    bool is_over;
    atomic_uint call_count;
};

/* --- one call -------------------------------------------------------------------------------- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context) {
    struct call *call = context;
    size_t length = size * count;
    if (buffer_put(&call->answer, span_of(bytes, length)) != OK) {
        call->result = ERR_TOO_LARGE;
        return 0; /* libcurl ends the transfer */
    }
    return length;
}

/* "Cache-Control: public, max-age=600" (RFC 9111, section 5.2.2.1). */
static uint64_t parse_max_age(struct span value) {
    while (value.length > 0) {
        struct span directive = span_trim(span_split(&value, ','));
        struct span name = span_trim(span_split(&directive, '='));
        uint64_t seconds;
        if (span_is_equal_nocase(name, SPAN("max-age")) &&
            span_parse_u64(span_trim(directive), &seconds)) {
            return seconds;
        }
    }
    return 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context) {
    struct call *call = context;
    struct span value = span_of(bytes, size * count);
    struct span name = span_split(&value, ':');
    while (value.length > 0 &&
           (value.bytes[value.length - 1] == '\n' || value.bytes[value.length - 1] == '\r')) {
        value.length--;
    }
    if (span_is_equal_nocase(name, SPAN("cache-control"))) {
        call->max_age_s = parse_max_age(value);
    }
    return size * count;
}

/* False: no memory, or an option that this libcurl has not. */
static bool set_options(struct call *call, CURL *handle) {
    CURLcode code = CURLE_OK;
    struct curl_slist *headers = NULL;
    for (size_t i = 0; i < CALL_HEADERS_MAX && call->headers[i] != NULL; i++) {
        struct curl_slist *longer = curl_slist_append(headers, call->headers[i]);
        code |= longer == NULL ? CURLE_OUT_OF_MEMORY : CURLE_OK;
        headers = longer == NULL ? headers : longer;
    }
    call->header_list = headers;
    code |= curl_easy_setopt(handle, CURLOPT_URL, call->url);
    code |= curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    code |= curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    code |= curl_easy_setopt(handle, CURLOPT_PROXY, "");
    code |= curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    code |= curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    code |= curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    code |= curl_easy_setopt(handle, CURLOPT_USERAGENT, "tidings");
    code |= curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    code |= curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)call->timeout_ms);
    code |= curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    code |= curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_bytes);
    code |= curl_easy_setopt(handle, CURLOPT_WRITEDATA, call);
    code |= curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    code |= curl_easy_setopt(handle, CURLOPT_HEADERDATA, call);
    code |= curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, call->fault);
    code |= curl_easy_setopt(handle, CURLOPT_PRIVATE, call);
    if (call->ca != NULL) {
        code |= curl_easy_setopt(handle, CURLOPT_CAINFO, call->ca);
    }
    if (call->is_post) {
        code |= curl_easy_setopt(handle, CURLOPT_POST, 1L);
        code |= curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, (long)call->body.length);
        code |= curl_easy_setopt(handle, CURLOPT_POSTFIELDS, call->body.bytes);
    }
    return code == CURLE_OK;
}

static void on_answer_delivered(struct letter *letter, void *consumer) {
    struct call *call = CONTAINER_OF(letter, struct call, letter);
    (void)consumer;
    call->on_answered(call);
}

/* Frees what libcurl had and sends the answer. */
static void finish(struct courier *courier, struct call *call) {
    CURL *handle = call->handle;
    if (handle != NULL) {
        curl_multi_remove_handle(courier->multi, handle);
        curl_easy_cleanup(handle);
    }
    curl_slist_free_all(call->header_list);
    free(call->fault);
    call->handle = NULL;
    call->header_list = NULL;
    call->fault = NULL;
    list_remove(&call->in_courier);
    metrics_add_at(courier->metrics, METRIC_CALLS, call->result, 1);
    atomic_fetch_sub(&courier->call_count, 1);
    call->letter.on_delivered = on_answer_delivered;
    mailbox_put_answer(call->reply_to, &call->letter);
}

static void begin(struct courier *courier, struct call *call) {
    list_put_tail(&courier->calls, &call->in_courier);
    buffer_init(&call->answer, call->answer_bytes_max);
    call->fault = calloc(1, CURL_ERROR_SIZE);
    call->handle = call->fault == NULL ? NULL : curl_easy_init();
    bool is_good = call->handle != NULL && set_options(call, call->handle) &&
                   curl_multi_add_handle(courier->multi, call->handle) == CURLM_OK;
    if (!is_good || courier->is_over) {
        call->result = error_set(&call->why, is_good ? ERR_DRAINING : ERR_MEMORY, "%s",
                                 is_good ? "the broker ends" : "no memory for a call");
        finish(courier, call);
    }
}

/* A reason of libcurl has addresses and names in it, nothing of a body. */
static void conclude(struct courier *courier, struct call *call, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(call->handle, CURLINFO_RESPONSE_CODE, &status);
    call->status = (unsigned)status;
    if (call->result == ERR_TOO_LARGE) {
        IGNORE_RESULT(error_set(&call->why, ERR_TOO_LARGE, "the answer is larger than %zu bytes",
                                call->answer_bytes_max));
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        call->result = error_set(&call->why, ERR_REQUEST_TIMEOUT, "no answer came in %u ms",
                                 (unsigned)call->timeout_ms);
    } else if (code != CURLE_OK) {
        call->result = error_set(&call->why, ERR_IO, "%.200s",
                                 call->fault[0] != '\0' ? call->fault : curl_easy_strerror(code));
    }
    finish(courier, call);
}

/* --- the thread ------------------------------------------------------------------------------ */

static void conclude_all(struct courier *courier) {
    int waiting;
    CURLMsg *message;
    while ((message = curl_multi_info_read(courier->multi, &waiting)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            struct call *call = NULL;
            CURLcode code = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
            conclude(courier, call, code);
        }
    }
}

static void abandon_all(struct courier *courier) {
    LIST_EACH(&courier->calls, node) {
        struct call *call = CONTAINER_OF(node, struct call, in_courier);
        call->result = error_set(&call->why, ERR_DRAINING, "the broker ends");
        finish(courier, call);
    }
}

/* What is due is done; how long nothing else is. */
static int call_guests(struct courier *courier) {
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t wait_ms = WAIT_MS_MAX_COURIER;
    LIST_EACH(&courier->guests, node) {
        struct courier_guest *guest = CONTAINER_OF(node, struct courier_guest, in_courier);
        if (guest->due_ms <= now_ms) {
            guest->on_due(guest, now_ms);
        }
        uint64_t rest_ms = guest->due_ms <= now_ms ? 0 : guest->due_ms - now_ms;
        wait_ms = rest_ms < wait_ms ? rest_ms : wait_ms;
    }
    return (int)wait_ms;
}

static void *run(void *context) {
    struct courier *courier = context;
    struct mailbox *mailbox = &courier->mailbox;
    thread_begin(courier->metrics);
    while (!courier->is_over) {
        int running;
        int wait_ms = call_guests(courier);
        curl_multi_perform(courier->multi, &running);
        conclude_all(courier);
        thread_sleep(courier->metrics);
        if (mailbox_sleep(mailbox)) {
            struct curl_waitfd extra = {.fd = mailbox->event_fd, .events = CURL_WAIT_POLLIN};
            curl_multi_poll(courier->multi, &extra, 1, wait_ms, NULL);
            mailbox_wake(mailbox);
        }
        thread_wake(courier->metrics);
        metrics_add(courier->metrics, METRIC_LETTERS, mailbox_deliver_all(mailbox, courier));
    }
    abandon_all(courier);
    while (mailbox_deliver_all(mailbox, courier) > 0) {
        /* Answers to guests, and what was asked just before the end. */
    }
    return NULL;
}

static void on_nudge(struct letter *letter, void *consumer) {
    struct courier *courier = consumer;
    (void)letter;
    atomic_store(&courier->is_nudged, false);
    uint64_t now_ms = clock_monotonic_ms();
    LIST_EACH(&courier->guests, node) {
        struct courier_guest *guest = CONTAINER_OF(node, struct courier_guest, in_courier);
        guest->on_nudged(guest, now_ms);
    }
}

static void on_stop(struct letter *letter, void *consumer) {
    struct courier *courier = consumer;
    (void)letter;
    courier->is_over = true;
}

/* --- from outside ---------------------------------------------------------------------------- */

enum error_code courier_create(struct metrics_shard *metrics, struct courier **ret_courier,
                               struct error *why) {
    struct courier *courier = calloc(1, sizeof(*courier));
    if (courier == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the courier");
    }
    courier->metrics = metrics;
    list_init(&courier->calls);
    list_init(&courier->guests);
    courier->nudge.on_delivered = on_nudge;
    courier->stop.on_delivered = on_stop;
    if (mailbox_init(&courier->mailbox, MAILBOX_NODES_MAX) != OK) {
        free(courier);
        return error_set(why, ERR_IO, "no eventfd for the courier");
    }
    bool is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    courier->multi = is_ready ? curl_multi_init() : NULL;
    if (courier->multi == NULL) {
        mailbox_finish(&courier->mailbox);
        free(courier);
        return error_set(why, ERR_MEMORY, "libcurl cannot be set up");
    }
    curl_multi_setopt(courier->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CALL_CONNECTIONS_MAX);
    curl_multi_setopt(courier->multi, CURLMOPT_MAXCONNECTS, (long)CALL_CONNECTIONS_MAX);
    *ret_courier = courier;
    return OK;
}

void courier_put_guest(struct courier *courier, struct courier_guest *guest) {
    INVARIANT(!courier->is_started);
    list_put_tail(&courier->guests, &guest->in_courier);
}

enum error_code courier_start(struct courier *courier, struct error *why) {
    if (pthread_create(&courier->thread, NULL, run, courier) != 0) {
        return error_set(why, ERR_MEMORY, "the courier's thread does not start");
    }
    courier->is_started = true;
    return OK;
}

struct mailbox *courier_mailbox(struct courier *courier) {
    return &courier->mailbox;
}

void courier_nudge(struct courier *courier) {
    if (!atomic_exchange(&courier->is_nudged, true)) {
        mailbox_put_answer(&courier->mailbox, &courier->nudge); /* one at a time: it has room */
    }
}

static void on_asked(struct letter *letter, void *consumer) {
    begin(consumer, CONTAINER_OF(letter, struct call, letter));
}

enum error_code courier_ask(struct courier *courier, struct call *call) {
    if (atomic_load(&courier->is_stopping)) {
        return ERR_DRAINING;
    }
    if (atomic_fetch_add(&courier->call_count, 1) >= CALLS_MAX) {
        atomic_fetch_sub(&courier->call_count, 1);
        return ERR_BUSY;
    }
    call->result = OK;
    call->status = 0;
    call->max_age_s = 0;
    call->handle = NULL;
    call->header_list = NULL;
    call->letter.on_delivered = on_asked;
    mailbox_put_answer(&courier->mailbox, &call->letter); /* CALLS_MAX have room */
    return OK;
}

void courier_stop(struct courier *courier) {
    if (courier != NULL && courier->is_started && !atomic_exchange(&courier->is_stopping, true)) {
        mailbox_put_answer(&courier->mailbox, &courier->stop);
        pthread_join(courier->thread, NULL);
    }
}

void courier_destroy(struct courier *courier) {
    if (courier != NULL) {
        courier_stop(courier);
        /* One that was asked while the thread ended. */
        mailbox_deliver_all(&courier->mailbox, courier);
        curl_multi_cleanup(courier->multi);
        curl_global_cleanup();
        mailbox_finish(&courier->mailbox);
        free(courier);
    }
}
