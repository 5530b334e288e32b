/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of the broker on one log at once: one publishes, one folds and sweeps, one syncs, two
 * read a channel and two read all channels, by a pattern and by names. Each reader sees each
 * message once and in order, wherever the seam is. Also run under ThreadSanitizer. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "broker/support/clock.h"
#include "tests/storage/fixture.h"

#define MESSAGES 20000
#define BATCH 20
#define READERS 2
#define READERS_OF_MANY 2
#define FOLD_EVERY 1000
#define PATIENCE_MS 240000 /* it only ends a hang */

struct scene {
    struct fixture fixture;
    atomic_bool is_over;
    atomic_uint_fast64_t published; /* of the channel that is read */
    atomic_size_t faults;
    atomic_size_t pages;
};

static void *run_store(void *context) {
    struct scene *scene = context;
    while (!atomic_load(&scene->is_over)) {
        bool is_more = false;
        if (storage_fold(scene->fixture.storage, NULL) != OK ||
            storage_retain(scene->fixture.storage, &is_more, NULL) != OK) {
            atomic_fetch_add(&scene->faults, 1);
        }
    }
    return NULL;
}

static void *run_sync(void *context) {
    struct scene *scene = context;
    while (!atomic_load(&scene->is_over)) {
        struct storage_figures figures;
        storage_get_figures(scene->fixture.storage, &figures);
        if (storage_sync(scene->fixture.storage, NULL) != OK) {
            atomic_fetch_add(&scene->faults, 1);
        }
    }
    return NULL;
}

/* Follows the channel from its first message to the last, again and again from the cursor. */
static void *run_reader(void *context) {
    struct scene *scene = context;
    struct storage_query query = {
        .channel = SPAN("a"), .start = STORAGE_EARLIEST, .limit = 37, .bytes_max = 65536};
    uint64_t next = 1;
    uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (next <= MESSAGES && clock_monotonic_ms() < deadline_ms) {
        struct storage_page page;
        uint64_t published = atomic_load(&scene->published);
        if (storage_read(scene->fixture.storage, &query, &page, NULL) != OK) {
            atomic_fetch_add(&scene->faults, 1);
            break;
        }
        bool is_wrong = page.has_gap || page.offset_last < published ||
                        (page.at_head && next + page.count <= published);
        for (size_t i = 0; i < page.count; i++, next++) {
            is_wrong = is_wrong || page.messages[i]->place.offset != next;
        }
        atomic_fetch_add(&scene->pages, 1);
        atomic_fetch_add(&scene->faults, is_wrong ? 1 : 0);
        query.start = STORAGE_AFTER_PLACE;
        query.place = page.end;
        storage_page_finish(&page);
    }
    atomic_fetch_add(&scene->faults, next == MESSAGES + 1 ? 0 : 1);
    return NULL;
}

/* Follows all channels: each position there is, once. */
static void *run_reader_of_many(void *context) {
    struct scene *scene = context;
    const struct storage_selector selectors[] = {{SPAN("a"), false}, {SPAN("**"), true}};
    struct storage_query query = {.selectors = selectors,
                                  .selector_count = 2,
                                  .start = STORAGE_EARLIEST,
                                  .limit = 97,
                                  .bytes_max = 65536};
    uint64_t next = 1;
    uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (next <= MESSAGES * 2 && clock_monotonic_ms() < deadline_ms) {
        struct storage_page page;
        uint64_t published = 2 * atomic_load(&scene->published);
        if (storage_read(scene->fixture.storage, &query, &page, NULL) != OK) {
            atomic_fetch_add(&scene->faults, 1);
            break;
        }
        bool is_wrong = page.gap_count > 0 || (page.at_head && next + page.count <= published);
        for (size_t i = 0; i < page.count; i++, next++) {
            is_wrong = is_wrong || page.messages[i]->place.position != next;
        }
        is_wrong = is_wrong || page.end.position != next - 1;
        atomic_fetch_add(&scene->faults, is_wrong ? 1 : 0);
        query.start = STORAGE_AFTER_PLACE;
        query.place = page.end;
        storage_page_finish(&page);
    }
    atomic_fetch_add(&scene->faults, next == MESSAGES * 2 + 1 ? 0 : 1);
    return NULL;
}

/* So that folds pass all along, however fast the machine is. */
static void wait_for_folds(const struct scene *scene, uint64_t count) {
    struct storage_figures figures;
    do {
        sched_yield();
        storage_get_figures(scene->fixture.storage, &figures);
    } while (figures.fold_count < count);
}

static void publish_all(struct scene *scene) {
    for (size_t done = 0; done < MESSAGES; done += BATCH) {
        wait_for_folds(scene, done / FOLD_EVERY);
        struct message *messages[BATCH * 2];
        for (size_t i = 0; i < BATCH; i++) {
            char other[16];
            snprintf(other, sizeof(other), "b%zu", (done + i) % 50);
            messages[2 * i] = fixture_make(&scene->fixture, "a", SPAN("payload"));
            messages[2 * i + 1] = fixture_make(&scene->fixture, other, SPAN("other"));
        }
        EXPECT_EQ(storage_append(scene->fixture.storage, messages, BATCH * 2, NULL), OK);
        storage_admit(scene->fixture.storage, messages, BATCH * 2);
        atomic_store(&scene->published, done + BATCH);
        for (size_t i = 0; i < BATCH * 2; i++) {
            message_unref(messages[i]);
        }
    }
}

TEST(readers_see_each_message_once_and_in_order_while_folds_pass) {
    static struct scene scene;
    pthread_t store;
    pthread_t sync;
    pthread_t readers[READERS + READERS_OF_MANY];
    fixture_init(&scene.fixture);
    scene.fixture.options.segment_messages = 3000;
    scene.fixture.options.journal_file_bytes = 100000;
    fixture_open(&scene.fixture);
    EXPECT_EQ(pthread_create(&store, NULL, run_store, &scene), 0);
    EXPECT_EQ(pthread_create(&sync, NULL, run_sync, &scene), 0);
    for (size_t i = 0; i < READERS + READERS_OF_MANY; i++) {
        EXPECT_EQ(pthread_create(&readers[i], NULL, i < READERS ? run_reader : run_reader_of_many,
                                 &scene),
                  0);
    }
    publish_all(&scene);
    for (size_t i = 0; i < READERS + READERS_OF_MANY; i++) {
        pthread_join(readers[i], NULL);
    }
    atomic_store(&scene.is_over, true);
    pthread_join(store, NULL);
    pthread_join(sync, NULL);
    struct storage_figures figures;
    storage_get_figures(scene.fixture.storage, &figures);
    EXPECT_EQ(atomic_load(&scene.faults), 0);
    EXPECT_TRUE(figures.fold_count >= MESSAGES / FOLD_EVERY - 1);
    EXPECT_EQ(figures.position_readable, MESSAGES * 2);
    fixture_finish(&scene.fixture);
}

UNIT_TESTS(UNIT(readers_see_each_message_once_and_in_order_while_folds_pass))
