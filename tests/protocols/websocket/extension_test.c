/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/extension.h"

#include "broker/support/macros.h"
#include "tests/unit.h"

static bool chooses(const char *offers) {
    struct extension extension = {0};
    return extension_choose(span_of_string(offers), &extension);
}

TEST(what_clients_offer_is_taken) {
    static const char *const offers[] = {
        "permessage-deflate",
        "Permessage-Deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=12",
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate ; client_max_window_bits = \"10\"",
        "permessage-deflate; client_max_window_bits=\"1\\0\"",
        "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits",
        "foo; bar=\"a,b;c\", permessage-deflate",
    };
    for (size_t i = 0; i < ARRAY_COUNT(offers); i++) {
        EXPECT_TRUE(chooses(offers[i]));
    }
}

TEST(what_cannot_be_kept_or_understood_is_declined) {
    static const char *const offers[] = {
        "",
        "permessage-deflat",
        "permessage-bzip2",
        "permessage-deflate; server_max_window_bits=11", /* less than ours */
        "permessage-deflate; server_max_window_bits",    /* without its value */
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=012",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"\"",
        "permessage-deflate; client_max_window_bits=\"12",
        "permessage-deflate; client_max_window_bits=\"12\\",
        "permessage-deflate; client_max_window_bits=\"12345678901234567\"",
        "permessage-deflate; client_max_window_bits=99999999999999999",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=\"\"",
        "permessage-deflate; mux",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate;",
        "permessage-deflate client_max_window_bits",
        "permessage-deflate; client_max_window_bits x",
        "permessage-deflate; =12",
    };
    for (size_t i = 0; i < ARRAY_COUNT(offers); i++) {
        if (chooses(offers[i])) {
            EXPECT_STRING(offers[i], "declined");
        }
    }
}

TEST(one_declined_offer_leaves_the_next_to_be_taken) {
    struct extension extension = {0};
    EXPECT_TRUE(extension_choose(SPAN("permessage-deflate; server_max_window_bits=9, "
                                      "permessage-deflate; mux, permessage-deflate"),
                                 &extension));
    EXPECT_FALSE(extension.tells_window);
    EXPECT_STRING(extension_answer(&extension),
                  "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

TEST(a_window_that_was_asked_about_is_told) {
    struct extension extension = {0};
    EXPECT_TRUE(
        extension_choose(SPAN("permessage-deflate; server_max_window_bits=14"), &extension));
    EXPECT_STRING(extension_answer(&extension),
                  "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                  "server_max_window_bits=12");
}

UNIT_TESTS(UNIT(what_clients_offer_is_taken), UNIT(what_cannot_be_kept_or_understood_is_declined),
           UNIT(one_declined_offer_leaves_the_next_to_be_taken),
           UNIT(a_window_that_was_asked_about_is_told))
