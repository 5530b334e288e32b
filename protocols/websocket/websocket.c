/* SPDX-License-Identifier: Apache-2.0 */
/* Reading stops (PUBLICATIONS_MAX publishes under way, or an answer that did not go out) by keeping
 * what one read from the socket brought and pausing; it goes on from there when the log has
 * answered or the socket takes bytes again. So a client that talks without listening is held back
 * by TCP. */
#include "protocols/websocket/websocket.h"

#include <stdlib.h>
#include <string.h>

#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "protocols/envelope.h"
#include "protocols/rest/publish.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"
#include "protocols/websocket/command.h"
#include "protocols/websocket/frame.h"
#include "protocols/websocket/framing.h"
#include "protocols/websocket/publications.h"

#define INPUT_BYTES_MAX 1048576 /* what one read from the socket may bring, several times over */

struct websocket {
    struct connection *connection;
    struct stream *stream;
    struct publications publications;
    struct frame_decoder decoder;
    struct buffer message; /* a command that comes in pieces; without memory between two */
    size_t message_room_bytes;
    struct buffer input; /* came while reading was to be paused */
    bool is_paused;
    bool has_ended;      /* the close frame is written */
    uint64_t moved_ms;   /* when anything last moved in either direction */
    uint64_t bytes_sent; /* as seen then */
    uint64_t own_bytes;  /* of them not the stream's */
    uint64_t stream_bytes_told;
    uint64_t position_told;
    uint64_t ping_due_ms;
    uint64_t pong_due_ms;     /* 0: none is awaited */
    size_t ping_unsent_bytes; /* what stood before the ping and with it, as last seen */
    uint64_t progress_due_ms;
    uint16_t channel_length;
    uint8_t channel[];
};

static struct worker *worker_of(const struct websocket *websocket) {
    return connection_worker(websocket->connection);
}

static uint64_t now_ms(const struct websocket *websocket) {
    return worker_now_ms(worker_of(websocket));
}

static struct span own_channel(const struct websocket *websocket) {
    return span_of(websocket->channel, websocket->channel_length);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void write_own(struct websocket *websocket, const struct buffer *frames) {
    websocket->own_bytes += frames->length;
    connection_write(websocket->connection, buffer_borrow(frames));
}

/* Says goodbye and closes; nothing of the stream follows, because a closing connection takes
 * none. */
static void end(struct websocket *websocket, enum close_reason reason, uint16_t close_code,
                const char *text) {
    if (websocket->has_ended) {
        return;
    }
    websocket->has_ended = true;
    struct buffer *scratch = worker_borrow_scratch(worker_of(websocket));
    enum error_code code = close_code == 1005
                               ? frame_put(scratch, FRAME_CLOSE, (struct span){0})
                               : frame_put_close(scratch, close_code, span_of_string(text));
    if (code == OK) {
        write_own(websocket, scratch);
    }
    connection_close(websocket->connection, reason);
}

static void end_because(struct websocket *websocket, enum close_reason reason, const char *text) {
    const struct close_row *row = close_row(reason);
    end(websocket, reason, row->websocket_close, text == NULL ? row->text : text);
}

/* {"ref":…,"ok":{…}} or {"ref":…,"error":{"code","message","field"?}}. */
static enum error_code put_answer(struct buffer *buffer, struct span ref, enum error_code result,
                                  const struct message *message, const struct error *why) {
    enum error_code code = buffer_put(buffer, SPAN("{"));
    if (code == OK && ref.length > 0) {
        code = buffer_printf(buffer, "\"ref\":%.*s,", SPAN_PRINTF(ref));
    }
    if (code == OK && result == OK) {
        code = buffer_put(buffer, SPAN("\"ok\":"));
        code = code != OK ? code : publish_put_answer(buffer, message, false);
        return code != OK ? code : buffer_put(buffer, SPAN("}"));
    }
    if (code == OK) {
        code = buffer_printf(buffer,
                             "\"error\":{\"code\":\"%s\",\"message\":", error_row(result)->slug);
    }
    if (code == OK) {
        bool has_detail = why != NULL && why->detail[0] != '\0';
        code = json_escape_put(buffer,
                               span_of_string(has_detail ? why->detail : error_row(result)->title));
    }
    if (code == OK && why != NULL && why->field[0] != '\0') {
        code = buffer_put(buffer, SPAN(",\"field\":"));
        code = code != OK ? code : json_escape_put(buffer, span_of_string(why->field));
    }
    return code != OK ? code : buffer_put(buffer, SPAN("}}"));
}

static void answer(struct websocket *websocket, struct span ref, enum error_code result,
                   const struct message *message, const struct error *why) {
    struct buffer *scratch = worker_borrow_scratch(worker_of(websocket));
    size_t start = 0;
    enum error_code code = frame_begin(scratch, &start);
    if (code == OK) {
        code = put_answer(scratch, ref, result, message, why);
    }
    if (code != OK) {
        end_because(websocket, CLOSE_MEMORY, NULL);
        return;
    }
    frame_end(scratch, start, FRAME_TEXT);
    write_own(websocket, scratch);
}

/* --- commands --------------------------------------------------------------------------------- */

static enum error_code obey(struct websocket *websocket, struct command *command,
                            struct error *why) {
    switch (command->kind) {
    case COMMAND_PUBLISH:
        if (command->idempotency_key.length > 0) {
            return error_set_field(why, ERR_NOT_IMPLEMENTED, "idempotency_key",
                                   "idempotency keys are not in this version");
        }
        if (command->publish.channel.length == 0) {
            command->publish.channel = own_channel(websocket);
        }
        return publications_submit(&websocket->publications, &command->publish, command->ref, why);
    case COMMAND_SUBSCRIBE:
        return error_set_field(why, ERR_BAD_REQUEST, "subscribe",
                               "this socket reads its one channel; /stream is for several");
    case COMMAND_UNSUBSCRIBE:
        return error_set_field(why, ERR_BAD_REQUEST, "unsubscribe",
                               "this socket reads its one channel; close it to stop");
    case COMMAND_AUTH:
        return error_set_field(why, ERR_NOT_IMPLEMENTED, "auth",
                               "credentials are not in this version");
    }
    return ERR_INTERNAL;
}

static void on_text(struct websocket *websocket, struct span text) {
    struct command command = {0};
    struct error why = {0};
    struct buffer texts;
    buffer_init(&texts, text.length * 2 + WEBSOCKET_COMMAND_BYTES_EXTRA);
    enum error_code code = command_parse(text, &texts, &command, &why);
    if (code == OK) {
        code = obey(websocket, &command, &why);
    }
    if (code != OK) {
        answer(websocket, command.ref, code, NULL, &why);
    }
    buffer_finish(&texts);
}

/* --- frames ----------------------------------------------------------------------------------- */

static void let_message_go(struct websocket *websocket) {
    if (websocket->message_room_bytes > 0) {
        worker_give_body_room(worker_of(websocket), websocket->message_room_bytes);
        websocket->message_room_bytes = 0;
    }
    buffer_finish(&websocket->message);
}

/* Adds a piece of a message that does not come at once. */
static enum error_code put_piece(struct websocket *websocket, struct span piece) {
    struct buffer *message = &websocket->message;
    enum error_code code = buffer_reserve(message, piece.length);
    if (code == OK && message->capacity > websocket->message_room_bytes) {
        size_t more = message->capacity - websocket->message_room_bytes;
        if (!worker_take_body_room(worker_of(websocket), more)) {
            return ERR_BUSY;
        }
        websocket->message_room_bytes += more;
    }
    return code != OK ? code : buffer_put(message, piece);
}

static void on_data(struct websocket *websocket, const struct frame_event *event) {
    if (event->opcode == FRAME_BINARY) {
        end_because(websocket, CLOSE_UNSUPPORTED, "commands are text");
        return;
    }
    if (event->is_last && websocket->message.length == 0) {
        on_text(websocket, event->bytes);
        return;
    }
    if (put_piece(websocket, event->bytes) != OK) {
        end_because(websocket, CLOSE_MEMORY, NULL);
    } else if (event->is_last) {
        on_text(websocket, buffer_borrow(&websocket->message));
        let_message_go(websocket);
    }
}

static void on_frame(struct websocket *websocket, const struct frame_event *event) {
    switch (event->kind) {
    case FRAME_NOTHING:
        break;
    case FRAME_DATA:
        on_data(websocket, event);
        break;
    case FRAME_PINGED: {
        struct buffer *scratch = worker_borrow_scratch(worker_of(websocket));
        if (frame_put(scratch, FRAME_PONG, event->bytes) == OK) {
            write_own(websocket, scratch);
        }
        break;
    }
    case FRAME_PONGED:
        websocket->pong_due_ms = 0;
        break;
    case FRAME_CLOSED:
        end(websocket, CLOSE_NORMAL, event->close_code, "");
        break;
    }
}

static void end_broken(struct websocket *websocket, enum error_code code, const struct error *why) {
    enum close_reason reason = code == ERR_BAD_UTF8    ? CLOSE_BAD_UTF8
                               : code == ERR_TOO_LARGE ? CLOSE_TOO_BIG
                                                       : CLOSE_PROTOCOL_ERROR;
    end_because(websocket, reason, why->detail[0] == '\0' ? NULL : why->detail);
}

static bool must_pause(const struct websocket *websocket, uint64_t own_bytes_before) {
    return websocket->publications.count >= PUBLICATIONS_MAX ||
           (websocket->own_bytes != own_bytes_before &&
            connection_is_blocked(websocket->connection));
}

/* Takes frames until the bytes are used up, reading has to pause, or the end has come. The bytes
 * are unmasked where they stand: in the buffer that the socket was read into, or in our own. */
static void take_frames(struct websocket *websocket, struct span bytes) {
    uint8_t *rest = (uint8_t *)(uintptr_t)bytes.bytes;
    size_t length = bytes.length;
    struct frame_event event = {.kind = FRAME_PONGED};
    while (!websocket->has_ended && !websocket->is_paused && event.kind != FRAME_NOTHING) {
        struct error why = {0};
        uint64_t own_bytes_before = websocket->own_bytes;
        enum error_code code = frame_decode(&websocket->decoder, &rest, &length, &event, &why);
        if (code != OK) {
            end_broken(websocket, code, &why);
            return;
        }
        on_frame(websocket, &event);
        websocket->is_paused = must_pause(websocket, own_bytes_before);
    }
    if (websocket->has_ended || !websocket->is_paused) {
        return;
    }
    connection_pause_reading(websocket->connection);
    connection_want_writable(websocket->connection);
    if (length > 0 && buffer_put(&websocket->input, span_of(rest, length)) != OK) {
        end_because(websocket, CLOSE_MEMORY, NULL);
    }
}

static void resume(struct websocket *websocket) {
    if (!websocket->is_paused || websocket->has_ended ||
        websocket->publications.count >= PUBLICATIONS_MAX ||
        connection_is_blocked(websocket->connection)) {
        return;
    }
    websocket->is_paused = false;
    struct buffer input = websocket->input;
    buffer_init(&websocket->input, INPUT_BYTES_MAX);
    take_frames(websocket, buffer_borrow(&input));
    buffer_finish(&input);
    if (!websocket->is_paused && !websocket->has_ended) {
        connection_resume_reading(websocket->connection);
    }
}

static void on_answered(void *context, struct span ref, enum error_code code,
                        const struct message *message, const struct error *why) {
    struct websocket *websocket = context;
    if (!websocket->has_ended && (ref.length > 0 || code != OK)) {
        answer(websocket, ref, code, message, why);
    }
    resume(websocket);
}

/* --- clocks ----------------------------------------------------------------------------------- */

static void note_sent(struct websocket *websocket) {
    uint64_t bytes_sent = connection_bytes_sent(websocket->connection);
    if (bytes_sent != websocket->bytes_sent) {
        websocket->bytes_sent = bytes_sent;
        websocket->moved_ms = now_ms(websocket);
    }
}

/* The deadline counts from when the ping left: while it stands behind other bytes in the kernel,
 * and those get fewer, the peer is slow and not dead. One that is blocked is the stall
 * timeout's. */
static void mind_pong(struct websocket *websocket) {
    uint64_t now = now_ms(websocket);
    if (websocket->pong_due_ms == 0 || now < websocket->pong_due_ms) {
        return;
    }
    if (websocket->is_paused) { /* the pong may be here, and it is we who do not read */
        websocket->pong_due_ms = now + PONG_TIMEOUT_MS;
        return;
    }
    size_t unsent_bytes = connection_unsent_bytes(websocket->connection);
    bool has_progress = unsent_bytes > 0 && unsent_bytes < websocket->ping_unsent_bytes;
    if (!has_progress && !connection_is_blocked(websocket->connection)) {
        end_because(websocket, CLOSE_PONG_LATE, NULL);
        return;
    }
    websocket->ping_unsent_bytes = unsent_bytes;
    websocket->pong_due_ms = now + PONG_TIMEOUT_MS;
}

static void mind_pings(struct websocket *websocket) {
    uint64_t now = now_ms(websocket);
    mind_pong(websocket);
    if (now < websocket->ping_due_ms) {
        return;
    }
    websocket->ping_due_ms = now + PING_INTERVAL_MS;
    struct buffer *scratch = worker_borrow_scratch(worker_of(websocket));
    if (!connection_is_blocked(websocket->connection) && websocket->pong_due_ms == 0 &&
        frame_put(scratch, FRAME_PING, (struct span){0}) == OK) {
        websocket->pong_due_ms = now + PONG_TIMEOUT_MS;
        write_own(websocket, scratch);
        websocket->ping_unsent_bytes = connection_unsent_bytes(websocket->connection);
    }
}

/* {"at":"<id>"} where the log went on and nothing of it was for this reader. */
static void tell_progress(struct websocket *websocket) {
    uint64_t now = now_ms(websocket);
    if (now < websocket->progress_due_ms || connection_is_blocked(websocket->connection)) {
        return;
    }
    websocket->progress_due_ms = now + HEARTBEAT_MS;
    struct place place = {0};
    stream_get_place(websocket->stream, &place);
    uint64_t stream_bytes = connection_bytes_sent(websocket->connection) - websocket->own_bytes;
    bool has_matched = stream_bytes != websocket->stream_bytes_told;
    websocket->stream_bytes_told = stream_bytes;
    if (has_matched || place.position <= websocket->position_told) {
        websocket->position_told = place.position;
        return;
    }
    websocket->position_told = place.position;
    struct buffer *scratch = worker_borrow_scratch(worker_of(websocket));
    size_t start = 0;
    if (frame_begin(scratch, &start) != OK || buffer_put(scratch, SPAN("{")) != OK ||
        envelope_put_id(scratch, "at", &place) != OK || buffer_put(scratch, SPAN("}")) != OK) {
        return; /* the next one comes in HEARTBEAT_MS */
    }
    frame_end(scratch, start, FRAME_TEXT);
    write_own(websocket, scratch);
}

/* At the next thing that is due, and often enough to see a peer that takes nothing. */
static void arm(struct websocket *websocket) {
    uint64_t due_ms =
        now_ms(websocket) + worker_broker(worker_of(websocket))->config->stall_timeout_ms;
    uint64_t others[] = {websocket->ping_due_ms, websocket->pong_due_ms,
                         websocket->progress_due_ms};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        due_ms = others[i] != 0 && others[i] < due_ms ? others[i] : due_ms;
    }
    connection_set_deadline(websocket->connection, due_ms);
}

static void on_deadline(struct connection *connection, void *state) {
    struct websocket *websocket = state;
    uint64_t stall_ms = worker_broker(worker_of(websocket))->config->stall_timeout_ms;
    note_sent(websocket);
    /* A peer that takes what it is sent is asked by pings; this is for one that does not. */
    if (connection_is_blocked(connection) && now_ms(websocket) - websocket->moved_ms >= stall_ms) {
        end_because(websocket, CLOSE_STALLED, NULL);
        return;
    }
    mind_pings(websocket);
    if (!websocket->has_ended) {
        tell_progress(websocket);
        arm(websocket);
    }
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_bytes(struct connection *connection, void *state, struct span bytes) {
    struct websocket *websocket = state;
    (void)connection;
    websocket->moved_ms = now_ms(websocket);
    if (!websocket->is_paused) {
        take_frames(websocket, bytes);
    } else if (buffer_put(&websocket->input, bytes) != OK) {
        end_because(websocket, CLOSE_MEMORY, NULL);
    }
}

static void on_writable(struct connection *connection, void *state) {
    struct websocket *websocket = state;
    (void)connection;
    if (websocket->has_ended) {
        return;
    }
    note_sent(websocket);
    resume(websocket);
    stream_on_writable(websocket->stream);
}

static void on_drain(struct connection *connection, void *state) {
    (void)connection;
    end_because(state, CLOSE_DRAINING, NULL);
}

static void on_dismissed(struct connection *connection, void *state, enum close_reason reason) {
    (void)connection;
    end_because(state, reason, NULL);
}

static void on_closed(struct connection *connection, void *state, enum close_reason reason) {
    struct websocket *websocket = state;
    (void)connection;
    (void)reason;
    stream_destroy(websocket->stream);
    publications_abandon(&websocket->publications);
    let_message_go(websocket);
    buffer_finish(&websocket->input);
    free(websocket);
}

const struct protocol websocket_protocol = {
    .name = "websocket",
    .on_bytes = on_bytes,
    .on_writable = on_writable,
    .on_deadline = on_deadline,
    .on_drain = on_drain,
    .on_dismissed = on_dismissed,
    .on_closed = on_closed,
};

static void on_started(void *context, const struct place *place) {
    ((struct websocket *)context)->position_told = place->position;
}

static void on_failed(void *context, enum error_code code) {
    end_because(context, code == ERR_MEMORY ? CLOSE_MEMORY : CLOSE_INTERNAL,
                error_row(code)->title);
}

enum error_code websocket_create(struct connection *connection, const struct request *request,
                                 struct websocket **ret_websocket) {
    struct span channel = buffer_borrow(&request->channel);
    struct worker *worker = connection_worker(connection);
    INVARIANT(request->reading != NULL);
    INVARIANT(channel.length > 0);
    INVARIANT(channel.length <= CHANNEL_NAME_BYTES_MAX);
    struct websocket *websocket = calloc(1, sizeof(*websocket) + channel.length);
    if (websocket == NULL) {
        return ERR_MEMORY;
    }
    websocket->connection = connection;
    websocket->channel_length = (uint16_t)channel.length;
    memcpy(websocket->channel, channel.bytes, channel.length);
    const struct channel_rule *rule = rules_find(request->broker->rules, channel);
    uint64_t message_bytes_max =
        rule->message_bytes_max * WEBSOCKET_COMMAND_GROWTH + WEBSOCKET_COMMAND_BYTES_EXTRA;
    frame_decoder_init(&websocket->decoder, message_bytes_max);
    buffer_init(&websocket->message, (size_t)message_bytes_max);
    buffer_init(&websocket->input, INPUT_BYTES_MAX);
    publications_init(&websocket->publications);
    websocket->publications.broker = request->broker;
    websocket->publications.reply_to = worker_mailbox(worker);
    websocket->publications.on_answered = on_answered;
    websocket->publications.context = websocket;
    struct storage_selector selector = {.text = channel};
    struct stream_options options = {
        .connection = connection,
        .selectors = &selector,
        .selector_count = 1,
        .framing = &websocket_framing,
        .start = request->reading->query,
        .on_started = on_started,
        .on_failed = on_failed,
        .context = websocket,
    };
    enum error_code code = stream_create(&options, &websocket->stream);
    if (code != OK) {
        free(websocket);
        return code;
    }
    *ret_websocket = websocket;
    return OK;
}

void websocket_start(struct websocket *websocket) {
    uint64_t now = now_ms(websocket);
    websocket->moved_ms = now;
    websocket->ping_due_ms = now + PING_INTERVAL_MS;
    websocket->progress_due_ms = now + HEARTBEAT_MS;
    websocket->bytes_sent = connection_bytes_sent(websocket->connection);
    websocket->stream_bytes_told = websocket->bytes_sent; /* the handshake's */
    arm(websocket);
}
