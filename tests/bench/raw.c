/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/raw.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/support/buffer.h"
#include "broker/support/list.h"
#include "broker/support/map.h"
#include "tests/bench/ask.h"

#define EVENTS_MAX 512
#define READ_BYTES 65536
#define ANSWERS_MAX 512 /* sent with one call */
#define FRAME_HEAD_BYTES_MAX 10
#define FRAME_TEXT 0x81 /* the last of a message, text */

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
#define ANSWER_BYTES (sizeof(answer) - 1)

/* The frames that some reader lacks, end to end; empty when none does. */
struct channel {
    struct map_node in_map;
    struct list in_touched;
    struct list readers;
    struct buffer log;
    uint64_t log_begins; /* how many bytes went before it */
    char name[];
};

struct peer {
    int file;
    bool is_blocked; /* waits for EPOLLOUT */
    struct list in_due;
    uint64_t answers_bytes;  /* that are still owed to a publisher … */
    uint64_t answers_sent;   /* … and were sent, which tells where in an answer it stands */
    struct buffer input;     /* a cut request */
    struct channel *channel; /* of a reader; else NULL */
    struct list in_channel;
    uint64_t read_up_to; /* in the channel's log */
};

struct raw {
    const struct raw_options *options;
    int epoll;
    int listener;
    struct peer **peers; /* by descriptor */
    size_t peers_max;
    struct map channels;
    struct list touched; /* channels that grew in this turn */
    struct list due;     /* publishers that wait for the turn's answers */
    struct buffer turn;  /* what the journal gets of this turn */
    uint8_t input[READ_BYTES];
    char answers[ANSWERS_MAX * ANSWER_BYTES];
};

noreturn void raw_fail(const char *what) {
    fprintf(stderr, "limit: %s: %s\n", what, strerrordesc_np(errno));
    exit(1);
}

static void need(bool is_good, const char *what) {
    if (!is_good) {
        raw_fail(what);
    }
}

static void watch(struct raw *raw, int operation, const struct peer *peer) {
    struct epoll_event event = {.events = EPOLLIN | (peer->is_blocked ? EPOLLOUT : 0),
                                .data.fd = peer->file};
    need(epoll_ctl(raw->epoll, operation, peer->file, &event) == 0, "epoll_ctl");
}

static void end(struct raw *raw, struct peer *peer) {
    raw->peers[peer->file] = NULL;
    close(peer->file);
    list_remove(&peer->in_due);
    list_remove(&peer->in_channel);
    buffer_finish(&peer->input);
    free(peer);
}

/* What the socket does not take waits for EPOLLOUT. False: the peer was gone, and is freed. */
static bool send_some(struct raw *raw, struct peer *peer, struct span bytes, size_t *ret_sent) {
    ssize_t sent = send(peer->file, bytes.bytes, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
        end(raw, peer);
        return false;
    }
    *ret_sent = sent < 0 ? 0 : (size_t)sent;
    if (*ret_sent < bytes.length) {
        peer->is_blocked = true;
        watch(raw, EPOLL_CTL_MOD, peer);
    }
    return true;
}

/* --- readers --------------------------------------------------------------------------------- */

static struct channel *find_channel(struct raw *raw, struct span name) {
    struct map_node *node = map_find(&raw->channels, name);
    if (node != NULL) {
        return CONTAINER_OF(node, struct channel, in_map);
    }
    struct channel *channel = calloc(1, sizeof(*channel) + name.length);
    need(channel != NULL, "memory");
    memcpy(channel->name, name.bytes, name.length);
    list_init(&channel->in_touched);
    list_init(&channel->readers);
    buffer_init(&channel->log, RAW_LOG_BYTES_MAX);
    map_put(&raw->channels, &channel->in_map, span_of(channel->name, name.length));
    return channel;
}

static void flush_reader(struct raw *raw, struct peer *peer) {
    const struct channel *channel = peer->channel;
    size_t from = (size_t)(peer->read_up_to - channel->log_begins);
    size_t length = channel->log.length - from;
    size_t sent = 0;
    if (!peer->is_blocked && length > 0 &&
        send_some(raw, peer, span_of(channel->log.bytes + from, length), &sent)) {
        peer->read_up_to += sent;
    }
}

/* Drops what no reader lacks. */
static void shorten(struct channel *channel) {
    uint64_t lowest = channel->log_begins + channel->log.length;
    LIST_EACH(&channel->readers, node) {
        uint64_t place = CONTAINER_OF(node, struct peer, in_channel)->read_up_to;
        lowest = place < lowest ? place : lowest;
    }
    size_t read = (size_t)(lowest - channel->log_begins);
    if (read == channel->log.length || read > channel->log.length / 2) {
        buffer_drop_front(&channel->log, read);
        channel->log_begins = lowest;
    }
}

static void flush_channel(struct raw *raw, struct channel *channel) {
    LIST_EACH(&channel->readers, node) {
        flush_reader(raw, CONTAINER_OF(node, struct peer, in_channel));
    }
    shorten(channel);
}

static void cut_off_slow(struct raw *raw, struct channel *channel) {
    LIST_EACH(&channel->readers, node) {
        struct peer *peer = CONTAINER_OF(node, struct peer, in_channel);
        if (peer->is_blocked) {
            end(raw, peer);
        }
    }
    flush_channel(raw, channel);
}

/* A frame of a server (RFC 6455, section 5.2). */
static void put_frame(struct raw *raw, struct channel *channel, struct span payload) {
    size_t length = payload.length;
    size_t width = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
    uint8_t head[FRAME_HEAD_BYTES_MAX] = {FRAME_TEXT, width == 0   ? (uint8_t)length
                                                      : width == 2 ? 126
                                                                   : 127};
    for (size_t i = 0; i < width; i++) {
        head[2 + i] = (uint8_t)(length >> (8 * (width - 1 - i)));
    }
    if (channel->log.length + FRAME_HEAD_BYTES_MAX + length > RAW_LOG_BYTES_MAX) {
        cut_off_slow(raw, channel);
    }
    need(buffer_put(&channel->log, span_of(head, 2 + width)) == OK, "a log");
    need(buffer_put(&channel->log, payload) == OK, "a log");
}

static void start_reading(struct raw *raw, struct peer *peer, const struct ask *ask) {
    uint8_t digest[SHA_DIGEST_LENGTH];
    char text[256];
    int length = snprintf(text, sizeof(text), "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                          SPAN_PRINTF(ask->socket_key));
    SHA1((const uint8_t *)text, (size_t)length, digest);
    uint8_t accept[32] = {0};
    EVP_EncodeBlock(accept, digest, sizeof(digest));
    length = snprintf(text, sizeof(text),
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                      (const char *)accept);
    struct channel *channel = find_channel(raw, ask->path);
    peer->channel = channel;
    peer->read_up_to = channel->log_begins + channel->log.length;
    list_put_tail(&channel->readers, &peer->in_channel);
    size_t sent = 0;
    need(!send_some(raw, peer, span_of(text, (size_t)length), &sent) || sent == (size_t)length,
         "a handshake");
}

/* --- publishers ------------------------------------------------------------------------------ */

static void publish(struct raw *raw, struct channel *channel, struct span payload) {
    if (!list_is_empty(&channel->readers)) {
        put_frame(raw, channel, payload);
        if (list_is_empty(&channel->in_touched)) {
            list_put_tail(&raw->touched, &channel->in_touched);
        }
    }
    if (raw->options->journal >= 0) {
        uint32_t length = (uint32_t)payload.length;
        need(buffer_put(&raw->turn, span_of(&length, sizeof(length))) == OK, "a turn");
        need(buffer_put(&raw->turn, payload) == OK, "a turn");
    }
}

static void answer_ask(struct raw *raw, struct peer *peer, const struct ask *ask) {
    struct span body = ask->body;
    if (ask->socket_key.length > 0) {
        start_reading(raw, peer, ask);
        return;
    }
    if (ask->is_post) {
        struct channel *channel = find_channel(raw, ask->path);
        while (body.length > 0) {
            struct span payload = ask->has_lines ? span_split(&body, '\n') : body;
            body = ask->has_lines ? body : (struct span){0};
            if (payload.length > 0) {
                publish(raw, channel, payload);
            }
        }
    }
    peer->answers_bytes += ANSWER_BYTES;
    if (list_is_empty(&peer->in_due)) {
        list_put_tail(&raw->due, &peer->in_due);
    }
}

static void flush_answers(struct raw *raw, struct peer *peer) {
    while (!peer->is_blocked && peer->answers_bytes > 0) {
        size_t from = (size_t)(peer->answers_sent % ANSWER_BYTES);
        size_t length = sizeof(raw->answers) - from;
        length = peer->answers_bytes < length ? (size_t)peer->answers_bytes : length;
        size_t sent = 0;
        if (!send_some(raw, peer, span_of(raw->answers + from, length), &sent)) {
            return;
        }
        peer->answers_sent += sent;
        peer->answers_bytes -= sent;
    }
}

static void write_journal(struct raw *raw) {
    struct span rest = buffer_borrow(&raw->turn);
    while (rest.length > 0) {
        ssize_t count = write(raw->options->journal, rest.bytes, rest.length);
        need(count > 0, "write");
        rest = span_of(rest.bytes + count, rest.length - (size_t)count);
    }
    if (raw->turn.length > 0 && raw->options->has_sync) {
        need(fdatasync(raw->options->journal) == 0, "fdatasync");
    }
    buffer_clear(&raw->turn);
}

/* --- the loop -------------------------------------------------------------------------------- */

/* Requests up to the first cut one, which is kept. */
static void take_input(struct raw *raw, struct peer *peer, struct span bytes) {
    struct buffer held = peer->input;
    struct ask ask;
    int file = peer->file;
    if (held.length > 0) {
        need(buffer_put(&held, bytes) == OK, "a request");
        bytes = buffer_borrow(&held);
    }
    buffer_init(&peer->input, RAW_REQUEST_BYTES_MAX);
    enum ask_result result = ASK_CUT;
    while (bytes.length > 0 && (result = ask_read(bytes, &ask)) == ASK_WHOLE) {
        bytes = span_of(bytes.bytes + ask.length, bytes.length - ask.length);
        answer_ask(raw, peer, &ask);
        if (raw->peers[file] != peer || peer->channel != NULL) {
            bytes.length = 0; /* it is gone, or what a reader says is not listened to */
        }
    }
    if (bytes.length > 0 && result == ASK_BAD) {
        end(raw, peer);
    } else if (bytes.length > 0) {
        need(buffer_put(&peer->input, bytes) == OK, "a request");
    }
    buffer_finish(&held);
}

static void read_some(struct raw *raw, struct peer *peer) {
    ssize_t count = recv(peer->file, raw->input, READ_BYTES, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) {
        return;
    }
    if (count <= 0) {
        end(raw, peer);
    } else if (peer->channel == NULL) {
        take_input(raw, peer, span_of(raw->input, (size_t)count));
    }
}

static void accept_all(struct raw *raw) {
    int file, one = 1;
    while ((file = accept4(raw->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = calloc(1, sizeof(*peer));
        need(peer != NULL, "memory");
        need((size_t)file < raw->peers_max, "descriptors");
        need(setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0, "TCP_NODELAY");
        peer->file = file;
        list_init(&peer->in_due);
        list_init(&peer->in_channel);
        buffer_init(&peer->input, RAW_REQUEST_BYTES_MAX);
        raw->peers[file] = peer;
        watch(raw, EPOLL_CTL_ADD, peer);
    }
}

static void on_event(struct raw *raw, const struct epoll_event *event) {
    int file = event->data.fd;
    if (file == raw->listener) {
        accept_all(raw);
        return;
    }
    if (raw->peers[file] != NULL && (event->events & EPOLLOUT) != 0) {
        struct peer *peer = raw->peers[file];
        peer->is_blocked = false;
        watch(raw, EPOLL_CTL_MOD, peer);
        if (peer->channel != NULL) {
            flush_reader(raw, peer);
        } else {
            flush_answers(raw, peer);
        }
    }
    if (raw->peers[file] != NULL && (event->events & ~(uint32_t)EPOLLOUT) != 0) {
        read_some(raw, raw->peers[file]);
    }
}

static void end_turn(struct raw *raw) {
    struct list *node;
    write_journal(raw);
    while ((node = list_take_head(&raw->due)) != NULL) {
        flush_answers(raw, CONTAINER_OF(node, struct peer, in_due));
    }
    while ((node = list_take_head(&raw->touched)) != NULL) {
        flush_channel(raw, CONTAINER_OF(node, struct channel, in_touched));
    }
}

static void open_listener(struct raw *raw) {
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(raw->options->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct epoll_event event = {.events = EPOLLIN};
    raw->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    raw->epoll = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = raw->listener;
    need(raw->listener >= 0 && raw->epoll >= 0, "a socket");
    setsockopt(raw->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    need(bind(raw->listener, (const struct sockaddr *)&address, length) == 0, "bind");
    need(listen(raw->listener, SOMAXCONN) == 0, "listen");
    need(getsockname(raw->listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    need(epoll_ctl(raw->epoll, EPOLL_CTL_ADD, raw->listener, &event) == 0, "epoll_ctl");
    printf("ready %u\n", ntohs(address.sin_port));
    fflush(stdout);
}

noreturn void raw_run(const struct raw_options *options) {
    struct raw *raw = calloc(1, sizeof(*raw));
    struct rlimit files = {0};
    need(raw != NULL && getrlimit(RLIMIT_NOFILE, &files) == 0, "memory");
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    raw->options = options;
    raw->peers_max = files.rlim_cur;
    raw->peers = calloc(raw->peers_max, sizeof(*raw->peers));
    need(raw->peers != NULL && map_init(&raw->channels) == OK, "memory");
    list_init(&raw->touched);
    list_init(&raw->due);
    buffer_init(&raw->turn, RAW_LOG_BYTES_MAX);
    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        memcpy(raw->answers + i * ANSWER_BYTES, answer, ANSWER_BYTES);
    }
    open_listener(raw);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(raw->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            on_event(raw, &events[i]);
        }
        end_turn(raw);
    }
}
