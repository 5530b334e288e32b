/* SPDX-License-Identifier: Apache-2.0 */
/* http.h — what the subcommands share about HTTP: addresses, waits, refusals.
 *
 * Place:   pub.c, sub.c and admin.c.
 * Thread:  main.
 * Bounds:  HTTP_ANSWER_BYTES_MAX of an answer that is no stream.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HTTP_ANSWER_BYTES_MAX 65536
#define HTTP_CONNECT_TIMEOUT_MS 10000

/* The beginning of an answer; what is longer is cut. */
struct http_answer {
    char bytes[HTTP_ANSWER_BYTES_MAX];
    size_t length;
};

/* --url, else TIDINGS_URL, else the default. Borrowed. */
const char *http_base_url(const char *flag);

/* "http://host:port/channels/a/b" with the name percent-encoded but for its slashes, and `query`
 * behind it where it is not NULL. Proxies merge slashes, so a name with an empty segment goes into
 * the query: "/channels/?channel=a%2F%2Fb". The caller frees. NULL: out of memory. */
char *http_channel_url(const char *base, const char *channel, const char *query);

/* "http://host:port/readyz": any other page of the broker's. The caller frees. NULL: out of
 * memory. */
char *http_page_url(const char *base, const char *path);

/* "http://host:port/stream?channel=a&channel=b", and `query` behind it where it is not NULL. The
 * caller frees. NULL: out of memory. */
char *http_stream_url(const char *base, char *const *channels, size_t count, const char *query);

/* `text` percent-encoded for a query. The caller frees. NULL: out of memory. */
char *http_encode(const char *text, bool keeps_slashes);

/* A libcurl handle for HTTP/1.1. https trusts the system's authorities, or those of the file that
 * SSL_CERT_FILE names. NULL: out of memory. */
CURL *http_create(const char *url);

/* Appends "name: value". False: out of memory, or a line end in the value, which is complained
 * about. */
bool http_add_header(struct curl_slist **headers, const char *name, const char *value);

/* For CURLOPT_WRITEFUNCTION with a struct http_answer. */
size_t http_on_answer(char *bytes, size_t size, size_t count, void *answer);

/* Writes "tidings: <about>: 400 The channel name breaks the rules: …" from problem+json, or the
 * line of text that is there instead, and each of its `faults`. */
void http_tell_problem(FILE *stream, const char *about, long status, const char *bytes,
                       size_t length);

/* True: TLS was not agreed on, or a certificate is not trusted. Nothing was sent, and asking again
 * gets the same answer. */
bool http_is_tls_fault(CURLcode code);

/* Writes "tidings: <about>: <what libcurl says>" without a line end. `detail` is what libcurl wrote
 * into CURLOPT_ERRORBUFFER; "" where it wrote nothing. */
void http_tell_failure(FILE *stream, const char *about, CURLcode code, const char *detail);

/* How long to wait before attempt `attempt` (from 0): full jitter, evenly from nothing to
 * min(ceiling, base × 2^attempt), so that clients that fell together do not come back together.
 * `random` is any number, evenly drawn. */
uint64_t http_backoff_ms(uint64_t base_ms, uint64_t ceiling_ms, unsigned attempt, uint64_t random);

/* The most that the waits before `attempts` attempts can be in all. */
uint64_t http_backoff_sum_ms(uint64_t base_ms, uint64_t ceiling_ms, unsigned attempts);

/* The wait that the server asked for (0: none), and up to half of it more. */
uint64_t http_retry_after_ms(uint64_t asked_s, uint64_t ceiling_ms, uint64_t random);

uint64_t http_random(void);

/* Milliseconds that never go back. */
uint64_t http_now_ms(void);
