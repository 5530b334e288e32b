/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept, against a model that counts by hand: by number, age and bytes, in the batch, in
 * LMDB and across the seam. */
#include "storage/view.h"

#include "tests/storage/fixture.h"

#define MODEL_MESSAGES_MAX 3000

struct model {
    uint64_t times[MODEL_MESSAGES_MAX];
    uint64_t bytes[MODEL_MESSAGES_MAX];
    size_t count;
    uint64_t now_ms;
};

static uint64_t model_first(const struct model *model, const struct retention *retention) {
    uint64_t sum = 0;
    uint64_t first = model->count;
    for (size_t kept = 1; first > 0; kept++) {
        size_t at = (size_t)first - 1;
        sum += model->bytes[at];
        if (kept > retention->messages_max || sum > retention->bytes_max ||
            model->now_ms - model->times[at] >= retention->age_ms_max) {
            break;
        }
        first--;
    }
    return first + 1;
}

static void expect_first(struct fixture *fixture, const struct model *model,
                         struct retention retention) {
    struct storage_query query = {.channel = SPAN("a"), .limit = 1, .bytes_max = 1000};
    fixture->retention = retention;
    struct storage_page page = fixture_read(fixture, &query);
    uint64_t first = model_first(model, &retention);
    EXPECT_EQ(page.first, first > model->count ? 0 : first);
    EXPECT_EQ(page.last, first > model->count ? 0 : model->count);
    if (page.first != 0) {
        EXPECT_EQ(page.messages[0]->place.offset, first);
    }
    storage_page_finish(&page);
}

static void expect_model(struct fixture *fixture, const struct model *model) {
    const uint64_t all = RETENTION_UNLIMITED;
    const uint64_t limits[] = {0, 1, 2, 10, 99, 100, 101, 500, 1200, 2999, 3000, 5000, 40000};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        expect_first(fixture, model, (struct retention){limits[i], all, all});
        expect_first(fixture, model, (struct retention){all, limits[i], all});
        expect_first(fixture, model, (struct retention){all, all, limits[i]});
        expect_first(fixture, model, (struct retention){limits[i], limits[i] * 2, limits[i] * 9});
    }
    fixture->retention = (struct retention){all, all, all};
}

static void publish(struct fixture *fixture, struct model *model) {
    static const uint8_t payload[64];
    size_t size = (model->count * 31 + model->count / 7) % sizeof(payload);
    model->times[model->count] = fixture->time_ms;
    model->bytes[model->count++] = size;
    model->now_ms = fixture->time_ms;
    fixture_publish_bytes(fixture, "a", span_of(payload, size));
    if (model->count % 5 == 0) {
        fixture_publish_many(fixture, "b", model->count % 3);
    }
    fixture->time_ms += model->count % 4;
}

TEST(the_first_offset_kept_is_exact_at_every_read) {
    struct fixture fixture;
    static struct model model;
    fixture_init(&fixture);
    fixture.options.segment_messages = 700;
    fixture_open(&fixture);
    for (size_t i = 0; i < MODEL_MESSAGES_MAX; i++) {
        publish(&fixture, &model);
        if (i % 500 == 30) {
            expect_model(&fixture, &model);
            fixture_fold(&fixture);
            expect_model(&fixture, &model);
        }
    }
    expect_model(&fixture, &model);
    fixture.time_ms += 500; /* a silent log: only a tick says that time went by */
    fixture_tick(&fixture);
    model.now_ms = fixture.time_ms;
    expect_model(&fixture, &model);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    expect_model(&fixture, &model);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(the_first_offset_kept_is_exact_at_every_read))
