/* SPDX-License-Identifier: Apache-2.0 */
/* figures.h — what the parts of the broker know about themselves, copied into metrics.
 *
 * Place:   called before a scrape.
 * Thread:  the operator's. It alone writes the rows named here, in its own shard; for the depth of
 *          mailboxes in the shards of their threads.
 * Bounds:  constant, and one step a worker.
 */
#pragma once

struct broker;
struct metrics_shard;

/* Parts that the broker does not have (NULL, while it starts) are left out. */
void figures_collect(struct broker *broker, struct metrics_shard *shard);
