/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/throttle.h"
#include "protocols/websocket/answer.h"
#include "protocols/websocket/websocket.h"
#include "protocols/websocket/websocket_private.h"

void websocket_refuse(struct websocket *websocket, struct span ref, enum error_code code,
                      const struct error *why) {
    size_t start = 0;
    struct buffer *text = websocket_begin_text(websocket, &start);
    throttle_note_depth(websocket->connection, why);
    if (text != NULL) {
        websocket_end_text(websocket, text, start, answer_put_error(text, ref, code, why));
    }
}

void websocket_end_broken(struct websocket *websocket, enum error_code code,
                          const struct error *why) {
    enum close_reason reason = code == ERR_BAD_UTF8    ? CLOSE_BAD_UTF8
                               : code == ERR_TOO_LARGE ? CLOSE_TOO_BIG
                               : code == ERR_MEMORY    ? CLOSE_MEMORY
                                                       : CLOSE_PROTOCOL_ERROR;
    if (code == ERR_TOO_LARGE) {
        throttle_note(websocket->connection, METRICS_LIMIT_MESSAGE_BYTES,
                      websocket->decoder.message_bytes_max);
    }
    websocket_end_because(websocket, reason, why->detail[0] == '\0' ? NULL : why->detail);
}
