/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/trace_context.h"

#include <stdio.h>

#include "protocols/rest/request.h"
#include "tests/unit.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID "00f067aa0ba902b7"
#define PARENT "00-" ID "-" SPAN_ID "-01"

static struct trace_context trace;

static bool is_parent(const char *text) {
    struct span id = SPAN("untouched");
    bool is_one = trace_context_parse_parent(span_of_string(text), &id);
    EXPECT_SPAN(id, is_one ? ID : "untouched");
    return is_one;
}

/* "name: value" pairs: reads them as the headers of a request. */
#define READ(...) read_headers((const char *const[]){__VA_ARGS__, NULL})
static void read_headers(const char *const *pairs) {
    struct request_header headers[64];
    size_t count = 0;
    for (; pairs[count] != NULL; count++) {
        struct span rest = span_of_string(pairs[count]);
        headers[count].name = span_split(&rest, ':');
        headers[count].value = span_trim(rest);
    }
    memset(&trace, 0xA5, sizeof(trace));
    trace_context_read(headers, count, &trace);
    EXPECT_TRUE(span_is_equal(trace_context_find_id(headers, count), trace.id));
}

static struct span state(void) {
    return span_of(trace.state, trace.state_length);
}

TEST(version_00_is_55_characters_of_four_fields) {
    EXPECT_TRUE(is_parent(PARENT));
    EXPECT_TRUE(is_parent("00-" ID "-" SPAN_ID "-00"));
    EXPECT_TRUE(is_parent("00-" ID "-" SPAN_ID "-ff")); /* flags that are not known yet */
    EXPECT_FALSE(is_parent(""));
    EXPECT_FALSE(is_parent("00-" ID "-" SPAN_ID "-0"));
    EXPECT_FALSE(is_parent(PARENT "-"));
    EXPECT_FALSE(is_parent(PARENT "-x"));
    EXPECT_FALSE(is_parent(PARENT "0"));
    EXPECT_FALSE(is_parent("00_" ID "-" SPAN_ID "-01"));
    EXPECT_FALSE(is_parent("00-" ID "_" SPAN_ID "-01"));
    EXPECT_FALSE(is_parent("00-" ID "-" SPAN_ID "_01"));
    EXPECT_FALSE(is_parent("0-0" ID "-" SPAN_ID "-01"));
    EXPECT_FALSE(is_parent("00-" ID "-" SPAN_ID "--1"));
}

TEST(digits_are_hexadecimal_in_small_letters) {
    EXPECT_FALSE(is_parent("0G-" ID "-" SPAN_ID "-01"));
    EXPECT_FALSE(is_parent("00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01"));
    EXPECT_FALSE(is_parent("00-4bf92f3577b34da6a3ce929d0e0e473g-" SPAN_ID "-01"));
    EXPECT_FALSE(is_parent("00-" ID "-00F067AA0BA902B7-01"));
    EXPECT_FALSE(is_parent("00-" ID "-" SPAN_ID "-0A"));
    EXPECT_FALSE(is_parent("00-" ID "-" SPAN_ID "-0 "));
}

TEST(ids_of_zeros_alone_are_none) {
    EXPECT_FALSE(is_parent("00-00000000000000000000000000000000-" SPAN_ID "-01"));
    EXPECT_FALSE(is_parent("00-" ID "-0000000000000000-01"));
}

TEST(later_versions_begin_like_00_and_may_go_on_behind_a_dash) {
    char text[TRACE_PARENT_BYTES_MAX + 2] = "cc-" ID "-" SPAN_ID "-01-";
    EXPECT_TRUE(is_parent("01-" ID "-" SPAN_ID "-01"));
    EXPECT_TRUE(is_parent("cc-" ID "-" SPAN_ID "-01-what-the-future=will*be"));
    EXPECT_TRUE(is_parent("cc-" ID "-" SPAN_ID "-01-"));
    EXPECT_FALSE(is_parent("cc-" ID "-" SPAN_ID "-01.what"));
    EXPECT_FALSE(is_parent("cc-" ID "-" SPAN_ID "-01-a\xFF"));
    EXPECT_FALSE(is_parent("cc-" ID "-" SPAN_ID "-01-a b"));
    EXPECT_FALSE(is_parent("cc-" ID "-" SPAN_ID "-0"));
    EXPECT_FALSE(is_parent("ff-" ID "-" SPAN_ID "-01"));
    memset(text + 56, 'x', TRACE_PARENT_BYTES_MAX - 56);
    EXPECT_TRUE(is_parent(text));
    text[TRACE_PARENT_BYTES_MAX] = 'x';
    EXPECT_FALSE(is_parent(text));
}

TEST(the_headers_names_have_no_case) {
    READ("Host: a", "TraceParent: " PARENT, "TRACESTATE: a=1");
    EXPECT_SPAN(trace.parent, PARENT);
    EXPECT_SPAN(trace.id, ID);
    EXPECT_SPAN(state(), "a=1");
}

TEST(without_one_valid_traceparent_there_is_no_trace) {
    READ("Host: a", "tracestate: a=1");
    EXPECT_EQ(trace.parent.length + trace.id.length + trace.state_length, 0);
    READ("traceparent: 00-x", "tracestate: a=1");
    EXPECT_EQ(trace.parent.length + trace.id.length + trace.state_length, 0);
    READ("traceparent: " PARENT, "traceparent: " PARENT, "tracestate: a=1");
    EXPECT_EQ(trace.parent.length + trace.id.length + trace.state_length, 0);
}

TEST(tracestates_are_one_list_in_the_order_of_the_headers) {
    READ("traceparent: " PARENT, "tracestate: rojo=00f067aa0ba902b7 ,\tcongo=t61rcWkgMzE", "A: b",
         "tracestate: ,, ", "tracestate: tenant@system=a b:c/d");
    EXPECT_SPAN(state(), "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,tenant@system=a b:c/d");
}

TEST(a_tracestate_against_the_rules_goes_and_the_traceparent_stays) {
    static const char *const bad[] = {"a",         "a=",     "=1",   "A=1",   "a b=1",   "a=1=2",
                                      "a=1,b\xC3", "a=\x7F", "-a=1", "a=1;b", "ok=1,Z=1"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char header[64];
        bool is_semicolon = strchr(bad[i], ';') != NULL; /* no rule is against it in a value */
        snprintf(header, sizeof(header), "tracestate: %s", bad[i]);
        READ("traceparent: " PARENT, header);
        EXPECT_SPAN(trace.parent, PARENT);
        EXPECT_SPAN(state(), is_semicolon ? "a=1;b" : "");
    }
}

TEST(members_are_counted_and_their_parts_measured) {
    char header[2048] = "tracestate: ";
    for (int i = 0; i < TRACE_STATE_MEMBERS_MAX; i++) {
        snprintf(header + strlen(header), 16, "k%d=%d,", i, i);
    }
    READ("traceparent: " PARENT, header);
    EXPECT_TRUE(trace.state_length > 0);
    READ("traceparent: " PARENT, header, "tracestate: one=more");
    EXPECT_EQ(trace.state_length, 0);
    snprintf(header, sizeof(header), "tracestate: a=%0*d", 256, 1);
    READ("traceparent: " PARENT, header);
    EXPECT_EQ(trace.state_length, 258);
    snprintf(header, sizeof(header), "tracestate: a=%0*d", 257, 1);
    READ("traceparent: " PARENT, header);
    EXPECT_EQ(trace.state_length, 0);
}

TEST(what_is_beyond_the_room_goes_from_the_end) {
    char long_one[600], header[1200];
    snprintf(long_one, sizeof(long_one), "a=%0*d", 256, 1);
    snprintf(header, sizeof(header), "tracestate: %s,b=%0*d,c=1", long_one, 251, 1);
    READ("traceparent: " PARENT, header);
    EXPECT_EQ(trace.state_length, TRACE_STATE_BYTES_MAX); /* a and b fill it */
    snprintf(header, sizeof(header), "tracestate: %s,b=%0*d,c=1", long_one, 252, 1);
    READ("traceparent: " PARENT, header);
    EXPECT_SPAN(state(), long_one); /* and no c, which would have had room */
}

UNIT_TESTS(UNIT(version_00_is_55_characters_of_four_fields),
           UNIT(digits_are_hexadecimal_in_small_letters), UNIT(ids_of_zeros_alone_are_none),
           UNIT(later_versions_begin_like_00_and_may_go_on_behind_a_dash),
           UNIT(the_headers_names_have_no_case),
           UNIT(without_one_valid_traceparent_there_is_no_trace),
           UNIT(tracestates_are_one_list_in_the_order_of_the_headers),
           UNIT(a_tracestate_against_the_rules_goes_and_the_traceparent_stays),
           UNIT(members_are_counted_and_their_parts_measured),
           UNIT(what_is_beyond_the_room_goes_from_the_end))
