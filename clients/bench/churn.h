/* SPDX-License-Identifier: Apache-2.0 */
/* churn.h — readers that go and come again, so many a second.
 *
 * Place:   crew.c calls it once a turn, and when something came to a reader.
 * Thread:  the crew's.
 * Bounds:  a number a channel and lane of each reader that is about to go; none waits longer than
 *          the drain.
 *
 * Who is asked to go stays until it has all that was published by then: what lacks could not be
 * told from what is under way. What it still lacks when the time of the drain is over is lost.
 */
#pragma once

#include <stdint.h>

struct crew;
struct reader;

/* Asks as many to go as are due. While nobody can go, who is to go waits, and is late. */
void churn_some(struct crew *crew, uint64_t now_ns);

/* Something came, or time went by: does it go? */
void churn_look(struct crew *crew, struct reader *reader, uint64_t now_ns);

/* It need not go any more, or is gone. */
void churn_cancel(struct crew *crew, struct reader *reader);
