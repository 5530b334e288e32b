/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/guard.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "tests/unit.h"

static struct sockaddr_storage address_of(const char *text) {
    struct sockaddr_storage address = {0};
    struct sockaddr_in *ipv4 = (void *)&address;
    struct sockaddr_in6 *ipv6 = (void *)&address;
    if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
        address.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &ipv6->sin6_addr), 1);
        address.ss_family = AF_INET6;
    }
    return address;
}

static bool is_allowed(const char *text, const char *network) {
    char *items[] = {(char *)network};
    struct config_list allowed = {.items = items, .count = network != NULL};
    struct sockaddr_storage address = address_of(text);
    return guard_is_allowed(guard_classify(&address), &address, &allowed);
}

/* The first and the last of each range, and their neighbours. */
static const struct {
    const char *address;
    enum guard_kind kind;
} ends[] = {
    {"0.0.0.0", GUARD_UNSPECIFIED},
    {"0.255.255.255", GUARD_UNSPECIFIED},
    {"1.0.0.0", GUARD_PUBLIC},
    {"9.255.255.255", GUARD_PUBLIC},
    {"10.0.0.0", GUARD_PRIVATE},
    {"10.255.255.255", GUARD_PRIVATE},
    {"11.0.0.0", GUARD_PUBLIC},
    {"100.63.255.255", GUARD_PUBLIC},
    {"100.64.0.0", GUARD_SHARED},
    {"100.127.255.255", GUARD_SHARED},
    {"100.128.0.0", GUARD_PUBLIC},
    {"100.100.100.200", GUARD_METADATA},
    {"126.255.255.255", GUARD_PUBLIC},
    {"127.0.0.0", GUARD_LOOPBACK},
    {"127.0.0.1", GUARD_LOOPBACK},
    {"127.255.255.255", GUARD_LOOPBACK},
    {"128.0.0.0", GUARD_PUBLIC},
    {"168.63.129.16", GUARD_METADATA},
    {"168.63.129.17", GUARD_PUBLIC},
    {"169.253.255.255", GUARD_PUBLIC},
    {"169.254.0.0", GUARD_LINK_LOCAL},
    {"169.254.169.254", GUARD_METADATA},
    {"169.254.170.2", GUARD_METADATA},
    {"169.254.255.255", GUARD_LINK_LOCAL},
    {"169.255.0.0", GUARD_PUBLIC},
    {"172.15.255.255", GUARD_PUBLIC},
    {"172.16.0.0", GUARD_PRIVATE},
    {"172.31.255.255", GUARD_PRIVATE},
    {"172.32.0.0", GUARD_PUBLIC},
    {"192.0.0.0", GUARD_RESERVED},
    {"192.0.0.192", GUARD_METADATA},
    {"192.0.1.0", GUARD_PUBLIC},
    {"192.0.2.1", GUARD_DOCUMENTATION},
    {"192.0.3.0", GUARD_PUBLIC},
    {"192.88.99.1", GUARD_RESERVED},
    {"192.167.255.255", GUARD_PUBLIC},
    {"192.168.0.0", GUARD_PRIVATE},
    {"192.168.255.255", GUARD_PRIVATE},
    {"192.169.0.0", GUARD_PUBLIC},
    {"198.17.255.255", GUARD_PUBLIC},
    {"198.18.0.0", GUARD_RESERVED},
    {"198.19.255.255", GUARD_RESERVED},
    {"198.20.0.0", GUARD_PUBLIC},
    {"198.51.100.1", GUARD_DOCUMENTATION},
    {"203.0.113.255", GUARD_DOCUMENTATION},
    {"223.255.255.255", GUARD_PUBLIC},
    {"224.0.0.0", GUARD_MULTICAST},
    {"239.255.255.255", GUARD_MULTICAST},
    {"240.0.0.0", GUARD_RESERVED},
    {"255.255.255.254", GUARD_RESERVED},
    {"255.255.255.255", GUARD_BROADCAST},
    {"::", GUARD_UNSPECIFIED},
    {"::1", GUARD_LOOPBACK},
    {"::2", GUARD_RESERVED},
    {"::7f00:1", GUARD_RESERVED}, /* IPv4-compatible, as it was */
    {"100::1", GUARD_RESERVED},
    {"1fff:ffff::", GUARD_RESERVED},
    {"2000::", GUARD_PUBLIC},
    {"2001::1", GUARD_RESERVED}, /* Teredo */
    {"2001:1ff:ffff::", GUARD_RESERVED},
    {"2001:200::", GUARD_PUBLIC},
    {"2001:db8::1", GUARD_DOCUMENTATION},
    {"2001:db9::1", GUARD_PUBLIC},
    {"2606:4700::1111", GUARD_PUBLIC},
    {"3fff:fff::1", GUARD_DOCUMENTATION},
    {"3fff:1000::1", GUARD_PUBLIC},
    {"3ffe::1", GUARD_PUBLIC},
    {"4000::", GUARD_RESERVED},
    {"5f00::1", GUARD_RESERVED},
    {"fbff::1", GUARD_RESERVED},
    {"fc00::", GUARD_PRIVATE},
    {"fd00:ec2::254", GUARD_METADATA},
    {"fd20:ce::254", GUARD_METADATA},
    {"fdff:ffff::1", GUARD_PRIVATE},
    {"fe00::1", GUARD_RESERVED},
    {"fe80::1", GUARD_LINK_LOCAL},
    {"febf:ffff::1", GUARD_LINK_LOCAL},
    {"fec0::1", GUARD_PRIVATE},
    {"ff02::1", GUARD_MULTICAST},
};

TEST(every_range_is_known_to_its_ends) {
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        struct sockaddr_storage address = address_of(ends[i].address);
        if (guard_classify(&address) != ends[i].kind) {
            fail_msg("%s is %s", ends[i].address, guard_kind_name(guard_classify(&address)));
        }
    }
}

TEST(an_ipv4_address_within_an_ipv6_one_is_judged_as_what_it_is) {
    static const struct {
        const char *address;
        enum guard_kind kind;
    } rows[] = {
        {"::ffff:127.0.0.1", GUARD_LOOPBACK}, {"::ffff:169.254.169.254", GUARD_METADATA},
        {"::ffff:8.8.8.8", GUARD_PUBLIC},     {"64:ff9b::10.0.0.1", GUARD_PRIVATE},
        {"64:ff9b::8.8.8.8", GUARD_PUBLIC},   {"64:ff9b:1::192.168.1.1", GUARD_PRIVATE},
        {"2002:7f00:1::", GUARD_LOOPBACK},    {"2002:808:808::1", GUARD_PUBLIC},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sockaddr_storage address = address_of(rows[i].address);
        if (guard_classify(&address) != rows[i].kind) {
            fail_msg("%s is %s", rows[i].address, guard_kind_name(guard_classify(&address)));
        }
    }
}

/* Behind a prefix of 48 bits this is 10.0.0.1, and the end of it is looked at by none. */
TEST(translation_of_a_sites_own_is_private_whatever_stands_at_its_end) {
    EXPECT_FALSE(is_allowed("64:ff9b:1:a00:0:100:808:808", NULL));
    EXPECT_FALSE(is_allowed("64:ff9b:1::8.8.8.8", "8.8.8.8/32"));
    EXPECT_TRUE(is_allowed("64:ff9b:1::8.8.8.8", "64:ff9b:1::/48"));
}

TEST(what_is_not_public_is_allowed_by_its_network_alone) {
    EXPECT_TRUE(is_allowed("8.8.8.8", NULL));
    EXPECT_FALSE(is_allowed("127.0.0.1", NULL));
    EXPECT_TRUE(is_allowed("127.0.0.1", "127.0.0.0/8"));
    EXPECT_TRUE(is_allowed("127.0.0.1", "127.0.0.1/32"));
    EXPECT_FALSE(is_allowed("127.0.0.2", "127.0.0.1/32"));
    EXPECT_FALSE(is_allowed("127.0.0.1", "10.0.0.0/8"));
    EXPECT_FALSE(is_allowed("::1", "127.0.0.0/8"));
    EXPECT_TRUE(is_allowed("::1", "::1/128"));
    EXPECT_TRUE(is_allowed("10.1.2.3", "0.0.0.0/0"));
    EXPECT_TRUE(is_allowed("fd00::7", "fd00::/8"));
}

TEST(a_network_is_meant_however_its_address_is_carried) {
    EXPECT_TRUE(is_allowed("::ffff:10.1.2.3", "10.0.0.0/8"));
    EXPECT_TRUE(is_allowed("64:ff9b::10.1.2.3", "10.0.0.0/8"));
    EXPECT_TRUE(is_allowed("64:ff9b::10.1.2.3", "64:ff9b::/96"));
    EXPECT_FALSE(is_allowed("::ffff:10.1.2.3", "192.168.0.0/16"));
}

TEST(the_broker_itself_is_allowed_by_its_network_alone) {
    char network[] = "8.8.8.8/32";
    char *items[] = {network};
    struct config_list none = {0}, allowed = {.items = items, .count = 1};
    struct sockaddr_storage address = address_of("8.8.8.8");
    EXPECT_FALSE(guard_is_allowed(GUARD_OWN, &address, &none));
    EXPECT_TRUE(guard_is_allowed(GUARD_OWN, &address, &allowed));
}

TEST(another_family_is_never_allowed) {
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    char networks[2][sizeof("0.0.0.0/0")] = {"0.0.0.0/0", "::/0"};
    char *items[] = {networks[0], networks[1]};
    struct config_list allowed = {.items = items, .count = 2};
    EXPECT_EQ(guard_classify(&address), GUARD_FOREIGN);
    EXPECT_FALSE(guard_is_allowed(guard_classify(&address), &address, &allowed));
}

UNIT_TESTS(UNIT(every_range_is_known_to_its_ends),
           UNIT(an_ipv4_address_within_an_ipv6_one_is_judged_as_what_it_is),
           UNIT(translation_of_a_sites_own_is_private_whatever_stands_at_its_end),
           UNIT(what_is_not_public_is_allowed_by_its_network_alone),
           UNIT(a_network_is_meant_however_its_address_is_carried),
           UNIT(the_broker_itself_is_allowed_by_its_network_alone),
           UNIT(another_family_is_never_allowed))
