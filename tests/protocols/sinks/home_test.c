/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/home.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "tests/unit.h"

#define PORT 8080

static struct sockaddr_storage address_of(const char *text, uint16_t port) {
    struct sockaddr_storage address = {0};
    struct sockaddr_in *ipv4 = (void *)&address;
    struct sockaddr_in6 *ipv6 = (void *)&address;
    if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
        address.ss_family = AF_INET;
        ipv4->sin_port = htons(port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &ipv6->sin6_addr), 1);
        address.ss_family = AF_INET6;
        ipv6->sin6_port = htons(port);
    }
    return address;
}

/* Does `address` lead to a broker that listens at `listen`, where port 0 was asked for? */
static bool leads(const char *listen, const char *address, uint16_t port) {
    struct config config = {.mqtt_listen.socket = address_of(listen, 0)};
    const struct broker broker = {.config = &config, .mqtt_port = PORT};
    struct sockaddr_storage wanted = address_of(address, port);
    return home_has(&broker, &wanted);
}

TEST(address_and_port_of_a_listener_are_the_brokers_own) {
    EXPECT_TRUE(leads("9.8.7.6", "9.8.7.6", PORT));
    EXPECT_TRUE(leads("9.8.7.6", "::ffff:9.8.7.6", PORT));
    EXPECT_TRUE(leads("2a00::1", "2a00::1", PORT));
}

TEST(another_port_or_another_machine_is_not) {
    EXPECT_FALSE(leads("9.8.7.6", "9.8.7.6", PORT + 1));
    EXPECT_FALSE(leads("9.8.7.6", "9.8.7.7", PORT));
    EXPECT_FALSE(leads("2a00::1", "2a00::2", PORT));
}

/* Whatever interfaces the machine has: each is one at which that broker listens. */
TEST(listener_of_all_interfaces_is_at_each_and_nowhere_else) {
    struct ifaddrs *interfaces;
    char text[INET6_ADDRSTRLEN];
    size_t count = 0;
    assert_int_equal(getifaddrs(&interfaces), 0);
    for (const struct ifaddrs *one = interfaces; one != NULL; one = one->ifa_next) {
        const struct sockaddr_in *ipv4 = (const void *)one->ifa_addr;
        if (one->ifa_addr != NULL && one->ifa_addr->sa_family == AF_INET) {
            assert_non_null(inet_ntop(AF_INET, &ipv4->sin_addr, text, sizeof(text)));
            EXPECT_TRUE(leads("0.0.0.0", text, PORT));
            EXPECT_TRUE(leads("::", text, PORT));
            EXPECT_FALSE(leads("0.0.0.0", text, PORT + 1));
            count++;
        }
    }
    freeifaddrs(interfaces);
    EXPECT_TRUE(count > 0);
    EXPECT_FALSE(leads("0.0.0.0", "192.0.2.77", PORT)); /* of no machine: it is for documentation */
    EXPECT_FALSE(leads("::", "2001:db8::77", PORT));
}

TEST(what_is_not_listened_on_is_nobodys) {
    struct config config = {0};
    const struct broker broker = {.config = &config};
    struct sockaddr_storage wanted = address_of("9.8.7.6", 0);
    EXPECT_FALSE(home_has(&broker, &wanted));
    wanted.ss_family = AF_UNIX;
    EXPECT_FALSE(home_has(&broker, &wanted));
}

UNIT_TESTS(UNIT(address_and_port_of_a_listener_are_the_brokers_own),
           UNIT(another_port_or_another_machine_is_not),
           UNIT(listener_of_all_interfaces_is_at_each_and_nowhere_else),
           UNIT(what_is_not_listened_on_is_nobodys))
