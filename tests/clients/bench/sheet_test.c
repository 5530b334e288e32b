/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/sheet.h"

#include <unistd.h>

#include "tests/scratch.h"
#include "tests/unit.h"

static int write_word(const struct result *result, FILE *stream) {
    (void)result;
    return fputs("new", stream) == EOF ? -1 : 0;
}

static void expect_text(const char *path, const char *expected) {
    char text[32] = "";
    FILE *stream = fopen(path, "re");
    EXPECT_NOT_NULL(stream);
    fread(text, 1, sizeof(text) - 1, stream);
    fclose(stream);
    EXPECT_STRING(text, expected);
}

TEST(a_sheet_that_cannot_be_written_is_told_before_the_load) {
    EXPECT_FALSE(sheet_check("/tmp"));
    EXPECT_FALSE(sheet_check("/no/such/folder/report.html"));
    EXPECT_TRUE(sheet_check(NULL));
    EXPECT_TRUE(sheet_check("-"));
    EXPECT_TRUE(sheet_check("/dev/full"));
    EXPECT_FALSE(sheet_write("/dev/full", NULL, write_word));
}

TEST(a_check_leaves_nothing_and_what_is_there_alone) {
    char folder[SCRATCH_PATH_BYTES];
    char path[SCRATCH_PATH_BYTES + 8];
    scratch_create_folder(folder);
    snprintf(path, sizeof(path), "%s/report", folder);
    EXPECT_TRUE(sheet_check(path));
    EXPECT_EQ(access(path, F_OK), -1);
    FILE *old = fopen(path, "we");
    fputs("much longer", old);
    fclose(old);
    EXPECT_TRUE(sheet_check(path));
    expect_text(path, "much longer");
    EXPECT_TRUE(sheet_write(path, NULL, write_word));
    expect_text(path, "new");
    scratch_remove(folder);
}

UNIT_TESTS(UNIT(a_sheet_that_cannot_be_written_is_told_before_the_load),
           UNIT(a_check_leaves_nothing_and_what_is_there_alone))
