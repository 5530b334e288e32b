/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/since.h"

#include "broker/channels/id.h"
#include "broker/support/clock.h"
#include "tests/fuzz/fuzz.h"

/* Every place has one text, and every text that is accepted is that of its place. */
static void check_place(const struct place *place, struct span text) {
    char formatted[ID_TEXT_BYTES_MAX];
    struct place again;
    size_t length = id_format(place, formatted);
    CLAIM(length <= ID_TEXT_BYTES_MAX);
    CLAIM(id_parse(span_of(formatted, length), &again));
    CLAIM(again.log_id == place->log_id && again.generation == place->generation &&
          again.position == place->position && again.channel_id == place->channel_id &&
          again.offset == place->offset);
    CLAIM(text.length == 0 || span_is_equal(span_of(formatted, length), text));
}

static void check_time(uint64_t time_ms) {
    char text[CLOCK_RFC3339_BYTES];
    uint64_t again = 0;
    if (time_ms < 253402300800000) { /* the year 10000 */
        clock_format_rfc3339(time_ms, text);
        CLAIM(clock_parse_rfc3339(span_of_string(text), &again));
        CLAIM(again == time_ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    struct since since;
    struct place before = {0};
    if (since_parse(input, &since, NULL) == OK) {
        CLAIM(since.kind != SINCE_NOT_GIVEN);
        CLAIM(since.kind != SINCE_LAST || since.count > 0);
        if (since.kind == SINCE_PLACE) {
            check_place(&since.place, input);
        }
        check_time(since.kind == SINCE_TIME ? since.time_ms : 0);
    }
    if (before_parse(input, &before, NULL) == OK) {
        CLAIM(before.log_id != 0 || before.offset > 0);
    }
    struct place place = {.log_id = 1};
    if (length >= 5 * sizeof(uint64_t)) {
        memcpy(&place.log_id, bytes, 8);
        memcpy(&place.generation, bytes + 8, 4);
        memcpy(&place.position, bytes + 16, 8);
        memcpy(&place.channel_id, bytes + 24, 8);
        memcpy(&place.offset, bytes + 32, 8);
        place.log_id |= 1;
        check_time(place.position);
    }
    check_place(&place, (struct span){0});
    return 0;
}
