/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/announcement.h"

#include <stdio.h>

#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/runtime/broker.h"
#include "broker/support/logger.h"

/* One port: where it was configured, and the number that was really taken. */
static void format_port(const struct config_address *configured, uint16_t number,
                        char ret_text[EXPOSURE_ADDRESS_BYTES]) {
    struct config_address address = *configured;
    if (!exposure_is_off(&address)) {
        exposure_set_port(&address, number);
    }
    exposure_format_address(&address, ret_text);
}

static void print_mqtt(const char *label, const struct config_address *configured,
                       const char *address) {
    if (!exposure_is_off(configured)) {
        printf("%-8s %s://%s\n", label, label, address);
    }
}

/* As a browser on this machine writes it. */
static void format_reachable(const struct config_address *configured, uint16_t number,
                             char ret_text[EXPOSURE_ADDRESS_BYTES]) {
    struct config_address address = *configured;
    exposure_set_port(&address, number);
    exposure_format_reachable(&address, ret_text);
}

void announcement_make(const struct broker *broker) {
    const struct config *config = broker->config;
    const char *scheme = broker->tls == NULL ? "http" : "https";
    const char *operator_scheme = config->operator_tls_certificate == NULL ? "http" : "https";
    char reachable[EXPOSURE_ADDRESS_BYTES];
    char console[EXPOSURE_ADDRESS_BYTES];
    char public_address[EXPOSURE_ADDRESS_BYTES];
    char operator_address[EXPOSURE_ADDRESS_BYTES];
    char mqtt_address[EXPOSURE_ADDRESS_BYTES];
    char mqtts_address[EXPOSURE_ADDRESS_BYTES];
    format_reachable(&config->public_listen, broker->public_port, reachable);
    format_reachable(&config->operator_listen, broker->operator_port, console);
    format_port(&config->public_listen, broker->public_port, public_address);
    format_port(&config->operator_listen, broker->operator_port, operator_address);
    format_port(&config->mqtt_listen, broker->mqtt_port, mqtt_address);
    format_port(&config->mqtt_tls_listen, broker->mqtt_tls_port, mqtts_address);
    printf("public   %s://%s\n"
           "operator %s://%s\n",
           scheme, public_address, operator_scheme, operator_address);
    print_mqtt("mqtt", &config->mqtt_listen, mqtt_address);
    print_mqtt("mqtts", &config->mqtt_tls_listen, mqtts_address);
    printf("console  %s://%s/\n", operator_scheme, console);
    if (config->public_demo) {
        printf("demo     %s://%s/demo\n", scheme, reachable);
    }
    if (!config_has_credentials(config)) { /* else it would be refused */
        printf("try      curl -d '{\"score\":\"40-15\"}' %s%s/channels/tennis/court-1\n",
               broker->tls == NULL ? "" : "https://", reachable);
    }
    fflush(stdout);
    log_event(STARTED, .version = TIDINGS_VERSION, .public_listen = public_address,
              .operator_listen = operator_address, .mqtt_listen = mqtt_address,
              .data = config->data, .workers = broker->worker_count, .open = config->open);
}
