/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sources/dock.h"

#include <stdlib.h>

#include "storage/storage.h"
#include "tests/unit.h"

static char name[] = "lake";
static char channel[] = "{topic}";
static char start[] = "earliest";

void dock_init(struct dock *dock, const char *rules) {
    memset(dock, 0, sizeof(*dock));
    house_init(&dock->house, rules);
    dock->row = (struct source_row){.name = name, .channel = channel, .start = start};
}

void dock_finish(struct dock *dock) {
    house_finish(&dock->house);
}

static void on_object(void *context, struct span object, struct span state) {
    EXPECT_EQ(positions_learn(context, object, state), OK);
}

static void *run_loop(void *argument) {
    loop_run(argument);
    return NULL;
}

static void create(void *context) {
    struct dock *dock = context;
    EXPECT_EQ(source_create(&dock->house.broker, dock->loop, dock->positions, &dock->row,
                            &dock->source, NULL),
              OK);
    source_start(dock->source);
}

void dock_start(struct dock *dock) {
    house_start(&dock->house);
    struct broker *broker = &dock->house.broker;
    EXPECT_EQ(positions_create(&dock->positions), OK);
    EXPECT_EQ(storage_each_object(broker->storage, STORAGE_OBJECT_SOURCE, on_object,
                                  dock->positions, NULL),
              OK);
    EXPECT_EQ(loop_create(metrics_shard(broker->metrics, METRICS_COURIER), &dock->loop, NULL), OK);
    EXPECT_EQ(pthread_create(&dock->thread, NULL, run_loop, dock->loop), 0);
    dock_call(dock, create, dock);
}

/* --- calls ---------------------------------------------------------------------------------- */

void dock_call(struct dock *dock, void (*run)(void *context), void *context) {
    house_call_at(loop_mailbox(dock->loop), run, context);
}

/* --- the end -------------------------------------------------------------------------------- */

static void on_stopped(void *context) {
    struct dock *dock = context;
    house_lock(&dock->house);
    dock->is_stopped = true;
    house_unlock(&dock->house);
}

static void stop(void *context) {
    struct dock *dock = context;
    source_stop(dock->source, on_stopped, dock);
}

static bool is_stopped(void *context) {
    return ((struct dock *)context)->is_stopped;
}

void dock_pause(struct dock *dock) {
    dock->is_stopped = false;
    dock_call(dock, stop, dock);
    house_wait(&dock->house, is_stopped, dock);
}

static void resume(void *context) {
    source_start(((struct dock *)context)->source);
}

void dock_resume(struct dock *dock) {
    dock_call(dock, resume, dock);
}

static void end(void *context) {
    struct dock *dock = context;
    source_destroy(dock->source);
    loop_end(dock->loop);
}

void dock_stop(struct dock *dock) {
    dock_pause(dock);
    dock_call(dock, end, dock);
    pthread_join(dock->thread, NULL);
    house_stop(&dock->house);
    loop_destroy(dock->loop);
    positions_destroy(dock->positions);
}

/* --- what is there --------------------------------------------------------------------------- */

void dock_each(struct dock *dock, const char *name_of_channel,
               void (*on_message)(void *context, const struct message *message), void *context) {
    struct storage_query query = {.channel = span_of_string(name_of_channel),
                                  .start = STORAGE_EARLIEST,
                                  .limit = 1000,
                                  .bytes_max = 1 << 20};
    bool at_head = false;
    for (size_t pages = 0; !at_head && pages < DOCK_PAGES_MAX; pages++) {
        struct storage_page page;
        EXPECT_EQ(storage_read(dock->house.broker.storage, &query, &page, NULL), OK);
        for (size_t i = 0; i < page.count; i++) {
            on_message(context, page.messages[i]);
        }
        at_head = page.at_head;
        query.start = STORAGE_AFTER_PLACE;
        query.place = page.end;
        storage_page_finish(&page);
    }
    EXPECT_TRUE(at_head);
}

static void count_one(void *context, const struct message *message) {
    (void)message;
    ++*(size_t *)context;
}

size_t dock_count(struct dock *dock, const char *name_of_channel) {
    size_t count = 0;
    dock_each(dock, name_of_channel, count_one, &count);
    return count;
}

struct wanted {
    struct dock *dock;
    const char *channel;
    size_t count;
    enum sink_state state;
    struct source_figures figures;
};

static bool is_count(void *context) {
    const struct wanted *wanted = context;
    return dock_count(wanted->dock, wanted->channel) == wanted->count;
}

void dock_wait_count(struct dock *dock, const char *name_of_channel, size_t count) {
    struct wanted wanted = {.dock = dock, .channel = name_of_channel, .count = count};
    house_look(&dock->house, is_count, &wanted);
}

static void get_figures(void *context) {
    struct wanted *wanted = context;
    source_get_figures(wanted->dock->source, &wanted->figures);
}

struct source_figures dock_figures(struct dock *dock) {
    struct wanted wanted = {.dock = dock};
    dock_call(dock, get_figures, &wanted);
    return wanted.figures;
}

static bool is_state(void *context) {
    const struct wanted *wanted = context;
    return dock_figures(wanted->dock).state == wanted->state;
}

void dock_wait_state(struct dock *dock, enum sink_state state) {
    struct wanted wanted = {.dock = dock, .state = state};
    house_look(&dock->house, is_state, &wanted);
}
