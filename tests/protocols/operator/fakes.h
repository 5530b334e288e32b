/* SPDX-License-Identifier: Apache-2.0 */
/* fakes.h — a broker without threads, disk and routes, for tests of the operator's port alone.
 *
 * Place:   linked instead of broker/runtime, storage and protocols/rest/routes.c.
 * Thread:  the test's; fake answers come from threads of their own, as those of the log do.
 * Bounds:  none.
 *
 * The fake routes below /channels/: now (answers at once), later (answers from another thread),
 * echo (sends the body back, at most FAKES_ECHO_BYTES_MAX), held (answers at fakes_release()),
 * a%20b (204 with the target in a header), large (FAKES_LARGE_BYTES of 'x'). All else is 404.
 */
#pragma once

#include "broker/config/config.h"
#include "broker/runtime/broker.h"

#define FAKES_ECHO_BYTES_MAX 100000
#define FAKES_CHANNELS 3    /* a/0, a/1, a/2: readers of each as many as its last letter's code */
#define FAKES_CONNECTIONS 3 /* 2 and 3 are behind, 1 is live; 1 can be dismissed */
#define FAKES_SESSIONS 3    /* a/"1 is connected and can be dismissed, b is away, c for ever */
#define FAKES_SINKS 2       /* see pushing.c */
#define FAKES_LARGE_BYTES 5000000

/* What the next reloads come to. */
extern enum error_code fakes_reload;

/* A broker that is ready, with metrics, figures and a config that names the address. */
struct broker *fakes_create(const struct config_address *address);
void fakes_destroy(struct broker *broker);

/* A turn of worker 0. Whoever shows "bad" has expired, "slow" is known a turn later; they may read
 * and publish `a` and all below, but a/asked, where the application says no a turn later. False: it
 * had nothing to do. */
bool fakes_turn(struct broker *broker);

/* What log_health() says, of every fake log. */
void fakes_set_health(enum error_code code);

/* How many reads were submitted, ever. */
unsigned fakes_reads(void);

/* Answers all calls of /channels/held, from the calling thread; no answer is on its way then. */
void fakes_release(void);

/* How many calls of /channels/held wait. Any thread. */
unsigned fakes_held(void);
