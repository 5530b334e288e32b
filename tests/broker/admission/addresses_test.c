/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "broker/limits.h"
#include "tests/unit.h"

static struct address_key key_of(int family, const char *text) {
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    void *to = family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)(void *)&address)->sin6_addr
                                  : (void *)&((struct sockaddr_in *)(void *)&address)->sin_addr;
    EXPECT_EQ(inet_pton(family, text, to), 1);
    return address_key_of(&address);
}

#define NOW_US 1000000
#define SECOND_US 1000000

static const struct address_limits unlimited = {
    .connections = UINT64_MAX,
    .handshakes = {.units_a_second = RATE_UNLIMITED, .burst = 1},
    .login_failures = {.units_a_second = RATE_UNLIMITED, .burst = 1},
};

static struct addresses *create(struct address_limits limits) {
    struct addresses *addresses = NULL;
    EXPECT_EQ(addresses_create(&limits, &addresses), OK);
    return addresses;
}

TEST(an_address_is_refused_above_its_limit_and_served_again_below) {
    struct address_limits limits = unlimited;
    limits.connections = 2;
    struct addresses *addresses = create(limits);
    struct address_key one = key_of(AF_INET, "192.0.2.1");
    struct address_key two = key_of(AF_INET, "192.0.2.2");
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_TAKEN);
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_TAKEN);
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_HAS_TOO_MANY);
    EXPECT_EQ(addresses_take(addresses, &two, NOW_US), ADDRESS_TAKEN);
    addresses_give(addresses, &one, NOW_US);
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_TAKEN);
    addresses_destroy(addresses);
}

TEST(an_ipv6_client_is_counted_by_its_prefix) {
    struct address_limits limits = unlimited;
    limits.connections = 1;
    struct addresses *addresses = create(limits);
    struct address_key one = key_of(AF_INET6, "2001:db8:1:2::1");
    struct address_key same = key_of(AF_INET6, "2001:db8:1:2:ffff::9");
    struct address_key other = key_of(AF_INET6, "2001:db8:1:3::1");
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_TAKEN);
    EXPECT_EQ(addresses_take(addresses, &same, NOW_US), ADDRESS_HAS_TOO_MANY);
    EXPECT_EQ(addresses_take(addresses, &other, NOW_US), ADDRESS_TAKEN);
    addresses_destroy(addresses);
}

TEST(an_ipv4_client_of_an_ipv6_socket_is_counted_by_its_own_address) {
    struct address_key mapped = key_of(AF_INET6, "::ffff:192.0.2.1");
    struct address_key plain = key_of(AF_INET, "192.0.2.1");
    struct address_key other = key_of(AF_INET6, "::ffff:192.0.2.2");
    EXPECT_EQ(memcmp(&mapped, &plain, sizeof(plain)), 0);
    EXPECT_TRUE(memcmp(&mapped, &other, sizeof(other)) != 0);
}

TEST(handshakes_are_limited_and_an_address_that_left_is_remembered) {
    struct address_limits limits = unlimited;
    limits.handshakes = rate_of(2, 1000, 1);
    struct addresses *addresses = create(limits);
    struct address_key one = key_of(AF_INET, "192.0.2.1");
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_TAKEN);
        addresses_give(addresses, &one, NOW_US);
    }
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_COMES_TOO_OFT);
    EXPECT_EQ(addresses_count(addresses), 1);
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US + SECOND_US / 2), ADDRESS_TAKEN);
    addresses_give(addresses, &one, NOW_US + 2 * SECOND_US);
    EXPECT_EQ(addresses_count(addresses), 0);
    addresses_destroy(addresses);
}

TEST(credentials_are_not_looked_at_behind_too_many_bad_ones) {
    struct address_limits limits = unlimited;
    limits.login_failures = rate_of(1, 3000, 1);
    struct addresses *addresses = create(limits);
    struct address_key one = key_of(AF_INET, "192.0.2.1");
    uint64_t wait_us = 0;
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_TAKEN);
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(addresses_may_log_in(addresses, &one, NOW_US, &wait_us));
        EXPECT_TRUE(addresses_may_log_in(addresses, &one, NOW_US, &wait_us));
        addresses_note_failure(addresses, &one, NOW_US);
    }
    EXPECT_FALSE(addresses_may_log_in(addresses, &one, NOW_US, &wait_us));
    EXPECT_EQ(wait_us, SECOND_US);
    EXPECT_TRUE(addresses_may_log_in(addresses, &one, NOW_US + SECOND_US, &wait_us));
    addresses_destroy(addresses);
}

TEST(bad_credentials_of_an_address_without_a_counted_connection_are_remembered) {
    struct address_limits limits = unlimited;
    limits.login_failures = rate_of(1, 2000, 1);
    struct addresses *addresses = create(limits);
    struct address_key one = key_of(AF_INET, "192.0.2.1");
    struct address_key other = key_of(AF_INET, "192.0.2.2");
    uint64_t wait_us = 0;
    EXPECT_TRUE(addresses_may_log_in(addresses, &one, NOW_US, &wait_us));
    EXPECT_EQ(addresses_count(addresses), 0);
    addresses_note_failure(addresses, &one, NOW_US);
    addresses_note_failure(addresses, &one, NOW_US);
    EXPECT_FALSE(addresses_may_log_in(addresses, &one, NOW_US, &wait_us));
    EXPECT_TRUE(addresses_may_log_in(addresses, &other, NOW_US, &wait_us));
    EXPECT_EQ(addresses_take(addresses, &one, NOW_US), ADDRESS_TAKEN);
    addresses_give(addresses, &one, NOW_US);
    EXPECT_FALSE(addresses_may_log_in(addresses, &one, NOW_US, &wait_us));
    EXPECT_EQ(addresses_count(addresses), 1);
    addresses_note_failure(addresses, &other, NOW_US + 9 * SECOND_US);
    EXPECT_EQ(addresses_count(addresses), 1); /* the first is forgotten */
    addresses_destroy(addresses);
}

TEST(addresses_that_have_left_are_bounded_and_go_when_nothing_is_held_against_them) {
    struct address_limits limits = unlimited;
    limits.handshakes = rate_of(1, 10000, 1);
    struct addresses *addresses = create(limits);
    for (uint32_t i = 0; i < ADDRESSES_IDLE_MAX + 100; i++) {
        struct address_key key = {{AF_INET, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        EXPECT_EQ(addresses_take(addresses, &key, NOW_US), ADDRESS_TAKEN);
        addresses_give(addresses, &key, NOW_US);
    }
    EXPECT_EQ(addresses_count(addresses), ADDRESSES_IDLE_MAX);
    uint64_t later_us = NOW_US + 11 * SECOND_US;
    for (uint32_t i = 0; i < ADDRESSES_IDLE_MAX / 2; i++) {
        struct address_key key = {{AF_INET6, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        EXPECT_EQ(addresses_take(addresses, &key, later_us), ADDRESS_TAKEN);
        addresses_give(addresses, &key, later_us);
    }
    EXPECT_EQ(addresses_count(addresses), ADDRESSES_IDLE_MAX / 2);
    addresses_destroy(addresses);
}

static bool is_in(int family, const char *text, const char *network) {
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    void *to = family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)(void *)&address)->sin6_addr
                                  : (void *)&((struct sockaddr_in *)(void *)&address)->sin_addr;
    EXPECT_EQ(inet_pton(family, text, to), 1);
    return address_is_in_network(&address, network);
}

TEST(an_address_is_in_the_networks_whose_prefix_it_has) {
    EXPECT_TRUE(is_in(AF_INET, "10.1.2.3", "10.0.0.0/8"));
    EXPECT_FALSE(is_in(AF_INET, "11.1.2.3", "10.0.0.0/8"));
    EXPECT_TRUE(is_in(AF_INET, "192.168.5.9", "192.168.4.0/22"));
    EXPECT_FALSE(is_in(AF_INET, "192.168.8.9", "192.168.4.0/22"));
    EXPECT_TRUE(is_in(AF_INET, "192.0.2.7", "192.0.2.7/32"));
    EXPECT_TRUE(is_in(AF_INET, "192.0.2.7", "0.0.0.0/0"));
    EXPECT_TRUE(is_in(AF_INET6, "2001:db8:1::1", "2001:db8::/32"));
    EXPECT_FALSE(is_in(AF_INET6, "2001:db9::1", "2001:db8::/32"));
    EXPECT_FALSE(is_in(AF_INET6, "2001:db8::1", "10.0.0.0/8"));
    EXPECT_FALSE(is_in(AF_INET, "10.0.0.1", "2001:db8::/32"));
    EXPECT_TRUE(is_in(AF_INET6, "::ffff:10.1.2.3", "10.0.0.0/8"));
    EXPECT_FALSE(is_in(AF_INET6, "::ffff:11.1.2.3", "10.0.0.0/8"));
}

UNIT_TESTS(UNIT(an_address_is_refused_above_its_limit_and_served_again_below),
           UNIT(an_ipv6_client_is_counted_by_its_prefix),
           UNIT(an_ipv4_client_of_an_ipv6_socket_is_counted_by_its_own_address),
           UNIT(handshakes_are_limited_and_an_address_that_left_is_remembered),
           UNIT(credentials_are_not_looked_at_behind_too_many_bad_ones),
           UNIT(bad_credentials_of_an_address_without_a_counted_connection_are_remembered),
           UNIT(addresses_that_have_left_are_bounded_and_go_when_nothing_is_held_against_them),
           UNIT(an_address_is_in_the_networks_whose_prefix_it_has))
