/* SPDX-License-Identifier: Apache-2.0 */
/* keyring_private.h — the inside of a keyring, for the two files that are one together.
 *
 * Place:   keyring.c (asking), keyring_reading.c (making).
 * Thread:  written while it is made; then immutable, but for the count.
 * Bounds:  see keyring.h.
 */
#pragma once

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdint.h>

#include "broker/admission/keyring.h"

struct keyring_key {
    char *id; /* `kid`; NULL: none */
    size_t id_length;
    unsigned algorithms;  /* bits of 1 << enum jws_algorithm; never 0 */
    EVP_PKEY *public_key; /* NULL: a secret */
    uint8_t *secret;
    size_t secret_length;
};

struct keyring {
    atomic_uint reference_count;
    size_t key_count;
    struct keyring_key keys[KEYRING_KEYS_MAX];
};
