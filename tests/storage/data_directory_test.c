/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/data_directory.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/storage/fixture.h"

TEST(a_directory_in_use_is_refused_also_to_another_process) {
    struct fixture fixture;
    struct data_directory second;
    struct error why = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(data_directory_open(&second, fixture.directory, &why), ERR_LOCKED);
    EXPECT_NOT_NULL(strstr(why.detail, "another broker"));
    pid_t child = fork();
    if (child == 0) {
        _exit(data_directory_open(&second, fixture.directory, NULL) == ERR_LOCKED ? 0 : 1);
    }
    int status = 1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    fixture_close(&fixture);
    EXPECT_EQ(data_directory_open(&second, fixture.directory, NULL), OK);
    data_directory_close(&second);
    fixture_finish(&fixture);
}

TEST(a_directory_of_another_version_is_refused_and_left_alone) {
    struct fixture fixture;
    struct error why = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 3);
    fixture_close(&fixture);
    fixture_shell("echo tidings-data 2 > %s/VERSION", fixture.directory);
    EXPECT_EQ(storage_open(&fixture.options, &fixture.storage, &why), ERR_DATA_VERSION);
    EXPECT_NOT_NULL(strstr(why.detail, "tidings-data 2, this broker has 1"));
    fixture_shell("echo hello > %s/VERSION", fixture.directory);
    EXPECT_EQ(storage_open(&fixture.options, &fixture.storage, &why), ERR_DATA_VERSION);
    fixture_shell("rm %s/VERSION", fixture.directory);
    EXPECT_EQ(storage_open(&fixture.options, &fixture.storage, &why), ERR_DATA_VERSION);
    fixture_shell("echo tidings-data 1 > %s/VERSION", fixture.directory);
    fixture_open(&fixture);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 3);
    fixture_finish(&fixture);
}

TEST(a_new_directory_is_the_owners_alone) {
    struct fixture fixture;
    struct stat stat_of;
    fixture_init(&fixture);
    EXPECT_EQ(rmdir(fixture.directory), 0);
    fixture_open(&fixture);
    EXPECT_EQ(stat(fixture.directory, &stat_of), 0);
    EXPECT_EQ(stat_of.st_mode & 0777, 0700);
    EXPECT_TRUE(fixture.log_id != 0);
    EXPECT_EQ(fixture.generation, 1);
    EXPECT_EQ(fixture.position_next, 1);
    fixture_finish(&fixture);
}

TEST(what_cannot_be_a_directory_is_an_error_with_its_name) {
    struct fixture fixture;
    struct error why = {0};
    fixture_init(&fixture);
    fixture_shell("touch %s/file", fixture.directory);
    char path[128];
    snprintf(path, sizeof(path), "%s/file", fixture.directory);
    fixture.options.directory = path;
    EXPECT_EQ(storage_open(&fixture.options, &fixture.storage, &why), ERR_IO);
    EXPECT_NOT_NULL(strstr(why.detail, path));
    snprintf(path, sizeof(path), "%s/none/below", fixture.directory);
    EXPECT_EQ(storage_open(&fixture.options, &fixture.storage, &why), ERR_IO);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_directory_in_use_is_refused_also_to_another_process),
           UNIT(a_directory_of_another_version_is_refused_and_left_alone),
           UNIT(a_new_directory_is_the_owners_alone),
           UNIT(what_cannot_be_a_directory_is_an_error_with_its_name))
