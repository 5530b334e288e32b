/* SPDX-License-Identifier: Apache-2.0 */
/* subscribe_private.h — a SUBSCRIBE or UNSUBSCRIBE on its way from the packet to its answer.
 *
 * Place:   subscribe.c (its steps), terms.c (what it asks for).
 * Thread:  its worker's.
 * Bounds:  SELECTORS_MAX rows; one of them a connection.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "protocols/mqtt/outbound_private.h"

struct asking;

enum retain_handling { RETAIN_ALWAYS = 0, RETAIN_IF_NEW = 1, RETAIN_NEVER = 2 };

/* One filter of the packet. */
struct row {
    struct filter *filter; /* NULL: refused, or named again further on */
    bool is_applied;       /* it is the session's */
    struct place place;    /* where it begins */
    uint8_t reason;
    uint8_t retain_handling;
    bool has_retained; /* retained messages are due */
};

struct subscribing {
    struct mqtt *mqtt;
    struct asking *asking; /* NULL: nothing is under way */
    struct buffer gaps;    /* what `since` met, as packets */
    struct buffer reasons;
    struct error why;           /* of the whole packet, or of the last filter that was refused */
    struct storage_query start; /* of `since` */
    bool has_since;
    bool needs_history;     /* it begins before what a reader by id may ask for */
    bool is_of_one_channel; /* `since` is an offset */
    bool is_unsubscribing;
    bool is_put_due; /* the log was busy */
    uint16_t packet_id;
    uint32_t joining_count; /* groups that have not answered */
    uint32_t next;          /* the row that is asked for or resolved next … */
    bool is_history_next;   /* … and what it is asked for */
    uint32_t count;
    struct row rows[];
};

/* The reason that SUBACK gives for it. */
enum mqtt_reason subscribing_reason_of(enum error_code code);

/* The row is refused for that. */
void subscribing_refuse(struct row *row, enum error_code code);

/* --- terms.c --- */

/* Gives each row its filter, or the reason why it has none. */
void terms_parse(struct subscribing *subscribing, const struct mqtt_request *request);
