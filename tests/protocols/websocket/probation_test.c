/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/probation.h"

#include "broker/runtime/access.h"
#include "broker/runtime/connection.h"
#include "tests/protocols/fakes.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/unit.h"

static struct probation *probation;
static unsigned due_count;

static void on_due(void *context) {
    EXPECT_TRUE(context == &probation);
    due_count++;
}

static int begin(void **state) {
    fakes_begin(state);
    gate_begin();
    gate.is_slow = true;
    due_count = 0;
    probation = NULL;
    return 0;
}

static int end(void **state) {
    probation_destroy(probation);
    gate_end();
    return fakes_end(state);
}

/* A command that waits. */
static enum error_code wait_with(const char *command, struct petition *petition) {
    struct worker *worker = connection_worker(fakes_connection());
    struct error why = {0};
    *petition = (struct petition){.access = (struct access *)&gate};
    EXPECT_EQ(petition_permit(petition, gate_make("alice", NULL), ACTION_PUBLISH, SPAN("a"), &why),
              ERR_AGAIN);
    return probation_create(worker, petition, span_of_string(command), on_due, &probation,
                            &probation);
}

TEST(a_command_is_kept_until_the_answer_comes) {
    struct petition petition;
    EXPECT_EQ(wait_with("{}", &petition), OK);
    EXPECT_FALSE(petition_is_under_way(&petition));
    EXPECT_TRUE(petition_is_under_way(probation_petition(probation)));
    EXPECT_SPAN(probation_text(probation), "{}");
    EXPECT_TRUE(fakes.body_room_bytes > 2);
    gate_answer(OK);
    EXPECT_EQ(due_count, 1);
    probation_destroy(probation);
    probation = NULL;
    EXPECT_EQ(fakes.body_room_bytes, 0);
}

TEST(one_that_has_no_room_waits_for_nothing) {
    struct petition petition;
    fakes.body_room_max = 1;
    EXPECT_EQ(wait_with("{}", &petition), ERR_BUSY);
    EXPECT_FALSE(petition_is_under_way(&petition));
    gate_answer(OK);
    EXPECT_EQ(due_count, 0);
}

TEST(one_that_is_let_go_is_not_called) {
    struct petition petition;
    EXPECT_EQ(wait_with("{}", &petition), OK);
    probation_destroy(probation);
    probation = NULL;
    gate_answer(OK);
    EXPECT_EQ(due_count, 0);
}

#define WAITS(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(WAITS(a_command_is_kept_until_the_answer_comes),
           WAITS(one_that_has_no_room_waits_for_nothing), WAITS(one_that_is_let_go_is_not_called))
