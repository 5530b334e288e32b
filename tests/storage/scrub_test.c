/* SPDX-License-Identifier: Apache-2.0 */
/* A deleted message cannot be found in the files after the fold. */
#include "storage/scrub.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/storage/fixture.h"

#define MESSAGES 200
#define MARKER_BYTES 24

/* Nothing else has these bytes. */
static void marker_of(uint64_t number, char ret_marker[MARKER_BYTES + 1]) {
    snprintf(ret_marker, MARKER_BYTES + 1, "marker-%08llx-%08llx", (unsigned long long)number,
             (unsigned long long)(number * 2654435761u & 0xffffffff));
}

/* A payload of markers, so that no piece of it goes unnoticed. */
static size_t fill(uint64_t number, size_t length, char *to) {
    size_t done = 0;
    for (; done + MARKER_BYTES <= length || done == 0; done += MARKER_BYTES) {
        marker_of(number, to + done);
    }
    return done;
}

static size_t length_of(uint64_t number) {
    static const size_t lengths[] = {30, 100, 700, 2500, 9000, 60};
    return lengths[number % ARRAY_COUNT(lengths)];
}

static void publish(struct fixture *fixture, const char *channel, uint64_t number) {
    char payload[9100];
    size_t length = fill(number, length_of(number), payload);
    fixture_publish_bytes(fixture, channel, span_of((const uint8_t *)payload, length));
}

/* How often the files of the directory hold the marker. */
static size_t search_file(const char *path, const char *marker) {
    struct stat stat_of;
    int fd = open(path, O_RDONLY);
    EXPECT_EQ(fstat(fd, &stat_of), 0);
    size_t length = (size_t)stat_of.st_size;
    char *bytes = malloc(length + 1);
    EXPECT_EQ(pread(fd, bytes, length, 0), length);
    close(fd);
    size_t count = 0;
    const char *at = bytes;
    const char *found;
    while ((found = memmem(at, length - (size_t)(at - bytes), marker, strlen(marker))) != NULL) {
        count++;
        at = found + 1;
    }
    free(bytes);
    return count;
}

static size_t search_folder(const char *path, const char *marker) {
    DIR *folder = opendir(path);
    const struct dirent *item;
    size_t count = 0;
    while ((item = readdir(folder)) != NULL) {
        char inner[400];
        snprintf(inner, sizeof(inner), "%s/%s", path, item->d_name);
        if (item->d_type == DT_REG && strcmp(item->d_name, "reserve") != 0) {
            count += search_file(inner, marker);
        } else if (item->d_type == DT_DIR && item->d_name[0] != '.') {
            count += search_folder(inner, marker);
        }
    }
    closedir(folder);
    return count;
}

static void expect_gone(const struct fixture *fixture, uint64_t from, uint64_t to) {
    for (uint64_t number = from; number <= to; number++) {
        char marker[MARKER_BYTES + 1];
        marker_of(number, marker);
        EXPECT_EQ(search_folder(fixture->directory, marker), 0);
    }
}

static void expect_kept(const struct fixture *fixture, uint64_t number) {
    char marker[MARKER_BYTES + 1];
    marker_of(number, marker);
    EXPECT_TRUE(search_folder(fixture->directory, marker) > 0);
}

/* Those that were kept, by what a reader behind `after` gets next. */
static void expect_next(struct fixture *fixture, const char *channel, uint64_t after) {
    char payload[9100];
    struct storage_query query = {.channel = span_of_string(channel),
                                  .start = STORAGE_AFTER_OFFSET,
                                  .place = {.offset = after},
                                  .limit = 1,
                                  .bytes_max = 65536};
    struct storage_page page = fixture_read(fixture, &query);
    EXPECT_EQ(page.count, 1);
    EXPECT_EQ(page.messages[0]->place.offset, after + 1);
    size_t length = fill(after + 1, length_of(after + 1), payload);
    EXPECT_EQ(page.messages[0]->fields.payload.length, length);
    EXPECT_EQ(memcmp(page.messages[0]->fields.payload.bytes, payload, length), 0);
    storage_page_finish(&page);
}

/* Folds of several sizes, so that messages lie in old pages and buffers, too. */
static void begin(struct fixture *fixture) {
    fixture_init(fixture);
    fixture_open(fixture);
    for (uint64_t number = 1; number <= MESSAGES; number++) {
        publish(fixture, "a", number);
        fixture_publish_many(fixture, "keep/b", number % 3);
        if (number < 60 && number % 7 == 0) {
            fixture_fold(fixture);
        }
    }
    fixture_fold(fixture);
}

/* Folds of many pages that are not full: what LMDB's buffers held before would show in them. */
static void publish_widely(struct fixture *fixture) {
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 900; i++) {
            char name[32];
            snprintf(name, sizeof(name), "w/%d", i * 7919 % 900);
            fixture_publish_many(fixture, name, 1);
        }
        fixture_fold(fixture);
    }
}

TEST(deleted_messages_are_in_no_file_and_the_others_read_well) {
    struct fixture fixture;
    begin(&fixture);
    expect_kept(&fixture, 50);
    fixture_delete(&fixture, "a", 20, 120);
    fixture_fold(&fixture);
    expect_gone(&fixture, 20, 120);
    expect_kept(&fixture, 19);
    expect_kept(&fixture, 121);
    for (uint64_t after = 0; after < 19; after++) {
        expect_next(&fixture, "a", after);
    }
    for (uint64_t after = 120; after < MESSAGES; after++) {
        expect_next(&fixture, "a", after);
    }
    EXPECT_EQ(fixture_check_all(&fixture, "keep/b", 50), MESSAGES + 1);
    fixture_delete(&fixture, "a", 1, 19);
    fixture_delete(&fixture, "a", 200, 200);
    fixture_fold(&fixture);
    expect_gone(&fixture, 1, 120);
    expect_gone(&fixture, 200, 200);
    publish(&fixture, "a", 201);
    publish_widely(&fixture);
    expect_gone(&fixture, 1, 120);
    expect_next(&fixture, "a", 200);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    expect_gone(&fixture, 1, 120);
    EXPECT_EQ(fixture_check_all(&fixture, "keep/b", 50), MESSAGES + 1);
    fixture_finish(&fixture);
}

TEST(a_message_and_its_delete_in_one_fold_leave_nothing) {
    struct fixture fixture;
    begin(&fixture);
    for (uint64_t number = 201; number <= 220; number++) {
        publish(&fixture, "a", number);
    }
    fixture_delete(&fixture, "a", 195, 210);
    fixture_fold(&fixture);
    expect_gone(&fixture, 195, 210);
    expect_next(&fixture, "a", 210);
    fixture_finish(&fixture);
}

TEST(what_retention_moved_is_erased_where_it_is_now) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.segment_messages = 40;
    fixture.retention.messages_max = 3;
    fixture_open(&fixture);
    for (uint64_t number = 1; number <= 60; number++) {
        publish(&fixture, number % 10 == 0 ? "keep/a" : "b", number);
        fixture_fold(&fixture);
        fixture_retain(&fixture);
    }
    for (int i = 0; i < 5; i++) { /* time for walks */
        fixture.time_ms += 100000;
        fixture_tick(&fixture);
        fixture_fold(&fixture);
        fixture_retain(&fixture);
    }
    expect_kept(&fixture, 20);
    fixture_delete(&fixture, "keep/a", 2, 3);
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    expect_gone(&fixture, 20, 20);
    expect_gone(&fixture, 30, 30);
    expect_kept(&fixture, 10);
    expect_kept(&fixture, 40);
    fixture_finish(&fixture);
}

static void publish_retained(struct fixture *fixture, uint64_t number) {
    char payload[9100];
    size_t length = fill(number, length_of(number), payload);
    struct message_fields fields = {.payload_kind = PAYLOAD_TEXT,
                                    .flags = MESSAGE_RETAIN,
                                    .payload = span_of((const uint8_t *)payload, length)};
    fixture_publish_fields(fixture, "a", fields);
}

/* Retention took the message, so nothing of it is left to erase but what was retained. */
TEST(a_retained_message_that_another_replaces_in_the_fold_of_its_delete_is_gone) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.segment_messages = 1;
    fixture.retention.age_ms_max = 1000;
    fixture_open(&fixture);
    publish_retained(&fixture, 1);
    for (int i = 0; i < 5; i++) { /* time for walks */
        fixture.time_ms += 100000;
        fixture_publish_many(&fixture, "b", 1);
        fixture_fold(&fixture);
        fixture_retain(&fixture);
    }
    expect_kept(&fixture, 1);
    fixture_delete(&fixture, "a", 1, 1);
    publish_retained(&fixture, 2);
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    expect_gone(&fixture, 1, 1);
    expect_kept(&fixture, 2);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(deleted_messages_are_in_no_file_and_the_others_read_well),
           UNIT(a_message_and_its_delete_in_one_fold_leave_nothing),
           UNIT(what_retention_moved_is_erased_where_it_is_now),
           UNIT(a_retained_message_that_another_replaces_in_the_fold_of_its_delete_is_gone))
