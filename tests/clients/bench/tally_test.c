/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/tally.h"

#include <stdlib.h>

#include "tests/unit.h"

#define PUBLISHED 400
#define DISPLACED_MAX 12 /* well within the window */

/* What came, kept the plain way. */
struct model {
    bool came[PUBLISHED];
    uint64_t highest;
    bool is_any;
};

static enum tally_note model_note(struct model *model, uint64_t sequence) {
    bool is_duplicate = model->came[sequence];
    bool is_any = model->is_any;
    uint64_t highest = model->highest;
    model->came[sequence] = true;
    model->is_any = true;
    model->highest = !is_any || sequence > highest ? sequence : highest;
    if (is_duplicate) {
        return TALLY_DUPLICATE;
    }
    if (!is_any || sequence == highest + 1) {
        return TALLY_NEXT;
    }
    return sequence > highest ? TALLY_AHEAD : TALLY_LATE;
}

static uint64_t model_lost(const struct model *model, uint64_t first) {
    uint64_t lost = 0;
    bool counts = false;
    for (size_t i = 0; i < PUBLISHED; i++) {
        counts = counts || i >= first || model->came[i];
        lost += counts && !model->came[i];
    }
    return lost;
}

static unsigned draw(unsigned short state[3], unsigned below) {
    return (unsigned)(erand48(state) * below);
}

/* Each a few places from where it belongs, some twice, some never. */
static size_t shuffle(unsigned short state[3], unsigned *sequences) {
    size_t count = 0;
    for (unsigned i = draw(state, 30); i < PUBLISHED; i++) {
        unsigned fate = draw(state, 10);
        for (unsigned copies = fate == 0 ? 0 : fate == 1 ? 2 : 1; copies > 0; copies--) {
            sequences[count++] = i;
        }
    }
    for (size_t i = 0; i + DISPLACED_MAX < count; i++) {
        size_t other = i + draw(state, DISPLACED_MAX / 4);
        unsigned kept = sequences[i];
        sequences[i] = sequences[other];
        sequences[other] = kept;
    }
    return count;
}

TEST(losses_duplicates_and_order_are_as_a_set_would_tell_them) {
    unsigned short state[3] = {7, 8, 9};
    for (int round = 0; round < 2000; round++) {
        unsigned sequences[2 * PUBLISHED];
        size_t count = shuffle(state, sequences);
        struct model model = {0};
        struct tally tally;
        tally_reset(&tally);
        uint64_t first = draw(state, PUBLISHED);
        size_t begun = draw(state, (unsigned)count); /* when it was ready */
        for (size_t i = 0; i < count; i++) {
            if (i == begun) {
                EXPECT_EQ(tally_lost(&tally, PUBLISHED), model_lost(&model, PUBLISHED));
                tally_begin(&tally, first);
            }
            EXPECT_EQ(tally_note(&tally, sequences[i]), model_note(&model, sequences[i]));
        }
        EXPECT_EQ(tally_lost(&tally, PUBLISHED), model_lost(&model, first));
    }
}

TEST(who_got_nothing_lacks_all_that_was_published_since_it_was_ready) {
    struct tally tally;
    tally_reset(&tally);
    EXPECT_EQ(tally_lost(&tally, 10), 0); /* it never was */
    tally_begin(&tally, 4);
    EXPECT_EQ(tally_lost(&tally, 4), 0);
    EXPECT_EQ(tally_lost(&tally, 10), 6);
}

TEST(who_gets_what_is_older_lacks_what_is_behind_that) {
    struct tally tally;
    tally_reset(&tally);
    tally_begin(&tally, 1000);
    EXPECT_EQ(tally_note(&tally, 2), TALLY_NEXT); /* history */
    EXPECT_EQ(tally_note(&tally, 3), TALLY_NEXT);
    EXPECT_EQ(tally_lost(&tally, 1000), 1000 - 4);
}

TEST(an_old_duplicate_makes_nothing_lack) {
    struct tally tally;
    tally_reset(&tally);
    tally_begin(&tally, 1000);
    EXPECT_EQ(tally_note(&tally, 1000), TALLY_NEXT);
    EXPECT_EQ(tally_note(&tally, 2), TALLY_DUPLICATE);
    EXPECT_EQ(tally_lost(&tally, 1001), 0);
}

TEST(what_comes_from_behind_the_window_counts_as_a_duplicate) {
    struct tally tally;
    tally_reset(&tally);
    EXPECT_EQ(tally_note(&tally, 0), TALLY_NEXT);
    EXPECT_EQ(tally_note(&tally, TALLY_WINDOW + 1), TALLY_AHEAD);
    EXPECT_EQ(tally_note(&tally, 2), TALLY_LATE);
    EXPECT_EQ(tally_note(&tally, 2), TALLY_DUPLICATE);
    EXPECT_EQ(tally_note(&tally, 1), TALLY_DUPLICATE);
    EXPECT_EQ(tally_lost(&tally, TALLY_WINDOW + 2), TALLY_WINDOW - 1);
}

TEST(a_jump_over_the_window_forgets_nothing_that_counts) {
    struct tally tally;
    tally_reset(&tally);
    for (uint64_t jump = 0; jump < 3 * TALLY_WINDOW; jump++) {
        uint64_t next = tally.next;
        EXPECT_EQ(tally_note(&tally, next + jump), jump == 0 ? TALLY_NEXT : TALLY_AHEAD);
        EXPECT_EQ(tally_note(&tally, next + jump), TALLY_DUPLICATE);
    }
    EXPECT_EQ(tally.unique, 3 * TALLY_WINDOW);
    EXPECT_EQ(tally_lost(&tally, tally.next), tally.next - tally.unique);
}

UNIT_TESTS(UNIT(losses_duplicates_and_order_are_as_a_set_would_tell_them),
           UNIT(who_got_nothing_lacks_all_that_was_published_since_it_was_ready),
           UNIT(who_gets_what_is_older_lacks_what_is_behind_that),
           UNIT(an_old_duplicate_makes_nothing_lack),
           UNIT(what_comes_from_behind_the_window_counts_as_a_duplicate),
           UNIT(a_jump_over_the_window_forgets_nothing_that_counts))
