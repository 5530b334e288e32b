/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h — is a request signed as Standard Webhooks 1.0.0 has it? The receiver's side.
 *
 * Place:   listen.c.
 * Thread:  pure, but for verify_make_secret(), which asks for random bytes.
 * Bounds:  a secret of VERIFY_SECRET_BYTES_MAX.
 *
 * A secret is "whsec_" and base64 of 24 to 64 bytes. What is signed is `id.timestamp.body`, with
 * HMAC-SHA256; the header has one or several of "v1,<base64>", with a blank between them, so that a
 * secret can be changed without a request that nobody takes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERIFY_SECRET_BYTES_MAX 64
#define VERIFY_SECRET_TEXT_BYTES 128 /* "whsec_" and base64 of the most, and the end */
#define VERIFY_TOLERANCE_S 300       /* that two clocks may differ: what the libraries allow */

struct verify_secret {
    unsigned char bytes[VERIFY_SECRET_BYTES_MAX];
    size_t length;
};

/* X(verdict, its word, whether the request is to be taken) */
#define VERIFY_TABLE(X)                                                                            \
    X(VERIFY_GOOD, "good", true)                                                                   \
    X(VERIFY_UNSIGNED, "unsigned", false)   /* one of the three headers is missing */              \
    X(VERIFY_MALFORMED, "malformed", false) /* the time is no number of seconds */                 \
    X(VERIFY_STALE, "stale", false)         /* signed too long ago, or in the future */            \
    X(VERIFY_WRONG, "wrong", false)         /* none of the signatures fits */

enum verify_verdict {
#define VERIFY_VERDICT(verdict, word, is_good) verdict,
    VERIFY_TABLE(VERIFY_VERDICT)
#undef VERIFY_VERDICT
};

/* What a request says of itself. NULL: the header is not there. All borrowed. */
struct verify_claim {
    const char *id;
    const char *timestamp;
    const char *signature;
    const char *body;
    size_t body_length;
};

/* False: the text is no secret. */
bool verify_parse_secret(const char *text, struct verify_secret *ret_secret);

/* A fresh one of 32 bytes. False: there are no random bytes. */
bool verify_make_secret(char ret_text[VERIFY_SECRET_TEXT_BYTES]);

enum verify_verdict verify_claim(const struct verify_secret *secret,
                                 const struct verify_claim *claim, int64_t now_s);

const char *verify_word(enum verify_verdict verdict);
