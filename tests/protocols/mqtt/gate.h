/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h — who a client is and what it may do, as a test says: in the place of
 * broker/runtime/access.h; and limits that nothing is above, in that of throttle.h.
 *
 * Place:   tests of the MQTT server, in front of broker/runtime.
 * Thread:  the test's.
 * Bounds:  one client, one question under way.
 */
#pragma once

#include "broker/runtime/access.h"
#include "tests/unit.h"

struct gate {
    struct identity *next;   /* whom the credentials prove; NULL: everyone */
    enum error_code result;  /* of the next question who it is */
    const char *forbidden;   /* what may not be done: "publish a/b"; NULL: all may */
    bool has_ended;          /* what was good when it was asked is so no more */
    bool is_slow;            /* answers come by gate_answer() */
    struct inquiry *inquiry; /* that is under way */
    unsigned identify_count;
    unsigned permit_count;
    char bearer[64]; /* what was presented last … */
    char user[64];
    char certificate[64];
    char client_id[64];
    char asked[64]; /* … and what was asked for: "publish a/b" */
};

extern struct gate gate;

/* Everyone may do all, at once. */
void gate_begin(void);
void gate_end(void);

/* Somebody of that name and tenant (NULL: of none), from now on until the test ends. */
struct identity *gate_make(const char *subject, const char *tenant);

/* Credentials are configured until gate_end(): the anonymous may read what is below "public". */
void gate_guard(void);

/* That is who the connection is. */
void gate_be(struct identity *identity);

/* The late answer; for who it is with gate.next. */
void gate_answer(enum error_code code);
