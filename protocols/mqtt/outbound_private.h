/* SPDX-License-Identifier: Apache-2.0 */
/* outbound_private.h — the inside of outbound.h, for the files that are it together.
 *
 * Place:   outbound.c (the stream and its window), acknowledged.c (PUBACK to PUBCOMP), own.c
 *          (frames that are this client's alone), keeping.c (snapshots), resend.c, retained.c,
 *          shared.c, sys_reader.c, subscribe.c.
 * Thread:  its worker's.
 * Bounds:  see outbound.h.
 */
#pragma once

#include "broker/channels/framing.h"
#include "broker/runtime/stream.h"
#include "broker/support/list.h"
#include "broker/support/wheel.h"
#include "protocols/mqtt/framing.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/mqtt/outbound.h"
#include "protocols/mqtt/session.h"

struct announced;
struct completing;
struct resend;
struct retained;
struct shares;
struct subscribing;
struct sys_reader;

/* Of a client that others cannot share all frames with. */
struct own {
    struct framing framing;
    struct announced *announced; /* NULL: the client takes no aliases */
    uint64_t shared_from; /* what all filters have in common holds once the reader is there */
};

struct outbound {
    struct mqtt *mqtt;
    struct stream *stream;         /* NULL: no filter reads the log, or something older is first */
    struct own *own;               /* NULL: not needed yet */
    const struct framing *shared;  /* what all filters have in common; NULL: nothing */
    struct place place;            /* where the stream begins */
    bool begins_now : 1;           /* at the head, whatever that is */
    bool is_own : 1;               /* the stream's framing is that of `own` */
    bool is_journaling : 1;        /* nothing more is sent before the log has answered */
    bool is_changed : 1;           /* the session, since its last snapshot */
    bool is_retry_due : 1;         /* the log was busy */
    bool is_begin_due : 1;         /* … for what a connection begins with: nothing is sent */
    uint16_t counted;              /* filters, in the metrics … */
    uint16_t counted_shared;       /* … and those of them that are shared */
    uint64_t acknowledged_ms;      /* when one of those that follow was last acknowledged */
    uint32_t on_link_count;        /* entries that count for the client's receive maximum */
    uint32_t waiting_count;        /* entries of the stream that have an id and wait */
    uint64_t tick_due_ms;          /* keeping.c's; 0: it has nothing to do */
    struct completing *completing; /* NULL: the client has completed nothing lately */
    struct resend *resend;         /* NULL: nothing is left of what was in flight */
    struct retained *retained;     /* NULL: no subscription waits for retained messages */
    struct subscribing *subscribing; /* NULL: no SUBSCRIBE is being answered */
    struct shares *shares;           /* NULL: no filter was shared yet */
    struct sys_reader *sys_reader;   /* NULL: no filter has asked for $SYS */
};

/* --- outbound.c --- */

/* Gives the connection one, if it has none. ERR_MEMORY. */
MUST_USE enum error_code outbound_make(struct mqtt *mqtt);

/* The session is kept when the connection goes: its steps are journaled. */
static inline bool outbound_is_stored(const struct outbound *outbound) {
    return outbound->mqtt->session_expiry_ms > 0;
}

/* It has an id, and its message comes by the stream. */
static inline bool outbound_is_waiting(const struct inflight_entry *entry) {
    return entry->state == INFLIGHT_WAITING && !entry->is_retained && entry->share == 0;
}

/* How many messages of QoS 1 and 2 the client takes now. */
uint32_t outbound_room(const struct outbound *outbound);

/* The client acknowledged something of them, or had none. */
void outbound_note_acknowledged(struct outbound *outbound);

/* One more is sent and counts; one counts no longer. */
void outbound_note_sent(struct outbound *outbound, struct inflight_entry *entry);
void outbound_take(struct outbound *outbound, struct inflight_entry *entry);

/* The metrics count the filters as they are now. */
void outbound_count_filters(struct outbound *outbound);

/* Hands a command to the log, which takes it; NULL is ERR_MEMORY. Not OK: it is let go. */
MUST_USE enum error_code outbound_submit(struct mqtt *mqtt, struct message *message,
                                         mqtt_on_done *on_done);

/* Ends the stream; its place is noted. */
void outbound_close(struct outbound *outbound);

/* Before a snapshot: the session and its stream, which is closed, stand at another place. */
void outbound_move_to(struct outbound *outbound, const struct place *place);

/* The filters have changed: the stream is opened anew from where it stands. ERR_MEMORY. */
MUST_USE enum error_code outbound_reopen(struct outbound *outbound);

/* The session's place is at least where the stream stands. */
void outbound_note_place(struct outbound *outbound);

/* The window or the socket has room again: whoever has something goes on. */
void outbound_go_on(struct outbound *outbound);

/* --- own.c --- */

/* Gives it outbound->own, if it has none, and that position. ERR_MEMORY. */
MUST_USE enum error_code own_make(struct outbound *outbound, uint64_t shared_from);

/* Accepts NULL. */
void own_destroy(struct own *own);

/* The frames of those messages left. */
void own_on_left(struct own *own, const struct stream_item *items, size_t count);

/* How a message is sent to this client by its filters, apart from the stream: its QoS is set by the
 * caller. `identifiers` has room for SELECTORS_MAX. False: no filter matches any more. */
bool own_choose(const struct outbound *outbound, const struct message *message,
                uint32_t *identifiers, struct publishing *ret_publishing);

/* --- keeping.c --- */

/* tick_due_ms has come. May end the connection, and so free `outbound`. */
void keeping_on_due(struct outbound *outbound);

/* A change that a snapshot should hold within a second, or something that has to be tried again. */
void keeping_note(struct outbound *outbound);

/* What the log is given before anything of the connection: the session, if it is kept, so that
 * steps are put behind it; else what is stored of it goes, for it ends with the connection, and
 * with the broker too. ERR_BUSY: it is to be tried again, when that is due; ERR_MEMORY,
 * ERR_DRAINING. */
MUST_USE enum error_code keeping_begin(struct outbound *outbound);

/* Stores the session as it is now. */
void keeping_put(struct outbound *outbound);

/* The command that stores the whole session. NULL: out of memory. */
MUST_USE struct message *keeping_make_put(struct outbound *outbound);

/* --- acknowledged.c --- */

/* PUBREL for what the client completed on an earlier connection. */
void acknowledged_resume(struct outbound *outbound);
void acknowledged_go_on(struct outbound *outbound);
void acknowledged_finish(struct outbound *outbound);

/* --- resend.c --- */

/* Sends again what is in flight; then the stream opens. ERR_MEMORY. */
MUST_USE enum error_code resend_begin(struct outbound *outbound);
void resend_go_on(struct outbound *outbound);
void resend_finish(struct outbound *outbound);

/* --- retained.c --- */

/* A filter of these options is to be sent all retained messages up to that position. */
static inline void retained_await(struct filter_options *options, uint64_t boundary) {
    options->retained_boundary = boundary;
    options->retained_after = 0;
}

/* That filter of the session is to be sent the retained messages up to its retained_boundary, on
 * channels behind its retained_after. ERR_MEMORY. */
MUST_USE enum error_code retained_begin(struct outbound *outbound, const struct filter *filter);
void retained_go_on(struct outbound *outbound);
void retained_finish(struct outbound *outbound);

/* --- shared.c --- */

/* Joins the group of a filter of kind FILTER_SHARED, which begins there if it is new. `is_asked`: a
 * SUBSCRIBE is told (subscribing_on_joined), and nothing comes before shared_open(). */
MUST_USE enum error_code shared_join(struct outbound *outbound, const struct filter *filter,
                                     const struct storage_query *start, bool is_asked);
void shared_open(struct outbound *outbound, struct span filter);
void shared_go_on(struct outbound *outbound);

/* An entry of a share was acknowledged. */
void shared_acknowledge(struct outbound *outbound, const struct inflight_entry *entry);

/* The filter of that text was dropped. */
void shared_leave(struct outbound *outbound, struct span filter);
void shared_finish(struct outbound *outbound);

/* --- sys_reader.c --- */

/* A filter asks for $SYS: it is told now and then. ERR_MEMORY. */
MUST_USE enum error_code sys_reader_begin(struct outbound *outbound, const struct filter *filter);
void sys_reader_finish(struct outbound *outbound);

/* --- subscribe.c --- */

void subscribing_go_on(struct outbound *outbound);

/* The answer to shared_join() for the filter of that text. */
void subscribing_on_joined(struct outbound *outbound, struct span filter, enum error_code code);
void subscribing_finish(struct outbound *outbound);
