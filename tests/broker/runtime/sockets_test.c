/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/sockets.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/support/macros.h"
#include "tests/unit.h"

/* A set with one socket, whose other end is the test's. */
struct scene {
    uv_loop_t loop;
    struct sockets sockets;
    struct socket socket;
    int peer;
    size_t wake_count;
    size_t read_count;
    size_t bytes_count;
    size_t writable_count;
    size_t ended_count;
    size_t broken_count;
    bool pauses_at_bytes;
};

static struct scene *scene_of(struct socket *socket) {
    return CONTAINER_OF(socket, struct scene, socket);
}

static void on_woken(struct sockets *sockets) {
    CONTAINER_OF(sockets, struct scene, sockets)->wake_count++;
}

static void on_bytes(struct socket *socket, struct span bytes) {
    struct scene *scene = scene_of(socket);
    EXPECT_TRUE(bytes.length > 0);
    scene->read_count++;
    scene->bytes_count += bytes.length;
    if (scene->pauses_at_bytes) {
        socket_pause(socket);
    }
}

static void on_writable(struct socket *socket) {
    scene_of(socket)->writable_count++;
}

static void on_ended(struct socket *socket) {
    EXPECT_TRUE(socket->has_ended);
    scene_of(socket)->ended_count++;
}

static void on_broken(struct socket *socket) {
    scene_of(socket)->broken_count++;
}

static const struct socket_calls calls = {.on_woken = on_woken,
                                          .on_bytes = on_bytes,
                                          .on_writable = on_writable,
                                          .on_ended = on_ended,
                                          .on_broken = on_broken};

static struct scene *open_scene_of(const int ends[2]) {
    struct scene *scene = calloc(1, sizeof(*scene));
    EXPECT_NOT_NULL(scene);
    EXPECT_EQ(uv_loop_init(&scene->loop), 0);
    EXPECT_EQ(sockets_init(&scene->sockets, &scene->loop, &calls), OK);
    EXPECT_EQ(socket_open(&scene->sockets, &scene->socket, ends[0]), OK);
    scene->peer = ends[1];
    return scene;
}

/* Over TCP, as the sockets of a worker. */
static struct scene *open_scene(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int door = socket(AF_INET, SOCK_STREAM, 0);
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    int room = 4 * READ_BYTES_MAX;
    EXPECT_EQ(setsockopt(door, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    EXPECT_EQ(bind(door, (struct sockaddr *)&address, length), 0);
    EXPECT_EQ(listen(door, 1), 0);
    EXPECT_EQ(getsockname(door, (struct sockaddr *)&address, &length), 0);
    EXPECT_EQ(connect(peer, (struct sockaddr *)&address, length), 0);
    int ends[2] = {accept4(door, NULL, NULL, SOCK_NONBLOCK), peer};
    close(door);
    return open_scene_of(ends);
}

/* Of a pair: what fits is known then, while TCP goes on to move bytes after a socket was full. */
static struct scene *open_pair(void) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    return open_scene_of(ends);
}

static void close_scene(struct scene *scene) {
    socket_close(&scene->socket);
    sockets_finish(&scene->sockets);
    EXPECT_EQ(uv_run(&scene->loop, UV_RUN_DEFAULT), 0);
    EXPECT_EQ(uv_loop_close(&scene->loop), 0);
    if (scene->peer >= 0) {
        close(scene->peer);
    }
    free(scene);
}

/* One turn: what the kernel tells, then what it does not. True: nothing is left to do. */
static bool turn(struct scene *scene) {
    uv_run(&scene->loop, UV_RUN_NOWAIT);
    sockets_serve_ready(&scene->sockets);
    return !sockets_have_ready(&scene->sockets);
}

static size_t unread(const struct scene *scene) {
    int count = 0;
    EXPECT_EQ(ioctl(scene->socket.fd, FIONREAD, &count), 0);
    return (size_t)count;
}

/* Returns once they have come. */
static void say(struct scene *scene, size_t count) {
    static const uint8_t bytes[READ_BYTES_MAX];
    size_t end = unread(scene) + count;
    EXPECT_EQ(write(scene->peer, bytes, count), count);
    while (unread(scene) < end) {
        EXPECT_EQ(poll(NULL, 0, 1), 0); /* the kernel is on its way */
    }
}

/* Says ten bytes, a mark, and ten more; returns once all have come. */
static void say_urgently(struct scene *scene) {
    int under_way;
    say(scene, 10);
    EXPECT_EQ(send(scene->peer, "!", 1, MSG_OOB), 1);
    EXPECT_EQ(write(scene->peer, "0123456789", 10), 10);
    do {
        EXPECT_EQ(poll(NULL, 0, 1), 0);
        EXPECT_EQ(ioctl(scene->peer, TIOCOUTQ, &under_way), 0);
    } while (under_way > 0);
}

/* Waits until the socket has that to tell. */
static void await(const struct scene *scene, short events) {
    struct pollfd one = {.fd = scene->socket.fd, .events = events};
    do {
        EXPECT_EQ(poll(&one, 1, -1), 1);
    } while ((one.revents & events) != events);
}

static void shut(struct scene *scene) {
    EXPECT_EQ(shutdown(scene->peer, SHUT_WR), 0);
    await(scene, POLLRDHUP);
}

static void reset(struct scene *scene) {
    struct linger at_once = {.l_onoff = 1};
    EXPECT_EQ(setsockopt(scene->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(scene->peer);
    scene->peer = -1;
    await(scene, POLLHUP);
}

/* Sends until the socket takes no more; returns how much it took. */
static size_t fill(struct scene *scene) {
    static const uint8_t bytes[READ_BYTES_MAX];
    size_t total = 0;
    while (!scene->socket.is_full) {
        size_t sent = 0;
        EXPECT_EQ(
            socket_send(&scene->sockets, &scene->socket, span_of(bytes, sizeof(bytes)), &sent), OK);
        total += sent;
    }
    return total;
}

static void drain(struct scene *scene, size_t count) {
    uint8_t bytes[4096];
    while (count > 0) {
        ssize_t taken = read(scene->peer, bytes, sizeof(bytes));
        EXPECT_TRUE(taken > 0);
        count -= (size_t)taken;
    }
}

TEST(bytes_are_told_once) {
    struct scene *scene = open_scene();
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->read_count, 0);
    say(scene, 10);
    EXPECT_TRUE(turn(scene));
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->read_count, 1);
    EXPECT_EQ(scene->bytes_count, 10);
    EXPECT_TRUE(scene->wake_count > 0);
    close_scene(scene);
}

TEST(what_came_while_reading_was_paused_is_read_when_it_goes_on) {
    struct scene *scene = open_scene();
    socket_pause(&scene->socket);
    say(scene, 10);
    EXPECT_TRUE(turn(scene));
    say(scene, 10);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->read_count, 0);
    socket_resume(&scene->sockets, &scene->socket);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->bytes_count, 20);
    close_scene(scene);
}

TEST(resuming_without_anything_to_read_does_nothing) {
    struct scene *scene = open_scene();
    socket_pause(&scene->socket);
    socket_resume(&scene->sockets, &scene->socket);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->read_count, 0);
    say(scene, 1);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->bytes_count, 1);
    close_scene(scene);
}

TEST(input_that_fills_the_buffer_is_gone_on_with) {
    struct scene *scene = open_scene();
    say(scene, READ_BYTES_MAX);
    say(scene, READ_BYTES_MAX);
    for (int i = 0; i < 4; i++) {
        IGNORE_RESULT(!turn(scene));
    }
    EXPECT_EQ(scene->bytes_count, 2 * READ_BYTES_MAX);
    EXPECT_EQ(scene->read_count, 2);
    close_scene(scene);
}

TEST(a_pause_in_the_midst_of_input_holds_the_rest_back) {
    struct scene *scene = open_scene();
    scene->pauses_at_bytes = true;
    say(scene, READ_BYTES_MAX);
    say(scene, 10);
    EXPECT_TRUE(turn(scene));
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->bytes_count, READ_BYTES_MAX);
    socket_resume(&scene->sockets, &scene->socket);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->bytes_count, READ_BYTES_MAX + 10);
    close_scene(scene);
}

TEST(what_lies_behind_urgent_data_is_read) {
    struct scene *scene = open_scene();
    for (size_t round = 1; round <= 2; round++) {
        say_urgently(scene);
        for (int i = 0; i < 4; i++) {
            IGNORE_RESULT(!turn(scene));
        }
        EXPECT_EQ(scene->bytes_count, 20 * round);
    }
    EXPECT_TRUE(turn(scene));
    EXPECT_FALSE(scene->socket.is_urgent);
    close_scene(scene);
}

TEST(an_end_that_came_with_the_last_bytes_is_met_behind_them) {
    struct scene *scene = open_scene();
    say(scene, 10);
    shut(scene);
    IGNORE_RESULT(!turn(scene));
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->bytes_count, 10);
    EXPECT_EQ(scene->ended_count, 1);
    EXPECT_EQ(scene->broken_count, 0);
    close_scene(scene);
}

TEST(an_end_behind_a_pause_waits_until_reading_goes_on) {
    struct scene *scene = open_scene();
    scene->pauses_at_bytes = true;
    say(scene, 10);
    shut(scene);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->ended_count, 0);
    socket_resume(&scene->sockets, &scene->socket);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->ended_count, 1);
    close_scene(scene);
}

TEST(a_peer_that_resets_is_told_though_reading_is_paused) {
    struct scene *scene = open_scene();
    socket_pause(&scene->socket);
    say(scene, 10);
    reset(scene);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->broken_count, 1);
    EXPECT_EQ(scene->read_count, 0);
    close_scene(scene);
}

TEST(a_full_socket_is_told_when_it_takes_bytes_again) {
    struct scene *scene = open_pair();
    for (size_t round = 1; round <= 3; round++) {
        size_t sent = fill(scene);
        EXPECT_TRUE(turn(scene));
        EXPECT_EQ(scene->writable_count, round - 1);
        drain(scene, sent);
        EXPECT_TRUE(turn(scene));
        EXPECT_EQ(scene->writable_count, round);
        EXPECT_FALSE(scene->socket.is_full);
    }
    close_scene(scene);
}

TEST(input_does_not_make_a_full_socket_writable) {
    struct scene *scene = open_pair();
    IGNORE_RESULT(fill(scene) == 0);
    say(scene, 10);
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->bytes_count, 10);
    EXPECT_EQ(scene->writable_count, 0);
    EXPECT_TRUE(scene->socket.is_full);
    close_scene(scene);
}

TEST(one_that_is_not_full_is_writable_at_once_and_once) {
    struct scene *scene = open_scene();
    socket_want_writable(&scene->sockets, &scene->socket);
    socket_want_writable(&scene->sockets, &scene->socket);
    EXPECT_TRUE(turn(scene));
    EXPECT_TRUE(turn(scene));
    EXPECT_EQ(scene->writable_count, 1);
    close_scene(scene);
}

TEST(a_broken_socket_takes_nothing) {
    struct scene *scene = open_scene();
    size_t sent = 0;
    reset(scene);
    EXPECT_EQ(socket_send(&scene->sockets, &scene->socket, SPAN("x"), &sent), ERR_IO);
    EXPECT_EQ(sent, 0);
    close_scene(scene);
}

UNIT_TESTS(UNIT(bytes_are_told_once),
           UNIT(what_came_while_reading_was_paused_is_read_when_it_goes_on),
           UNIT(resuming_without_anything_to_read_does_nothing),
           UNIT(input_that_fills_the_buffer_is_gone_on_with),
           UNIT(a_pause_in_the_midst_of_input_holds_the_rest_back),
           UNIT(what_lies_behind_urgent_data_is_read),
           UNIT(an_end_that_came_with_the_last_bytes_is_met_behind_them),
           UNIT(an_end_behind_a_pause_waits_until_reading_goes_on),
           UNIT(a_peer_that_resets_is_told_though_reading_is_paused),
           UNIT(a_full_socket_is_told_when_it_takes_bytes_again),
           UNIT(input_does_not_make_a_full_socket_writable),
           UNIT(one_that_is_not_full_is_writable_at_once_and_once),
           UNIT(a_broken_socket_takes_nothing))
