/* SPDX-License-Identifier: Apache-2.0 */
/* That it is served, and swapped, is shown in tests/wire/tls_test.py. */
#include "protocols/operator/certificate.h"

#include <stdio.h>

#include "tests/scratch.h"
#include "tests/unit.h"

TEST(files_that_are_not_there_are_named) {
    struct error why = {0};
    struct certificate *certificate = NULL;
    EXPECT_EQ(certificate_create("/nowhere/c.pem", "/nowhere/k.pem", &certificate, &why),
              ERR_CONFIG);
    EXPECT_NULL(certificate);
    EXPECT_NOT_NULL(strstr(why.detail, "/nowhere/c.pem cannot be read: No such file"));
    certificate_destroy(NULL);
}

TEST(files_that_hold_no_certificate_are_refused) {
    struct error why = {0};
    struct certificate *certificate = NULL;
    const char *path = scratch_write("nothing");
    EXPECT_EQ(certificate_create(path, path, &certificate, &why), ERR_CONFIG);
    EXPECT_NULL(certificate);
    EXPECT_NOT_NULL(strstr(why.detail, path));
    scratch_remove(path);
}

UNIT_TESTS(UNIT(files_that_are_not_there_are_named),
           UNIT(files_that_hold_no_certificate_are_refused))
