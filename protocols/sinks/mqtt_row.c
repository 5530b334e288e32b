/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/mqtt_row.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/hash.h"
#include "protocols/sinks/dial.h"
#include "protocols/sinks/via.h"

void mqtt_check_row(const struct mqtt_row *row, const char *source, const char *key,
                    struct config_faults *faults) {
    char url[DIAL_URL_BYTES];
    if (row->url != NULL && dial_parse_url(row->url, url) != OK) {
        config_faults_add(faults, source, row->place->line, row->place->column, key,
                          "`mqtt.url` is mqtt://HOST or mqtts://HOST, perhaps with :PORT");
    }
    if (row->authorities != NULL && access(row->authorities, R_OK) != 0) {
        config_faults_add(faults, source, row->place->line, row->place->column, key,
                          "`mqtt.ca`: %.200s cannot be read", row->authorities);
    }
}

/* Log ids are drawn at random, and this is as good: nobody gains by a name that collides. */
uint64_t mqtt_place_id(const char *url) {
    static const struct hash_key key = {{UINT64_C(0x74696469), UINT64_C(0x6e67732d766961)}};
    char place[DIAL_URL_BYTES];
    if (dial_parse_url(url, place) != OK) {
        return 0; /* the row is at fault, and connects nowhere */
    }
    char *host = strstr(place, "://") + strlen("://");
    for (char *at = host; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    return hash_bytes(&key, span_of_string(host));
}

void mqtt_name_client(const struct broker *broker, const char *given, const char *name,
                      const char *suffix, char ret_id[MQTT_CLIENT_ID_BYTES]) {
    if (given != NULL) {
        snprintf(ret_id, MQTT_CLIENT_ID_BYTES, "%s", given);
        return;
    }
    char log[VIA_ID_BYTES];
    via_format(log_id(broker->log), log);
    snprintf(ret_id, MQTT_CLIENT_ID_BYTES, "tidings-%.8s-%s%s", log, name, suffix);
}
