/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h — questions to the operator's port, each with one answer.
 *
 * Place:   called by drain.c, explain.c, health.c and sink.c; calls http.h and trust.h.
 * Thread:  main.
 * Bounds:  ADMIN_ANSWER_BYTES_MAX an answer; the timeout.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "clients/cli/client.h"
#include "clients/cli/trust.h"

#define ADMIN_ANSWER_BYTES_MAX 33554432 /* a thousand sinks with their rows */

/* The rows of a command's table, at those indexes. */
#define ADMIN_URL_ROW                                                                              \
    { "--operator", "URL", "The operator's port (unless told: " CLIENT_OPERATOR_URL_DEFAULT ")" }
#define ADMIN_KEY_ROW                                                                              \
    { "--key", "KEY", "The operator's key (better: " TRUST_OPERATOR_KEY_VARIABLE ")" }

/* Zeroed, with what the flags say put in, it is ready to ask. Texts are borrowed. */
struct admin {
    const char *about;       /* what complaints begin with; NULL: the URL */
    const char *url;         /* --operator */
    const char *authorities; /* --ca */
    const char *key;         /* --key */
    long timeout_ms;
    CURL *curl; /* kept between questions, and the connection with it */
    char *bytes;
    size_t length;
};

/* `path` is as "/api/v1/drain?over=30s", `body` JSON or NULL. True: the answer, a 2xx, is in
 * `bytes` until the next question. False: it was complained about. */
bool admin_ask(struct admin *admin, const char *method, const char *path, const char *body);

void admin_finish(struct admin *admin);
