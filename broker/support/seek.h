/* SPDX-License-Identifier: Apache-2.0 */
/* seek.h — finds the place of a number in rows that are in its order, by halves.
 *
 * Place:   tables that are kept sorted by a position or a hash: the ledger of a sink.
 * Thread:  any; reads what it is given.
 * Bounds:  the rows are the caller's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The index of the first row whose number is `number` or more; `count`: there is none. The numbers
 * ascend, each `number_at` bytes behind the beginning of a row of `row_bytes`. `rows` may be NULL
 * where there are none. */
size_t seek_number(const void *rows, size_t count, size_t row_bytes, size_t number_at,
                   uint64_t number);

/* The same in an array of structs of that type, whose member is the number. */
#define SEEK_ROW(rows, count, type, member, number)                                                \
    seek_number(rows, count, sizeof(type), offsetof(type, member), number)
