/* SPDX-License-Identifier: Apache-2.0 */
/* An office is one multi handle of libcurl with all its connections. When the configuration was
 * read again a new one is opened; the old one finishes what it has and is closed with it, for
 * libcurl can close what it keeps in no other way.
 *
 * An owner that is called back may send, take back and even end the post: an office that is at work
 * is closed behind the last call. */
#include "protocols/sinks/post.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/home.h"
#include "protocols/sinks/loop.h"

struct office {
    struct broker *broker;
    struct lookup *lookup;
    CURLM *multi;
    struct loop *loop;
    struct loop_timer timer;
    struct list postings;
    bool is_working; /* calls go out to owners */
    bool is_closing; /* nothing is sent any more */
};

struct post {
    struct loop *loop;
    struct broker *broker;
    struct office *office;       /* that sends; NULL: none yet */
    const struct config *config; /* that it was opened with */
    size_t borrow_count;
};

/* One socket that libcurl wants to know of. */
struct flow {
    struct loop_watch watch;
    struct office *office;
};

/* --- offices --------------------------------------------------------------------------------- */

static int on_socket(CURL *handle, curl_socket_t fd, int wanted, void *context, void *own);
static int on_timeout(CURLM *multi, long timeout_ms, void *context);
static void on_timer(struct loop_timer *timer);

static struct office *open_office(const struct post *post) {
    struct office *office = calloc(1, sizeof(*office));
    if (office == NULL) {
        return NULL;
    }
    office->multi = curl_multi_init();
    office->lookup = office->multi == NULL ? NULL : lookup_borrow(post->loop);
    if (office->lookup == NULL) {
        curl_multi_cleanup(office->multi);
        free(office);
        return NULL;
    }
    office->broker = post->broker;
    office->loop = post->loop;
    office->timer.on_due = on_timer;
    list_init(&office->postings);
    curl_multi_setopt(office->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(office->multi, CURLMOPT_SOCKETDATA, office);
    curl_multi_setopt(office->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(office->multi, CURLMOPT_TIMERDATA, office);
    curl_multi_setopt(office->multi, CURLMOPT_MAXCONNECTS, (long)POST_CONNECTIONS_KEPT_MAX);
    curl_multi_setopt(office->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return office;
}

static void close_if_over(struct office *office) {
    if (!office->is_closing || office->is_working || !list_is_empty(&office->postings)) {
        return;
    }
    curl_multi_cleanup(office->multi);
    lookup_give_back(office->lookup);
    loop_disarm(office->loop, &office->timer);
    free(office);
}

static void retire(struct post *post) {
    struct office *office = post->office;
    if (office != NULL) {
        post->office = NULL;
        office->is_closing = true;
        close_if_over(office);
    }
}

static struct office *find_office(struct post *post) {
    const struct config *config = atomic_load(&post->broker->configured);
    if (post->config != config) {
        retire(post);
        post->config = config;
    }
    if (post->office == NULL) {
        post->office = open_office(post);
    }
    return post->office;
}

struct post *post_borrow(struct broker *broker, struct loop *loop) {
    void **slot = loop_shared(loop, LOOP_SHARED_POST);
    struct post *post = *slot;
    if (post == NULL) {
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
            return NULL;
        }
        post = calloc(1, sizeof(*post));
        if (post == NULL) {
            curl_global_cleanup();
            return NULL;
        }
        post->broker = broker;
        post->loop = loop;
        *slot = post;
    }
    post->borrow_count++;
    return post;
}

void post_give_back(struct post *post) {
    INVARIANT(post->borrow_count > 0);
    if (--post->borrow_count == 0) {
        *loop_shared(post->loop, LOOP_SHARED_POST) = NULL;
        retire(post);
        free(post);
        curl_global_cleanup();
    }
}

/* --- work ------------------------------------------------------------------------------------ */

static void take_out(struct posting *posting) {
    resolving_end(&posting->resolving);
    curl_multi_remove_handle(posting->office->multi, posting->handle);
    list_remove(&posting->in_office);
    posting->office = NULL;
}

/* It has its addresses, or has none: then libcurl's first word of it stands. */
static void on_resolved(struct resolving *resolving, bool is_found) {
    struct posting *posting = CONTAINER_OF(resolving, struct posting, resolving);
    struct office *office = posting->office;
    if (is_found && curl_multi_add_handle(office->multi, posting->handle) == CURLM_OK) {
        return;
    }
    office->is_working = true;
    take_out(posting);
    posting->on_done(posting, CURLE_COULDNT_RESOLVE_HOST);
    office->is_working = false;
    close_if_over(office);
}

/* False: it is over all the same. */
static bool resolve(struct posting *posting) {
    struct office *office = posting->office;
    curl_multi_remove_handle(office->multi, posting->handle);
    posting->resolving.on_resolved = on_resolved;
    return resolving_begin(&posting->resolving, office->lookup, posting->resolve_ms) == OK;
}

static void hand_out(struct office *office) {
    CURLMsg *note;
    int left;
    while ((note = curl_multi_info_read(office->multi, &left)) != NULL) {
        char *owner = NULL;
        CURLcode result = note->data.result; /* the note is gone with the handle */
        INVARIANT(note->msg == CURLMSG_DONE);
        INVARIANT(curl_easy_getinfo(note->easy_handle, CURLINFO_PRIVATE, &owner) == CURLE_OK);
        struct posting *posting = (void *)owner;
        if (!resolving_is_due(&posting->resolving) || !resolve(posting)) {
            take_out(posting);
            posting->on_done(posting, result);
        }
    }
}

static void work(struct office *office, curl_socket_t fd, int events) {
    int running;
    office->is_working = true;
    curl_multi_socket_action(office->multi, fd, events, &running);
    hand_out(office);
    office->is_working = false;
    close_if_over(office);
}

static void on_flow(struct loop_watch *watch, uint32_t events) {
    struct flow *flow = CONTAINER_OF(watch, struct flow, watch);
    int happened = ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                   ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                   ((events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    work(flow->office, watch->fd, happened);
}

static void on_timer(struct loop_timer *timer) {
    work(CONTAINER_OF(timer, struct office, timer), CURL_SOCKET_TIMEOUT, 0);
}

/* --- what libcurl asks for ------------------------------------------------------------------- */

/* Without memory the socket is not watched, and its request ends by its timeout. */
static int on_socket(CURL *handle, curl_socket_t fd, int wanted, void *context, void *own) {
    struct office *office = context;
    struct flow *flow = own;
    (void)handle;
    if (wanted == CURL_POLL_REMOVE) {
        if (flow != NULL) {
            loop_unwatch(office->loop, &flow->watch);
            free(flow);
            curl_multi_assign(office->multi, fd, NULL);
        }
        return 0;
    }
    if (flow == NULL) {
        flow = calloc(1, sizeof(*flow));
        if (flow == NULL) {
            return 0;
        }
        flow->office = office;
        flow->watch.on_ready = on_flow;
        curl_multi_assign(office->multi, fd, flow);
    }
    uint32_t events = ((wanted & CURL_POLL_IN) != 0 ? EPOLLIN : 0) |
                      ((wanted & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0);
    enum error_code code = loop_watch(office->loop, &flow->watch, fd, events);
    IGNORE_RESULT(code); /* as without memory */
    return 0;
}

static int on_timeout(CURLM *multi, long timeout_ms, void *context) {
    struct office *office = context;
    (void)multi;
    if (timeout_ms < 0) {
        loop_disarm(office->loop, &office->timer);
    } else {
        loop_arm(office->loop, &office->timer, clock_monotonic_ms() + (uint64_t)timeout_ms);
    }
    return 0;
}

static void note_refusal(struct posting *posting, enum guard_kind kind,
                         const struct sockaddr_storage *address) {
    const struct sockaddr_in *ipv4 = (const void *)address;
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    const void *bytes = address->ss_family == AF_INET ? (const void *)&ipv4->sin_addr
                                                      : (const void *)&ipv6->sin6_addr;
    posting->refused_kind = kind;
    if (inet_ntop(address->ss_family, bytes, posting->refused, sizeof(posting->refused)) == NULL) {
        snprintf(posting->refused, sizeof(posting->refused), "?");
    }
}

/* The lowest number that is free is given out, so that one that high says how many are taken. */
static bool leaves_room(int fd) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
           (rlim_t)fd < limit.rlim_cur / 100 * POST_DESCRIPTORS_PERCENT;
}

/* Clients come before webhooks: these wait in the log. */
static curl_socket_t open_socket(struct posting *posting, const struct curl_sockaddr *wanted) {
    int fd =
        socket(wanted->family, wanted->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, wanted->protocol);
    posting->is_crowded = fd < 0 ? errno == EMFILE || errno == ENFILE : !leaves_room(fd);
    if (fd >= 0 && posting->is_crowded) {
        close(fd);
        errno = EMFILE;
        return CURL_SOCKET_BAD;
    }
    return fd;
}

/* The one place where a webhook's socket comes to be. */
static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *wanted) {
    struct posting *posting = context;
    const struct broker *broker = posting->office->broker;
    struct sockaddr_storage address = {0};
    (void)purpose;
    if (wanted->addrlen > sizeof(address)) {
        return CURL_SOCKET_BAD;
    }
    memcpy(&address, &wanted->addr, wanted->addrlen);
    enum guard_kind kind = guard_classify(&address);
    if (kind == GUARD_PUBLIC && home_has(broker, &address)) {
        kind = GUARD_OWN;
    }
    if (!guard_is_allowed(kind, &address, &atomic_load(&broker->configured)->egress_allow)) {
        note_refusal(posting, kind, &address);
        errno = EACCES;
        return CURL_SOCKET_BAD;
    }
    return open_socket(posting, wanted);
}

/* --- what owners ask for --------------------------------------------------------------------- */

/* The system's are looked up by name in a directory where there is one: to read the file of all of
 * them, as libcurl does, takes 23 ms of this thread at each connect, this 1 ms with the handshake.
 * A file that is named is read once an office. */
static CURLcode set_authorities(CURL *handle, const char *ca) {
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    bool has_directory = built->age >= CURLVERSION_SEVENTH && built->capath != NULL;
    if (ca == NULL && !has_directory) {
        return CURLE_OK;
    }
    CURLcode code = curl_easy_setopt(handle, CURLOPT_CAINFO, ca);
    return code | curl_easy_setopt(handle, CURLOPT_CAPATH, ca == NULL ? built->capath : NULL);
}

bool post_prepare(struct posting *posting, const char *ca) {
    CURL *handle = posting->handle;
    CURLcode code = set_authorities(handle, ca);
    code |= curl_easy_setopt(handle, CURLOPT_PRIVATE, posting);
    code |= curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    code |= curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_open);
    code |= curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, posting);
    code |= curl_easy_setopt(handle, CURLOPT_PROXY, "");
    code |= curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    code |= curl_easy_setopt(handle, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    code |= curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    /* Else a time that is over while a name is resolved waits for the thread that resolves it, and
     * all webhooks with it. */
    code |= curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
    return code == CURLE_OK && resolving_prepare(&posting->resolving, handle);
}

enum error_code post_send(struct post *post, struct posting *posting) {
    INVARIANT(posting->office == NULL);
    struct office *office = find_office(post);
    if (office == NULL) {
        return ERR_MEMORY;
    }
    posting->office = office;
    posting->refused_kind = GUARD_PUBLIC;
    posting->is_crowded = false;
    if (curl_multi_add_handle(office->multi, posting->handle) != CURLM_OK) {
        posting->office = NULL;
        return ERR_MEMORY;
    }
    list_put_tail(&office->postings, &posting->in_office);
    return OK;
}

void post_take_back(struct posting *posting) {
    struct office *office = posting->office;
    if (office != NULL) {
        take_out(posting);
        close_if_over(office);
    }
}
