/* SPDX-License-Identifier: Apache-2.0 */
/* court.h — the log, its storage, the accesses of the workers and the sift, as revoking sees them.
 *
 * Place:   tests of revoking.h; linked with --wrap for memory and the clock.
 * Thread:  the test's.
 * Bounds:  OBJECTS_MAX objects, and a crowd.
 */
#pragma once

#include "broker/runtime/broker.h"
#include "broker/runtime/revoking.h"
#include "broker/runtime/sift.h"
#include "broker/support/mailbox.h"
#include "tests/unit.h"

struct access;
struct publish;

#define NOW_S UINT64_C(1800000000)
#define LATER_S (NOW_S + 1000)
#define WORKERS 2
#define OBJECTS_MAX 256
#define TEXT_BYTES 32
#define ASKED_MAX (REVOKINGS_MAX + 1)

/* The access of a worker, as this module sees it. */
struct access {
    struct revocations *set;
};

struct worker {
    struct access access;
};

struct object {
    uint8_t name[REVOCATION_KEY_BYTES_MAX];
    uint8_t state[64];
    size_t name_length;
    size_t state_length;
};

struct court {
    struct broker broker;
    struct revoking *revoking;
    struct worker workers[WORKERS];
    struct worker *pointers[WORKERS];
    struct mailbox mailbox;
    struct object objects[OBJECTS_MAX]; /* what the log's storage has */
    size_t object_count;
    size_t crowd_count; /* and so many tokens before them … */
    uint64_t crowd_until_s;
    enum error_code reading; /* how storage_each_object() ends */
    struct publish *asked[ASKED_MAX];
    size_t asked_first; /* not answered yet, in order */
    size_t asked_count;
    enum error_code refusal; /* of log_submit() */
    uint64_t later_s;        /* than NOW_S: how late it is */
    struct sift_options sift;
    size_t sift_count;
    enum error_code sift_refusal;
    bool is_memory_short;
    size_t allocation_count;
    size_t allocation_failing; /* the one of them that fails; 0: none */
    size_t answered_count;
    enum error_code answered;
    struct error why;
};

extern struct court court;

/* A court whose storage the test fills before court_start(); or one that has begun with none. */
int court_begin(void **state);
int court_begin_empty(void **state);
int court_end(void **state);
void court_start(void);

/* Another process, with what the storage has. */
void court_restart(void);

/* Revokes, or lifts. */
enum error_code court_ask(const struct revocation *revocation, bool is_lifted);

/* The log answers the oldest publish that it was asked. */
void court_answer(enum error_code result);

/* The sift that was begun last comes to all workers. */
void court_tell(void);

/* So many are stored and told, and their sifts are over. */
void court_settle(size_t count);

/* From the question to its end. */
void court_change(const struct revocation *revocation, bool is_lifted);

/* Issued up to now; tenant may be NULL. */
struct revocation court_make(enum revocation_kind kind, const char *value, const char *tenant,
                             uint64_t until_s);
struct revocation court_make_token(const char *value);
struct revocation court_crowd_member(size_t index, char text[TEXT_BYTES]);
bool court_has(const struct revocations *set, const struct revocation *revocation);

/* As it is stored. */
void court_fill_object(struct object *object, const struct revocation *revocation);

/* Stores so many that have ended, as an earlier process left them: "ended 0", … */
void court_store_ended(size_t count);
