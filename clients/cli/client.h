/* SPDX-License-Identifier: Apache-2.0 */
/* client.h — the subcommands of `tidings` that talk to a broker.
 *
 * Place:   called by main's table of subcommands, with the words behind the subcommand.
 * Thread:  main, alone in its process.
 * Bounds:  a message of CLIENT_MESSAGE_BYTES_MAX; no queue: one message at a time.
 *
 * Each returns what to exit with. Output is on standard output, everything else on standard error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The broker takes payloads of 16 MiB at most; what is larger is not even sent. */
#define CLIENT_MESSAGE_BYTES_MAX 16777216

#define CLIENT_URL_DEFAULT "http://localhost:8080"
#define CLIENT_URL_VARIABLE "TIDINGS_URL"
#define CLIENT_OPERATOR_URL_DEFAULT "http://localhost:8081"

enum client_exit {
    CLIENT_OK = 0,
    CLIENT_FAILED = 1,
    CLIENT_USAGE = 2,   /* the command line is wrong; nothing was tried */
    CLIENT_REFUSED = 3, /* of `explain`: the broker would refuse it */
};

/* `tidings pub CHANNEL [DATA | -]`: publishes one message, or one a line. */
int client_pub(int count, char *const *words);

/* `tidings sub CHANNEL…`: writes a line a message until told to stop; reconnects and resumes. */
int client_sub(int count, char *const *words);

/* `tidings drain`: takes a broker out of service, or back into it. */
int client_drain(int count, char *const *words);

/* `tidings health`: does the broker take traffic? Succeeds if so, else says why not. */
int client_health(int count, char *const *words);

/* What the broker says of a text. False: it refuses it, and why, in one sentence. */
typedef bool client_judge(const char *text, char *ret_why, size_t size);

struct client_judges {
    client_judge *pattern;
    client_judge *tenant;
};

/* `tidings key`: makes an API key and its row for the configuration. */
int client_key(int count, char *const *words, const struct client_judges *judges);

/* `tidings token`: signs a JWT for trying things out. */
int client_token(int count, char *const *words, const struct client_judges *judges);

/* `tidings explain`: would the broker allow it, and why? */
int client_explain(int count, char *const *words);

/* `tidings listen`: a receiver of webhooks that verifies and prints, until told to stop. */
int client_listen(int count, char *const *words);

/* `tidings sink VERB [NAME]`: lists, shows, makes, tests, stops and replays sinks. */
int client_sink(int count, char *const *words);
