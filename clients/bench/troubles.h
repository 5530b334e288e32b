/* SPDX-License-Identifier: Apache-2.0 */
/* troubles.h — what went wrong with connections: each cause once, with how often.
 *
 * Place:   a crew and the publishers keep one; load.c prints them.
 * Thread:  its owner's.
 * Bounds:  TROUBLES_MAX causes; others count as the last.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TROUBLES_MAX 8

struct troubles {
    struct trouble {
        const char *cause; /* constant text */
        uint64_t count;
    } rows[TROUBLES_MAX];
    size_t count;
};

void troubles_note(struct troubles *troubles, const char *cause, uint64_t count);
void troubles_merge(struct troubles *troubles, const struct troubles *other);

/* "3 readers: Connection refused", a line each, on standard error. */
void troubles_tell(const struct troubles *troubles, const char *whose);
