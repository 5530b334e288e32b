/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/handshake.h"

#include "protocols/http/head.h"
#include "protocols/rest/request.h"
#include "protocols/websocket/frame.h"

static bool offers_subprotocol(const struct request *request) {
    for (size_t i = 0; i < request->header_count; i++) {
        struct span rest = request->headers[i].value;
        struct span element;
        if (!span_is_equal_nocase(request->headers[i].name, SPAN("Sec-WebSocket-Protocol"))) {
            continue;
        }
        while (head_list_next(&rest, &element)) {
            if (span_is_equal(element, SPAN(WEBSOCKET_SUBPROTOCOL))) {
                return true;
            }
        }
    }
    return false;
}

enum error_code handshake_accept(struct request *request, struct error *why) {
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
    reply->kind = REPLY_WEBSOCKET;
    reply->status = 101;
    reply_add_header(reply, "Upgrade", "websocket");
    reply_add_header(reply, "Sec-WebSocket-Accept", "%.*s", FRAME_ACCEPT_BYTES, accept);
    if (offers_subprotocol(request)) {
        reply_add_header(reply, "Sec-WebSocket-Protocol", WEBSOCKET_SUBPROTOCOL);
    }
    return OK;
}
