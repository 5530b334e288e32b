/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/handshake.h"

#include "broker/channels/pattern.h"
#include "broker/channels/rules.h"
#include "broker/runtime/broker.h"
#include "protocols/http/head.h"
#include "protocols/rest/request.h"
#include "protocols/websocket/extension.h"
#include "protocols/websocket/frame.h"

#define EXTENSIONS "Sec-WebSocket-Extensions"
#define SUBPROTOCOL "Sec-WebSocket-Protocol"

/* Ours is spoken where there is something to read, MQTT on any path. */
static bool is_spoken(const struct request *request, struct span subprotocol) {
    bool has_readers = span_has_prefix(request->path, SPAN("/channels/")) ||
                       span_is_equal(request->path, SPAN("/stream"));
    return span_is_equal(subprotocol, SPAN(WEBSOCKET_SUBPROTOCOL_MQTT)) ||
           (has_readers && span_is_equal(subprotocol, SPAN(WEBSOCKET_SUBPROTOCOL)));
}

/* The first that is offered of those that are spoken at that path: clients list them as they prefer
 * them (RFC 6455, section 4.1). Empty: none. */
static struct span choose_subprotocol(const struct request *request) {
    for (size_t i = 0; i < request->header_count; i++) {
        struct span rest = request->headers[i].value;
        struct span element;
        if (!span_is_equal_nocase(request->headers[i].name, SPAN(SUBPROTOCOL))) {
            continue;
        }
        while (head_list_next(&rest, &element)) {
            if (is_spoken(request, element)) {
                return element;
            }
        }
    }
    return (struct span){0};
}

/* One channel's rule may forbid it. Of several channels each frame is asked about. */
static bool may_deflate(const struct request *request) {
    struct span channel = buffer_borrow(&request->channel);
    return channel.length == 0 || pattern_is_pattern(channel) ||
           rules_find(request->broker->rules, channel)->deflate;
}

static void agree_on_deflate(struct request *request) {
    struct extension extension = {0};
    bool is_chosen = false;
    for (size_t i = 0; i < request->header_count && !is_chosen; i++) {
        is_chosen = span_is_equal_nocase(request->headers[i].name, SPAN(EXTENSIONS)) &&
                    extension_choose(request->headers[i].value, &extension);
    }
    if (is_chosen && may_deflate(request)) {
        reply_add_header(&request->reply, EXTENSIONS, "%s", extension_answer(&extension));
    }
}

/* What is the same whatever is spoken. */
static enum error_code accept_kind(struct request *request, enum reply_kind kind,
                                   struct error *why) {
    struct reply *reply = &request->reply;
    struct span version = {0}, key = {0};
    char accept[FRAME_ACCEPT_BYTES];
    if (!request_find_header(request, "Sec-WebSocket-Version", &version) ||
        !span_is_equal(version, SPAN("13"))) {
        reply_add_header(reply, "Sec-WebSocket-Version", "13");
        return error_set_field(why, ERR_UPGRADE_REQUIRED, "Sec-WebSocket-Version",
                               "WebSocket version 13 is spoken here");
    }
    if (!request_find_header(request, "Sec-WebSocket-Key", &key)) {
        return error_set_field(why, ERR_BAD_REQUEST, "Sec-WebSocket-Key", "the key is missing");
    }
    enum error_code code = frame_accept_key(key, accept);
    if (code != OK) {
        return error_set_field(why, code, "Sec-WebSocket-Key", "the key is not 16 bytes in base64");
    }
    reply->kind = kind;
    reply->status = 101;
    reply_add_header(reply, "Upgrade", "websocket");
    reply_add_header(reply, "Sec-WebSocket-Accept", "%.*s", FRAME_ACCEPT_BYTES, accept);
    return OK;
}

enum error_code handshake_accept(struct request *request, struct error *why) {
    enum error_code code = accept_kind(request, REPLY_WEBSOCKET, why);
    if (code != OK) {
        return code;
    }
    if (span_is_equal(choose_subprotocol(request), SPAN(WEBSOCKET_SUBPROTOCOL))) {
        reply_add_header(&request->reply, SUBPROTOCOL, WEBSOCKET_SUBPROTOCOL);
    }
    agree_on_deflate(request);
    return OK;
}

bool handshake_is_mqtt(const struct request *request) {
    return request->is_upgrade &&
           span_is_equal(choose_subprotocol(request), SPAN(WEBSOCKET_SUBPROTOCOL_MQTT));
}

enum error_code handshake_accept_mqtt(struct request *request, struct error *why) {
    enum error_code code = accept_kind(request, REPLY_MQTT, why);
    if (code == OK) {
        reply_add_header(&request->reply, SUBPROTOCOL, WEBSOCKET_SUBPROTOCOL_MQTT);
    }
    return code;
}

void handshake_handle_mqtt(struct request *request) {
    struct error why = {0};
    enum error_code code = handshake_accept_mqtt(request, &why);
    request_end(request, code, &why);
}

bool handshake_deflates(const struct request *request) {
    struct span rest = buffer_borrow(&request->reply.headers);
    struct span name, value;
    while (reply_next_header(&rest, &name, &value)) {
        if (span_is_equal(name, SPAN(EXTENSIONS))) {
            return true;
        }
    }
    return false;
}
