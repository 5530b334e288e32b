/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/bench/fail.h"

/* One address has 28,000 ports to connect from; eight have enough for a load of 200,000. */
#define SOURCE_ADDRESS_FIRST 0x7f000002u
#define SOURCE_ADDRESSES 8u

void link_init(struct link *link, const struct protocol *protocol, const struct protocol_link *talk,
               int epoll, uint64_t token) {
    *link = (struct link){
        .protocol = protocol, .talk = *talk, .epoll = epoll, .token = token, .file = -1};
}

/* --- watching ------------------------------------------------------------------------------- */

static void watch(struct link *link, bool is_write_watched) {
    struct epoll_event event = {.events = EPOLLIN | (is_write_watched ? (uint32_t)EPOLLOUT : 0),
                                .data.u64 = link->token};
    int verb = link->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(link->epoll, verb, link->file, &event) != 0) {
        bench_fail("epoll_ctl: %s", strerrordesc_np(errno));
    }
    link->is_watched = true;
    link->is_write_watched = is_write_watched;
}

static void watch_write(struct link *link, bool is_write_watched) {
    if (link->is_watched && is_write_watched != link->is_write_watched) {
        watch(link, is_write_watched);
    }
}

/* Out of epoll altogether: it would go on telling that the peer has closed. */
void link_pause(struct link *link) {
    if (link->is_watched) {
        epoll_ctl(link->epoll, EPOLL_CTL_DEL, link->file, NULL);
        link->is_watched = link->is_write_watched = false;
    }
}

/* What the socket does not tell of is told with the room to write, which there mostly is. */
void link_resume(struct link *link) {
    if (!link->is_watched && link->state != LINK_CLOSED) {
        watch(link, link->output.length > 0 || link_has_more(link));
    }
}

/* --- its life ------------------------------------------------------------------------------- */

static bool set_options(int file, const struct target *target, uint32_t index,
                        uint32_t receive_bytes) {
    int one = 1;
    int receive = (int)receive_bytes;
    struct sockaddr_in local = {.sin_family = AF_INET,
                                .sin_addr.s_addr =
                                    htonl(SOURCE_ADDRESS_FIRST + index % SOURCE_ADDRESSES)};
    if (setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        (receive > 0 && setsockopt(file, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive)) != 0)) {
        return false;
    }
    return !target->is_loopback ||
           (setsockopt(file, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0 &&
            bind(file, (struct sockaddr *)&local, sizeof(local)) == 0);
}

/* As new, but for who it is. */
static void begin(struct link *link, int file, enum link_state state, uint64_t now_ns) {
    protocol_reset(&link->talk);
    bytes_drop(&link->output, link->output.length);
    bytes_drop(&link->cut, link->cut.length);
    link->file = file;
    link->state = state;
    link->begun_ns = now_ns;
    link->is_watched = link->is_write_watched = false;
}

const char *link_connect(struct link *link, const struct target *target, uint32_t index,
                         uint32_t receive_bytes, uint64_t now_ns) {
    int file = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file < 0) {
        return strerrordesc_np(errno);
    }
    if (!set_options(file, target, index, receive_bytes) ||
        (connect(file, (const struct sockaddr *)&target->address, target->address_length) != 0 &&
         errno != EINPROGRESS)) {
        const char *why = strerrordesc_np(errno);
        close(file);
        return why;
    }
    begin(link, file, LINK_CONNECTING, now_ns);
    link->target = target;
    watch(link, true);
    return NULL;
}

void link_adopt(struct link *link, int file, uint64_t now_ns) {
    begin(link, file, LINK_OPEN, now_ns);
    link->talk.is_open = true;
    watch(link, false);
}

static const char *greet(struct link *link) {
    link->state = LINK_GREETING;
    if (link->protocol->put_hello != NULL) {
        link->protocol->put_hello(&link->talk, &link->output);
    } else {
        link->talk.is_open = true;
    }
    return link_flush(link);
}

/* There is a connection; or why there is none. */
static const char *take_connection(struct link *link) {
    int failure = 0;
    socklen_t length = sizeof(failure);
    if (getsockopt(link->file, SOL_SOCKET, SO_ERROR, &failure, &length) != 0 || failure != 0) {
        return strerrordesc_np(failure);
    }
    const struct secure *secure = link->target->secure;
    if (secure == NULL) {
        return NULL;
    }
    link->session = secure_begin(secure, link->file, link->target->name);
    return link->session == NULL ? "out of memory" : NULL;
}

static const char *go_on_connecting(struct link *link) {
    const char *why = link->session == NULL ? take_connection(link) : NULL;
    if (why != NULL || link->session == NULL) {
        return why != NULL ? why : greet(link);
    }
    enum secure_state state = secure_shake(link->session, &why);
    if (state == SECURE_DONE) {
        return greet(link);
    }
    watch_write(link, state == SECURE_WANTS_WRITE);
    return why;
}

const char *link_continue(struct link *link) {
    return link->state == LINK_CONNECTING ? go_on_connecting(link) : link_flush(link);
}

void link_close(struct link *link) {
    secure_end(link->session);
    link->session = NULL;
    if (link->file >= 0) {
        close(link->file); /* epoll forgets it with that */
    }
    link->file = -1;
    link->state = LINK_CLOSED;
    link->is_watched = link->is_write_watched = false;
    bytes_finish(&link->output);
    bytes_finish(&link->cut);
}

void link_finish(struct link *link) {
    link_close(link);
    protocol_reset(&link->talk);
}

/* --- bytes ---------------------------------------------------------------------------------- */

/* How much was sent, 0: there is no room; or why it failed. */
static const char *send_some(struct link *link, const uint8_t *bytes, size_t length,
                             size_t *ret_count) {
    *ret_count = 0;
    if (link->session != NULL) {
        enum secure_state state = secure_write(link->session, bytes, length, ret_count);
        return state == SECURE_FAILED ? "the connection was lost while it was written to" : NULL;
    }
    ssize_t count;
    do {
        count = send(link->file, bytes, length, MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && errno != EAGAIN) {
        return strerrordesc_np(errno);
    }
    *ret_count = count > 0 ? (size_t)count : 0;
    return NULL;
}

const char *link_flush(struct link *link) {
    size_t sent = 0;
    size_t count = 1;
    while (sent < link->output.length && count > 0) {
        const char *why =
            send_some(link, link->output.data + sent, link->output.length - sent, &count);
        if (why != NULL) {
            return why;
        }
        sent += count;
    }
    bytes_drop(&link->output, sent);
    watch_write(link, link->output.length > 0);
    return NULL;
}

/* Records as long as there are any, up to `size` bytes. */
static enum link_result open_records(struct link *link, uint8_t *room, size_t size,
                                     size_t *ret_count) {
    enum secure_state state = SECURE_DONE;
    *ret_count = 0;
    while (state == SECURE_DONE && *ret_count < size) {
        size_t count = 0;
        state = secure_read(link->session, room + *ret_count, size - *ret_count, &count);
        *ret_count += state == SECURE_DONE ? count : 0;
    }
    if (*ret_count > 0) {
        return LINK_GOT; /* an end behind it comes once more */
    }
    return state == SECURE_FAILED ? LINK_ENDED : LINK_NOTHING;
}

static enum link_result receive_some(struct link *link, uint8_t *room, size_t size,
                                     size_t *ret_count) {
    if (link->session != NULL) {
        return open_records(link, room, size, ret_count);
    }
    ssize_t count = recv(link->file, room, size, 0);
    if (count <= 0) {
        return count < 0 && (errno == EAGAIN || errno == EINTR) ? LINK_NOTHING : LINK_ENDED;
    }
    *ret_count = (size_t)count;
    return LINK_GOT;
}

enum link_result link_read(struct link *link, uint8_t *buffer, size_t limit,
                           struct link_input *ret_input) {
    if (link->state == LINK_CONNECTING) {
        return LINK_NOTHING; /* what comes is of the handshake */
    }
    size_t kept = link->cut.length;
    bool is_large = kept > LINK_READ_BYTES;
    uint8_t *room = buffer + kept;
    size_t size = limit < LINK_READ_BYTES ? limit : LINK_READ_BYTES;
    if (is_large) {
        room = bytes_reserve(&link->cut, LINK_READ_BYTES);
    } else if (kept > 0) {
        memcpy(buffer, link->cut.data, kept);
    }
    size_t count;
    enum link_result result = receive_some(link, room, size, &count);
    if (result != LINK_GOT) {
        return result;
    }
    link->cut.length += is_large ? count : 0;
    *ret_input =
        (struct link_input){.bytes = is_large ? link->cut.data : buffer, .length = kept + count};
    return LINK_GOT;
}

bool link_has_more(const struct link *link) {
    return link->session != NULL && link->state != LINK_CONNECTING &&
           secure_has_more(link->session);
}

enum protocol_told link_take(struct link *link, struct link_input input, size_t *used,
                             struct protocol_unit *ret_unit) {
    if (*used >= input.length) {
        return PROTOCOL_MORE;
    }
    *ret_unit = (struct protocol_unit){0};
    enum protocol_told told = link->protocol->take(&link->talk, input.bytes + *used,
                                                   input.length - *used, &link->output, ret_unit);
    *used += told == PROTOCOL_MORE ? 0 : ret_unit->length;
    return told;
}

void link_keep(struct link *link, struct link_input input, size_t used) {
    if (input.bytes == link->cut.data) {
        bytes_drop(&link->cut, used);
        return;
    }
    bytes_drop(&link->cut, link->cut.length);
    if (used < input.length) {
        bytes_put(&link->cut, input.bytes + used, input.length - used);
    }
}
