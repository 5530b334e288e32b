/* SPDX-License-Identifier: Apache-2.0 */
/* origin.h — may the web page behind this request do what it asks? The Host and Origin rules.
 *
 * Place:   asked by protocols/rest for each request, streams and WebSocket handshakes included.
 * Thread:  pure.
 * Bounds:  none of its own.
 *
 * Two attacks are meant. A page of another site that posts to the broker on the visitor's machine
 * (its browser sends Origin, or Sec-Fetch-Site: RFC 6454, W3C Fetch Metadata), and a page whose own
 * name was made to resolve to 127.0.0.1 (DNS rebinding: then Host is the attacker's name).
 * Programs send neither header and are not held to anything here but the Host rule.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* What the configuration says. Names without port; origins as browsers write them. */
struct origin_policy {
    bool is_open; /* --open: any Host passes unless `hosts` names some */
    char *const *hosts;
    size_t host_count;
    char *const *origins; /* pages of other origins that may use the broker */
    size_t origin_count;
};

/* What the request says. A header that did not come is an empty span. */
struct origin_question {
    bool has_host; /* HTTP/1.0 may have none */
    struct span host;
    struct span origin;
    struct span fetch_site; /* Sec-Fetch-Site */
    bool is_secure;         /* the connection is TLS */
    bool changes_state;     /* publishing */
    /* A program may send an https origin of this very name and port though it speaks clear, as some
     * MQTT clients do: no page can have that origin while the port is ours. */
    bool ignores_scheme;
};

/* The page of that origin was served under that Host: scheme, name and port are the same. A port
 * that is not told is the default of the origin's scheme. On plain HTTP an https origin passes too,
 * because a proxy may speak TLS in our place; but not under a loopback name, where none stands. */
bool origin_is_same(struct span origin, struct span host, bool is_secure);

/* OK: go on; `ret_is_listed` tells that the origin is another one, a listed one, which wants CORS
 * headers. ERR_MISDIRECTED: the host is none of ours. ERR_FORBIDDEN_ORIGIN: the page may not. */
MUST_USE enum error_code origin_check(const struct origin_policy *policy,
                                      const struct origin_question *question, bool *ret_is_listed,
                                      struct error *why);
