/* SPDX-License-Identifier: Apache-2.0 */
/* trust.h — whom a subcommand believes, and what it shows of itself: TLS and a token.
 *
 * Place:   flags of pub.c, sub.c and admin.h; put into what http.h and paho.h connect with.
 * Thread:  main.
 * Bounds:  none of its own.
 */
#pragma once

#include <MQTTClient.h>
#include <curl/curl.h>
#include <stdbool.h>

#include "clients/cli/options.h"

#define TRUST_TOKEN_VARIABLE "TIDINGS_TOKEN"
#define TRUST_OPERATOR_KEY_VARIABLE "TIDINGS_OPERATOR_KEY"
#define TRUST_CA_VARIABLE "TIDINGS_CA"

/* All borrowed from the command line or the environment; NULL: not given. */
struct trust {
    const char *authorities;     /* PEM: who signs the broker's certificate; else the system's */
    const char *certificate;     /* PEM: ours, with … */
    const char *certificate_key; /* … its key */
    const char *token;           /* a JWT or a key: what is sent as Bearer, or as MQTT's password */
};

/* The rows of a command's table, at those indexes. */
#define TRUST_CA_ROW                                                                               \
    { "--ca", "FILE", "Who signs the broker's certificate (" TRUST_CA_VARIABLE ")" }
#define TRUST_CERTIFICATE_ROW                                                                      \
    { "--cert", "FILE", "A certificate to show, with its key …" }
#define TRUST_CERTIFICATE_KEY_ROW                                                                  \
    { "--cert-key", "FILE", "… here, where it is not in that file" }
#define TRUST_TOKEN_ROW                                                                            \
    { "--token", "TOKEN", "A token or a key (better: " TRUST_TOKEN_VARIABLE ")" }

/* Fills in what was not said from the environment; `token_variable` names the token's. */
void trust_complete(struct trust *trust, const char *token_variable);

/* For a handle of http_create(). False: out of memory. */
bool trust_apply_to_http(const struct trust *trust, CURL *curl);

/* For a connection of Paho's; `secure` is filled and borrowed by `options`. */
void trust_apply_to_mqtt(const struct trust *trust, bool is_secure, MQTTClient_SSLOptions *secure,
                         MQTTClient_connectOptions *options);
