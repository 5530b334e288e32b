/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/http.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "clients/cli/client.h"
#include "clients/cli/output.h"

/* As curl(1) has it; libcurl alone does not look. */
#define AUTHORITIES_VARIABLE "SSL_CERT_FILE"
#define WORDS_MAX 160 /* bytes told of an answer that is no problem+json */

const char *http_base_url(const char *flag) {
    const char *variable = getenv(CLIENT_URL_VARIABLE);
    if (flag != NULL) {
        return flag;
    }
    return variable != NULL && *variable != '\0' ? variable : CLIENT_URL_DEFAULT;
}

static bool has_empty_segment(const char *channel) {
    size_t length = strlen(channel);
    return length == 0 || channel[0] == '/' || channel[length - 1] == '/' ||
           strstr(channel, "//") != NULL;
}

static size_t base_length_of(const char *base) {
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/') {
        length--;
    }
    return length;
}

char *http_channel_url(const char *base, const char *channel, const char *query) {
    size_t base_length = base_length_of(base);
    bool is_path = !has_empty_segment(channel);
    const char *joint = query == NULL ? "" : is_path ? "?" : "&";
    char *name = http_encode(channel, is_path);
    char *url = NULL;
    if (name == NULL ||
        asprintf(&url, "%.*s/channels/%s%s%s%s", (int)base_length, base,
                 is_path ? "" : "?channel=", name, joint, query == NULL ? "" : query) < 0) {
        url = NULL;
    }
    free(name);
    return url;
}

char *http_page_url(const char *base, const char *path) {
    char *url = NULL;
    return asprintf(&url, "%.*s%s", (int)base_length_of(base), base, path) < 0 ? NULL : url;
}

char *http_stream_url(const char *base, char *const *channels, size_t count, const char *query) {
    char *url = http_page_url(base, "/stream");
    for (size_t i = 0; i < count + (query != NULL) && url != NULL; i++) {
        char *longer = NULL;
        char *name = i < count ? http_encode(channels[i], false) : NULL;
        const char *part = i < count ? name : query;
        if (part == NULL || asprintf(&longer, "%s%s%s%s", url, i == 0 ? "?" : "&",
                                     i < count ? "channel=" : "", part) < 0) {
            longer = NULL;
        }
        free(name);
        free(url);
        url = longer;
    }
    return url;
}

char *http_encode(const char *text, bool keeps_slashes) {
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~"; /* RFC 3986, section 2.3 */
    static const char digits[] = "0123456789ABCDEF";
    char *encoded = malloc(3 * strlen(text) + 1);
    char *end = encoded;
    for (const char *byte = text; encoded != NULL && *byte != '\0'; byte++) {
        if (strchr(unreserved, *byte) != NULL || (keeps_slashes && *byte == '/')) {
            *end++ = *byte;
        } else {
            *end++ = '%';
            *end++ = digits[(unsigned char)*byte >> 4];
            *end++ = digits[(unsigned char)*byte & 15];
        }
    }
    if (encoded != NULL) {
        *end = '\0';
    }
    return encoded;
}

CURL *http_create(const char *url) {
    CURL *curl = curl_easy_init();
    if (curl == NULL || curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK) {
        curl_easy_cleanup(curl);
        return NULL;
    }
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* `a/../b` is a channel like any other */
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tidings/" TIDINGS_VERSION);
    const char *authorities = getenv(AUTHORITIES_VARIABLE);
    if (authorities != NULL && *authorities != '\0') {
        curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
    }
    return curl;
}

bool http_add_header(struct curl_slist **headers, const char *name, const char *value) {
    if (strpbrk(value, "\r\n") != NULL) {
        fprintf(stderr, "tidings: %s must be one line\n", name);
        return false;
    }
    /* libcurl takes "name;" for a header without value. */
    char *line = NULL;
    if (asprintf(&line, *value == '\0' ? "%s;" : "%s: %s", name, value) < 0) {
        return false;
    }
    struct curl_slist *longer = curl_slist_append(*headers, line);
    free(line);
    if (longer != NULL) {
        *headers = longer;
    }
    return longer != NULL;
}

size_t http_on_answer(char *bytes, size_t size, size_t count, void *context) {
    struct http_answer *answer = context;
    size_t length = size * count;
    size_t room = sizeof(answer->bytes) - answer->length;
    size_t taken = length < room ? length : room;
    if (taken > 0) {
        memcpy(answer->bytes + answer->length, bytes, taken);
    }
    answer->length += taken;
    return length; /* the rest is read and dropped, so that the connection stays usable */
}

/* Each fault of a definition, on a line of its own. */
static void tell_faults(FILE *stream, const json_t *faults) {
    for (size_t i = 0; i < json_array_size(faults); i++) {
        const json_t *fault = json_array_get(faults, i);
        fputs("  ", stream);
        output_safely(stream, json_string_value(json_object_get(fault, "field")));
        fputs(": ", stream);
        output_safely(stream, json_string_value(json_object_get(fault, "reason")));
        fputc('\n', stream);
    }
}

/* An answer that is no problem+json is another program's, or of a port that speaks TLS: the first
 * line of what it says, unless that is markup. */
static const char *read_first_line(char line[WORDS_MAX], const char *bytes, size_t length) {
    size_t taken = 0;
    while (taken < length && taken < WORDS_MAX - 1 && strchr("\r\n", bytes[taken]) == NULL) {
        line[taken] = bytes[taken];
        taken++;
    }
    line[taken] = '\0';
    return taken == 0 || strchr("<{[", line[0]) != NULL ? "and no word why" : line;
}

void http_tell_problem(FILE *stream, const char *about, long status, const char *bytes,
                       size_t length) {
    char line[WORDS_MAX];
    json_t *problem = json_loadb(bytes, length, 0, NULL);
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    fprintf(stream, "tidings: ");
    output_safely(stream, about);
    fprintf(stream, ": %ld ", status);
    output_safely(stream, title == NULL ? read_first_line(line, bytes, length) : title);
    fputs(detail == NULL ? "" : ": ", stream);
    output_safely(stream, detail);
    fputc('\n', stream);
    tell_faults(stream, json_object_get(problem, "faults"));
    json_decref(problem);
}

bool http_is_tls_fault(CURLcode code) {
    static const CURLcode faults[] = {
        CURLE_SSL_CONNECT_ERROR,     CURLE_PEER_FAILED_VERIFICATION,
        CURLE_SSL_CERTPROBLEM,       CURLE_SSL_CIPHER,
        CURLE_SSL_CACERT_BADFILE,    CURLE_SSL_ISSUER_ERROR,
        CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_ENGINE_INITFAILED,
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (faults[i] == code) {
            return true;
        }
    }
    return false;
}

void http_tell_failure(FILE *stream, const char *about, CURLcode code, const char *detail) {
    fputs("tidings: ", stream);
    output_safely(stream, about);
    fputs(": ", stream);
    output_safely(stream, *detail == '\0' ? curl_easy_strerror(code) : detail);
    if (code == CURLE_SSL_CONNECT_ERROR) {
        fputs(" (does the broker speak TLS there? else the URL begins with http:)", stream);
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        fputs(" (--ca names who signed it)", stream);
    }
}

static uint64_t backoff_max_ms(uint64_t base_ms, uint64_t ceiling_ms, unsigned attempt) {
    uint64_t span_ms = base_ms;
    for (unsigned i = 0; i < attempt && span_ms < ceiling_ms; i++) {
        span_ms *= 2;
    }
    return span_ms < ceiling_ms ? span_ms : ceiling_ms;
}

uint64_t http_backoff_ms(uint64_t base_ms, uint64_t ceiling_ms, unsigned attempt, uint64_t random) {
    return random % (backoff_max_ms(base_ms, ceiling_ms, attempt) + 1);
}

uint64_t http_backoff_sum_ms(uint64_t base_ms, uint64_t ceiling_ms, unsigned attempts) {
    uint64_t sum_ms = 0;
    for (unsigned attempt = 0; attempt < attempts; attempt++) {
        sum_ms += backoff_max_ms(base_ms, ceiling_ms, attempt);
    }
    return sum_ms;
}

uint64_t http_retry_after_ms(uint64_t asked_s, uint64_t ceiling_ms, uint64_t random) {
    uint64_t asked_ms = asked_s < ceiling_ms / 1000 ? asked_s * 1000 : ceiling_ms;
    return asked_ms + random % (asked_ms / 2 + 1);
}

uint64_t http_random(void) {
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return http_now_ms(); /* jitter need not be unguessable */
    }
    return random;
}

uint64_t http_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
