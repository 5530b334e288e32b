/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_private.h — the inside of an MQTT connection, for the few files that are one together.
 *
 * Place:   mqtt.c (bytes, packets, the end), transport.c (TCP or WebSocket), connect.c (CONNECT to
 *          CONNACK), identify.c (who it is), permission.c (what it may do), intake.c (what the
 *          client publishes), deadlines.c (what is due), goodbye.c (how the client goes);
 *          outbound.c and its files (what the client is sent).
 * Thread:  its worker's.
 * Bounds:  see mqtt.h.
 *
 * The struct outlives its socket while the log has answers for it (is_left, connection NULL): a
 * session is given back only when every step that was submitted for it has been noted in it, or a
 * QoS 2 message could be taken twice. So on_done always runs, and a write to a socket that is gone
 * is nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/runtime/connection.h"
#include "broker/runtime/registry.h"
#include "broker/support/buffer.h"
#include "broker/support/list.h"
#include "broker/support/mailbox.h"
#include "broker/support/message.h"
#include "protocols/mqtt/fault.h"
#include "protocols/mqtt/frame.h"
#include "protocols/mqtt/protocol.h"

struct aliases;
struct mqtt;
struct mqtt_connect;
struct outbound;
struct question;
struct session;
struct socket_frames;

enum mqtt_phase {
    MQTT_PHASE_OPENING,     /* no CONNECT yet */
    MQTT_PHASE_IDENTIFYING, /* it is asked who it is, and for its will */
    MQTT_PHASE_CLAIMING,    /* the registry has not granted the session yet, or it is looked at */
    MQTT_PHASE_OPEN,        /* the CONNACK is written */
    MQTT_PHASE_LEFT,        /* it has ended: nothing is taken or written any more */
};

/* What has come and no packet took. */
struct input {
    struct buffer buffer;
    size_t room_bytes;          /* of the worker's room for bodies */
    uint32_t packet_seen_bytes; /* when packet_due_ms was set */
};

struct mqtt {
    struct connection *connection; /* NULL: the socket is gone */
    struct worker *worker;

    /* What CONNECT and CONNACK agreed on. */
    struct mqtt_dialect in;  /* what the client may send us … */
    struct mqtt_dialect out; /* … and what we may send it: packet_bytes_max is its own maximum */
    uint16_t receive_max_peer; /* its Receive Maximum, at most ours; ours in 3.1.1 */
    uint16_t alias_max_peer;   /* its Topic Alias Maximum, at most ours; 0 in 3.1.1 */
    uint16_t keep_alive_s;     /* 0: none */

    uint16_t own_id_length;
    uint16_t received_count; /* PUBLISH of QoS 1 and 2 among `publications` */
    uint16_t publication_count;
    uint16_t over_rate_count; /* publishes refused for their rate, less those that passed since */

    bool wants_problem_information : 1; /* reason strings, user properties on acknowledgements */
    bool is_session_present : 1;        /* the CONNACK said so: `session` is from before */
    bool is_id_assigned : 1;            /* to be told by it … */
    bool is_keep_alive_ours : 1;        /* … and where we do not grant what was asked for */
    bool is_expiry_ours : 1;
    bool asks_expiry : 1;      /* the CONNECT asked for a session that is kept */
    bool is_granted : 1;       /* the claim is */
    bool is_closed : 1;        /* connection_close() or the like was called */
    bool is_stopped : 1;       /* the streams have ended, and the will is on its way */
    bool is_taking : 1;        /* packets are being taken: what is written goes out behind them */
    bool is_paused : 1;        /* reading is */
    bool is_waiting : 1;       /* the next packet is to come behind what is published */
    bool is_peer_done : 1;     /* the WebSocket was closed behind what came */
    bool is_leaving : 1;       /* a DISCONNECT was taken */
    bool is_choked : 1;        /* what was written last did not all go out */
    bool is_flush_asked : 1;   /* the letter is on its way */
    bool is_drop_logged : 1;   /* that a publish was refused which it is not told of */
    bool is_clean : 1;         /* the CONNECT wants a new session */
    bool has_password : 1;     /* or a token in its place: what may be wrong */
    bool is_identified : 1;    /* the connection's identity is known; NULL is everyone */
    bool has_lost_filters : 1; /* its session has: they are not allowed any more */
    bool is_accepted : 1;      /* the CONNACK said so: it leaves its will behind */
    uint8_t phase : 3;         /* enum mqtt_phase */
    uint8_t hold_count;        /* of mqtt_hold() */
    uint32_t answer_count;     /* the log owes so many: mqtt_submit(), the flush letter */
    uint32_t publication_bytes;
    uint32_t will_delay_s;      /* of `will` */
    uint64_t session_expiry_ms; /* 0: the session ends with the connection, and nothing of it is
                                 * stored; SESSION_EXPIRY_NEVER */

    struct session *session;   /* from the grant until the release */
    struct outbound *outbound; /* outbound.c's */
    struct session_claim *claim;
    struct socket_frames *frames; /* of a WebSocket; NULL: plain TCP */
    struct aliases *aliases;      /* that the client has set; NULL: none */
    struct message *will;         /* NULL: none */
    struct list publications;     /* not answered yet, in the order in which they came */
    struct input *input;          /* of a packet that has not come whole; NULL between two */
    struct buffer *output;        /* transport.c's, gathered in this turn; NULL between two */
    struct letter flush;
    struct question *question; /* permission.c's, which is under way; NULL: none is */
    uint8_t *own_id; /* the client id, of own_id_length, while no claim is granted; else NULL */

    uint64_t received_ms;   /* when the last bytes came */
    uint64_t packet_due_ms; /* the CONNECT, or the packet that has begun, is to come by then */
    uint64_t retry_due_ms;  /* the log was busy, or a limit lets nothing pass; 0: neither */
    uint64_t free_ms;       /* when the socket was last seen to take bytes at a deadline */
};

static inline enum mqtt_version mqtt_version(const struct mqtt *mqtt) {
    return mqtt->out.version;
}

static inline uint64_t mqtt_will_delay_ms(const struct mqtt *mqtt) {
    return (uint64_t)mqtt->will_delay_s * 1000;
}

static inline bool mqtt_is_websocket(const struct mqtt *mqtt) {
    return mqtt->frames != NULL;
}

/* --- mqtt.c --- */

struct broker *mqtt_broker(const struct mqtt *mqtt);
uint64_t mqtt_now_ms(const struct mqtt *mqtt);

/* The client's identifier, also one that was assigned, as it is called inside (scope.h). From the
 * claim on. */
struct span mqtt_client_id(const struct mqtt *mqtt);

/* The tenant that it is of; empty: none. From the claim on. */
struct span mqtt_tenant(const struct mqtt *mqtt);

/* Sends one whole control packet, in a binary frame of its own where it is a WebSocket: at the end
 * of the turn, with all others that were written in it. The bytes are copied. Whoever writes many
 * looks at connection_is_blocked() first. */
void mqtt_write(struct mqtt *mqtt, struct span packet);

/* What was written goes out now: before frames that must not overtake it. */
void mqtt_flush(struct mqtt *mqtt);

/* What was put into `output` goes out at the end of the turn. */
void mqtt_ask_flush(struct mqtt *mqtt);

/* Ends without a word of MQTT; the rest is as with mqtt_end(). */
void mqtt_close(struct mqtt *mqtt, enum close_reason close_reason);

/* A packet that breaks the protocol: ends the connection as the refusal says. */
void mqtt_refuse(struct mqtt *mqtt, const struct mqtt_refusal *refusal, enum error_code code,
                 const struct error *why);

/* Says goodbye (DISCONNECT in 5.0; a CONNACK where it is still awaited) and closes. Once; harmless
 * after it. `text` is the reason string; NULL: the reason's own text. The
 * streams end, and the session is given back, from a later turn on. */
void mqtt_end(struct mqtt *mqtt, enum mqtt_reason reason, enum close_reason close_reason,
              const char *text);

/* The same for a call that failed: ERR_MEMORY, ERR_SLOW of a stream, … */
void mqtt_end_failed(struct mqtt *mqtt, enum error_code code);

/* No further packet is taken until mqtt_unhold() was called as often: for an answer that has to
 * come before what follows. */
void mqtt_hold(struct mqtt *mqtt);
void mqtt_unhold(struct mqtt *mqtt);

/* Gives the session back and frees, as soon as nothing is awaited any more. */
void mqtt_settle(struct mqtt *mqtt);

/* Goes on with what was kept, if nothing is in the way any more. */
void mqtt_resume(struct mqtt *mqtt);

/* `context` is as it was given. The messages are let go afterwards. `mqtt` may have ended meanwhile
 * (phase LEFT): then note what happened in the session, which is still there, and no more. */
typedef void mqtt_on_done(struct mqtt *mqtt, void *context, enum error_code code,
                          const struct error *why, struct message *const *messages, size_t count);

/* Hands messages to the log, all or none; on OK their references are taken, and on_done follows,
 * always. ERR_BUSY, ERR_DRAINING, ERR_MEMORY: nothing was taken. */
MUST_USE enum error_code mqtt_submit(struct mqtt *mqtt, struct message *const *messages,
                                     size_t count, mqtt_on_done *on_done, void *context);

/* --- deadlines.c --- */

/* Something that is due may have changed. */
void deadlines_arm(struct mqtt *mqtt);

/* protocol.on_deadline. */
void deadlines_on_deadline(struct mqtt *mqtt);

/* --- goodbye.c --- */

/* mqtt_end() with the reason of MQTT that comes nearest. */
void goodbye_end(struct mqtt *mqtt, enum close_reason close_reason);

void goodbye_on_disconnect(struct mqtt *mqtt, const struct mqtt_frame *frame);

/* Closes, if the client has said all and nothing stands before the end any more. */
void goodbye_close(struct mqtt *mqtt);

/* The network has failed: what came whole and was not taken. Writes nothing. */
void goodbye_take_left(struct mqtt *mqtt);

/* --- connect.c --- */

/* A CONNECT: asks who it is; then its session is claimed, and the CONNACK follows. */
void connect_on_packet(struct mqtt *mqtt, const struct mqtt_frame *frame);

/* It is known who it is: claims its session. */
void connect_claim(struct mqtt *mqtt);

/* The session is as it is to be: writes the CONNACK. */
void connect_open(struct mqtt *mqtt);

/* Writes a CONNACK that refuses, as that version, and closes. */
void connect_refuse(struct mqtt *mqtt, enum mqtt_version version, enum mqtt_reason reason,
                    enum close_reason close_reason, const char *text);

/* The client's identifier as the client says it; empty before it is known. */
struct span connect_known_id(const struct mqtt *mqtt);

/* protocol.get_client. */
void connect_get_client(const void *state, struct connection_client *ret_client);

/* What the client asks for, at most mqtt.session_expiry_max. */
uint64_t connect_cap_expiry(const struct mqtt *mqtt, uint32_t asked_s);

/* Gives the session and the claim back, in the state that they are in. */
void connect_release(struct mqtt *mqtt);

/* --- identify.c --- */

/* Who is it? connect_claim() follows, or the connection ends. */
void identify_begin(struct mqtt *mqtt, const struct mqtt_connect *connect);

/* Takes off what the session may not read any more; connect_open() follows, or the end. */
void identify_check_filters(struct mqtt *mqtt);
