/* SPDX-License-Identifier: Apache-2.0 */
/* porter.h — a driver of sources that brings numbers, under one position.
 *
 * Place:   tests of source.h; it stands where MQTT's driver would.
 * Thread:  the loop's, but for what the test sets before it starts.
 * Bounds:  the test's.
 */
#pragma once

#include "tests/protocols/sources/dock.h"

struct porter {
    struct source *source;
    uint64_t next; /* number of the next record … */
    uint64_t last; /* … and of the last one that it has */
    const char *topic;
    size_t starts;
    size_t rooms;
    size_t answers;
    size_t dropped;
    bool is_shut; /* puts nothing by itself */
};

extern struct porter porter;

/* A dock with it; it has the numbers 1 to `last`. */
void porter_prepare(struct dock *dock, const char *rules, uint64_t last);

/* The loop's. An empty payload: the number. */
void porter_put(uint64_t number, const char *topic, struct span key, struct span payload);
void porter_put_more(uint64_t last);

/* The channel has the numbers from 1, at offsets from 1. */
void porter_expect_dense(struct dock *dock, const char *channel, uint64_t count);
