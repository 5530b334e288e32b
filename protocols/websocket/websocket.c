/* SPDX-License-Identifier: Apache-2.0 */
/* Reading stops (PUBLICATIONS_MAX publishes under way, or an answer that did not go out) by keeping
 * what one read from the socket brought and pausing; it goes on from there when the log has
 * answered or the socket takes bytes again. So a client that talks without listening is held back
 * by TCP. */
#include "protocols/websocket/websocket.h"

#include <stdlib.h>
#include <string.h>

#include "broker/admission/identity.h"
#include "broker/channels/name.h"
#include "broker/channels/pattern.h"
#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "broker/support/utf8.h"
#include "protocols/petition.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"
#include "protocols/websocket/answer.h"
#include "protocols/websocket/command.h"
#include "protocols/websocket/compression.h"
#include "protocols/websocket/framing.h"
#include "protocols/websocket/handshake.h"
#include "protocols/websocket/probation.h"
#include "protocols/websocket/renewal.h"
#include "protocols/websocket/subscriptions.h"
#include "protocols/websocket/websocket_private.h"

#define INPUT_BYTES_MAX 1048576 /* what one read from the socket may bring, several times over */

struct worker *websocket_worker(const struct websocket *websocket) {
    return connection_worker(websocket->connection);
}

uint64_t websocket_now_ms(const struct websocket *websocket) {
    return worker_now_ms(websocket_worker(websocket));
}

const struct framing *websocket_choose_framing(const struct websocket *websocket) {
    bool has_subscriptions = websocket->subscriptions != NULL;
    if (websocket->deflates) {
        return compression_framing(compression_borrow(websocket_worker(websocket)),
                                   has_subscriptions);
    }
    return has_subscriptions ? &websocket_framing_subscribed : &websocket_framing;
}

/* --- writing ---------------------------------------------------------------------------------- */

void websocket_write(struct websocket *websocket, const struct buffer *frames) {
    websocket->own_bytes += frames->length;
    connection_write(websocket->connection, buffer_borrow(frames));
}

struct buffer *websocket_begin_text(struct websocket *websocket, size_t *ret_start) {
    struct buffer *scratch = worker_borrow_scratch(websocket_worker(websocket));
    if (frame_begin(scratch, ret_start) == OK) {
        return scratch;
    }
    websocket_end_because(websocket, CLOSE_MEMORY, NULL);
    return NULL;
}

void websocket_end_text(struct websocket *websocket, struct buffer *buffer, size_t start,
                        enum error_code code) {
    if (code != OK) {
        websocket_end_because(websocket, CLOSE_MEMORY, NULL);
        return;
    }
    frame_end(buffer, start, FRAME_TEXT);
    websocket_write(websocket, buffer);
}

/* Says goodbye and closes; nothing of the streams follows, because a closing connection takes
 * none. */
static void end(struct websocket *websocket, enum close_reason reason, uint16_t close_code,
                const char *text) {
    if (websocket->has_ended) {
        return;
    }
    websocket->has_ended = true;
    struct buffer *scratch = worker_borrow_scratch(websocket_worker(websocket));
    enum error_code code = close_code == 1005
                               ? frame_put(scratch, FRAME_CLOSE, (struct span){0})
                               : frame_put_close(scratch, close_code, span_of_string(text));
    if (code == OK) {
        websocket_write(websocket, scratch);
    }
    connection_close(websocket->connection, reason);
}

void websocket_end_because(struct websocket *websocket, enum close_reason reason,
                           const char *text) {
    const struct close_row *row = close_row(reason);
    end(websocket, reason, row->websocket_close, text == NULL ? row->text : text);
}

void websocket_end_failed(struct websocket *websocket, enum error_code code) {
    enum close_reason reason = code == ERR_SLOW     ? CLOSE_TOO_SLOW
                               : code == ERR_MEMORY ? CLOSE_MEMORY
                                                    : CLOSE_INTERNAL;
    websocket_end_because(websocket, reason, error_row(code)->title);
}

/* --- commands --------------------------------------------------------------------------------- */

/* A publish that was refused through no fault of the publisher's. */
static void note_failure(const struct websocket *websocket, struct span channel,
                         enum error_code code, const struct error *why) {
    if (code != OK && error_row(code)->http_status >= 500) {
        log_event(PUBLISH_FAILED, .peer = connection_peer(websocket->connection),
                  .channel = channel, .code = error_row(code)->slug, .detail = why->detail);
    }
}

static const struct publications_owner publications_owner;

static enum error_code may_publish(const struct websocket *websocket, struct petition *petition,
                                   struct span channel, struct error *why) {
    struct identity *identity = connection_identity(websocket->connection);
    if (identity == NULL) {
        return OK;
    }
    enum error_code code = channel_name_check(channel, true, why);
    return code == OK ? petition_permit(petition, identity, ACTION_PUBLISH, channel, why)
                      : error_blame(why, code, "channel");
}

static enum error_code publish(struct websocket *websocket, struct command *command,
                               struct petition *petition, struct error *why) {
    struct span own = span_of(websocket->channel, websocket->channel_length);
    if (command->publish.channel.length == 0) {
        if (own.length == 0 || pattern_is_pattern(own)) {
            return error_set_field(why, ERR_BAD_REQUEST, "channel",
                                   "this socket is not on one channel: say which one is meant");
        }
        command->publish.channel = own;
    }
    enum error_code code = may_publish(websocket, petition, command->publish.channel, why);
    if (code == OK && websocket->publications == NULL) {
        code = publications_create(websocket_worker(websocket), &publications_owner, websocket,
                                   &websocket->publications);
    }
    if (code == OK) {
        code = publications_submit(websocket->publications, websocket->connection,
                                   &command->publish, command->idempotency_key, command->ref, why);
    }
    if (code != ERR_AGAIN) {
        note_failure(websocket, command->publish.channel, code, why);
    }
    return code;
}

static enum error_code obey(struct websocket *websocket, struct command *command,
                            struct petition *petition, struct error *why) {
    bool has_subscriptions = websocket->subscriptions != NULL;
    switch (command->kind) {
    case COMMAND_PUBLISH:
        return publish(websocket, command, petition, why);
    case COMMAND_SUBSCRIBE:
        return has_subscriptions
                   ? subscriptions_open(websocket, command, petition, why)
                   : error_set_field(why, ERR_BAD_REQUEST, "subscribe",
                                     "this socket reads what its URL names; /stream is for more");
    case COMMAND_UNSUBSCRIBE:
        return has_subscriptions
                   ? subscriptions_close(websocket, command, why)
                   : error_set_field(why, ERR_BAD_REQUEST, "unsubscribe",
                                     "this socket reads what its URL names; close it to stop");
    case COMMAND_AUTH:
        return renewal_obey(websocket, command, petition, why);
    case COMMAND_NONE:
        break;
    }
    return ERR_INTERNAL;
}

/* A command's kind is its label's index. */
static_assert((int)COMMAND_NONE == METRICS_COMMAND_NONE, "same order");
static_assert((int)COMMAND_PUBLISH == METRICS_COMMAND_PUBLISH, "same order");
static_assert((int)COMMAND_SUBSCRIBE == METRICS_COMMAND_SUBSCRIBE, "same order");
static_assert((int)COMMAND_UNSUBSCRIBE == METRICS_COMMAND_UNSUBSCRIBE, "same order");
static_assert((int)COMMAND_AUTH == METRICS_COMMAND_AUTH, "same order");

static void count(struct websocket *websocket, enum command_kind kind, enum error_code result) {
    metrics_add_at(worker_metrics(websocket_worker(websocket)), METRIC_COMMANDS,
                   METRICS_PAIR(METRIC_COMMANDS, (size_t)kind, result), 1);
}

/* Not obeyed where the petition is under way: then it comes again. */
static void take_command(struct websocket *websocket, struct span text, struct petition *petition) {
    struct command command = {0};
    struct error why = {0};
    struct buffer texts;
    buffer_init(&texts, text.length * 2 + WEBSOCKET_COMMAND_BYTES_EXTRA);
    enum error_code code = command_parse(text, &texts, &command, &why);
    if (code == OK) {
        code = obey(websocket, &command, petition, &why);
    }
    if (petition_is_under_way(petition)) {
        buffer_finish(&texts);
        return;
    }
    if (code != OK || command.kind != COMMAND_PUBLISH) { /* the log answers that one */
        count(websocket, command.kind, code);
    }
    if (code != OK) {
        websocket_refuse(websocket, command.ref, code, &why);
    }
    buffer_finish(&texts);
}

static void resume(struct websocket *websocket);

/* What a command waited for is answered. */
static void on_due(void *context) {
    struct websocket *websocket = context;
    struct probation *probation = websocket->probation;
    struct petition *petition = probation_petition(probation);
    petition_begin_round(petition);
    if (!websocket->has_ended) {
        take_command(websocket, probation_text(probation), petition);
    }
    if (!petition_is_under_way(petition)) {
        websocket->probation = NULL;
        probation_destroy(probation);
        resume(websocket);
    }
}

static void on_text(struct websocket *websocket, struct span text) {
    struct worker *worker = websocket_worker(websocket);
    struct petition petition = {.access = worker_access(worker),
                                .reply_to = worker_mailbox(worker)};
    take_command(websocket, text, &petition);
    if (!petition_is_under_way(&petition)) {
        petition_finish(&petition);
        return;
    }
    enum error_code code =
        probation_create(worker, &petition, text, on_due, websocket, &websocket->probation);
    if (code != OK) {
        websocket_end_because(websocket, CLOSE_MEMORY, NULL);
    }
}

/* --- frames ----------------------------------------------------------------------------------- */

static void let_message_go(struct websocket *websocket) {
    if (websocket->message_room_bytes > 0) {
        worker_give_body_room(websocket_worker(websocket), websocket->message_room_bytes);
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
        if (!worker_take_body_room(websocket_worker(websocket), more)) {
            return ERR_BUSY;
        }
        websocket->message_room_bytes += more;
    }
    return code != OK ? code : buffer_put(message, piece);
}

/* A compressed message is as long as any other one at most, once it is expanded. */
static void on_deflated(struct websocket *websocket, struct span packed) {
    struct error why = {0};
    struct buffer plain;
    struct compression *compression = compression_borrow(websocket_worker(websocket));
    INVARIANT(compression != NULL);
    buffer_init(&plain, (size_t)websocket->decoder.message_bytes_max);
    enum error_code code = deflate_expand(compression_codec(compression), packed, &plain, &why);
    if (code == OK && !utf8_is_valid(buffer_borrow(&plain))) {
        code = error_set(&why, ERR_BAD_UTF8, "A text message is not UTF-8");
    }
    if (code == OK) {
        on_text(websocket, buffer_borrow(&plain));
    } else {
        websocket_end_broken(websocket, code, &why);
    }
    buffer_finish(&plain);
}

static void on_whole(struct websocket *websocket, const struct frame_event *event,
                     struct span message) {
    if (event->is_deflated) {
        on_deflated(websocket, message);
    } else {
        on_text(websocket, message);
    }
}

static void on_data(struct websocket *websocket, const struct frame_event *event) {
    if (event->opcode == FRAME_BINARY) {
        websocket_end_because(websocket, CLOSE_UNSUPPORTED, "commands are text");
        return;
    }
    if (event->is_last && websocket->message.length == 0) {
        on_whole(websocket, event, event->bytes);
        return;
    }
    if (put_piece(websocket, event->bytes) != OK) {
        websocket_end_because(websocket, CLOSE_MEMORY, NULL);
    } else if (event->is_last) {
        on_whole(websocket, event, buffer_borrow(&websocket->message));
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
        struct buffer *scratch = worker_borrow_scratch(websocket_worker(websocket));
        if (frame_put(scratch, FRAME_PONG, event->bytes) == OK) {
            websocket_write(websocket, scratch);
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

static bool must_pause(const struct websocket *websocket, uint64_t own_bytes_before) {
    return websocket->probation != NULL || publications_is_full(websocket->publications) ||
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
            websocket_end_broken(websocket, code, &why);
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
        websocket_end_because(websocket, CLOSE_MEMORY, NULL);
    }
}

static void resume(struct websocket *websocket) {
    if (!websocket->is_paused || websocket->has_ended || websocket->probation != NULL ||
        publications_is_full(websocket->publications) ||
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

static enum error_code put_answer(const struct publication_answer *answer, struct buffer *out) {
    size_t start = 0;
    if (answer->code == OK && answer->ref.length == 0) {
        return OK; /* it did not want to hear of it */
    }
    enum error_code code = frame_begin(out, &start);
    if (code == OK) {
        code = answer->code == OK ? answer_put_published(out, answer->ref, answer->message)
                                  : answer_put_error(out, answer->ref, answer->code, answer->why);
    }
    if (code == OK) {
        frame_end(out, start, FRAME_TEXT);
    }
    return code;
}

static void on_answered(void *context, const struct publication_answer *answer,
                        struct buffer *out) {
    struct websocket *websocket = context;
    count(websocket, COMMAND_PUBLISH, answer->code);
    if (websocket->has_ended) {
        return;
    }
    note_failure(websocket, scope_visible(answer->message->fields.channel), answer->code,
                 answer->why);
    size_t length_before = out->length;
    if (put_answer(answer, out) != OK) {
        out->length = length_before;
        websocket_write(websocket, out); /* before the end, which takes the scratch buffer */
        websocket_end_because(websocket, CLOSE_MEMORY, NULL);
    }
}

static void on_all_answered(void *context, struct buffer *out) {
    struct websocket *websocket = context;
    if (websocket->has_ended) {
        return;
    }
    if (out->length > 0) {
        websocket_write(websocket, out);
    }
    resume(websocket);
}

static const struct publications_owner publications_owner = {on_answered, on_all_answered};

/* --- the connection --------------------------------------------------------------------------- */

static void on_bytes(struct connection *connection, void *state, struct span bytes) {
    struct websocket *websocket = state;
    (void)connection;
    websocket->received_ms = websocket_now_ms(websocket);
    if (!websocket->is_paused) {
        take_frames(websocket, bytes);
    } else if (buffer_put(&websocket->input, bytes) != OK) {
        websocket_end_because(websocket, CLOSE_MEMORY, NULL);
    }
}

static void on_writable(struct connection *connection, void *state) {
    struct websocket *websocket = state;
    (void)connection;
    if (websocket->has_ended) {
        return;
    }
    resume(websocket);
    if (websocket->subscriptions != NULL) {
        subscriptions_on_writable(websocket);
    } else {
        stream_on_writable(websocket->stream);
    }
}

static void on_deadline(struct connection *connection, void *state) {
    (void)connection;
    clocks_on_deadline(state);
}

static void on_drain(struct connection *connection, void *state) {
    (void)connection;
    websocket_end_because(state, CLOSE_DRAINING, NULL);
}

static void on_dismissed(struct connection *connection, void *state, enum close_reason reason) {
    (void)connection;
    websocket_end_because(state, reason, NULL);
}

static void on_closed(struct connection *connection, void *state, enum close_reason reason) {
    struct websocket *websocket = state;
    (void)connection;
    (void)reason;
    stream_destroy(websocket->stream);
    subscriptions_destroy(websocket);
    publications_destroy(websocket->publications);
    probation_destroy(websocket->probation);
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
    IGNORE_RESULT(progress_advance(&((struct websocket *)context)->progress, place)); /* no news */
}

static void on_failed(void *context, enum error_code code) {
    websocket_end_failed(context, code);
}

/* The one stream of a socket on a channel or pattern. */
static enum error_code open_stream(struct websocket *websocket, const struct reading *reading) {
    INVARIANT(reading->selector_count == 1);
    struct stream_options options = {
        .connection = websocket->connection,
        .selectors = reading->selectors,
        .selector_count = reading->selector_count,
        .framing = websocket_choose_framing(websocket),
        .on_lag =
            reading_choose_on_lag(reading->on_lag, reading->selectors, reading->selector_count,
                                  worker_broker(websocket_worker(websocket))->rules),
        .start = reading->query,
        .on_started = on_started,
        .on_failed = on_failed,
        .context = websocket,
    };
    return stream_create(&options, &websocket->stream);
}

/* The largest command: of one channel by its rule, else by the most generous rule. */
static uint64_t command_bytes_max(const struct request *request, struct span channel) {
    const struct rules *rules = request->broker->rules;
    bool is_one = channel.length > 0 && !pattern_is_pattern(channel);
    uint64_t message_bytes_max =
        is_one ? rules_find(rules, channel)->message_bytes_max : rules_message_bytes_max(rules);
    return message_bytes_max * WEBSOCKET_COMMAND_GROWTH + WEBSOCKET_COMMAND_BYTES_EXTRA;
}

static void init(struct websocket *websocket, const struct request *request, struct span channel) {
    uint64_t message_bytes_max = command_bytes_max(request, channel);
    frame_decoder_init(&websocket->decoder, message_bytes_max, websocket->deflates);
    buffer_init(&websocket->message, (size_t)message_bytes_max);
    buffer_init(&websocket->input, INPUT_BYTES_MAX);
    websocket->channel_length = (uint16_t)channel.length;
    if (channel.length > 0) {
        memcpy(websocket->channel, channel.bytes, channel.length);
    }
}

enum error_code websocket_create(struct connection *connection, const struct request *request,
                                 struct websocket **ret_websocket) {
    struct span channel = buffer_borrow(&request->channel);
    INVARIANT(request->reading != NULL);
    INVARIANT(channel.length <= CHANNEL_NAME_BYTES_MAX);
    struct websocket *websocket = calloc(1, sizeof(*websocket) + channel.length);
    if (websocket == NULL) {
        return ERR_MEMORY;
    }
    websocket->connection = connection;
    enum error_code code = OK;
    websocket->deflates = handshake_deflates(request);
    if (websocket->deflates) {
        code = compression_open(connection_worker(connection));
    }
    init(websocket, request, channel);
    if (code == OK) {
        code = channel.length == 0 ? subscriptions_create(websocket, request->reading)
                                   : open_stream(websocket, request->reading);
    }
    if (code != OK) {
        subscriptions_destroy(websocket);
        free(websocket);
        return code;
    }
    *ret_websocket = websocket;
    return OK;
}

void websocket_start(struct websocket *websocket) {
    clocks_start(websocket);
}
