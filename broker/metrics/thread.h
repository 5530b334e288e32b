/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h — how busy each thread is: time between sleeps, processor time, turns.
 *
 * Place:   called by each thread of the broker around the one place where it sleeps; the collector
 *          asks the kernel for processor time.
 * Thread:  begin, sleep and wake: the shard's own. collect: the collector's.
 * Bounds:  two looks at the clock a turn, about 50 ns.
 *
 * Busy is what is not asleep, so a thread that waits for the disk is busy: the sync thread's
 * utilisation is the disk's, but for what the log thread syncs itself (sync.h). It counts when the
 * thread falls asleep again.
 */
#pragma once

#include "broker/metrics/metrics.h"

/* At the thread's start: it is awake, and has its shard's name from now on (as `top -H` shows). */
void thread_begin(struct metrics_shard *shard);

/* About to block; and back again. Where a loop calls back before it says so, whoever is called back
 * first may say that the thread is awake: it then stays so. */
void thread_sleep(struct metrics_shard *shard);
void thread_wake(struct metrics_shard *shard);

/* Sets METRIC_THREAD_CPU of each thread that runs. */
void threads_collect(struct metrics *metrics);
