/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/storage/fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/support/macros.h"

void fixture_shell(const char *format, const char *directory) {
    char command[512];
    const char *mark = strstr(format, "%s");
    snprintf(command, sizeof(command), "%.*s%s%s", (int)(mark - format), format, directory,
             mark + 2);
    assert_int_equal(system(command), 0);
}

static void on_retention(void *context, struct span channel, struct retention *ret_retention) {
    const struct fixture *fixture = context;
    *ret_retention =
        span_has_prefix(channel, SPAN("keep/"))
            ? (struct retention){RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED}
            : fixture->retention;
}

static struct span take_segment(struct span *rest) {
    size_t length = 0;
    while (length < rest->length && rest->bytes[length] != '/') {
        length++;
    }
    struct span segment = span_of(rest->bytes, length);
    size_t used = length < rest->length ? length + 1 : length;
    *rest = span_of(rest->bytes + used, rest->length - used);
    return segment;
}

/* As broker/channels/pattern.h says, but for names that begin with `$`. */
static bool on_match(struct span pattern, struct span name) {
    while (pattern.length > 0) {
        struct span wanted = take_segment(&pattern);
        if (span_is_equal(wanted, SPAN("**"))) {
            return true;
        }
        if (name.length == 0) {
            return false;
        }
        struct span segment = take_segment(&name);
        bool is_last = name.length == 0;
        if (!span_is_equal(wanted, SPAN("*")) && !span_is_equal(wanted, segment)) {
            return false;
        }
        if (is_last && span_is_equal(pattern, SPAN("**"))) {
            return true;
        }
    }
    return name.length == 0;
}

static void make_directory(struct fixture *fixture) {
    scratch_create_folder(fixture->directory);
    fixture->options.directory = fixture->directory;
}

void fixture_init(struct fixture *fixture) {
    memset(fixture, 0, sizeof(*fixture));
    fixture->options = (struct storage_options){
        .bytes_max = 1 << 30,
        .journal_file_bytes = 1 << 20,
        .open_batch_bytes_max = 64 << 20,
        .fold_bytes = 8 << 20,
        .segment_messages = 500000,
        .segment_bytes = 256 << 20,
        .on_retention = on_retention,
        .on_match = on_match,
        .context = fixture,
    };
    fixture->retention =
        (struct retention){RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED};
    fixture->time_ms = 1700000000000;
    make_directory(fixture);
}

void fixture_finish(struct fixture *fixture) {
    fixture_close(fixture);
    scratch_remove(fixture->directory);
}

static void on_channel(void *context, struct span name, uint64_t channel_id, uint64_t offset_last,
                       uint64_t bytes) {
    (void)bytes;
    struct fixture *fixture = context;
    struct fixture_channel *channel = &fixture->channels[fixture->channel_count++];
    snprintf(channel->name, sizeof(channel->name), "%.*s", SPAN_PRINTF(name));
    channel->id = channel_id;
    channel->offset_last = offset_last;
}

void fixture_open(struct fixture *fixture) {
    struct error why = {0};
    enum error_code result = storage_open(&fixture->options, &fixture->storage, &why);
    EXPECT_STRING(why.detail, "");
    EXPECT_EQ(result, OK);
    struct storage_state state;
    storage_get_state(fixture->storage, &state);
    fixture->generation = state.generation;
    fixture->log_id = state.log_id;
    fixture->position_next = state.position_next;
    fixture->channel_id_next = state.channel_id_next;
    fixture->channel_count = 0;
    EXPECT_EQ(storage_each_channel(fixture->storage, on_channel, fixture, NULL), OK);
}

void fixture_close(struct fixture *fixture) {
    storage_close(fixture->storage);
    fixture->storage = NULL;
}

void fixture_kill(struct fixture *fixture) {
    char old[SCRATCH_PATH_BYTES];
    char command[256];
    memcpy(old, fixture->directory, sizeof(old));
    make_directory(fixture);
    snprintf(command, sizeof(command), "cp -a %s/. %s/", old, fixture->directory);
    assert_int_equal(system(command), 0);
    fixture->options.directory = old;
    fixture_close(fixture);
    fixture->options.directory = fixture->directory;
    scratch_remove(old);
}

static struct fixture_channel *find_channel(struct fixture *fixture, const char *name) {
    for (size_t i = 0; i < fixture->channel_count; i++) {
        if (strcmp(fixture->channels[i].name, name) == 0) {
            return &fixture->channels[i];
        }
    }
    assert_true(fixture->channel_count < FIXTURE_CHANNELS_MAX);
    struct fixture_channel *channel = &fixture->channels[fixture->channel_count++];
    snprintf(channel->name, sizeof(channel->name), "%s", name);
    channel->id = fixture->channel_id_next++;
    channel->offset_last = 0;
    return channel;
}

static struct message *order(struct fixture *fixture, const struct message_fields *fields,
                             uint64_t channel_id, uint64_t offset) {
    struct message *message = message_create(fields);
    assert_non_null(message);
    struct place place = {fixture->log_id, fixture->generation, fixture->position_next++,
                          channel_id, offset};
    message_order(message, &place, fixture->time_ms);
    return message;
}

struct message *fixture_make(struct fixture *fixture, const char *channel, struct span payload) {
    struct fixture_channel *found = find_channel(fixture, channel);
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .payload_kind = PAYLOAD_TEXT,
                                    .channel = span_of_string(channel),
                                    .payload = payload};
    return order(fixture, &fields, found->id, ++found->offset_last);
}

static void append(struct fixture *fixture, struct message *message) {
    struct error why = {0};
    EXPECT_EQ(storage_append(fixture->storage, &message, 1, &why), OK);
    storage_admit(fixture->storage, &message, 1);
    message_unref(message);
}

struct place fixture_publish_bytes(struct fixture *fixture, const char *channel,
                                   struct span payload) {
    struct message *message = fixture_make(fixture, channel, payload);
    struct place place = message->place;
    append(fixture, message);
    return place;
}

struct place fixture_publish(struct fixture *fixture, const char *channel, const char *payload) {
    return fixture_publish_bytes(fixture, channel, span_of_string(payload));
}

void fixture_publish_many(struct fixture *fixture, const char *channel, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char payload[96];
        snprintf(payload, sizeof(payload), "%s:%llu", channel,
                 (unsigned long long)find_channel(fixture, channel)->offset_last + 1);
        fixture_publish(fixture, channel, payload);
    }
}

struct place fixture_delete(struct fixture *fixture, const char *channel, uint64_t from,
                            uint64_t to) {
    const struct fixture_channel *found = find_channel(fixture, channel);
    uint8_t range[MESSAGE_DELETE_BYTES];
    message_put_deleted(from, to, range);
    struct message_fields fields = {.kind = MESSAGE_DELETE,
                                    .channel = span_of_string(channel),
                                    .payload = span_of(range, sizeof(range))};
    struct message *message = order(fixture, &fields, found->id, found->offset_last);
    struct place place = message->place;
    append(fixture, message);
    return place;
}

struct place fixture_publish_fields(struct fixture *fixture, const char *channel,
                                    struct message_fields fields) {
    struct fixture_channel *found = find_channel(fixture, channel);
    fields.kind = MESSAGE_DATA;
    fields.channel = span_of_string(channel);
    struct message *message = order(fixture, &fields, found->id, ++found->offset_last);
    struct place place = message->place;
    append(fixture, message);
    return place;
}

void fixture_tick(struct fixture *fixture) {
    append(fixture, order(fixture, &(struct message_fields){.kind = MESSAGE_TICK}, 0, 0));
}

void fixture_fold(struct fixture *fixture) {
    struct error why = {0};
    enum error_code result = storage_fold(fixture->storage, &why);
    EXPECT_STRING(why.detail, "");
    EXPECT_EQ(result, OK);
}

void fixture_retain(struct fixture *fixture) {
    bool is_more = true;
    for (size_t i = 0; is_more; i++) {
        struct error why = {0};
        enum error_code result = storage_retain(fixture->storage, &is_more, &why);
        EXPECT_STRING(why.detail, "");
        EXPECT_EQ(result, OK);
        EXPECT_TRUE(i < 10000);
    }
}

struct storage_page fixture_read(struct fixture *fixture, const struct storage_query *query) {
    struct storage_page page;
    struct error why = {0};
    enum error_code result = storage_read(fixture->storage, query, &page, &why);
    EXPECT_STRING(why.detail, "");
    EXPECT_EQ(result, OK);
    return page;
}

size_t fixture_check_all(struct fixture *fixture, const char *channel, uint32_t limit) {
    struct storage_query query = {.channel = span_of_string(channel),
                                  .start = STORAGE_EARLIEST,
                                  .limit = limit,
                                  .bytes_max = 1 << 20};
    size_t count = 0;
    uint64_t next = 0;
    for (bool is_over = false; !is_over;) {
        struct storage_page page = fixture_read(fixture, &query);
        EXPECT_FALSE(page.has_gap);
        for (size_t i = 0; i < page.count; i++) {
            char expected[96];
            const struct message *message = page.messages[i];
            EXPECT_TRUE(next == 0 || message->place.offset == next);
            next = message->place.offset + 1;
            snprintf(expected, sizeof(expected), "%s:%llu", channel,
                     (unsigned long long)message->place.offset);
            EXPECT_SPAN(message->fields.payload, expected);
            EXPECT_SPAN(message->fields.channel, channel);
        }
        count += page.count;
        is_over = page.at_head;
        query.start = STORAGE_AFTER_PLACE;
        query.place = page.end;
        storage_page_finish(&page);
    }
    return count;
}

const char *fixture_describe(const struct storage_page *page, char *text) {
    static const char *const reasons[] = {"expired", "dropped", "deleted", "ahead", "epoch"};
    int length = 0;
    if (page->has_gap) {
        length = snprintf(text, FIXTURE_TEXT_BYTES, "%s %llu-%llu ", reasons[page->gap.reason],
                          (unsigned long long)page->gap.from, (unsigned long long)page->gap.to);
    }
    length += snprintf(text + length, FIXTURE_TEXT_BYTES - (size_t)length, "%llu<",
                       (unsigned long long)page->start.offset);
    for (size_t i = 0; i < page->count && i < 20; i++) {
        length += snprintf(text + length, FIXTURE_TEXT_BYTES - (size_t)length, "%s%llu",
                           i == 0 ? "" : ",", (unsigned long long)page->messages[i]->place.offset);
    }
    snprintf(text + length, FIXTURE_TEXT_BYTES - (size_t)length, ">%llu%s",
             (unsigned long long)page->end.offset, page->at_head ? " head" : "");
    return text;
}

void fixture_expect(struct fixture *fixture, struct storage_query query, const char *expected) {
    char text[FIXTURE_TEXT_BYTES];
    if (query.limit == 0) {
        query.limit = 10;
    }
    if (query.bytes_max == 0) {
        query.bytes_max = 65536;
    }
    struct storage_page page = fixture_read(fixture, &query);
    EXPECT_STRING(fixture_describe(&page, text), expected);
    storage_page_finish(&page);
}
