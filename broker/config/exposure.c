/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/exposure.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "broker/config/value.h"

static bool is_ipv4_loopback(struct in_addr address) {
    return (ntohl(address.s_addr) >> 24) == 127; /* RFC 1122, section 3.2.1.3 (g) */
}

enum error_code exposure_parse_listener(struct span text, struct config_address *ret_address,
                                        struct error *why) {
    if (span_is_equal(text, SPAN(EXPOSURE_OFF))) {
        *ret_address = (struct config_address){0};
        return OK;
    }
    struct error cause = {0};
    enum error_code code = value_parse_address(text, ret_address, &cause);
    return code == OK ? OK : error_set(why, code, "%s; `" EXPOSURE_OFF "` for none", cause.detail);
}

bool exposure_is_off(const struct config_address *address) {
    return address->socket.ss_family == AF_UNSPEC;
}

bool exposure_is_loopback(const struct config_address *address) {
    if (address->socket.ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const void *)&address->socket;
        return is_ipv4_loopback(ipv4->sin_addr);
    }
    if (address->socket.ss_family != AF_INET6) {
        return false;
    }
    const struct sockaddr_in6 *ipv6 = (const void *)&address->socket;
    if (IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr)) {
        struct in_addr mapped;
        memcpy(&mapped, &ipv6->sin6_addr.s6_addr[12], sizeof(mapped));
        return is_ipv4_loopback(mapped);
    }
    return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
}

void exposure_format_address(const struct config_address *address,
                             char ret_text[EXPOSURE_ADDRESS_BYTES]) {
    char host[INET6_ADDRSTRLEN] = "";
    if (exposure_is_off(address)) {
        snprintf(ret_text, EXPOSURE_ADDRESS_BYTES, EXPOSURE_OFF);
    } else if (address->socket.ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const void *)&address->socket;
        inet_ntop(AF_INET, &ipv4->sin_addr, host, sizeof(host));
        snprintf(ret_text, EXPOSURE_ADDRESS_BYTES, "%s:%u", host, ntohs(ipv4->sin_port));
    } else if (address->socket.ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const void *)&address->socket;
        inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof(host));
        snprintf(ret_text, EXPOSURE_ADDRESS_BYTES, "[%s]:%u", host, ntohs(ipv6->sin6_port));
    } else {
        snprintf(ret_text, EXPOSURE_ADDRESS_BYTES, "?");
    }
}

void exposure_set_port(struct config_address *address, uint16_t port) {
    if (address->socket.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)&address->socket)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)&address->socket)->sin_port = htons(port);
    }
}

void exposure_format_reachable(const struct config_address *address,
                               char ret_text[EXPOSURE_ADDRESS_BYTES]) {
    if (address->socket.ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const void *)&address->socket;
        if (IN6_IS_ADDR_UNSPECIFIED(&ipv6->sin6_addr) || IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr)) {
            snprintf(ret_text, EXPOSURE_ADDRESS_BYTES, "localhost:%u", ntohs(ipv6->sin6_port));
            return;
        }
    } else {
        const struct sockaddr_in *ipv4 = (const void *)&address->socket;
        uint32_t host = ntohl(ipv4->sin_addr.s_addr);
        if (host == INADDR_ANY || host == INADDR_LOOPBACK) {
            snprintf(ret_text, EXPOSURE_ADDRESS_BYTES, "localhost:%u", ntohs(ipv4->sin_port));
            return;
        }
    }
    exposure_format_address(address, ret_text);
}

static bool has_operator_key(const struct config *config) {
    bool has_one = false;
    for (size_t i = 0; i < config->auth_key_count; i++) {
        has_one |= config->auth_keys[i].is_operator;
    }
    return has_one;
}

enum error_code exposure_check(const struct config *config, struct error *why) {
    bool has_credentials = config_has_credentials(config);
    const struct {
        const char *key;
        const struct config_address *address;
        bool is_protected;
        const char *lacking;
        const char *remedy;
    } ports[] = {
        {"public.listen", &config->public_listen, has_credentials, "no credentials are configured",
         "configure `auth`"},
        {"operator.listen", &config->operator_listen, has_operator_key(config), "no key opens it",
         "give a key in `auth.keys` `operator: true`"},
        {"mqtt.listen", &config->mqtt_listen, has_credentials, "no credentials are configured",
         "configure `auth`"},
        {"mqtt.tls_listen", &config->mqtt_tls_listen, has_credentials,
         "no credentials are configured", "configure `auth`"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(ports) && !config->open; i++) {
        if (ports[i].is_protected || exposure_is_off(ports[i].address) ||
            exposure_is_loopback(ports[i].address)) {
            continue;
        }
        char text[EXPOSURE_ADDRESS_BYTES];
        exposure_format_address(ports[i].address, text);
        return error_set_field(why, ERR_CONFIG, ports[i].key,
                               "%s is %s, beyond loopback, and %s. Remedies: %s, or let everyone "
                               "in with --open or TIDINGS_OPEN=1",
                               ports[i].key, text, ports[i].lacking, ports[i].remedy);
    }
    return OK;
}
