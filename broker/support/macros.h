/* SPDX-License-Identifier: Apache-2.0 */
/* macros.h — the few words that C17 lacks and every file needs.
 *
 * Place:   included by everyone, includes nothing of ours.
 * Thread:  none; nothing here has state.
 * Bounds:  none.
 */
#pragma once

#include <stddef.h>

/* The caller has to look at the result ([[nodiscard]] is an error in clang 14 at C17). */
#define MUST_USE __attribute__((warn_unused_result))

/* Says in the code that a result is left alone on purpose; the comment beside it says why. */
#define IGNORE_RESULT(call)                                                                        \
    do {                                                                                           \
        if (call) {                                                                                \
        }                                                                                          \
    } while (0)

#define PRINTF_LIKE(format_index, first_index)                                                     \
    __attribute__((format(printf, format_index, first_index)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* From an intrusive member back to the struct that holds it. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
