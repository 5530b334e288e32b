/* SPDX-License-Identifier: Apache-2.0 */
/* What a sink tells on `$events/sinks/<sink>`, one JSON object each, and in the log:
 *
 *     {"sink":"orders","event":"state","state":"broken","before":"live","detail":"…","status":503,
 *      "time":"2026-01-31T08:05:09.123Z"}
 *     {"sink":"orders","event":"dead_letter","channel":"…","id":"t1…","attempts":10,"detail":"…",
 *      "status":500,"time":"…"}
 *     {"sink":"orders","event":"gap","gap":{"channel":"…","reason":"expired",…},"time":"…"}
 *
 * Of the states only those that ask for somebody: that a sink is starting, catching up or retries
 * is "live" here. Nothing waits for an event: without room in the log it is left out. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/id.h"
#include "broker/channels/scope.h"
#include "broker/runtime/log.h"
#include "broker/support/clock.h"
#include "broker/support/json.h"
#include "protocols/envelope.h"
#include "protocols/sinks/sink_private.h"

#define EVENT_JSON_BYTES 8192
#define EVENTS_CHANNEL_BYTES (15 + SINK_NAME_BYTES_MAX + 1)

/* One on its way. */
struct event {
    struct publish publish;
    struct sink *sink;
    struct message *message;
};

/* --- publishing ------------------------------------------------------------------------------ */

static void destroy(struct event *event) {
    message_unref(event->message);
    free(event);
}

static void on_published(struct publish *publish) {
    struct event *event = CONTAINER_OF(publish, struct event, publish);
    struct sink *sink = event->sink;
    sink->events_out--;
    sink->letters_out--;
    destroy(event);
    sink_wake(sink);
}

static void publish(struct sink *sink, struct span json) {
    char channel[EVENTS_CHANNEL_BYTES];
    int length = snprintf(channel, sizeof(channel), "$events/sinks/%s", sink->row->name);
    struct event *event = sink->events_out < SINK_EVENTS_MAX ? calloc(1, sizeof(*event)) : NULL;
    if (event == NULL) {
        return;
    }
    event->sink = sink;
    event->message =
        message_create(&(struct message_fields){.kind = MESSAGE_DATA,
                                                .payload_kind = PAYLOAD_JSON,
                                                .channel = span_of(channel, (size_t)length),
                                                .payload = json});
    event->publish = (struct publish){.reply_to = loop_mailbox(sink->sinks->loop),
                                      .on_answered = on_published,
                                      .counted_as = METRICS_PROTOCOL_OTHER,
                                      .messages = &event->message,
                                      .count = 1};
    if (event->message == NULL || log_submit(sink->sinks->broker->log, &event->publish) != OK) {
        destroy(event);
        return;
    }
    sink->events_out++;
    sink->letters_out++;
}

/* --- writing --------------------------------------------------------------------------------- */

static enum error_code put_text(struct buffer *json, const char *name, struct span text) {
    enum error_code code = buffer_printf(json, ",\"%s\":", name);
    return code != OK ? code : json_escape_put(json, text);
}

static enum error_code begin(struct buffer *json, const struct sink *sink, const char *kind) {
    char now[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(clock_wall_ms(), now);
    buffer_init(json, EVENT_JSON_BYTES);
    return buffer_printf(json, "{\"sink\":\"%s\",\"event\":\"%s\",\"time\":\"%s\"", sink->row->name,
                         kind, now);
}

static enum error_code put_verdict(struct buffer *json, const char *detail, unsigned status) {
    enum error_code code = OK;
    if (status != 0) {
        code = buffer_printf(json, ",\"status\":%u", status);
    }
    if (code == OK && detail[0] != '\0') {
        code = put_text(json, "detail", span_of_string(detail));
    }
    return code;
}

static void end(struct sink *sink, struct buffer *json, enum error_code code) {
    code = code != OK ? code : buffer_put_byte(json, '}');
    if (code == OK) {
        publish(sink, buffer_borrow(json));
    }
    buffer_finish(json);
}

/* --- states ---------------------------------------------------------------------------------- */

static enum sink_state worth_telling(enum sink_state state) {
    return state == SINK_STARTING || state == SINK_CATCHING_UP || state == SINK_RETRYING ? SINK_LIVE
                                                                                         : state;
}

void events_note_state(struct sink *sink) {
    enum sink_state state = worth_telling(sink_find_state(sink));
    enum sink_state before = worth_telling(sink->state_told);
    sink->state_told = state;
    if (state == before || sink->on_ended != NULL) {
        return;
    }
    bool is_well = state == SINK_LIVE || state == SINK_PAUSED;
    const char *detail = is_well ? "" : state == SINK_DISABLED ? sink->ledger.reason : sink->detail;
    unsigned status = is_well ? 0 : sink->status_last;
    if (is_well) {
        log_event(SINK_STATE, .sink = sink->row->name, .state = sink_state_name(state),
                  .before = sink_state_name(before));
    } else {
        log_event(SINK_TROUBLE, .sink = sink->row->name, .state = sink_state_name(state),
                  .before = sink_state_name(before), .status = status, .detail = detail);
    }
    struct buffer json;
    enum error_code code = begin(&json, sink, "state");
    code = code != OK ? code
                      : buffer_printf(&json, ",\"state\":\"%s\",\"before\":\"%s\"",
                                      sink_state_name(state), sink_state_name(before));
    code = code != OK ? code : put_verdict(&json, detail, status);
    end(sink, &json, code);
}

/* --- what is lost, or set aside --------------------------------------------------------------- */

void events_tell_dead_letter(struct sink *sink, const struct message *message, uint32_t attempts,
                             const struct verdict *verdict) {
    struct span channel = message->fields.channel;
    char id[ID_TEXT_BYTES_MAX];
    struct span id_text = span_of(id, id_format(&message->place, id));
    log_event(SINK_DEAD_LETTER, .sink = sink->row->name, .channel = scope_visible(channel),
              .tenant = scope_tenant(channel), .id = id_text, .attempts = attempts,
              .status = verdict->status, .detail = verdict->detail);
    struct buffer json;
    enum error_code code = begin(&json, sink, "dead_letter");
    code = code != OK ? code : put_text(&json, "channel", scope_visible(channel));
    code = code != OK ? code : put_text(&json, "id", id_text);
    code = code != OK ? code : buffer_printf(&json, ",\"attempts\":%u", (unsigned)attempts);
    code = code != OK ? code : put_verdict(&json, verdict->detail, verdict->status);
    end(sink, &json, code);
}

void events_tell_gap(struct sink *sink, const struct storage_gap *gap) {
    const char *reason = envelope_gap_reason(gap->gap.reason);
    log_event(SINK_GAP, .sink = sink->row->name, .selector = scope_visible(gap->selector),
              .reason = reason, .from = gap->gap.from, .to = gap->gap.to);
    struct buffer json;
    enum error_code code = begin(&json, sink, "gap");
    code = code != OK ? code : buffer_put(&json, SPAN(",\"gap\":"));
    code = code != OK ? code : envelope_put_gap(&json, gap);
    end(sink, &json, code);
}
