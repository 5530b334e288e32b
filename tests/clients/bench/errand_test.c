/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/errand.h"

#include <poll.h>

#include "tests/unit.h"

#define ERRANDS 50000

struct asked {
    struct errand errand;
    unsigned done;
    bool is_over;
};

static void do_one(void *owner, void *argument) {
    struct asked *asked = owner;
    asked->done += *(unsigned *)argument;
}

static void end(void *owner, void *argument) {
    (void)argument;
    ((struct asked *)owner)->is_over = true;
}

/* It never waits, so that it looks at every moment of being asked. */
static void *look_always(void *context) {
    struct asked *asked = context;
    while (!asked->is_over) {
        errand_look(&asked->errand, asked);
    }
    return NULL;
}

TEST(an_errand_that_is_done_leaves_no_event_behind) {
    struct asked asked = {0};
    unsigned one = 1;
    unsigned left_behind = 0;
    pthread_t thread;
    errand_init(&asked.errand);
    EXPECT_EQ(pthread_create(&thread, NULL, look_always, &asked), 0);
    for (int round = 0; round < ERRANDS; round++) {
        errand_run(&asked.errand, do_one, &one);
        struct pollfd event = {.fd = asked.errand.event, .events = POLLIN};
        left_behind += poll(&event, 1, 0) != 0;
    }
    errand_run(&asked.errand, end, NULL);
    pthread_join(thread, NULL);
    EXPECT_EQ(asked.done, ERRANDS);
    EXPECT_EQ(left_behind, 0);
    errand_finish(&asked.errand);
}

UNIT_TESTS(UNIT(an_errand_that_is_done_leaves_no_event_behind))
