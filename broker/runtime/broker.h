/* SPDX-License-Identifier: Apache-2.0 */
/* broker.h — what the threads share, in one place: set up by main before they start.
 *
 * Place:   filled by broker/main.c, handed down to every thread.
 * Thread:  the pointers do not change while threads run, but for `rules` and `configured`, swapped
 *          whole by reload.c; what they point to says who may call it.
 * Bounds:  none of its own.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct accounts;
struct addresses;
struct buckets;
struct budget;
struct config;
struct courier;
struct jwks;
struct mailbox;
struct policy;
struct log;
struct metrics;
struct reads;
struct revoking;
struct rules;
struct sinks;
struct static_assets;
struct storage;
struct tls;
struct tenants;
struct tickets;
struct worker;

struct broker {
    const struct config *config;               /* what it began with, and runs with */
    _Atomic(const struct config *) configured; /* what was read last: see reload.h */
    _Atomic(const struct rules *) rules;
    _Atomic(const struct policy *) policy; /* who may do what: swapped as `rules` is */
    struct storage *storage;
    struct log *log;
    struct reads *reads;
    struct revoking *revoking;
    struct mailbox *mailbox; /* main's */
    struct metrics *metrics;
    struct budget *budget;     /* of memory; NULL: none */
    struct accounts *accounts; /* of subjects and tenants */
    struct tenants *tenants;
    struct sinks *sinks;                         /* NULL: not yet */
    struct buckets *buckets;                     /* of channels */
    struct addresses *addresses;                 /* NULL: no limit per address */
    struct courier *courier;                     /* NULL: no calls are made */
    struct jwks *jwks;                           /* NULL: no keys are fetched */
    struct tickets *tickets;                     /* NULL: none are issued */
    const struct static_assets *public_assets;   /* of protocols/rest: the demo; NULL: none */
    const struct static_assets *operator_assets; /* the console; NULL: none */
    struct worker **workers;
    size_t worker_count;
    uint16_t public_port; /* the real ones where port 0 was asked for */
    uint16_t operator_port;
    uint16_t mqtt_port;            /* 0: not listening */
    uint16_t mqtt_tls_port;        /* likewise */
    struct tls *tls;               /* NULL: no port of the workers speaks it */
    uint64_t started_ms;           /* wall clock … */
    uint64_t started_monotonic_ms; /* … and the other at that moment */
    atomic_bool is_ready;
    atomic_bool is_draining;             /* out of service: see drain.h */
    atomic_bool is_stopping;             /* the process ends; it drains then too */
    atomic_uint_fast64_t drain_until_ms; /* monotonic; 0: no drain is under way … */
    uint64_t drain_begun_ms;             /* … and what else is of it: the operator's thread's */
    uint64_t drain_over_ms;
    uint64_t drain_connection_count;
    atomic_uint_fast64_t connection_count; /* of all workers, against limits.connections */
    atomic_uint_fast64_t connection_id_next;
    atomic_uint survey_count;     /* under way: see survey.h */
    atomic_uint forgetting_count; /* letters under way: see sharing.h */
};
