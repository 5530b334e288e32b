/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/opening.h"

#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/support/buffer.h"
#include "storage/storage.h"
#include "tests/unit.h"

static char data[] = "/data";
static char tennis[] = "tennis/**";
static char latest[] = "latest/**";

/* What the storage was asked to be. */
static struct {
    struct broker broker;
    struct config config;
    struct rules *rules;
    struct storage_options options;
    enum error_code opening;
} world;

enum error_code storage_open(const struct storage_options *options, struct storage **ret_storage,
                             struct error *why) {
    world.options = *options;
    if (world.opening != OK) {
        return error_set(why, world.opening, "the disk");
    }
    *ret_storage = (struct storage *)(void *)&world;
    return OK;
}

void storage_get_state(const struct storage *storage, struct storage_state *ret_state) {
    (void)storage;
    *ret_state = (struct storage_state){.position_next = 1};
}

void storage_get_figures(struct storage *storage, struct storage_figures *ret_figures) {
    (void)storage;
    *ret_figures = (struct storage_figures){0};
}

static void set_rules(uint64_t messages_max) {
    struct channel_rule rows[] = {
        {.match = tennis,
         .history_messages_max = messages_max,
         .history_age_ms_max = 2,
         .history_bytes_max = 3},
        {.match = latest, .retain = RETAIN_LATEST},
    };
    world.config.rules = rows;
    world.config.rule_count = ARRAY_COUNT(rows);
    rules_destroy(world.rules);
    world.rules = rules_create(&world.config, NULL);
    atomic_store(&world.broker.rules, world.rules);
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.config.data = data;
    world.config.storage_bytes_max = UINT64_C(1) << 40;
    world.broker.config = &world.config;
    set_rules(1);
    return 0;
}

static int end(void **state) {
    (void)state;
    rules_destroy(world.rules);
    return 0;
}

static enum error_code opening(void) {
    struct error why;
    return opening_storage(&world.broker, &why);
}

static struct retention retention_of(const char *channel) {
    struct retention retention;
    world.options.on_retention(world.options.context, span_of_string(channel), &retention);
    return retention;
}

TEST(the_storage_is_what_the_configuration_says) {
    EXPECT_EQ(opening(), OK);
    EXPECT_TRUE((void *)world.broker.storage == (void *)&world);
    EXPECT_STRING(world.options.directory, "/data");
    EXPECT_TRUE(world.options.bytes_max == UINT64_C(1) << 40);
    EXPECT_EQ(world.options.segment_bytes, SEGMENT_BYTES);
    EXPECT_EQ(world.options.segment_messages, SEGMENT_MESSAGES);
    EXPECT_EQ(world.options.journal_file_bytes, JOURNAL_FILE_BYTES);
    EXPECT_EQ(world.options.open_batch_bytes_max, OPEN_BATCH_BYTES_MAX);
    EXPECT_EQ(world.options.fold_bytes, FOLD_BYTES);
    EXPECT_TRUE(world.options.on_match(SPAN("a/*"), SPAN("a/b")));
}

TEST(a_small_disk_has_segments_so_small_that_a_few_can_go) {
    world.config.storage_bytes_max = 1 << 20;
    EXPECT_EQ(opening(), OK);
    EXPECT_EQ(world.options.segment_bytes, 1 << 16);
    EXPECT_EQ(world.options.bytes_max, 1 << 20);
}

TEST(what_is_kept_is_what_the_rules_of_now_say) {
    EXPECT_EQ(opening(), OK);
    struct retention retention = retention_of("tennis/court-1");
    EXPECT_EQ(retention.messages_max, 1);
    EXPECT_EQ(retention.age_ms_max, 2);
    EXPECT_EQ(retention.bytes_max, 3);
    set_rules(9); /* a reload */
    EXPECT_EQ(retention_of("tennis/court-1").messages_max, 9);
    EXPECT_TRUE(world.options.on_retain_latest(world.options.context, SPAN("latest/a")));
    EXPECT_FALSE(world.options.on_retain_latest(world.options.context, SPAN("tennis/a")));
}

TEST(bytes_are_counted_of_the_channels_of_tenants_alone) {
    struct buffer scoped;
    buffer_init(&scoped, 100);
    EXPECT_EQ(scope_put(&scoped, SPAN("acme"), SPAN("a")), OK);
    EXPECT_EQ(opening(), OK);
    EXPECT_TRUE(world.options.on_counts(world.options.context, buffer_borrow(&scoped)));
    EXPECT_FALSE(world.options.on_counts(world.options.context, SPAN("a")));
    buffer_finish(&scoped);
}

TEST(a_storage_that_cannot_be_opened_is_none) {
    world.opening = ERR_CORRUPT;
    EXPECT_EQ(opening(), ERR_CORRUPT);
    EXPECT_NULL(world.broker.storage);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CLAIM(the_storage_is_what_the_configuration_says),
           CLAIM(a_small_disk_has_segments_so_small_that_a_few_can_go),
           CLAIM(what_is_kept_is_what_the_rules_of_now_say),
           CLAIM(bytes_are_counted_of_the_channels_of_tenants_alone),
           CLAIM(a_storage_that_cannot_be_opened_is_none))
