/* SPDX-License-Identifier: Apache-2.0 */
/* outlet.h — one connection that publishes: what is due on it, what it sent, what is unanswered.
 *
 * Place:   publishers.c has many, and pumps those that something happened to.
 * Thread:  the publishers'.
 * Bounds:  OUTLET_OUTPUT_BYTES_MAX unsent bytes and OUTLET_FLIGHT_MAX unanswered publishes; beyond
 *          them what is due waits, and is late: its time is that of the schedule all the same.
 *
 * A connection that the server ended is made anew. What it had sent and was not answered stays
 * published and unanswered: if nobody gets it, it is lost.
 */
#pragma once

#include "clients/bench/composer.h"
#include "clients/bench/histogram.h"
#include "clients/bench/link.h"
#include "clients/bench/ring.h"
#include "clients/bench/troubles.h"

#define OUTLET_OUTPUT_BYTES_MAX 1048576
#define OUTLET_FLIGHT_MAX 65535  /* as many packet identifiers has MQTT */
#define OUTLET_REFUSAL_BYTES 400 /* of the words of the first */
#define OUTLET_RETRY_NS 250000000ull

/* What all outlets share. */
struct outlet_common {
    struct composer composer;
    const struct target *target;
    struct histogram *answer;
    uint64_t from_ns;  /* what was due before is not in the histogram */
    uint64_t answered; /* of the messages put since from_ns: answers to others count no more */
    uint64_t refused;
    uint64_t under_way;   /* messages of publishes that will be answered */
    uint64_t last_ns;     /* when the last message was put */
    uint64_t waiting;     /* entries in all rings */
    bool is_mixed;        /* messages of one publish may have several channels */
    bool is_sending_rest; /* a batch need not be full any more */
    struct troubles troubles;
    char refusal[OUTLET_REFUSAL_BYTES]; /* why the first that counts was refused; "": none was */
};

struct outlet {
    struct link link;
    struct outlet_common *common;
    uint32_t index;
    uint32_t lane;
    uint32_t cursor; /* of the closed model: the next channel of its own */
    struct ring due;
    struct ring flight; /* publishes, where they are answered */
    uint64_t retry_ns;  /* closed: when to try again */
    bool is_settled;    /* was open once, or failed to be */
    bool is_proven;     /* something was answered on this connection */
    bool is_listed;     /* among those to be pumped */
};

/* Begins to connect. */
void outlet_connect(struct outlet *outlet, uint64_t now_ns);

/* May one more publish be put? */
bool outlet_has_room(const struct outlet *outlet);

void outlet_put_due(struct outlet *outlet, struct ring_entry entry);

/* Is there a publish to put, and room for it? */
bool outlet_is_ready(const struct outlet *outlet);

/* Puts what is due as far as there is room, and sends it. */
void outlet_pump(struct outlet *outlet);

void outlet_on_event(struct outlet *outlet, uint32_t events, uint8_t *buffer);

/* Forgets what is due: the stage is over. */
void outlet_give_up(struct outlet *outlet);

void outlet_finish(struct outlet *outlet);
