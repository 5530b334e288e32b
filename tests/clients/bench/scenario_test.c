/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/scenario.h"

#include <stdio.h>

#include "tests/scratch.h"
#include "tests/unit.h"

/* Reads a text as a scenario; the caller finishes the settings. */
static void read_text(const char *text, struct draft *draft) {
    const char *path = scratch_write(text);
    draft_init(draft);
    scenario_read(path, draft);
    scratch_remove(path);
}

static size_t faults_of(const char *text) {
    struct draft draft;
    read_text(text, &draft);
    settings_finish(&draft.settings);
    return draft.fault_count;
}

TEST(keys_are_the_flags_names) {
    struct draft draft;
    read_text("# a load\nname: fan-out\nreaders: 1k\nrate: 2000\nduration: 250ms\nquiet: true\n"
              "slow: 10%\nassert:\n  - p99 < 30ms\n  - lost == 0\n",
              &draft);
    EXPECT_EQ(draft.fault_count, 0);
    EXPECT_STRING(draft.settings.name, "fan-out");
    EXPECT_EQ(draft.settings.readers, 1000);
    EXPECT_EQ(draft.settings.duration, 250000000);
    EXPECT_TRUE(draft.settings.quiet);
    EXPECT_TRUE(draft.settings.rate == 2000);
    EXPECT_EQ(draft.settings.assertion_count, 2);
    EXPECT_STRING(draft.settings.assertions[1], "lost == 0");
    EXPECT_EQ(draft.assertion_places[1].line, 10);
    EXPECT_EQ(draft_place_of(&draft, "rate").line, 4);
    settings_finish(&draft.settings);
}

TEST(one_assertion_needs_no_list) {
    struct draft draft;
    read_text("assert: lost == 0\n", &draft);
    EXPECT_EQ(draft.settings.assertion_count, 1);
    settings_finish(&draft.settings);
}

TEST(what_is_for_compare_is_left_alone) {
    EXPECT_EQ(faults_of("compare: {targets: {cpu: {nats: 1.0}}, list: [1, [2]]}\nreaders: 5\n"), 0);
}

TEST(each_fault_is_told) {
    EXPECT_EQ(faults_of("reders: 5\n"), 1);
    EXPECT_EQ(faults_of("readers: 5\nreaders: 6\n"), 1);
    EXPECT_EQ(faults_of("readers: many\nrate: fast\nprofile: hilly\n"), 3);
    EXPECT_EQ(faults_of("readers: [5]\nrate: {a: b}\nassert: {a: b}\n"), 3);
    EXPECT_EQ(faults_of("readers: 0\n"), 1);
    EXPECT_EQ(faults_of("payload_bytes: 47\n"), 1);
    EXPECT_EQ(faults_of("payload-bytes: 64\n"), 1);
    EXPECT_EQ(faults_of("[a]: b\nreaders: 1\n"), 1);
}

TEST(what_is_no_map_is_a_fault) {
    EXPECT_EQ(faults_of("- readers\n"), 1);
    EXPECT_EQ(faults_of("readers: 'five\n"), 1);
    EXPECT_EQ(faults_of("\xff\xfe\xff"), 1);
    EXPECT_EQ(faults_of("readers: *five\n"), 1);
    EXPECT_EQ(faults_of("readers: 5\n---\nreaders: 6\n"), 1);
    EXPECT_EQ(faults_of(""), 1);
}

TEST(a_file_that_is_not_there_is_a_fault) {
    struct draft draft;
    draft_init(&draft);
    scenario_read("/nowhere/scenario.yaml", &draft);
    EXPECT_EQ(draft.fault_count, 1);
    scenario_read("/tmp", &draft);
    EXPECT_EQ(draft.fault_count, 2);
    settings_finish(&draft.settings);
}

UNIT_TESTS(UNIT(keys_are_the_flags_names), UNIT(one_assertion_needs_no_list),
           UNIT(what_is_for_compare_is_left_alone), UNIT(each_fault_is_told),
           UNIT(what_is_no_map_is_a_fault), UNIT(a_file_that_is_not_there_is_a_fault))
