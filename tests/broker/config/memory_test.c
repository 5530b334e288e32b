/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/memory.h"

#include <unistd.h>

#include "tests/unit.h"

TEST(there_is_memory_and_no_more_than_the_machine_has) {
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    EXPECT_TRUE(memory_available_bytes() > 0);
    EXPECT_TRUE(memory_available_bytes() <= machine);
}

UNIT_TESTS(UNIT(there_is_memory_and_no_more_than_the_machine_has))
