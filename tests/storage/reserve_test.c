/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/reserve.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/storage/disk.h"
#include "tests/storage/fixture.h"

#define BYTES 300000

static bool is_there(const struct fixture *fixture) {
    char path[128];
    struct stat stat_of;
    snprintf(path, sizeof(path), "%s/reserve", fixture->directory);
    return stat(path, &stat_of) == 0 && stat_of.st_size == BYTES;
}

TEST(a_reserve_is_given_up_once_and_made_again) {
    struct fixture fixture;
    struct reserve reserve;
    fixture_init(&fixture);
    reserve_init(&reserve, fixture.directory, BYTES);
    EXPECT_FALSE(reserve_give_up(&reserve));
    EXPECT_TRUE(reserve_make(&reserve));
    EXPECT_TRUE(is_there(&fixture));
    EXPECT_TRUE(reserve_give_up(&reserve));
    EXPECT_FALSE(is_there(&fixture));
    EXPECT_FALSE(reserve_give_up(&reserve));
    EXPECT_TRUE(reserve_make(&reserve));
    EXPECT_TRUE(is_there(&fixture));
    fixture_finish(&fixture);
}

TEST(a_reserve_outlives_its_process) {
    struct fixture fixture;
    struct reserve reserve;
    fixture_init(&fixture);
    reserve_init(&reserve, fixture.directory, BYTES);
    EXPECT_TRUE(reserve_make(&reserve));
    reserve_init(&reserve, fixture.directory, BYTES);
    EXPECT_TRUE(reserve_give_up(&reserve));
    EXPECT_FALSE(is_there(&fixture));
    fixture_finish(&fixture);
}

TEST(no_reserve_is_made_of_the_last_room) {
    struct fixture fixture;
    struct reserve reserve;
    fixture_init(&fixture);
    reserve_init(&reserve, fixture.directory, BYTES);
    disk_limit_writes(BYTES, ENOSPC);
    EXPECT_FALSE(reserve_make(&reserve));
    EXPECT_FALSE(is_there(&fixture));
    disk_limit_writes(BYTES * 2, ENOSPC);
    EXPECT_TRUE(reserve_make(&reserve));
    disk_limit_writes(-1, 0);
    EXPECT_TRUE(is_there(&fixture));
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_reserve_is_given_up_once_and_made_again), UNIT(a_reserve_outlives_its_process),
           UNIT(no_reserve_is_made_of_the_last_room))
