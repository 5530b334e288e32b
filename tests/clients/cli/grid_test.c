/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/grid.h"

#include <stdlib.h>

#include "tests/unit.h"

static void expect_grid(const struct grid *grid, const char *json, const char *expected) {
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    json_t *list = json_loads(json, 0, NULL);
    EXPECT_NOT_NULL(list);
    grid_write(stream, grid, list);
    fclose(stream);
    EXPECT_STRING(text, expected);
    json_decref(list);
    free(text);
}

TEST(columns_are_as_wide_as_what_is_in_them) {
    expect_grid(&grid_sinks,
                "[{\"name\":\"orders\",\"kind\":\"webhook\",\"state\":\"retrying\","
                "\"lag_messages\":1000,\"lag_exact\":false,\"lag_ms\":125000,\"messages\":7,"
                "\"attempts\":{\"delivered\":7,\"failed\":2,\"unreached\":1},\"dead_letters\":1,"
                "\"detail\":\"500\\u001b[2J\"}]",
                "SINK    KIND     STATE       LAG  OLDEST  DELIVERED  FAILED  DEAD  DETAIL\n"
                "orders  webhook  retrying  1000+      2m          7       3     1  500?[2J\n");
}

TEST(what_is_not_known_is_a_dash) {
    expect_grid(&grid_sources,
                "[{\"name\":\"k\",\"kind\":\"kafka\",\"state\":\"live\",\"lag_messages\":null,"
                "\"messages\":3,\"refused\":0,\"detail\":null}]",
                "SOURCE  KIND   STATE  LAG  PUBLISHED  REFUSED  DETAIL\n"
                "k       kafka  live     -          3        0  \n");
    expect_grid(&grid_sinks, "[]", "no sinks\n");
}

UNIT_TESTS(UNIT(columns_are_as_wide_as_what_is_in_them), UNIT(what_is_not_known_is_a_dash))
