/* SPDX-License-Identifier: Apache-2.0 */
/* The driver is the test's; storage and log are real. */
#include "protocols/sources/source.h"

#include <stdatomic.h>

#include "broker/runtime/budget.h"
#include "storage/storage.h"
#include "tests/protocols/sources/porter.h"
#include "tests/unit.h"

/* --- a disk that is full as told -------------------------------------------------------------- */

enum error_code __real_storage_append(struct storage *storage, struct message *const *messages,
                                      size_t count, struct error *why);
enum error_code __wrap_storage_append(struct storage *storage, struct message *const *messages,
                                      size_t count, struct error *why);

static atomic_bool is_disk_full;

enum error_code __wrap_storage_append(struct storage *storage, struct message *const *messages,
                                      size_t count, struct error *why) {
    if (atomic_load(&is_disk_full)) {
        return error_set(why, ERR_STORAGE_FULL, "the disk is full");
    }
    return __real_storage_append(storage, messages, count, why);
}

static void put_more(void *context) {
    porter_put_more(*(uint64_t *)context);
}

/* --- claims ----------------------------------------------------------------------------------- */

TEST(records_are_published_in_order_and_their_position_goes_with_them) {
    struct dock dock;
    porter_prepare(&dock, NULL, 3500);
    dock_start(&dock);
    dock_wait_count(&dock, "a", 3500);
    dock_stop(&dock);
    EXPECT_EQ(porter.answers, 3500);
    porter.last = 4000;
    dock_start(&dock);
    dock_wait_count(&dock, "a", 4000);
    EXPECT_EQ(dock_figures(&dock).messages, 500);
    porter_expect_dense(&dock, "a", 4000);
    dock_stop(&dock);
    dock_finish(&dock);
}

TEST(a_driver_that_finds_no_room_is_told_when_there_is) {
    struct dock dock;
    porter_prepare(&dock, NULL, 3 * SOURCE_RECORDS_MAX);
    dock_start(&dock);
    dock_wait_count(&dock, "a", 10000); /* all that the channel keeps */
    while (dock_figures(&dock).messages < 3 * SOURCE_RECORDS_MAX) {
        dock_wait_count(&dock, "a", 10000);
    }
    EXPECT_TRUE(porter.rooms > 0);
    dock_stop(&dock);
    dock_finish(&dock);
}

TEST(a_publish_that_the_log_refuses_is_tried_again_and_nothing_passes_it) {
    struct dock dock;
    porter_prepare(&dock, NULL, 2500);
    atomic_store(&is_disk_full, true);
    dock_start(&dock);
    dock_wait_state(&dock, SINK_BROKEN);
    EXPECT_STRING(dock_figures(&dock).detail, "storage-full: the disk is full");
    atomic_store(&is_disk_full, false);
    dock_wait_count(&dock, "a", 2500);
    porter_expect_dense(&dock, "a", 2500);
    dock_wait_state(&dock, SINK_LIVE);
    dock_stop(&dock);
    dock_finish(&dock);
}

TEST(what_is_stopped_before_it_is_in_the_log_is_read_again) {
    struct dock dock;
    porter_prepare(&dock, NULL, 2500);
    dock_start(&dock);
    dock_wait_count(&dock, "a", 2500);
    atomic_store(&is_disk_full, true);
    uint64_t last = 4000;
    dock_call(&dock, put_more, &last);
    dock_wait_state(&dock, SINK_BROKEN);
    dock_pause(&dock);
    EXPECT_EQ(porter.answers, 2500);
    EXPECT_EQ(porter.dropped, 1500);
    EXPECT_EQ(dock_figures(&dock).state, SINK_PAUSED);
    atomic_store(&is_disk_full, false);
    dock_resume(&dock);
    dock_wait_count(&dock, "a", 4000);
    porter_expect_dense(&dock, "a", 4000);
    dock_stop(&dock);
    dock_finish(&dock);
}

static void go_down(void *context) {
    const struct verdict verdict = {.detail = "gone"};
    uint64_t last = 300;
    porter_put_more(last);
    source_on_down(porter.source, &verdict);
    source_get_figures(porter.source, context);
}

TEST(a_driver_that_gave_up_is_started_again_behind_what_it_brought) {
    struct dock dock;
    porter_prepare(&dock, NULL, 0);
    dock_start(&dock);
    struct source_figures figures;
    dock_call(&dock, go_down, &figures);
    EXPECT_STRING(figures.detail, "gone");
    dock_wait_state(&dock, SINK_LIVE);
    dock_wait_count(&dock, "a", 300);
    EXPECT_EQ(porter.starts, 2);
    porter_expect_dense(&dock, "a", 300);
    dock_stop(&dock);
    dock_finish(&dock);
}

TEST(while_memory_is_short_nothing_is_published) {
    struct dock dock;
    struct budget budget = {.level = BUDGET_PUBLISHERS};
    porter_prepare(&dock, NULL, 10);
    dock.house.budget = &budget;
    dock_start(&dock);
    dock_wait_state(&dock, SINK_BROKEN);
    EXPECT_EQ(dock_count(&dock, "a"), 0);
    atomic_store(&budget.level, BUDGET_ENOUGH);
    dock_wait_count(&dock, "a", 10);
    dock_stop(&dock);
    dock_finish(&dock);
}

TEST(a_paused_row_reads_nothing) {
    struct dock dock;
    porter_prepare(&dock, NULL, 5);
    dock.row.is_paused = true;
    dock_start(&dock);
    EXPECT_EQ(dock_figures(&dock).state, SINK_PAUSED);
    EXPECT_EQ(porter.starts, 0);
    dock_stop(&dock);
    dock_finish(&dock);
}

UNIT_TESTS(UNIT(records_are_published_in_order_and_their_position_goes_with_them),
           UNIT(a_driver_that_finds_no_room_is_told_when_there_is),
           UNIT(a_publish_that_the_log_refuses_is_tried_again_and_nothing_passes_it),
           UNIT(what_is_stopped_before_it_is_in_the_log_is_read_again),
           UNIT(a_driver_that_gave_up_is_started_again_behind_what_it_brought),
           UNIT(while_memory_is_short_nothing_is_published), UNIT(a_paused_row_reads_nothing))
