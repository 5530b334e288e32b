/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/resources.h"

#include <sys/resource.h>

#include "tests/unit.h"

TEST(all_descriptors_that_may_be_had_are_had) {
    struct rlimit limit;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max / 2;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    resources_prepare();
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

UNIT_TESTS(UNIT(all_descriptors_that_may_be_had_are_had))
