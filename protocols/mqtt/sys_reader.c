/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/runtime/worker.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/outbound_private.h"
#include "protocols/mqtt/sys.h"

/* Armed while a filter asks for $SYS. */
struct sys_reader {
    struct outbound *outbound;
    struct wheel_timer tick;
};

/* For whom, and how, topics are told. */
struct telling {
    struct mqtt *mqtt;
    const struct filter *filter;
    bool is_retained; /* the first time, as with any topic whose value was there before */
    bool has_failed;
};

static enum error_code put(struct buffer *packet, struct buffer *identifiers,
                           const struct telling *telling, struct span topic, struct span payload) {
    uint32_t identifier = telling->filter->options.identifier;
    struct mqtt_publish publish = {
        .topic = topic, .payload = payload, .is_retained = telling->is_retained};
    enum error_code code =
        identifier == 0 ? OK : mqtt_subscription_identifier_put(identifiers, identifier);
    if (code == OK && identifier != 0) {
        mqtt_set_subscription_identifiers(&publish.properties, buffer_borrow(identifiers));
    }
    return code == OK ? mqtt_encode_publish(packet, &telling->mqtt->out, &publish) : code;
}

static void on_topic(void *context, struct span topic, struct span payload) {
    struct telling *telling = context;
    struct buffer packet;
    struct buffer identifiers;
    buffer_init(&packet, WRITE_BYTES_MAX);
    buffer_init(&identifiers, WRITE_BYTES_MAX);
    enum error_code code = put(&packet, &identifiers, telling, topic, payload);
    if (code == OK) {
        mqtt_write(telling->mqtt, buffer_borrow(&packet));
    }
    telling->has_failed |= code == ERR_MEMORY; /* too large for the client: it goes without */
    buffer_finish(&identifiers);
    buffer_finish(&packet);
}

static void tell(struct outbound *outbound, const struct filter *filter, bool is_first) {
    struct mqtt *mqtt = outbound->mqtt;
    struct telling telling = {.mqtt = mqtt, .filter = filter, .is_retained = is_first};
    if (connection_is_blocked(mqtt->connection)) {
        return; /* newer figures come with the next round */
    }
    sys_each(mqtt_broker(mqtt), filter_pattern(filter), on_topic, &telling);
    if (telling.has_failed) {
        mqtt_end_failed(mqtt, ERR_MEMORY);
    }
}

static void arm(struct sys_reader *reader) {
    struct worker *worker = reader->outbound->mqtt->worker;
    worker_arm(worker, &reader->tick, worker_now_ms(worker) + SYS_INTERVAL_MS);
}

static void on_tick(struct wheel_timer *timer) {
    struct sys_reader *reader = CONTAINER_OF(timer, struct sys_reader, tick);
    struct outbound *outbound = reader->outbound;
    struct mqtt *mqtt = outbound->mqtt;
    const struct filters *filters = &mqtt->session->filters;
    if (filters_count(filters, FILTER_SYS) == 0) {
        return; /* the last one was dropped meanwhile */
    }
    arm(reader);
    for (uint32_t i = 0; mqtt->outbound != NULL && i < filters->count; i++) {
        if (filters_list(filters)[i]->options.kind == FILTER_SYS) {
            tell(outbound, filters_list(filters)[i], false);
        }
    }
}

enum error_code sys_reader_begin(struct outbound *outbound, const struct filter *filter) {
    if (outbound->sys_reader == NULL) {
        outbound->sys_reader = calloc(1, sizeof(*outbound->sys_reader));
        if (outbound->sys_reader == NULL) {
            return ERR_MEMORY;
        }
        outbound->sys_reader->outbound = outbound;
        outbound->sys_reader->tick.on_due = on_tick;
    }
    if (!wheel_is_armed(&outbound->sys_reader->tick)) {
        arm(outbound->sys_reader);
    }
    tell(outbound, filter, true);
    return OK;
}

void sys_reader_finish(struct outbound *outbound) {
    if (outbound->sys_reader != NULL) {
        worker_disarm(outbound->mqtt->worker, &outbound->sys_reader->tick);
        free(outbound->sys_reader);
        outbound->sys_reader = NULL;
    }
}
