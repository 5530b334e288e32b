/* SPDX-License-Identifier: Apache-2.0 */
/* A shared subscription is a member of a group (broker/runtime/sharing.h), which hands out messages
 * as far as the client's receive maximum and its socket go. What is in flight to the client of it
 * is the group's to send again, to whomever: so these entries end with the connection.
 * A kept session that ends, also with a clean start, leaves them by sharing_forget_everywhere(). */
#include <stdlib.h>
#include <string.h>

#include "broker/channels/pattern.h"
#include "broker/limits.h"
#include "broker/runtime/sharing.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/outbound_private.h"
#include "protocols/mqtt/topic.h"

/* Made with the first of them: few clients have one. */
struct shares {
    struct list all;
    uint32_t number_last;
};

struct share {
    struct list in_shares;
    struct outbound *outbound;
    struct sharing_member *member;
    uint32_t number;
    bool is_asked;   /* a SUBSCRIBE waits for it */
    bool is_starved; /* a message was not taken */
    size_t length;
    uint8_t text[]; /* of the filter */
};

static struct share *find(const struct outbound *outbound, struct span filter) {
    if (outbound->shares == NULL) {
        return NULL;
    }
    LIST_EACH(&outbound->shares->all, node) {
        struct share *share = CONTAINER_OF(node, struct share, in_shares);
        if (span_is_equal(span_of(share->text, share->length), filter)) {
            return share;
        }
    }
    return NULL;
}

/* --- what the group gives ------------------------------------------------------------------- */

static enum error_code write_message(struct share *share, const struct message *message,
                                     const struct filter_options *options, uint16_t packet_id,
                                     bool *ret_has_left) {
    struct mqtt *mqtt = share->outbound->mqtt;
    bool is_5 = mqtt_version(mqtt) == MQTT_VERSION_5;
    struct publishing publishing = {.is_retained_as_published =
                                        is_5 && options->is_retained_as_published,
                                    .asks_offset = is_5 && options->asks_offset,
                                    .version = (uint8_t)mqtt_version(mqtt),
                                    .qos = options->qos,
                                    .packet_id = packet_id,
                                    .packet_bytes_max = mqtt->out.packet_bytes_max,
                                    .identifiers = &options->identifier,
                                    .identifier_count = options->identifier == 0 ? 0 : 1};
    struct buffer packet;
    buffer_init(&packet, FRAME_BYTES_MAX);
    enum error_code code = publishing_put(&packet, message, &publishing);
    *ret_has_left = code == OK && packet.length > 0;
    if (*ret_has_left) {
        mqtt_write(mqtt, buffer_borrow(&packet));
    }
    buffer_finish(&packet);
    return code;
}

/* One of QoS 1: its lease ends with the PUBACK. */
static enum error_code give_with_id(struct share *share, const struct sharing_delivery *delivery,
                                    const struct filter_options *options, bool *ret_has_left) {
    struct outbound *outbound = share->outbound;
    struct inflight *inflight = &outbound->mqtt->session->inflight;
    enum error_code code = inflight_reserve(inflight, 1);
    if (code != OK) {
        return code;
    }
    struct inflight_entry entry = {.position = delivery->token,
                                   .share = share->number,
                                   .packet_id = inflight_next_id(inflight),
                                   .state = INFLIGHT_WAITING,
                                   .qos = 1};
    code = write_message(share, delivery->message, options, entry.packet_id, ret_has_left);
    if (*ret_has_left) {
        outbound_note_sent(outbound, inflight_put(inflight, &entry));
    }
    return code;
}

static bool on_message(void *context, const struct sharing_delivery *delivery) {
    struct share *share = context;
    struct outbound *outbound = share->outbound;
    const struct filter *filter =
        filters_find(&outbound->mqtt->session->filters, span_of(share->text, share->length));
    INVARIANT(filter != NULL);
    uint8_t qos = publishing_qos(delivery->message, filter->options.qos);
    if (connection_is_blocked(outbound->mqtt->connection)) {
        connection_want_writable(outbound->mqtt->connection);
        share->is_starved = true;
        return false;
    }
    if (qos > 0 && outbound_room(outbound) == 0) {
        share->is_starved = true;
        return false;
    }
    bool has_left = false;
    enum error_code code =
        qos == 0 ? write_message(share, delivery->message, &filter->options, 0, &has_left)
                 : give_with_id(share, delivery, &filter->options, &has_left);
    if (code != OK) {
        share->is_starved = true;
        outbound->is_retry_due = true;
        keeping_note(outbound);
        return false;
    }
    if (qos == 0 || !has_left) { /* too large for the client is as good as delivered */
        IGNORE_RESULT(sharing_acknowledge(share->member, delivery->token)); /* it has just come */
    }
    return true;
}

static void on_gap(void *context, const struct storage_gap *gap) {
    struct share *share = context;
    struct mqtt *mqtt = share->outbound->mqtt;
    struct buffer packet;
    buffer_init(&packet, WRITE_BYTES_MAX);
    enum error_code code = publishing_put_gap(&packet, gap, false, &mqtt->out);
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
    } else if (packet.length > 0) {
        mqtt_write(mqtt, buffer_borrow(&packet));
    }
    buffer_finish(&packet);
}

static void on_joined(void *context, enum error_code code) {
    struct share *share = context;
    struct outbound *outbound = share->outbound;
    if (share->is_asked) {
        share->is_asked = false;
        subscribing_on_joined(outbound, span_of(share->text, share->length), code);
    } else if (code != OK) {
        mqtt_end_failed(outbound->mqtt, code);
    }
}

/* --- the calls ------------------------------------------------------------------------------ */

static enum error_code make_shares(struct outbound *outbound) {
    if (outbound->shares == NULL) {
        outbound->shares = calloc(1, sizeof(*outbound->shares));
        if (outbound->shares == NULL) {
            return ERR_MEMORY;
        }
        list_init(&outbound->shares->all);
    }
    return OK;
}

static void end(struct share *share, bool is_kept) {
    if (is_kept) {
        sharing_leave_kept(share->member, share->outbound->mqtt->session_expiry_ms);
    } else {
        sharing_leave(share->member);
    }
    list_remove(&share->in_shares);
    free(share);
}

enum error_code shared_join(struct outbound *outbound, const struct filter *filter,
                            const struct storage_query *start, bool is_asked) {
    struct mqtt *mqtt = outbound->mqtt;
    struct span text = filter_text(filter);
    struct span pattern = filter_pattern(filter);
    struct span group = {0};
    struct span rest = {0};
    static_assert(SESSION_EXPIRY_NEVER == SHARING_KEPT_FOR_EVER, "both are kept for ever");
    if (make_shares(outbound) != OK) {
        return ERR_MEMORY;
    }
    struct share *share = calloc(1, sizeof(*share) + text.length);
    if (share == NULL) {
        return ERR_MEMORY;
    }
    share->outbound = outbound;
    share->number = ++outbound->shares->number_last;
    share->is_asked = is_asked;
    share->length = text.length;
    memcpy(share->text, text.bytes, text.length);
    mqtt_filter_split(text, &group, &rest);
    struct sharing_options options = {
        .worker = mqtt->worker,
        .group = group,
        .filter = pattern,
        .selector = {.text = pattern, .is_pattern = pattern_is_pattern(pattern)},
        .start = *start,
        .name = mqtt_client_id(mqtt),
        .kept_ms = mqtt->session_expiry_ms,
        .credit = is_asked ? 0 : mqtt->receive_max_peer, /* nothing before the SUBACK */
        .on_joined = on_joined,
        .on_message = on_message,
        .on_gap = on_gap,
        .context = share};
    enum error_code code = sharing_join(&options, &share->member);
    if (code != OK) {
        free(share);
        return code;
    }
    list_put_tail(&outbound->shares->all, &share->in_shares);
    return OK;
}

void shared_open(struct outbound *outbound, struct span filter) {
    struct share *share = find(outbound, filter);
    if (share != NULL) {
        sharing_set_credit(share->member, outbound->mqtt->receive_max_peer);
    }
}

void shared_go_on(struct outbound *outbound) {
    if (outbound->shares == NULL || outbound_room(outbound) == 0 ||
        connection_is_blocked(outbound->mqtt->connection)) {
        return;
    }
    LIST_EACH(&outbound->shares->all, node) {
        struct share *share = CONTAINER_OF(node, struct share, in_shares);
        if (share->is_starved) {
            share->is_starved = false;
            sharing_set_credit(share->member, outbound->mqtt->receive_max_peer);
        }
    }
}

void shared_acknowledge(struct outbound *outbound, const struct inflight_entry *entry) {
    if (outbound->shares == NULL) {
        return;
    }
    LIST_EACH(&outbound->shares->all, node) {
        struct share *share = CONTAINER_OF(node, struct share, in_shares);
        if (share->number == entry->share) {
            IGNORE_RESULT(sharing_acknowledge(share->member, entry->position)); /* it ends here in
                                                                                 * any case */
            return;
        }
    }
}

void shared_leave(struct outbound *outbound, struct span filter) {
    struct share *share = find(outbound, filter);
    if (share != NULL) {
        end(share, false);
    }
}

void shared_finish(struct outbound *outbound) {
    while (outbound->shares != NULL && !list_is_empty(&outbound->shares->all)) {
        end(CONTAINER_OF(outbound->shares->all.next, struct share, in_shares),
            outbound_is_stored(outbound));
    }
    free(outbound->shares);
    outbound->shares = NULL;
}
