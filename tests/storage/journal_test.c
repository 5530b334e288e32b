/* SPDX-License-Identifier: Apache-2.0 */
/* The disk says no: full, failing, or cut from its power. Nothing answered as durable is lost, and
 * what failed left no trace. */
#include "storage/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/support/macros.h"
#include "tests/storage/disk.h"
#include "tests/storage/fixture.h"

/* What a disk does wrong is played by disk.c; a slow one would add nothing but time. */
static void init_in_memory(struct fixture *fixture) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 1);
    }
    fixture_init(fixture);
}

static uint64_t last_of(const struct fixture *fixture, const char *name) {
    for (size_t i = 0; i < fixture->channel_count; i++) {
        if (strcmp(fixture->channels[i].name, name) == 0) {
            return fixture->channels[i].offset_last;
        }
    }
    return 0;
}

/* A message that was refused was never given its offset. */
static enum error_code try_publish(struct fixture *fixture, const char *channel, size_t count,
                                   struct error *why) {
    struct message *messages[64];
    struct fixture before = *fixture;
    for (size_t i = 0; i < count; i++) {
        char payload[96];
        struct message *message = fixture_make(fixture, channel, SPAN("?"));
        snprintf(payload, sizeof(payload), "%s:%llu", channel,
                 (unsigned long long)message->place.offset);
        struct message_fields fields = message->fields;
        fields.payload = span_of_string(payload);
        messages[i] = message_create(&fields);
        message_order(messages[i], &message->place, message->time_ms);
        message_unref(message);
    }
    enum error_code result = storage_append(fixture->storage, messages, count, why);
    if (result == OK) {
        storage_admit(fixture->storage, messages, count);
    } else {
        memcpy(fixture->channels, before.channels, sizeof(before.channels));
        fixture->channel_count = before.channel_count;
        fixture->channel_id_next = before.channel_id_next;
        fixture->position_next = before.position_next;
    }
    for (size_t i = 0; i < count; i++) {
        message_unref(messages[i]);
    }
    return result;
}

TEST(an_append_to_a_full_disk_leaves_nothing_behind) {
    for (long room = 0; room < 700; room += 23) {
        struct fixture fixture;
        struct error why = {0};
        init_in_memory(&fixture);
        fixture_open(&fixture);
        bool is_first = room % 2 == 0; /* the file is not there yet */
        EXPECT_EQ(try_publish(&fixture, "a", is_first ? 0 : 3, NULL), OK);
        disk_limit_writes(room, ENOSPC);
        EXPECT_EQ(try_publish(&fixture, "a", 10, &why), ERR_STORAGE_FULL);
        EXPECT_EQ(why.code, ERR_STORAGE_FULL);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 10), is_first ? 0 : 3);
        disk_limit_writes(-1, 0);
        EXPECT_EQ(try_publish(&fixture, "a", 2, NULL), OK);
        fixture_kill(&fixture);
        fixture_open(&fixture);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 10), is_first ? 2 : 5);
        fixture_finish(&fixture);
    }
}

TEST(a_journal_that_cannot_be_cut_back_takes_nothing_more) {
    struct fixture fixture;
    init_in_memory(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 3, NULL), OK);
    disk_limit_writes(300, ENOSPC);
    disk_fail_truncations(true);
    EXPECT_EQ(try_publish(&fixture, "a", 10, NULL), ERR_STORAGE_FULL);
    disk_fail_truncations(false);
    disk_limit_writes(-1, 0);
    EXPECT_EQ(try_publish(&fixture, "a", 1, NULL), ERR_IO);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 3);
    fixture_finish(&fixture);
}

TEST(a_failed_sync_is_not_tried_again_as_if_nothing_were) {
    struct fixture fixture;
    init_in_memory(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 3, NULL), OK);
    disk_fail_syncs(true);
    EXPECT_FALSE(storage_has_failed(fixture.storage));
    EXPECT_EQ(storage_sync(fixture.storage, NULL), ERR_IO);
    EXPECT_TRUE(storage_has_failed(fixture.storage));
    disk_fail_syncs(false);
    EXPECT_EQ(storage_sync(fixture.storage, NULL), ERR_IO);
    EXPECT_EQ(try_publish(&fixture, "a", 1, NULL), ERR_IO);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 3);
    fixture_finish(&fixture);
}

TEST(a_failed_seal_says_that_the_storage_has_failed) {
    struct fixture fixture;
    struct message *late[20];
    struct error why = {0};
    init_in_memory(&fixture);
    fixture.options.journal_file_bytes = 500;
    fixture_open(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 3, NULL), OK);
    for (size_t i = 0; i < ARRAY_COUNT(late); i++) { /* full files that are not folded yet */
        late[i] = fixture_make(&fixture, "b", SPAN("late"));
        EXPECT_EQ(storage_append(fixture.storage, &late[i], 1, NULL), OK);
    }
    disk_fail_syncs(true);
    EXPECT_FALSE(storage_has_failed(fixture.storage));
    EXPECT_EQ(storage_fold(fixture.storage, NULL), OK);
    EXPECT_TRUE(storage_has_failed(fixture.storage));
    disk_fail_syncs(false);
    EXPECT_EQ(try_publish(&fixture, "a", 1, &why), ERR_IO);
    EXPECT_NOT_NULL(strstr(why.detail, "until the broker starts again"));
    storage_admit(fixture.storage, late, ARRAY_COUNT(late));
    for (size_t i = 0; i < ARRAY_COUNT(late); i++) {
        message_unref(late[i]);
    }
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(last_of(&fixture, "b"), 20);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 3);
    fixture_finish(&fixture);
}

TEST(a_meta_page_that_cannot_be_written_ends_the_storage_and_not_the_process) {
    struct fixture fixture;
    init_in_memory(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 30, NULL), OK);
    disk_fail_meta_pages(true);
    EXPECT_TRUE(storage_fold(fixture.storage, NULL) != OK);
    disk_fail_meta_pages(false);
    bool is_more;
    EXPECT_TRUE(storage_retain(fixture.storage, &is_more, NULL) != OK);
    EXPECT_TRUE(storage_fold(fixture.storage, NULL) != OK);
    EXPECT_TRUE(storage_has_failed(fixture.storage));
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 30);
    fixture_finish(&fixture);
}

TEST(a_fold_onto_a_full_disk_leaves_all_readable_and_succeeds_later) {
    for (long room = 0; room < 40000; room += 3001) {
        struct fixture fixture;
        struct error why = {0};
        init_in_memory(&fixture);
        fixture.options.segment_messages = 50;
        fixture_open(&fixture);
        fixture_publish_many(&fixture, "a", 100);
        fixture_fold(&fixture);
        fixture_publish_many(&fixture, "a", 200);
        disk_limit_writes(room, ENOSPC);
        enum error_code result = storage_fold(fixture.storage, &why);
        EXPECT_TRUE(result == ERR_STORAGE_FULL || result == ERR_IO || result == OK);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 300);
        disk_limit_writes(-1, 0);
        fixture_retain(&fixture); /* which looks for room */
        fixture_publish_many(&fixture, "a", 10);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 310);
        fixture_fold(&fixture);
        fixture_fold(&fixture);
        struct storage_figures figures;
        storage_get_figures(fixture.storage, &figures);
        EXPECT_EQ(figures.position_folded, 310);
        EXPECT_EQ(figures.open_batch_messages, 0);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 310);
        fixture_kill(&fixture);
        fixture_open(&fixture);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 310);
        fixture_finish(&fixture);
    }
}

TEST(a_full_disk_lets_the_log_be_closed_and_opened) {
    for (long room = 0; room < 40000; room += 3001) {
        struct fixture fixture;
        init_in_memory(&fixture);
        fixture_open(&fixture);
        fixture_publish_many(&fixture, "a", 200);
        disk_limit_writes(room, ENOSPC);
        fixture_close(&fixture);
        fixture_open(&fixture);
        struct storage_state state;
        storage_get_state(fixture.storage, &state);
        EXPECT_TRUE(state.was_clean);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 200);
        EXPECT_EQ(try_publish(&fixture, "a", 1, NULL), ERR_STORAGE_FULL);
        disk_limit_writes(-1, 0);
        fixture_retain(&fixture);
        EXPECT_EQ(try_publish(&fixture, "a", 1, NULL), OK);
        EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 201);
        fixture_finish(&fixture);
    }
}

TEST(a_killed_log_opens_on_a_full_disk_and_takes_only_time) {
    struct fixture fixture;
    init_in_memory(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 200);
    fixture_kill(&fixture);
    disk_limit_writes(0, ENOSPC);
    fixture_open(&fixture);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 50), 200);
    EXPECT_EQ(try_publish(&fixture, "a", 1, NULL), ERR_STORAGE_FULL);
    fixture.time_ms += 60000;
    fixture_tick(&fixture);
    fixture_retain(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 1, NULL), ERR_STORAGE_FULL);
    disk_limit_writes(-1, 0);
    fixture_finish(&fixture);
}

/* --- power --- */

#define GENERATIONS 4

static struct {
    uint64_t durable[3];             /* per channel: the last offset that must survive */
    uint64_t begin[GENERATIONS + 2]; /* first position of each generation */
} told;

static const char *const NAMES[] = {"a", "b", "c"};

static void note_durable(const struct fixture *fixture) {
    for (size_t i = 0; i < 3; i++) {
        told.durable[i] = last_of(fixture, NAMES[i]);
    }
}

static void live_for_a_while(struct fixture *fixture, unsigned *seed) {
    for (unsigned steps = (unsigned)rand_r(seed) % 60; steps > 0; steps--) {
        unsigned what = (unsigned)rand_r(seed) % 10;
        if (what < 7) {
            EXPECT_EQ(
                try_publish(fixture, NAMES[rand_r(seed) % 3], (size_t)rand_r(seed) % 12, NULL), OK);
        } else if (what < 9) {
            EXPECT_EQ(storage_sync(fixture->storage, NULL), OK);
            note_durable(fixture);
        } else {
            fixture_fold(fixture);
            note_durable(fixture);
        }
    }
}

/* Pulls the plug; the broker's process is gone too. */
static void cut_power(struct fixture *fixture, unsigned seed) {
    char old[SCRATCH_PATH_BYTES];
    memcpy(old, fixture->directory, sizeof(old));
    fixture->directory[strlen(old) - 1] = fixture->directory[strlen(old) - 1] == 'x' ? 'y' : 'x';
    disk_cut(fixture->directory, seed);
    disk_forget();
    fixture->options.directory = old;
    fixture_close(fixture);
    scratch_remove(old);
    fixture->options.directory = fixture->directory;
}

static void expect_survivors(struct fixture *fixture, uint32_t generation) {
    EXPECT_EQ(fixture->generation, generation);
    told.begin[generation] = fixture->position_next;
    for (size_t i = 0; i < 3; i++) {
        EXPECT_TRUE(last_of(fixture, NAMES[i]) >= told.durable[i]);
        EXPECT_EQ(fixture_check_all(fixture, NAMES[i], 50), last_of(fixture, NAMES[i]));
        struct storage_query query = {
            .channel = span_of_string(NAMES[i]), .limit = 5000, .bytes_max = 1 << 20};
        struct storage_page page = fixture_read(fixture, &query);
        for (size_t j = 0; j < page.count; j++) {
            const struct place *place = &page.messages[j]->place;
            EXPECT_TRUE(place->position >= told.begin[place->generation]);
            EXPECT_TRUE(place->position < told.begin[place->generation + 1]);
        }
        storage_page_finish(&page);
    }
}

TEST(a_power_cut_loses_nothing_that_was_synced_and_the_log_opens) {
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct fixture fixture;
        unsigned state = seed;
        memset(&told, 0, sizeof(told));
        init_in_memory(&fixture);
        fixture.options.journal_file_bytes = 1500;
        fixture.options.segment_messages = 60;
        fixture_open(&fixture);
        for (uint32_t generation = 2; generation <= GENERATIONS; generation++) {
            disk_watch(fixture.directory);
            live_for_a_while(&fixture, &state);
            cut_power(&fixture, state);
            fixture_open(&fixture);
            expect_survivors(&fixture, generation);
        }
        fixture_finish(&fixture);
    }
}

TEST(what_was_deleted_leaves_the_journal_with_its_fold) {
    struct fixture fixture;
    struct storage_figures figures;
    init_in_memory(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 10, NULL), OK);
    fixture_delete(&fixture, "a", 1, 5);
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.journal_file_count, 1);
    fixture_fold(&fixture);
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.journal_file_count, 0);
    EXPECT_EQ(storage_sync(fixture.storage, NULL), OK);
    fixture_delete(&fixture, "a", 6, 7);
    EXPECT_EQ(try_publish(&fixture, "a", 1, NULL), OK);
    EXPECT_EQ(storage_sync(fixture.storage, NULL), OK);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(last_of(&fixture, "a"), 11);
    fixture_finish(&fixture);
}

/* A file each would take all descriptors, and all of the disk's time for syncs. */
TEST(many_deletes_share_a_file_that_ends_with_their_fold) {
    struct fixture fixture;
    struct storage_figures figures;
    struct message *late[2];
    init_in_memory(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 60, NULL), OK);
    for (uint64_t i = 1; i <= 50; i++) {
        fixture_delete(&fixture, "a", i, i);
    }
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.journal_file_count, 1);
    late[0] = fixture_make(&fixture, "a", SPAN("a:61"));
    EXPECT_EQ(storage_append(fixture.storage, &late[0], 1, NULL), OK);
    fixture_fold(&fixture); /* of what was admitted before */
    late[1] = fixture_make(&fixture, "a", SPAN("a:62"));
    EXPECT_EQ(storage_append(fixture.storage, &late[1], 1, NULL), OK);
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.journal_file_count, 2);
    storage_admit(fixture.storage, late, 2);
    fixture_fold(&fixture);
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.journal_file_count, 1);
    message_unref(late[0]);
    message_unref(late[1]);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(last_of(&fixture, "a"), 62);
    fixture_finish(&fixture);
}

/* A tick that comes while a delete is folded asks for no fold, and nothing else may ever come. */
TEST(what_comes_while_a_delete_is_folded_keeps_its_file_until_the_next_fold) {
    struct fixture fixture;
    struct storage_figures figures;
    struct message *late;
    init_in_memory(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 10, NULL), OK);
    fixture_fold(&fixture);
    EXPECT_FALSE(storage_holds_deleted(fixture.storage));
    fixture_delete(&fixture, "a", 1, 5);
    EXPECT_FALSE(storage_holds_deleted(fixture.storage)); /* a fold is asked for */
    late = fixture_make(&fixture, "a", SPAN("a:11"));
    EXPECT_EQ(storage_append(fixture.storage, &late, 1, NULL), OK);
    fixture_fold(&fixture);
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.journal_file_count, 1);
    EXPECT_TRUE(storage_holds_deleted(fixture.storage));
    fixture_fold(&fixture); /* not admitted yet */
    EXPECT_TRUE(storage_holds_deleted(fixture.storage));
    storage_admit(fixture.storage, &late, 1);
    fixture_fold(&fixture);
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.journal_file_count, 0);
    EXPECT_FALSE(storage_holds_deleted(fixture.storage));
    message_unref(late);
    fixture_finish(&fixture);
}

/* The delete's file is full before it is folded: then it is not the one that is written. */
TEST(a_full_file_with_a_folded_delete_is_known_as_well) {
    struct fixture fixture;
    struct storage_figures figures;
    struct message *late[2];
    init_in_memory(&fixture);
    fixture.options.journal_file_bytes = 1500;
    fixture_open(&fixture);
    EXPECT_EQ(try_publish(&fixture, "a", 10, NULL), OK);
    fixture_delete(&fixture, "a", 1, 5);
    char large[1500] = {0};
    late[0] = fixture_make(&fixture, "a", span_of(large, sizeof(large)));
    late[1] = fixture_make(&fixture, "a", SPAN("a:12"));
    EXPECT_EQ(storage_append(fixture.storage, &late[0], 1, NULL), OK);
    EXPECT_EQ(storage_append(fixture.storage, &late[1], 1, NULL), OK);
    fixture_fold(&fixture);
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.journal_file_count, 2);
    EXPECT_TRUE(storage_holds_deleted(fixture.storage));
    storage_admit(fixture.storage, late, 2);
    fixture_fold(&fixture);
    EXPECT_FALSE(storage_holds_deleted(fixture.storage));
    message_unref(late[0]);
    message_unref(late[1]);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(what_comes_while_a_delete_is_folded_keeps_its_file_until_the_next_fold),
           UNIT(a_full_file_with_a_folded_delete_is_known_as_well),
           UNIT(many_deletes_share_a_file_that_ends_with_their_fold),
           UNIT(what_was_deleted_leaves_the_journal_with_its_fold),
           UNIT(an_append_to_a_full_disk_leaves_nothing_behind),
           UNIT(a_journal_that_cannot_be_cut_back_takes_nothing_more),
           UNIT(a_failed_sync_is_not_tried_again_as_if_nothing_were),
           UNIT(a_failed_seal_says_that_the_storage_has_failed),
           UNIT(a_meta_page_that_cannot_be_written_ends_the_storage_and_not_the_process),
           UNIT(a_fold_onto_a_full_disk_leaves_all_readable_and_succeeds_later),
           UNIT(a_full_disk_lets_the_log_be_closed_and_opened),
           UNIT(a_killed_log_opens_on_a_full_disk_and_takes_only_time),
           UNIT(a_power_cut_loses_nothing_that_was_synced_and_the_log_opens))
