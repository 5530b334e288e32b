/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture.h — an LMDB environment of its own and messages to apply to it, without a journal.
 *
 * Place:   linked into the tests of the modules that work inside a transaction.
 * Thread:  the test's.
 * Bounds:  none.
 */
#pragma once

#include "storage/apply.h"
#include "tests/scratch.h"
#include "tests/unit.h"

struct store_fixture {
    char directory[SCRATCH_PATH_BYTES];
    struct store store;
    struct segments segments;
    struct segment_limits limits;
    uint64_t position;
};

void store_fixture_init(struct store_fixture *fixture);
void store_fixture_finish(struct store_fixture *fixture);

/* The next position, in channel `channel_id` ("c<id>"), at time 1000 + 10 * position. */
struct message *store_fixture_make(struct store_fixture *fixture, uint64_t channel_id,
                                   uint64_t offset, size_t bytes);

/* Applies and commits; the references are taken. */
void store_fixture_apply(struct store_fixture *fixture, struct message **messages, size_t count);

MDB_txn *store_fixture_begin(struct store_fixture *fixture);
