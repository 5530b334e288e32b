/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/scope.h"

#include "broker/channels/name.h"
#include "tests/unit.h"

static struct buffer put(const char *tenant, const char *text) {
    struct buffer buffer;
    buffer_init(&buffer, SCOPED_BYTES_MAX);
    EXPECT_EQ(scope_put(&buffer, span_of_string(tenant), span_of_string(text)), OK);
    return buffer;
}

TEST(a_name_goes_in_and_comes_out_as_it_was) {
    struct buffer scoped = put("acme", "chat/7");
    EXPECT_SPAN(buffer_borrow(&scoped), "\x01"
                                        "acme/chat/7");
    EXPECT_SPAN(scope_visible(buffer_borrow(&scoped)), "chat/7");
    EXPECT_SPAN(scope_tenant(buffer_borrow(&scoped)), "acme");
    EXPECT_EQ(scope_length(buffer_borrow(&scoped)), 6);
    buffer_finish(&scoped);
}

TEST(of_no_tenant_a_name_is_itself) {
    struct buffer scoped = put("", "chat/7");
    EXPECT_SPAN(buffer_borrow(&scoped), "chat/7");
    EXPECT_SPAN(scope_visible(buffer_borrow(&scoped)), "chat/7");
    EXPECT_SPAN(scope_tenant(buffer_borrow(&scoped)), "");
    EXPECT_EQ(scope_length((struct span){0}), 0);
    buffer_finish(&scoped);
}

TEST(a_name_may_begin_with_an_empty_segment) {
    struct buffer scoped = put("acme", "/a");
    EXPECT_SPAN(scope_visible(buffer_borrow(&scoped)), "/a");
    EXPECT_SPAN(scope_tenant(buffer_borrow(&scoped)), "acme");
    buffer_finish(&scoped);
}

TEST(a_mark_alone_is_no_scope) {
    EXPECT_EQ(scope_length(SPAN("\x01")), 0);
    EXPECT_EQ(scope_length(SPAN("\x01"
                                "acme")),
              0);
}

TEST(no_client_can_say_a_scope) {
    struct buffer scoped = put("acme", "chat/7");
    EXPECT_EQ(channel_name_check(buffer_borrow(&scoped), true, NULL), ERR_BAD_CHANNEL);
    EXPECT_EQ(channel_text_check(buffer_borrow(&scoped), true, NULL), ERR_BAD_CHANNEL);
    buffer_finish(&scoped);
}

TEST(the_longest_name_of_the_longest_tenant_fits) {
    char tenant[TENANT_BYTES_MAX + 1] = {0};
    char name[CHANNEL_NAME_BYTES_MAX + 1] = {0};
    memset(tenant, 't', TENANT_BYTES_MAX);
    memset(name, 'n', CHANNEL_NAME_BYTES_MAX);
    struct buffer scoped = put(tenant, name);
    EXPECT_EQ(buffer_borrow(&scoped).length, SCOPED_BYTES_MAX);
    EXPECT_SPAN(scope_visible(buffer_borrow(&scoped)), name);
    buffer_finish(&scoped);
}

TEST(no_name_has_no_scope) {
    EXPECT_EQ(scope_visible((struct span){0}).length, 0);
    EXPECT_EQ(scope_tenant((struct span){0}).length, 0);
}

TEST(a_tenant_has_a_plain_name) {
    static const char *const good[] = {"a", "acme", "Acme-2_b.c", "0123456789012345678901234567"};
    static const char *const bad[] = {"",   "a/b", "a b",      "\x01",
                                      "a*", "$a",  "\xc3\xa9", "01234567890123456789012345678"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        EXPECT_TRUE(scope_is_tenant(span_of_string(good[i])));
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_FALSE(scope_is_tenant(span_of_string(bad[i])));
    }
}

UNIT_TESTS(UNIT(a_name_goes_in_and_comes_out_as_it_was), UNIT(of_no_tenant_a_name_is_itself),
           UNIT(a_name_may_begin_with_an_empty_segment), UNIT(a_mark_alone_is_no_scope),
           UNIT(no_client_can_say_a_scope), UNIT(the_longest_name_of_the_longest_tenant_fits),
           UNIT(no_name_has_no_scope), UNIT(a_tenant_has_a_plain_name))
