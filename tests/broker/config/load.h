/* SPDX-License-Identifier: Apache-2.0 */
/* load.h — loads a configuration for a test, from words that stand in the test.
 *
 * Place:   included by the tests of broker/config.
 * Thread:  the test's.
 * Bounds:  none.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "broker/config/config.h"
#include "tests/scratch.h"
#include "tests/unit.h"

/* Of the last load; on no stack, because they are 50 KB. */
static struct config_faults faults;

#define CONST_WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define WORDS(...) ((char *const *)CONST_WORDS(__VA_ARGS__))
#define FLAGS(...)                                                                                 \
    .flags = WORDS(__VA_ARGS__), .flag_count = ARRAY_COUNT(CONST_WORDS(__VA_ARGS__)) - 1

__attribute__((unused)) static struct config *load(struct config_sources sources) {
    struct config *config = NULL;
    if (config_load(&sources, &config, &faults) != OK) {
        config_faults_print(&faults, stderr);
        EXPECT_EQ(faults.count, 0);
    }
    return config;
}

__attribute__((unused)) static void expect_fault(struct config_sources sources, const char *source,
                                                 const char *key, const char *words) {
    struct config *config = NULL;
    EXPECT_EQ(config_load(&sources, &config, &faults), ERR_CONFIG);
    EXPECT_NULL(config);
    EXPECT_EQ(faults.count, 1);
    EXPECT_STRING(faults.rows[0].source, source);
    EXPECT_STRING(faults.rows[0].key, key);
    if (strstr(faults.rows[0].reason, words) == NULL) {
        EXPECT_STRING(faults.rows[0].reason, words);
    }
}
