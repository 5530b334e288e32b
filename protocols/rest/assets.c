/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/assets.h"

#include "broker/support/error.h"
#include "protocols/rest/request.h"

static const struct static_asset *find(const struct request *request) {
    for (size_t i = 0; request->assets != NULL && i < request->assets->count; i++) {
        if (span_is_equal(request->path, span_of_string(request->assets->rows[i].path))) {
            return &request->assets->rows[i];
        }
    }
    return NULL;
}

void assets_handle(struct request *request) {
    const struct static_asset *asset = find(request);
    struct reply *reply = &request->reply;
    if (asset == NULL) {
        request_refuse_because(request, ERR_NOT_FOUND, NULL, "no such file comes with the broker");
        request_answer(request);
        return;
    }
    struct span known = {0};
    bool is_known = asset->etag != NULL && request_find_header(request, "If-None-Match", &known) &&
                    span_is_equal(known, span_of_string(asset->etag));
    reply->status = is_known ? 304 : 200;
    if (!is_known) {
        reply->body_static = asset->content;
        reply_add_header(reply, "Content-Type", "%s", asset->media_type);
        reply_add_header(reply, "Content-Security-Policy", "%s",
                         request->assets->content_security_policy);
        reply_add_header(reply, "X-Frame-Options", "DENY"); /* who reads no frame-ancestors */
    }
    if (asset->etag != NULL) {
        reply_add_header(reply, "ETag", "%s", asset->etag);
    }
    reply_add_header(reply, "Cache-Control", "%s", request->assets->cache_control);
    request_answer(request);
}

void assets_handle_root(struct request *request) {
    if (request->assets == NULL) {
        request_refuse_because(request, ERR_NOT_FOUND, NULL, "channels are below /channels/");
    } else {
        request->reply.status = 302;
        reply_add_header(&request->reply, "Location", "/demo");
    }
    request_answer(request);
}
