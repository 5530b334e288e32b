/* SPDX-License-Identifier: Apache-2.0 */
/* certificate.h — self-signed certificates of a test's own, in files.
 *
 * Place:   tests of tls.h and tunnel.h.
 * Thread:  the test's.
 * Bounds:  the test's.
 */
#pragma once

#include "broker/support/span.h"

#define CERTIFICATE_PATH_BYTES 96

/* Whose it is and where it lies; both files are overwritten by the next of the same name. */
struct certificate {
    char file[CERTIFICATE_PATH_BYTES];
    char key[CERTIFICATE_PATH_BYTES];
};

/* A new directory, and its end with all that is in it. */
void certificates_begin(void);
void certificates_end(void);

/* Of that common name, which may be any bytes, good for so many days from now: negative, it has
 * expired. `password` NULL: the key is not encrypted. */
struct certificate certificate_create(const char *name, struct span common_name, int days,
                                      const char *password);

/* A file of that text. Borrowed until the next. */
const char *certificate_write_text(const char *name, const char *text);
