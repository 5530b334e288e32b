/* SPDX-License-Identifier: Apache-2.0 */
/* Each dial has a multi handle of its own: libcurl closes a CONNECT_ONLY connection with it, and
 * its pool can never hand the connection to somebody else. */
#include "protocols/sinks/dial.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "broker/support/invariant.h"
#include "broker/support/list.h"
#include "protocols/sinks/loop.h"
#include "protocols/sinks/resolving.h"

#define PLAIN_SCHEME "mqtt://"
#define SECURE_SCHEME "mqtts://"

struct dial {
    struct loop *loop;
    CURLM *multi;
    CURL *easy;
    struct lookup *lookup;
    struct resolving resolving;
    struct list sockets;     /* while connecting: those that libcurl wants watched */
    struct loop_timer timer; /* libcurl's */
    struct loop_watch watch; /* once connected */
    int fd;                  /* likewise; -1: not yet */
    struct dial_options options;
    char fault[CURL_ERROR_SIZE];
};

/* One that libcurl wants watched. */
struct dial_socket {
    struct list in_dial;
    struct loop_watch watch;
    struct dial *dial;
};

enum error_code dial_parse_url(const char *url, char ret_url[DIAL_URL_BYTES]) {
    bool is_secure = strncmp(url, SECURE_SCHEME, strlen(SECURE_SCHEME)) == 0;
    if (!is_secure && strncmp(url, PLAIN_SCHEME, strlen(PLAIN_SCHEME)) != 0) {
        return ERR_CONFIG;
    }
    const char *host = strstr(url, "://") + 3;
    int length = (int)strcspn(host, "/?#");
    const char *bracket = memchr(host, ']', (size_t)length);
    const char *name_end = bracket == NULL ? host : bracket;
    bool has_port = memchr(name_end, ':', (size_t)(host + length - name_end)) != NULL;
    if (length == 0 || *host == ':' || memchr(host, '@', (size_t)length) != NULL) {
        return ERR_CONFIG;
    }
    const char *port = has_port ? "" : is_secure ? ":8883" : ":1883";
    int written = snprintf(ret_url, DIAL_URL_BYTES, "%s://%.*s%s/", is_secure ? "https" : "http",
                           length, host, port);
    return written < DIAL_URL_BYTES ? OK : ERR_TOO_LARGE;
}

/* --- coming up ------------------------------------------------------------------------------- */

static void on_socket_ready(struct loop_watch *watch, uint32_t events) {
    (void)events;
    struct dial *dial = CONTAINER_OF(watch, struct dial, watch);
    dial->options.on_ready(dial->options.context);
}

/* The last thing that is done with the dial: whoever hears of it may destroy it. */
static void tell(struct dial *dial, CURLcode result) {
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (result == CURLE_OK) {
        result = curl_easy_getinfo(dial->easy, CURLINFO_ACTIVESOCKET, &fd);
    }
    if (result == CURLE_OK && fd != CURL_SOCKET_BAD) {
        dial->fd = fd;
        dial->options.on_connected(dial->options.context);
        return;
    }
    dial->options.on_failed(dial->options.context,
                            dial->fault[0] != '\0' ? dial->fault : curl_easy_strerror(result));
}

static void on_resolved(struct resolving *resolving, bool is_found) {
    struct dial *dial = CONTAINER_OF(resolving, struct dial, resolving);
    if (!is_found || curl_multi_add_handle(dial->multi, dial->easy) != CURLM_OK) {
        tell(dial, CURLE_COULDNT_RESOLVE_HOST);
    }
}

/* False: it has no name, or cannot ask for it. */
static bool resolve(struct dial *dial) {
    if (!resolving_is_due(&dial->resolving)) {
        return false;
    }
    curl_multi_remove_handle(dial->multi, dial->easy);
    dial->resolving.on_resolved = on_resolved;
    return resolving_begin(&dial->resolving, dial->lookup, dial->options.timeout_ms) == OK;
}

static void act(struct dial *dial, curl_socket_t socket, int events) {
    int running, left;
    curl_multi_socket_action(dial->multi, socket, events, &running);
    for (CURLMsg *told; (told = curl_multi_info_read(dial->multi, &left)) != NULL;) {
        CURLcode result = told->data.result; /* gone with the handle */
        if (told->msg == CURLMSG_DONE && dial->fd < 0) {
            if (!resolve(dial)) {
                tell(dial, result);
            }
            return;
        }
    }
}

static void on_timer(struct loop_timer *timer) {
    act(CONTAINER_OF(timer, struct dial, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_curl_ready(struct loop_watch *watch, uint32_t events) {
    struct dial_socket *socket = CONTAINER_OF(watch, struct dial_socket, watch);
    int told = ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
               ((events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    act(socket->dial, watch->fd, told);
}

static void forget_socket(struct dial *dial, struct dial_socket *socket) {
    if (socket != NULL) {
        loop_unwatch(dial->loop, &socket->watch);
        list_remove(&socket->in_dial);
        free(socket);
    }
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned) {
    (void)easy;
    struct dial *dial = context;
    struct dial_socket *socket = assigned;
    if (what == CURL_POLL_REMOVE) {
        forget_socket(dial, socket);
        return 0;
    }
    if (socket == NULL) {
        socket = calloc(1, sizeof(*socket));
        if (socket == NULL) {
            return -1;
        }
        socket->dial = dial;
        socket->watch.on_ready = on_curl_ready;
        list_init(&socket->in_dial);
        list_put_tail(&dial->sockets, &socket->in_dial);
        curl_multi_assign(dial->multi, fd, socket);
    }
    uint32_t events =
        ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0);
    return loop_watch(dial->loop, &socket->watch, fd, events) == OK ? 0 : -1;
}

static int on_curl_timer(CURLM *multi, long wait_ms, void *context) {
    (void)multi;
    struct dial *dial = context;
    if (wait_ms < 0) {
        loop_disarm(dial->loop, &dial->timer);
    } else {
        loop_arm(dial->loop, &dial->timer, loop_now_ms(dial->loop) + (uint64_t)wait_ms);
    }
    return 0;
}

/* False: no memory, or an option that this libcurl has not. */
static bool set_options(struct dial *dial, const char *url) {
    CURL *easy = dial->easy;
    CURLcode code = CURLE_OK;
    code |= curl_easy_setopt(easy, CURLOPT_URL, url);
    code |= curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    code |= curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    code |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)dial->options.timeout_ms);
    code |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name server */
    code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, dial->fault);
    if (dial->options.authorities != NULL) {
        code |= curl_easy_setopt(easy, CURLOPT_CAINFO, dial->options.authorities);
    }
    return code == CURLE_OK;
}

static bool set_callbacks(struct dial *dial) {
    CURLM *multi = dial->multi;
    CURLMcode code = CURLM_OK;
    code |= curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    code |= curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, dial);
    code |= curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    code |= curl_multi_setopt(multi, CURLMOPT_TIMERDATA, dial);
    return code == CURLM_OK;
}

enum error_code dial_create(struct loop *loop, const struct dial_options *options,
                            struct dial **ret_dial) {
    char url[DIAL_URL_BYTES];
    enum error_code code = dial_parse_url(options->url, url);
    struct dial *dial = code == OK ? calloc(1, sizeof(*dial)) : NULL;
    if (dial == NULL) {
        return code == OK ? ERR_MEMORY : code;
    }
    dial->loop = loop;
    dial->fd = -1;
    dial->options = *options;
    dial->timer.on_due = on_timer;
    dial->watch.on_ready = on_socket_ready;
    list_init(&dial->sockets);
    dial->multi = curl_multi_init();
    dial->easy = curl_easy_init();
    dial->lookup = lookup_borrow(loop);
    if (dial->multi == NULL || dial->easy == NULL || dial->lookup == NULL ||
        !set_options(dial, url) || !resolving_prepare(&dial->resolving, dial->easy) ||
        !set_callbacks(dial) || curl_multi_add_handle(dial->multi, dial->easy) != CURLM_OK) {
        dial_destroy(dial);
        return ERR_MEMORY;
    }
    dial->options.url = dial->options.authorities = NULL;
    *ret_dial = dial;
    return OK;
}

void dial_destroy(struct dial *dial) {
    if (dial == NULL) {
        return;
    }
    loop_unwatch(dial->loop, &dial->watch);
    resolving_end(&dial->resolving);
    if (dial->lookup != NULL) {
        lookup_give_back(dial->lookup);
    }
    if (dial->multi != NULL && dial->easy != NULL) {
        curl_multi_remove_handle(dial->multi, dial->easy);
    }
    curl_easy_cleanup(dial->easy);
    if (dial->multi != NULL) {
        curl_multi_cleanup(dial->multi);
    }
    LIST_EACH(&dial->sockets, node) {
        forget_socket(dial, CONTAINER_OF(node, struct dial_socket, in_dial));
    }
    loop_disarm(dial->loop, &dial->timer);
    free(dial);
}

/* --- once it is connected -------------------------------------------------------------------- */

void dial_want(struct dial *dial, bool has_want_read, bool has_want_write) {
    INVARIANT(dial->fd >= 0);
    uint32_t events = (has_want_read ? EPOLLIN : 0) | (has_want_write ? EPOLLOUT : 0);
    if (events == dial->watch.events) {
        return;
    }
    if (loop_watch(dial->loop, &dial->watch, dial->fd, events) != OK) {
        /* No memory for it in the kernel: the keep alive of whoever uses it ends it. */
        loop_unwatch(dial->loop, &dial->watch);
    }
}

static enum error_code result_of(CURLcode code) {
    return code == CURLE_OK ? OK : code == CURLE_AGAIN ? ERR_AGAIN : ERR_IO;
}

enum error_code dial_send(struct dial *dial, struct span bytes, size_t *ret_sent) {
    INVARIANT(dial->fd >= 0);
    *ret_sent = 0;
    return result_of(curl_easy_send(dial->easy, bytes.bytes, bytes.length, ret_sent));
}

enum error_code dial_receive(struct dial *dial, uint8_t *bytes, size_t size, size_t *ret_received) {
    INVARIANT(dial->fd >= 0);
    *ret_received = 0;
    enum error_code code = result_of(curl_easy_recv(dial->easy, bytes, size, ret_received));
    return code == OK && *ret_received == 0 ? ERR_IO : code;
}
