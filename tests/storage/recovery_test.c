/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a log when its process is killed, and what damage is refused. */
#include "storage/recovery.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/journal.h"
#include "tests/storage/fixture.h"

/* The path of the journal file that begins at a position. */
static void path_of(const struct fixture *fixture, uint64_t position, char path[160]) {
    char name[JOURNAL_NAME_BYTES];
    journal_write_name(position, name);
    snprintf(path, 160, "%s/journal/%s", fixture->directory, name);
}

static off_t size_of(const char *path) {
    struct stat stat_of;
    EXPECT_EQ(stat(path, &stat_of), 0);
    return stat_of.st_size;
}

static size_t count_files(const struct fixture *fixture) {
    char path[160];
    size_t count = 0;
    uint64_t position;
    snprintf(path, sizeof(path), "%s/journal", fixture->directory);
    DIR *folder = opendir(path);
    const struct dirent *item;
    while ((item = readdir(folder)) != NULL) {
        count += journal_read_name(item->d_name, &position) ? 1 : 0;
    }
    closedir(folder);
    return count;
}

static void flip_byte(const char *path, off_t at) {
    uint8_t byte;
    int fd = open(path, O_RDWR);
    EXPECT_EQ(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    EXPECT_EQ(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void copy_log(const struct fixture *from, struct fixture *to) {
    char command[256];
    *to = *from;
    size_t length = strlen(to->directory);
    EXPECT_TRUE(length + sizeof("-copy") <= sizeof(to->directory));
    memcpy(to->directory + length, "-copy", sizeof("-copy"));
    to->options.directory = to->directory;
    to->options.context = to;
    to->storage = NULL;
    snprintf(command, sizeof(command), "cp -a %s %s", from->directory, to->directory);
    assert_int_equal(system(command), 0);
}

TEST(a_journal_cut_at_any_byte_keeps_all_before_the_cut) {
    struct fixture fixture;
    char path[160];
    off_t ends[6];
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 3);
    path_of(&fixture, 1, path);
    for (int i = 3; i <= 5; i++) {
        ends[i] = size_of(path);
        fixture_publish_many(&fixture, "a", i == 5 ? 0 : 1);
    }
    fixture_kill(&fixture);
    for (off_t cut = ends[3]; cut <= ends[5]; cut++) {
        struct fixture copy;
        size_t kept = cut == ends[5] ? 5 : cut >= ends[4] ? 4 : 3;
        copy_log(&fixture, &copy);
        path_of(&copy, 1, path);
        EXPECT_EQ(truncate(path, cut), 0);
        fixture_open(&copy);
        EXPECT_EQ(copy.position_next, kept + 1);
        EXPECT_EQ(fixture_check_all(&copy, "a", 10), kept);
        EXPECT_EQ(count_files(&copy), 0);
        fixture_publish_many(&copy, "a", 2);
        EXPECT_EQ(fixture_check_all(&copy, "a", 10), kept + 2);
        fixture_finish(&copy);
    }
    fixture_finish(&fixture);
}

#define GROUP 3

/* One publish of three messages, in channels a, b and a; written by `appends` system calls. */
static void publish_group(struct fixture *fixture, size_t appends) {
    static const char *const channels[GROUP] = {"a", "b", "a"};
    struct message *messages[GROUP];
    for (size_t i = 0; i < GROUP; i++) {
        messages[i] = fixture_make(fixture, channels[i], SPAN("of a group"));
        messages[i]->group_rest = (uint32_t)(GROUP - 1 - i);
    }
    size_t part = GROUP / appends;
    for (size_t done = 0; done < GROUP; done += part) {
        EXPECT_EQ(storage_append(fixture->storage, messages + done, part, NULL), OK);
    }
    storage_admit(fixture->storage, messages, GROUP);
    for (size_t i = 0; i < GROUP; i++) {
        message_unref(messages[i]);
    }
}

static void expect_last(struct fixture *fixture, uint64_t offset_a, uint64_t offset_b) {
    struct storage_query query = {
        .channel = SPAN("a"), .start = STORAGE_EARLIEST, .limit = 10, .bytes_max = 65536};
    struct storage_page page = fixture_read(fixture, &query);
    EXPECT_EQ(page.offset_last, offset_a);
    EXPECT_EQ(page.count, offset_a);
    storage_page_finish(&page);
    query.channel = SPAN("b");
    page = fixture_read(fixture, &query);
    EXPECT_EQ(page.offset_last, offset_b);
    storage_page_finish(&page);
}

TEST(a_publish_that_the_journals_end_cuts_off_is_dropped_whole) {
    struct fixture fixture;
    char path[160];
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 2);
    path_of(&fixture, 1, path);
    off_t begin = size_of(path);
    publish_group(&fixture, 1);
    off_t end = size_of(path);
    fixture_kill(&fixture);
    for (off_t cut = begin; cut <= end; cut++) {
        struct fixture copy;
        bool is_whole = cut == end;
        copy_log(&fixture, &copy);
        path_of(&copy, 1, path);
        EXPECT_EQ(truncate(path, cut), 0);
        fixture_open(&copy);
        EXPECT_EQ(copy.position_next, is_whole ? 6 : 3);
        EXPECT_EQ(copy.generation, 2);
        expect_last(&copy, is_whole ? 4 : 2, is_whole ? 1 : 0);
        publish_group(&copy, 1); /* positions and offsets of what was dropped are used again */
        expect_last(&copy, is_whole ? 6 : 4, is_whole ? 2 : 1);
        fixture_close(&copy);
        fixture_open(&copy);
        expect_last(&copy, is_whole ? 6 : 4, is_whole ? 2 : 1);
        fixture_finish(&copy);
    }
    fixture_finish(&fixture);
}

TEST(a_publish_in_several_files_is_dropped_whole_when_the_last_is_lost) {
    for (uint64_t lost = 1; lost <= GROUP + 1; lost++) {
        struct fixture fixture;
        char path[160];
        fixture_init(&fixture);
        fixture.options.journal_file_bytes = 1; /* a file for each append */
        fixture_open(&fixture);
        fixture_publish_many(&fixture, "a", 1);
        publish_group(&fixture, GROUP);
        EXPECT_EQ(count_files(&fixture), 4);
        fixture_kill(&fixture);
        path_of(&fixture, 1 + lost, path);
        EXPECT_EQ(lost > GROUP || unlink(path) == 0, true);
        fixture_open(&fixture);
        EXPECT_EQ(fixture.position_next, lost > GROUP ? 5 : 2);
        expect_last(&fixture, lost > GROUP ? 3 : 1, lost > GROUP ? 1 : 0);
        fixture_finish(&fixture);
    }
}

TEST(a_publish_is_folded_whole_by_recovery) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    publish_group(&fixture, 1);
    publish_group(&fixture, 1);
    fixture_kill(&fixture);
    fixture.options.fold_bytes = 1;
    fixture_open(&fixture);
    expect_last(&fixture, 4, 2);
    struct storage_figures figures;
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.fold_count, 2);
    fixture_finish(&fixture);
}

TEST(a_journal_cut_inside_its_head_is_an_empty_one) {
    struct fixture fixture;
    char path[160];
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 3);
    fixture_kill(&fixture);
    for (off_t cut = 0; cut <= JOURNAL_HEAD_BYTES; cut += 16) {
        struct fixture copy;
        copy_log(&fixture, &copy);
        path_of(&copy, 1, path);
        EXPECT_EQ(truncate(path, cut), 0);
        fixture_open(&copy);
        EXPECT_EQ(copy.position_next, 1);
        fixture_publish_many(&copy, "a", 1);
        fixture_finish(&copy);
    }
    fixture_finish(&fixture);
}

TEST(recovery_gives_what_live_folds_would_have_given) {
    struct fixture live;
    struct fixture killed;
    fixture_init(&live);
    live.options.segment_messages = 300;
    fixture_open(&live);
    for (int i = 0; i < 1000; i++) {
        char channel[16];
        snprintf(channel, sizeof(channel), "c%d", i * i % 7);
        fixture_publish_many(&live, channel, 1);
        live.time_ms += (uint64_t)i % 3;
        if (i == 400 || i == 500) {
            fixture_fold(&live);
        }
    }
    copy_log(&live, &killed);
    fixture_open(&killed);
    fixture_fold(&live);
    for (int i = 0; i < 7; i++) {
        char channel[16];
        char left[512];
        char right[512];
        snprintf(channel, sizeof(channel), "c%d", i);
        struct storage_query query = {
            .channel = span_of_string(channel), .limit = 15, .bytes_max = 65536};
        for (bool is_over = false; !is_over;) {
            struct storage_page live_page = fixture_read(&live, &query);
            struct storage_page killed_page = fixture_read(&killed, &query);
            EXPECT_STRING(fixture_describe(&live_page, left),
                          fixture_describe(&killed_page, right));
            for (size_t j = 0; j < live_page.count; j++) {
                EXPECT_EQ(live_page.messages[j]->place.position,
                          killed_page.messages[j]->place.position);
                EXPECT_EQ(live_page.messages[j]->time_ms, killed_page.messages[j]->time_ms);
            }
            is_over = live_page.at_head;
            query.start = STORAGE_AFTER_PLACE;
            query.place = live_page.end;
            storage_page_finish(&live_page);
            storage_page_finish(&killed_page);
        }
    }
    fixture_finish(&live);
    fixture_finish(&killed);
}

/* Several journal files: 60 messages of 1 KiB in files of 8 KiB, nothing folded. */
static void begin_rolled(struct fixture *fixture) {
    char payload[1024];
    memset(payload, 'x', sizeof(payload));
    fixture_init(fixture);
    fixture->options.journal_file_bytes = 8192;
    fixture_open(fixture);
    for (int i = 0; i < 60; i++) {
        fixture_publish_bytes(fixture, "a", span_of(payload, sizeof(payload)));
    }
    EXPECT_TRUE(count_files(fixture) > 5);
}

TEST(all_files_of_a_rolled_journal_are_replayed) {
    struct fixture fixture;
    begin_rolled(&fixture);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture.position_next, 61);
    EXPECT_EQ(count_files(&fixture), 0);
    fixture_publish_many(&fixture, "b", 1);
    fixture_fold(&fixture);
    fixture_finish(&fixture);
}

TEST(folded_files_are_removed_and_the_current_one_stays) {
    struct fixture fixture;
    begin_rolled(&fixture);
    fixture_fold(&fixture);
    EXPECT_EQ(count_files(&fixture), 1);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture.position_next, 61);
    fixture_finish(&fixture);
}

TEST(damage_in_a_synced_file_is_refused_by_name_and_byte) {
    struct fixture fixture;
    char path[160];
    struct error why = {0};
    begin_rolled(&fixture);
    EXPECT_EQ(storage_sync(fixture.storage, &why), OK);
    fixture_kill(&fixture);
    path_of(&fixture, 1, path);
    flip_byte(path, 3000);
    EXPECT_EQ(storage_open(&fixture.options, &fixture.storage, &why), ERR_CORRUPT);
    EXPECT_NOT_NULL(strstr(why.detail, "0000000000000001.journal"));
    EXPECT_NOT_NULL(strstr(why.detail, "byte 2"));
    flip_byte(path, 3000);
    fixture_open(&fixture);
    EXPECT_EQ(fixture.position_next, 61);
    fixture_finish(&fixture);
}

/* Whole frames, right positions, and an offset that is left out. */
static void expect_refused(bool is_folded) {
    struct fixture fixture;
    struct error why = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 3);
    if (is_folded) {
        fixture_fold(&fixture);
    }
    fixture.channels[0].offset_last++;
    struct message *message = fixture_make(&fixture, "a", SPAN("x"));
    EXPECT_EQ(storage_append(fixture.storage, &message, 1, &why), OK);
    message_unref(message);
    fixture_kill(&fixture);
    EXPECT_EQ(storage_open(&fixture.options, &fixture.storage, &why), ERR_CORRUPT);
    EXPECT_NOT_NULL(strstr(why.detail, "0000000000000001.journal is damaged at byte 2"));
    EXPECT_NOT_NULL(strstr(why.detail, "offset 5 cannot follow offset 3"));
    fixture_finish(&fixture);
}

TEST(a_whole_record_that_skips_an_offset_is_refused_by_name_and_byte) {
    expect_refused(false);
    expect_refused(true);
}

TEST(a_missing_file_is_refused) {
    struct fixture fixture;
    char path[160];
    struct error why = {0};
    begin_rolled(&fixture);
    EXPECT_EQ(storage_sync(fixture.storage, &why), OK);
    fixture_kill(&fixture);
    path_of(&fixture, 1, path);
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(storage_open(&fixture.options, &fixture.storage, &why), ERR_CORRUPT);
    EXPECT_NOT_NULL(strstr(why.detail, "missing"));
    fixture_finish(&fixture);
}

TEST(an_unsynced_file_may_break_off_and_later_files_are_lost_with_it) {
    struct fixture fixture;
    char path[160];
    begin_rolled(&fixture);
    fixture_kill(&fixture);
    path_of(&fixture, 1, path);
    EXPECT_EQ(truncate(path, 3000), 0);
    fixture_open(&fixture);
    EXPECT_EQ(fixture.position_next, 3);
    EXPECT_EQ(count_files(&fixture), 0);
    fixture_publish_many(&fixture, "b", 3);
    EXPECT_EQ(fixture_check_all(&fixture, "b", 10), 3);
    fixture_finish(&fixture);
}

TEST(a_journal_behind_the_store_goes_on_behind_the_store) {
    struct fixture fixture;
    char path[160];
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 10);
    fixture_fold(&fixture);
    fixture_kill(&fixture);
    path_of(&fixture, 1, path);
    EXPECT_EQ(truncate(path, JOURNAL_HEAD_BYTES + 100), 0);
    fixture_open(&fixture);
    EXPECT_EQ(fixture.position_next, 11);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 10);
    fixture_finish(&fixture);
}

TEST(a_journal_of_another_log_is_refused) {
    struct fixture fixture;
    struct fixture other;
    char command[400];
    struct error why = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 3);
    fixture_kill(&fixture);
    fixture_init(&other);
    fixture_open(&other);
    fixture_kill(&other);
    snprintf(command, sizeof(command), "cp %s/journal/* %s/journal/", fixture.directory,
             other.directory);
    assert_int_equal(system(command), 0);
    EXPECT_EQ(storage_open(&other.options, &other.storage, &why), ERR_CORRUPT);
    fixture_finish(&other);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_journal_cut_at_any_byte_keeps_all_before_the_cut),
           UNIT(a_publish_that_the_journals_end_cuts_off_is_dropped_whole),
           UNIT(a_publish_in_several_files_is_dropped_whole_when_the_last_is_lost),
           UNIT(a_publish_is_folded_whole_by_recovery),
           UNIT(a_journal_cut_inside_its_head_is_an_empty_one),
           UNIT(recovery_gives_what_live_folds_would_have_given),
           UNIT(all_files_of_a_rolled_journal_are_replayed),
           UNIT(folded_files_are_removed_and_the_current_one_stays),
           UNIT(damage_in_a_synced_file_is_refused_by_name_and_byte),
           UNIT(a_whole_record_that_skips_an_offset_is_refused_by_name_and_byte),
           UNIT(a_missing_file_is_refused),
           UNIT(an_unsynced_file_may_break_off_and_later_files_are_lost_with_it),
           UNIT(a_journal_behind_the_store_goes_on_behind_the_store),
           UNIT(a_journal_of_another_log_is_refused))
