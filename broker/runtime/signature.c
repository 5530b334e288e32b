/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "broker/support/base64.h"
#include "broker/support/buffer.h"
#include "broker/support/invariant.h"

#define SECRET_PREFIX "whsec_"
#define DIGEST_BYTES 32
#define HEAD_BYTES_MAX 160 /* an id, a number and two dots */

_Static_assert(sizeof("v1,") + BASE64_TEXT_BYTES(DIGEST_BYTES) <= SIGNATURE_BYTES, "one fits");

static struct span behind_prefix(const char *secret) {
    size_t length = sizeof(SECRET_PREFIX) - 1;
    return span_of(secret + length, strlen(secret) - length);
}

/* What was a secret is no longer in memory. */
static void forget(struct buffer *buffer) {
    if (buffer->bytes != NULL) {
        OPENSSL_cleanse(buffer->bytes, buffer->capacity);
    }
    buffer_finish(buffer);
}

/* One call over one run of bytes: keys and contexts for pieces cost libcrypto 5 us more, copying a
 * body next to nothing. */
static bool digest(const char *secret, struct span text, uint8_t ret_digest[DIGEST_BYTES]) {
    struct span key = span_of_string(secret);
    struct buffer decoded;
    buffer_init(&decoded, key.length + 1);
    if (span_has_prefix(key, SPAN(SECRET_PREFIX)) &&
        base64_put_decoded(&decoded, behind_prefix(secret)) == OK) {
        key = buffer_borrow(&decoded);
    }
    bool is_good = HMAC(EVP_sha256(), key.bytes, (int)key.length, text.bytes, text.length,
                        ret_digest, NULL) != NULL;
    forget(&decoded);
    return is_good;
}

static bool put_one(struct buffer *signature, const char *secret, struct span text) {
    uint8_t bytes[DIGEST_BYTES];
    return digest(secret, text, bytes) &&
           buffer_put(signature, signature->length == 0 ? SPAN("v1,") : SPAN(" v1,")) == OK &&
           base64_put(signature, span_of(bytes, sizeof(bytes))) == OK;
}

enum error_code signature_write(const char *const *secrets, size_t count, const char *id,
                                uint64_t time_s, struct span body,
                                char ret_text[SIGNATURE_TEXT_BYTES]) {
    struct buffer text;
    struct buffer signature;
    INVARIANT(count <= SIGNATURE_SECRETS_MAX);
    buffer_init(&text, HEAD_BYTES_MAX + body.length);
    buffer_init(&signature, SIGNATURE_TEXT_BYTES - 1);
    bool is_good = buffer_reserve(&text, HEAD_BYTES_MAX + body.length) == OK &&
                   buffer_printf(&text, "%s.%llu.", id, (unsigned long long)time_s) == OK &&
                   buffer_put(&text, body) == OK;
    for (size_t i = 0; is_good && i < count; i++) {
        is_good = secrets[i] == NULL || put_one(&signature, secrets[i], buffer_borrow(&text));
    }
    if (is_good) {
        snprintf(ret_text, SIGNATURE_TEXT_BYTES, "%.*s", SPAN_PRINTF(buffer_borrow(&signature)));
    }
    buffer_finish(&text);
    buffer_finish(&signature);
    return is_good ? OK : ERR_MEMORY;
}
