/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/resolving.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PORT_BYTES 8
#define LOCAL_HOST "localhost"

/* Of the handle's URL, as libcurl's cache has them. False: it has none, or no memory. */
static bool find_host(CURL *handle, char host[LOOKUP_HOST_BYTES], char port[PORT_BYTES]) {
    char *url = NULL, *found_host = NULL, *found_port = NULL;
    CURLU *parts = curl_url();
    bool is_found =
        parts != NULL && curl_easy_getinfo(handle, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK &&
        curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &found_host, CURLU_PUNYCODE) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_PORT, &found_port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        strlen(found_host) < LOOKUP_HOST_BYTES;
    if (is_found) {
        snprintf(host, LOOKUP_HOST_BYTES, "%s", found_host);
        snprintf(port, PORT_BYTES, "%s", found_port);
    }
    curl_free(found_host);
    curl_free(found_port);
    curl_url_cleanup(parts);
    return is_found;
}

/* libcurl asks nobody for these. */
static bool is_plain(const char *host) {
    struct in_addr address;
    size_t length = strlen(host), local = strlen(LOCAL_HOST);
    return host[0] == '[' || inet_pton(AF_INET, host, &address) == 1 ||
           (length >= local && strcasecmp(host + length - local, LOCAL_HOST) == 0 &&
            (length == local || host[length - local - 1] == '.'));
}

/* Other than 0 ends the transfer. */
static int on_resolve(void *resolver, void *reserved, void *context) {
    char host[LOOKUP_HOST_BYTES], port[PORT_BYTES];
    struct resolving *resolving = context;
    (void)resolver;
    (void)reserved;
    if (find_host(resolving->handle, host, port) && is_plain(host)) {
        return 0;
    }
    resolving->is_wanted = true;
    return 1;
}

bool resolving_prepare(struct resolving *resolving, CURL *handle) {
    resolving->handle = handle;
    CURLcode code = curl_easy_setopt(handle, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
    code |= curl_easy_setopt(handle, CURLOPT_RESOLVER_START_DATA, resolving);
    return code == CURLE_OK;
}

bool resolving_is_due(const struct resolving *resolving) {
    return resolving->is_wanted && !resolving->is_answered;
}

/* False: no memory. The entry is forgotten as one of libcurl's own. */
static bool keep(struct resolving *resolving, const char *addresses) {
    char host[LOOKUP_HOST_BYTES], port[PORT_BYTES];
    char entry[LOOKUP_HOST_BYTES + PORT_BYTES + LOOKUP_ADDRESSES_BYTES];
    if (!find_host(resolving->handle, host, port)) {
        return false;
    }
    snprintf(entry, sizeof(entry), "+%s:%s:%s", host, port, addresses);
    curl_slist_free_all(resolving->addresses);
    resolving->addresses = curl_slist_append(NULL, entry);
    return resolving->addresses != NULL &&
           curl_easy_setopt(resolving->handle, CURLOPT_RESOLVE, resolving->addresses) == CURLE_OK;
}

static void on_found(struct lookup_wait *wait, const char *addresses) {
    struct resolving *resolving = CONTAINER_OF(wait, struct resolving, wait);
    resolving->is_answered = true;
    resolving->on_resolved(resolving, addresses != NULL && keep(resolving, addresses));
}

enum error_code resolving_begin(struct resolving *resolving, struct lookup *lookup,
                                uint64_t timeout_ms) {
    char host[LOOKUP_HOST_BYTES], port[PORT_BYTES];
    if (!find_host(resolving->handle, host, port)) {
        return ERR_MEMORY;
    }
    resolving->wait.on_found = on_found;
    return lookup_ask(lookup, &resolving->wait, host, timeout_ms);
}

void resolving_end(struct resolving *resolving) {
    lookup_take_back(&resolving->wait);
    resolving->is_wanted = resolving->is_answered = false;
    if (resolving->addresses != NULL) {
        curl_easy_setopt(resolving->handle, CURLOPT_RESOLVE, NULL);
        curl_slist_free_all(resolving->addresses);
        resolving->addresses = NULL;
    }
}
