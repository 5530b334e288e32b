/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/delivery/group.h"

#include "broker/delivery/roster.h"
#include "tests/fuzz/fuzz.h"

#define STATE_BYTES_MAX 1048576
#define NOW_MS 1000

static struct group *decode_group(struct span *rest) {
    struct group *group = NULL;
    CLAIM(group_create(&group) == OK);
    if (group_decode(group, rest) != OK) {
        group_destroy(group);
        return NULL;
    }
    return group;
}

/* What was read is written and read again as the same. */
static void check_again(const struct group *group) {
    struct buffer buffer;
    struct group_figures figures;
    struct group_figures figures_again;
    buffer_init(&buffer, STATE_BYTES_MAX);
    CLAIM(group_encode(group, &buffer) == OK);
    struct span rest = buffer_borrow(&buffer);
    struct group *again = decode_group(&rest);
    if (again != NULL) { /* tokens go on above those that were stored, and end some day */
        CLAIM(rest.length == 0);
        group_get_figures(group, &figures);
        group_get_figures(again, &figures_again);
        CLAIM(figures.leased == 0 && figures_again.leased == 0);
        CLAIM(figures.waiting == figures_again.waiting);
        CLAIM(group_position_done(group) == group_position_done(again));
        group_destroy(again);
    }
    buffer_finish(&buffer);
}

/* All that waits comes in order, before the place. */
static void check_order(struct group *group) {
    struct place place;
    struct group_loss loss;
    uint64_t position = 0;
    group_get_place(group, &place);
    while (group_take_loss(group, UINT64_MAX, &loss)) {
        CLAIM(loss.position > position && loss.position <= place.position);
        position = loss.position;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span rest = span_of(bytes, length);
    struct roster roster;
    uint64_t next_ms = 0;
    struct group *group = decode_group(&rest);
    CLAIM(rest.length <= length);
    if (group != NULL) {
        check_again(group);
        check_order(group);
        group_destroy(group);
    }
    CLAIM(roster_init(&roster, NULL) == OK);
    if (roster_decode(&roster, &rest, NOW_MS) == OK) {
        size_t count = roster_count(&roster);
        CLAIM(count - roster_expire(&roster, NOW_MS, &next_ms) == roster_count(&roster));
        CLAIM(next_ms > NOW_MS);
    }
    roster_finish(&roster);
    return 0;
}
