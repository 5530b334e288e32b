/* SPDX-License-Identifier: Apache-2.0 */
/* receipt.h — one request that `tidings listen` got, as a line to read or as a line of JSON.
 *
 * Place:   listen.c.
 * Thread:  pure, but for the stream.
 * Bounds:  the beginning of the body, RECEIPT_BODY_SHOWN bytes, on a line to read.
 *
 * What is in the body is told by its shape, not by its media type: envelopes and CloudEvents, one,
 * a JSON array or a line each. Of `format: data` the headers tell the place. What it says is
 * somebody else's: control characters are not passed on to the terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "clients/cli/verify.h"

#define RECEIPT_BODY_SHOWN 300 /* a screen's width or two: the whole is there with --json */

/* All borrowed. */
struct receipt {
    struct verify_claim claim;
    const char *media_type; /* NULL: not said */
    const char *channel;    /* of the headers that come with `format: data`; NULL … */
    const char *offset;
    enum verify_verdict verdict;
    bool is_repeat; /* its id was answered with success before */
    unsigned status;
    int64_t received_ms; /* wall clock */
};

/* "2026-03-01T12:00:00Z 200 good msg_… tennis/court-1#44 {…}". Flushes. False: it is not all
 * written. */
bool receipt_write_line(FILE *stream, const struct receipt *receipt);

/* {"time","status","signature","webhook_id","webhook_timestamp","repeat","messages":[{"channel",
 * "offset"}],"content_type","body" or "body_base64"}, on one line. Likewise. */
bool receipt_write_json(FILE *stream, const struct receipt *receipt);
