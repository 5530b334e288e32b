/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h — the few words that every unit test is written in, on top of cmocka.
 *
 * Place:   included by each *_test.c of tests/, which is one binary a module.
 * Thread:  the test's.
 * Bounds:  none.
 *
 *     TEST(offsets_start_at_one) { EXPECT_EQ(first, 1); }
 *     UNIT_TESTS(UNIT(offsets_start_at_one), …)
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A claim: its name says what holds. */
#define TEST(name) static void name(void **unit_state __attribute__((unused)))

#define UNIT(name) cmocka_unit_test(name)

/* The binary's main(): all tests of one module. */
#define UNIT_TESTS(...)                                                                            \
    int main(void) {                                                                               \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

/* Prints both sides when they differ. */
#define EXPECT_EQ(actual, expected) assert_int_equal((intmax_t)(actual), (intmax_t)(expected))
#define EXPECT_TRUE(claim) assert_true(claim)
#define EXPECT_FALSE(claim) assert_false(claim)
#define EXPECT_NULL(pointer) assert_null(pointer)
#define EXPECT_NOT_NULL(pointer) assert_non_null(pointer)
#define EXPECT_STRING(actual, expected) assert_string_equal(actual, expected)

/* A span against a C string. */
#define EXPECT_SPAN(span, string)                                                                  \
    do {                                                                                           \
        char unit_text[4096];                                                                      \
        __typeof__(span) unit_span = (span);                                                       \
        size_t unit_length =                                                                       \
            unit_span.length < sizeof(unit_text) ? unit_span.length : sizeof(unit_text) - 1;       \
        if (unit_length > 0) {                                                                     \
            memcpy(unit_text, unit_span.bytes, unit_length);                                       \
        }                                                                                          \
        unit_text[unit_length] = '\0';                                                             \
        assert_string_equal(unit_text, string);                                                    \
    } while (0)
