/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/unit.h"

static struct address_key key_of(int family, const char *text) {
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    void *to = family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)(void *)&address)->sin6_addr
                                  : (void *)&((struct sockaddr_in *)(void *)&address)->sin_addr;
    EXPECT_EQ(inet_pton(family, text, to), 1);
    return address_key_of(&address);
}

TEST(an_address_is_refused_above_its_limit_and_served_again_below) {
    struct addresses *addresses = NULL;
    EXPECT_EQ(addresses_create(&addresses), OK);
    struct address_key one = key_of(AF_INET, "192.0.2.1");
    struct address_key two = key_of(AF_INET, "192.0.2.2");
    EXPECT_TRUE(addresses_take(addresses, &one, 2));
    EXPECT_TRUE(addresses_take(addresses, &one, 2));
    EXPECT_FALSE(addresses_take(addresses, &one, 2));
    EXPECT_TRUE(addresses_take(addresses, &two, 2));
    addresses_give(addresses, &one);
    EXPECT_TRUE(addresses_take(addresses, &one, 2));
    addresses_destroy(addresses);
}

TEST(an_ipv6_client_is_counted_by_its_prefix) {
    struct addresses *addresses = NULL;
    EXPECT_EQ(addresses_create(&addresses), OK);
    struct address_key one = key_of(AF_INET6, "2001:db8:1:2::1");
    struct address_key same = key_of(AF_INET6, "2001:db8:1:2:ffff::9");
    struct address_key other = key_of(AF_INET6, "2001:db8:1:3::1");
    EXPECT_TRUE(addresses_take(addresses, &one, 1));
    EXPECT_FALSE(addresses_take(addresses, &same, 1));
    EXPECT_TRUE(addresses_take(addresses, &other, 1));
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
}

UNIT_TESTS(UNIT(an_address_is_refused_above_its_limit_and_served_again_below),
           UNIT(an_ipv6_client_is_counted_by_its_prefix),
           UNIT(an_address_is_in_the_networks_whose_prefix_it_has))
