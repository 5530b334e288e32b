/* SPDX-License-Identifier: Apache-2.0 */
/* judge.h — whether rights that are about to be given could be used: what the configuration says of
 * such texts, for those who know nothing of it.
 *
 * Place:   main hands it to `tidings key` and `tidings token`.
 * Thread:  pure.
 * Bounds:  none of its own.
 *
 * Each is false where the text is refused: then `ret_why`, which is always ended, has one sentence.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Of channels, perhaps with `{sub}` and `{tenant}`. */
bool judge_pattern(const char *text, char *ret_why, size_t size);

/* Of a name. */
bool judge_tenant(const char *text, char *ret_why, size_t size);
