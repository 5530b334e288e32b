/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/scratch.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit.h"

#define NAME "tidings-test-XXXXXX"
#define WALK_DESCRIPTORS 16

static void put_template(char ret_path[SCRATCH_PATH_BYTES]) {
    const char *base = getenv("TMPDIR");
    bool is_usable = base != NULL && strlen(base) + sizeof("/" NAME) <= SCRATCH_PATH_BYTES;
    snprintf(ret_path, SCRATCH_PATH_BYTES, "%s/" NAME, is_usable ? base : "/tmp");
}

void scratch_create_folder(char ret_path[SCRATCH_PATH_BYTES]) {
    put_template(ret_path);
    EXPECT_NOT_NULL(mkdtemp(ret_path));
}

FILE *scratch_create_file(char ret_path[SCRATCH_PATH_BYTES]) {
    put_template(ret_path);
    int descriptor = mkstemp(ret_path);
    EXPECT_TRUE(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    EXPECT_NOT_NULL(file);
    return file;
}

const char *scratch_write(const char *text) {
    static char path[SCRATCH_PATH_BYTES];
    FILE *file = scratch_create_file(path);
    EXPECT_EQ(fwrite(text, 1, strlen(text), file), strlen(text));
    EXPECT_EQ(fclose(file), 0);
    return path;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void scratch_remove(const char *path) {
    EXPECT_EQ(nftw(path, remove_one, WALK_DESCRIPTORS, FTW_DEPTH | FTW_PHYS), 0);
}
