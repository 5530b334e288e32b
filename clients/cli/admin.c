/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/http.h"

static size_t on_answer(char *bytes, size_t size, size_t count, void *context) {
    struct admin *admin = context;
    size_t length = size * count;
    if (length > ADMIN_ANSWER_BYTES_MAX - admin->length) {
        return 0;
    }
    char *larger = realloc(admin->bytes, admin->length + length);
    if (larger == NULL) {
        return 0;
    }
    memcpy(larger + admin->length, bytes, length);
    admin->bytes = larger;
    admin->length += length;
    return length;
}

/* False: out of memory. */
static bool prepare(struct admin *admin, const char *url) {
    if (admin->curl != NULL) {
        return curl_easy_setopt(admin->curl, CURLOPT_URL, url) == CURLE_OK;
    }
    struct trust trust = {.authorities = admin->authorities, .token = admin->key};
    trust_complete(&trust, TRUST_OPERATOR_KEY_VARIABLE);
    admin->curl = http_create(url);
    if (admin->curl == NULL || !trust_apply_to_http(&trust, admin->curl)) {
        return false;
    }
    curl_easy_setopt(admin->curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(admin->curl, CURLOPT_WRITEDATA, admin);
    curl_easy_setopt(admin->curl, CURLOPT_TIMEOUT_MS, admin->timeout_ms);
    return true;
}

static bool perform(struct admin *admin, const char *about) {
    char failure[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_easy_setopt(admin->curl, CURLOPT_ERRORBUFFER, failure);
    admin->length = 0;
    CURLcode code = curl_easy_perform(admin->curl);
    curl_easy_getinfo(admin->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_setopt(admin->curl, CURLOPT_ERRORBUFFER, NULL);
    bool is_good = code == CURLE_OK && status >= 200 && status < 300;
    if (code != CURLE_OK) {
        http_tell_failure(stderr, about, code, failure);
        fputc('\n', stderr);
    } else if (!is_good) {
        http_tell_problem(stderr, about, status, admin->bytes, admin->length);
    }
    return is_good;
}

bool admin_ask(struct admin *admin, const char *method, const char *path, const char *body) {
    struct curl_slist *headers = NULL;
    bool is_good = false;
    char *url = http_page_url(admin->url == NULL ? CLIENT_OPERATOR_URL_DEFAULT : admin->url, path);
    if (url == NULL || !prepare(admin, url) ||
        (body != NULL && !http_add_header(&headers, "Content-Type", "application/json"))) {
        fputs("tidings: out of memory\n", stderr);
        goto out;
    }
    curl_easy_setopt(admin->curl, CURLOPT_HTTPGET, 1L); /* forgets an earlier body */
    if (body != NULL) {
        curl_easy_setopt(admin->curl, CURLOPT_POSTFIELDS, body);
    }
    curl_easy_setopt(admin->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(admin->curl, CURLOPT_HTTPHEADER, headers);
    is_good = perform(admin, admin->about == NULL ? url : admin->about);
    curl_easy_setopt(admin->curl, CURLOPT_HTTPHEADER, NULL);
out:
    curl_slist_free_all(headers);
    free(url);
    return is_good;
}

void admin_finish(struct admin *admin) {
    curl_easy_cleanup(admin->curl);
    free(admin->bytes);
}
