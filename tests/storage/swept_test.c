/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/swept.h"

#include "tests/unit.h"

TEST(what_is_put_is_a_copy_and_all_of_it_goes) {
    struct swept *list = NULL;
    char name[] = "a/b";
    struct storage_swept told = {.name = span_of_string(name),
                                 .channel_id = 1,
                                 .offset_last = 2,
                                 .bytes = 3,
                                 .is_forgotten = true};
    EXPECT_TRUE(swept_put(&list, &told));
    name[0] = 'x';
    told.channel_id = 7;
    EXPECT_TRUE(swept_put(&list, &told));
    EXPECT_EQ(list->told.channel_id, 7);
    EXPECT_SPAN(list->next->told.name, "a/b");
    EXPECT_EQ(list->next->told.channel_id, 1);
    EXPECT_EQ(list->next->told.offset_last, 2);
    EXPECT_EQ(list->next->told.bytes, 3);
    EXPECT_TRUE(list->next->told.is_forgotten);
    swept_finish(&list);
    EXPECT_NULL(list);
    swept_finish(&list);
}

UNIT_TESTS(UNIT(what_is_put_is_a_copy_and_all_of_it_goes))
