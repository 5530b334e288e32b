/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_private.h — the inside of an MQTT connection, for the few files that are one together.
 *
 * Place:   mqtt.c (bytes, packets, the end), transport.c (TCP or WebSocket), connect.c (CONNECT to
 *          CONNACK), intake.c (what the client publishes), deadlines.c (what is due), goodbye.c
 *          (how the client goes); outbound.c and its files (what the client is sent).
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
struct outbound;
struct session;
struct socket_frames;

enum mqtt_phase {
    MQTT_PHASE_OPENING,  /* no CONNECT yet */
    MQTT_PHASE_CLAIMING, /* the registry has not granted the session yet */
    MQTT_PHASE_OPEN,     /* the CONNACK is written */
    MQTT_PHASE_LEFT,     /* it has ended: nothing is taken or written any more */
};

struct mqtt {
    struct connection *connection; /* NULL: the socket is gone */
    struct worker *worker;

    /* What CONNECT and CONNACK agreed on. */
    struct mqtt_dialect in;  /* what the client may send us … */
    struct mqtt_dialect out; /* … and what we may send it: packet_bytes_max is its own maximum */
    uint16_t receive_max_peer;      /* its Receive Maximum, at most ours; ours in 3.1.1 */
    uint16_t alias_max_peer;        /* its Topic Alias Maximum, at most ours; 0 in 3.1.1 */
    uint16_t keep_alive_s;          /* 0: none */
    bool wants_problem_information; /* reason strings and user properties on acknowledgements */
    bool is_session_present;        /* the CONNACK said so: `session` is from before */
    bool is_id_assigned;            /* to be told by it … */
    bool is_keep_alive_ours;        /* … and where we do not grant what was asked for */
    bool is_expiry_ours;
    bool asks_expiry;           /* the CONNECT asked for a session that is kept */
    uint64_t session_expiry_ms; /* 0: the session ends with the connection, and nothing of it is
                                     * stored; SESSION_EXPIRY_NEVER */

    uint8_t phase;           /* enum mqtt_phase */
    bool is_granted;         /* the claim is */
    bool is_closed;          /* connection_close() or the like was called */
    bool is_stopped;         /* the streams have ended, and the will is on its way */
    bool is_taking;          /* packets are being taken: what is written goes out behind them */
    bool is_paused;          /* reading is */
    bool is_waiting;         /* the next packet is to come behind what is published */
    bool is_peer_done;       /* the WebSocket was closed behind what came */
    bool is_leaving;         /* a DISCONNECT was taken */
    bool is_choked;          /* what was written last did not all go out */
    bool is_flush_asked;     /* the letter is on its way */
    bool is_drop_logged;     /* that a publish was refused which it is not told of */
    uint8_t hold_count;      /* of mqtt_hold() */
    uint16_t received_count; /* PUBLISH of QoS 1 and 2 among `publications` */
    uint16_t publication_count;
    uint32_t answer_count; /* the log owes so many: mqtt_submit(), the flush letter */
    uint32_t publication_bytes;

    struct session *session;   /* from the grant until the release */
    struct outbound *outbound; /* outbound.c's */
    struct session_claim *claim;
    struct socket_frames *frames; /* of a WebSocket; NULL: plain TCP */
    struct aliases *aliases;      /* that the client has set; NULL: none */
    struct message *will;         /* NULL: none */
    uint64_t will_delay_ms;
    struct list publications; /* not answered yet, in the order in which they came */
    struct buffer input;      /* a packet that has not come whole; without memory between two */
    size_t input_room_bytes;  /* of the worker's room for bodies */
    struct buffer output;     /* gathered in this turn; likewise */
    struct letter flush;
    struct buffer left_as; /* the client id, once the claim is given back; else empty */

    uint64_t received_ms;       /* when the last bytes came */
    uint64_t packet_due_ms;     /* the CONNECT, or the packet that has begun, is to come by then */
    uint32_t packet_seen_bytes; /* of it, when that was set */
    uint64_t retry_due_ms;      /* the log was busy; 0: it was not */
    uint64_t armed_ms;          /* the connection's deadline; 0: none */
    uint64_t free_ms;           /* when the socket was last seen to take bytes at a deadline */
};

static inline enum mqtt_version mqtt_version(const struct mqtt *mqtt) {
    return mqtt->out.version;
}

static inline bool mqtt_is_websocket(const struct mqtt *mqtt) {
    return mqtt->frames != NULL;
}

/* --- mqtt.c --- */

struct broker *mqtt_broker(const struct mqtt *mqtt);
uint64_t mqtt_now_ms(const struct mqtt *mqtt);

/* The client's identifier, also one that was assigned. From the claim on. */
struct span mqtt_client_id(const struct mqtt *mqtt);

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

void goodbye_on_disconnect(struct mqtt *mqtt, const struct mqtt_frame *frame);

/* Closes, if the client has said all and nothing stands before the end any more. */
void goodbye_close(struct mqtt *mqtt);

/* The network has failed: what came whole and was not taken. Writes nothing. */
void goodbye_take_left(struct mqtt *mqtt);

/* --- connect.c --- */

/* A CONNECT: claims its session; the CONNACK follows. */
void connect_on_packet(struct mqtt *mqtt, const struct mqtt_frame *frame);

/* Writes a CONNACK that refuses, as that version, and closes. */
void connect_refuse(struct mqtt *mqtt, enum mqtt_version version, enum mqtt_reason reason,
                    enum close_reason close_reason, const char *text);

/* The client's identifier; empty before it is known. */
struct span connect_known_id(const struct mqtt *mqtt);

/* protocol.get_client. */
void connect_get_client(const void *state, struct connection_client *ret_client);

/* What the client asks for, at most mqtt.session_expiry_max. */
uint64_t connect_cap_expiry(const struct mqtt *mqtt, uint32_t asked_s);

/* Gives the session and the claim back, in the state that they are in. */
void connect_release(struct mqtt *mqtt);
