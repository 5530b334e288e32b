/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/demo.h"

#include "broker/support/error.h"
#include "protocols/rest/assets.h"
#include "protocols/rest/request.h"

void demo_handle_root(struct request *request) {
    if (request->assets == NULL) {
        request_refuse_because(request, ERR_NOT_FOUND, NULL, "channels are below /channels/");
    } else {
        request->reply.status = 302;
        reply_add_header(&request->reply, "Location", "/demo/");
    }
    request_answer(request);
}

void demo_handle(struct request *request) {
    size_t prefix_length = sizeof("/demo/") - 1; /* the row in routes.c */
    struct span path = span_of(request->path.bytes + prefix_length,
                               request->path.length - prefix_length);
    for (size_t i = 0; request->assets != NULL && i < request->assets->count; i++) {
        const struct static_asset *asset = &request->assets->rows[i];
        if (!span_is_equal(path, span_of_string(asset->path))) {
            continue;
        }
        struct reply *reply = &request->reply;
        reply->status = 200;
        reply->body_static = asset->content;
        reply_add_header(reply, "Content-Type", "%s", asset->media_type);
        /* The files change with the program; asking again costs little. */
        reply_add_header(reply, "Cache-Control", "no-cache");
        reply_add_header(reply, "Referrer-Policy", "no-referrer");
        reply_add_header(reply, "Content-Security-Policy",
                         "default-src 'self'; connect-src 'self' ws: wss:; "
                         "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
                         "base-uri 'none'; frame-ancestors 'none'");
        request_answer(request);
        return;
    }
    request_refuse_because(request, ERR_NOT_FOUND, NULL, "the demo has no such file");
    request_answer(request);
}
