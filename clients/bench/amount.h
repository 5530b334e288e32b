/* SPDX-License-Identifier: Apache-2.0 */
/* amount.h — numbers as people write them: 100k, 250ms, 10%, 1000/s.
 *
 * Place:   draft.c, for what a flag or a key of a scenario says; settings.c, to write it again.
 * Thread:  pure.
 * Bounds:  none.
 *
 * Each returns NULL, or what the text should have looked like.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

const char *amount_parse_count(const char *text, uint64_t *ret_count);
const char *amount_parse_rate(const char *text, double *ret_rate);
const char *amount_parse_duration(const char *text, uint64_t *ret_ns);
const char *amount_parse_share(const char *text, double *ret_share);

/* In the largest unit in which it is whole: "250ms". */
void amount_write_duration(uint64_t ns, char *text, size_t size);
