/* SPDX-License-Identifier: Apache-2.0 */
/* Real sockets over the loopback, on a loop that the test turns. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/worker_private.h"
#include "tests/unit.h"

#define WORKERS 2
#define PEERS_MAX 100
#define SEND_BUDGET 65536
#define A_WHILE_MS 1000 /* longer than accepting pauses */
#define CONNECTIONS_MAX 1000

static struct {
    struct broker broker;
    struct config config;
    struct budget budget;
    struct worker workers[WORKERS];
    int peers[PEERS_MAX];
    size_t peer_count;
    size_t accepted_count;
    int accept_errors[2]; /* of the next calls of accept4(); 0: none */
    size_t accept_count;  /* of its calls */
    enum error_code creating;
    enum port port; /* of who was accepted last */
} world;

static const struct protocol http = {.name = "http"};
static const struct protocol mqtt = {.name = "mqtt"};
static const struct entrance entrances[PORT_COUNT] = {
    [PORT_PUBLIC] = {.first_protocol = &http, .refusal = SPAN_ROW("busy")},
    [PORT_MQTT] = {.first_protocol = &mqtt},
    [PORT_MQTT_TLS] = {.first_protocol = &mqtt}};

/* --- in front of broker/runtime and the system ------------------------------------------------ */

int __real_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    int failure = world.accept_errors[0];
    world.accept_count++;
    if (failure != 0) {
        world.accept_errors[0] = world.accept_errors[1];
        world.accept_errors[1] = 0;
        errno = failure;
        return -1;
    }
    return __real_accept4(fd, address, length, flags);
}

static int option_of(int fd, int level, int option) {
    int value = 0;
    socklen_t length = sizeof(value);
    EXPECT_EQ(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

enum error_code connection_create(struct worker *worker, const struct entrance *entrance, int fd,
                                  const struct sockaddr_storage *address) {
    (void)worker;
    EXPECT_EQ(address->ss_family, AF_INET);
    EXPECT_TRUE(option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    EXPECT_TRUE(option_of(fd, SOL_SOCKET, SO_SNDBUF) >= SEND_BUDGET);
    EXPECT_TRUE(option_of(fd, SOL_SOCKET, SO_SNDBUF) <= 2 * SEND_BUDGET); /* a kernel doubles it */
    EXPECT_TRUE((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    EXPECT_TRUE((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
    world.port = (enum port)(entrance - entrances);
    world.accepted_count += world.creating == OK;
    return world.creating;
}

/* --- what a test does ------------------------------------------------------------------------- */

static void init_worker(struct worker *worker, struct broker *broker, size_t index) {
    *worker = (struct worker){.broker = broker, .index = index, .turn = 10};
    worker->metrics = metrics_shard(world.broker.metrics, METRICS_WORKERS);
    EXPECT_EQ(uv_loop_init(&worker->loop), 0);
    wheel_init(&worker->wheel, 0);
    acceptor_init(worker, entrances);
}

static void finish_worker(struct worker *worker) {
    acceptor_close(worker);
    EXPECT_EQ(uv_run(&worker->loop, UV_RUN_DEFAULT), 0);
    EXPECT_EQ(uv_loop_close(&worker->loop), 0);
    EXPECT_EQ(worker->wheel.timer_count, 0);
    wheel_finish(&worker->wheel);
}

static void set_address(struct config_address *address, const char *text) {
    EXPECT_EQ(exposure_parse_listener(span_of_string(text), address, NULL), OK);
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    set_address(&world.config.public_listen, "127.0.0.1:0");
    set_address(&world.config.mqtt_listen, "off");
    set_address(&world.config.mqtt_tls_listen, "off");
    world.config.connections_max = CONNECTIONS_MAX;
    world.config.send_budget_bytes = SEND_BUDGET;
    world.broker.config = &world.config;
    world.broker.budget = &world.budget;
    EXPECT_EQ(metrics_create(WORKERS, &world.broker.metrics), OK);
    for (size_t i = 0; i < WORKERS; i++) {
        init_worker(&world.workers[i], &world.broker, i);
    }
    return 0;
}

static int begin_listening(void **state) {
    begin(state);
    EXPECT_EQ(acceptor_bind(&world.workers[0], NULL), OK);
    EXPECT_EQ(acceptor_open(&world.workers[0], NULL), OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < world.peer_count; i++) {
        close(world.peers[i]);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        finish_worker(&world.workers[i]);
    }
    metrics_destroy(world.broker.metrics);
    return 0;
}

/* False: nobody listens there. */
static bool can_come_to(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_TRUE(fd >= 0 && world.peer_count < PEERS_MAX);
    world.peers[world.peer_count++] = fd;
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* How many wait to be accepted there by the first worker. */
static size_t count_waiting(enum port port) {
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    EXPECT_EQ(getsockopt(world.workers[0].doors[port].fd, IPPROTO_TCP, TCP_INFO, &info, &length),
              0);
    return info.tcpi_unacked; /* of a socket that listens: its queue */
}

/* Each of them waits when this returns, and the loop is told of it. */
static void come_to(enum port port, uint16_t number, size_t count) {
    uv_loop_t *loop = &world.workers[0].loop;
    struct pollfd told = {.fd = uv_backend_fd(loop), .events = POLLIN};
    size_t waiting = count_waiting(port) + count;
    uv_run(loop, UV_RUN_NOWAIT); /* it looks at the door from here on */
    for (size_t i = 0; i < count; i++) {
        EXPECT_TRUE(can_come_to(number));
    }
    while (count_waiting(port) < waiting) {
        sched_yield(); /* the last step of a handshake is the kernel's, perhaps a moment later */
    }
    EXPECT_EQ(poll(&told, 1, -1), 1);
}

static void come(size_t count) {
    come_to(PORT_PUBLIC, world.broker.public_port, count);
}

/* One turn of the first worker's loop; returns how many it accepted. */
static size_t turn(void) {
    struct worker *worker = &world.workers[0];
    size_t before = world.accepted_count;
    worker->turn++;
    uv_run(&worker->loop, UV_RUN_NOWAIT);
    return world.accepted_count - before;
}

static void pass(uint64_t ms) {
    struct worker *worker = &world.workers[0];
    worker->now_ms += ms;
    wheel_turn(&worker->wheel, worker->now_ms);
}

/* The next one that is opened: it tells whether one was left open. */
static int lowest_descriptor(void) {
    int descriptor = dup(STDIN_FILENO);
    EXPECT_EQ(close(descriptor), 0);
    return descriptor;
}

/* What the newest peer is told before the end. */
static void expect_told(const char *text) {
    char told[64];
    size_t length = 0;
    ssize_t more = 0;
    while ((more = recv(world.peers[world.peer_count - 1], told + length, sizeof(told) - length,
                        0)) > 0) {
        length += (size_t)more;
    }
    EXPECT_EQ(more, 0);
    EXPECT_SPAN(span_of(told, length), text);
}

/* --- claims: addresses ------------------------------------------------------------------------ */

TEST(workers_share_an_address_and_a_second_broker_gets_none_of_it) {
    struct error why = {0};
    struct broker other = world.broker;
    struct worker stranger;
    EXPECT_EQ(acceptor_bind(&world.workers[1], &why), OK);
    uint16_t port = world.broker.public_port;
    EXPECT_TRUE(port != 0);
    EXPECT_EQ(acceptor_open(&world.workers[1], &why), OK);
    other.public_port = port;
    init_worker(&stranger, &other, 0);
    EXPECT_EQ(acceptor_bind(&stranger, &why), ERR_IO);
    EXPECT_NOT_NULL(strstr(why.detail, "another broker"));
    EXPECT_NOT_NULL(strstr(why.detail, "--listen"));
    finish_worker(&stranger);
    EXPECT_TRUE(can_come_to(port));
}

TEST(an_address_is_taken_before_anybody_is_listened_to) {
    EXPECT_EQ(acceptor_bind(&world.workers[0], NULL), OK);
    EXPECT_FALSE(can_come_to(world.broker.public_port));
    EXPECT_EQ(acceptor_open(&world.workers[0], NULL), OK);
    EXPECT_TRUE(can_come_to(world.broker.public_port));
    int fd = world.workers[0].doors[PORT_PUBLIC].fd;
    acceptor_close(&world.workers[0]);
    EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST(a_port_that_is_off_is_no_port_and_each_has_its_entrance) {
    set_address(&world.config.mqtt_listen, "127.0.0.1:0");
    EXPECT_EQ(acceptor_bind(&world.workers[0], NULL), OK);
    EXPECT_EQ(acceptor_open(&world.workers[0], NULL), OK);
    EXPECT_TRUE(world.broker.mqtt_port != 0);
    EXPECT_EQ(world.broker.mqtt_tls_port, 0);
    come_to(PORT_MQTT, world.broker.mqtt_port, 1);
    EXPECT_EQ(turn(), 1);
    EXPECT_EQ(world.port, PORT_MQTT);
    come(1);
    EXPECT_EQ(turn(), 1);
    EXPECT_EQ(world.port, PORT_PUBLIC);
}

/* --- claims: accepting ------------------------------------------------------------------------ */

TEST(one_is_accepted_a_turn_and_many_where_the_turn_before_had_one_too) {
    come(3);
    EXPECT_EQ(turn(), 1);
    world.workers[0].turn++; /* one in which nobody came */
    EXPECT_EQ(turn(), 1);
    EXPECT_EQ(turn(), 1);
    come(70);
    world.workers[0].turn++;
    EXPECT_EQ(turn(), 1);
    EXPECT_EQ(turn(), 64); /* then others have their turn */
    EXPECT_EQ(turn(), 5);
}

TEST(where_all_places_are_taken_by_those_who_stay_accepting_pauses) {
    atomic_store(&world.broker.connection_count, CONNECTIONS_MAX);
    come(1);
    EXPECT_EQ(turn(), 0);
    EXPECT_EQ(world.accept_count, 0); /* whoever waits is not refused */
    EXPECT_EQ(metrics_sum(world.broker.metrics, METRIC_ACCEPT_PAUSES, 0), 1);
    atomic_store(&world.broker.connection_count, CONNECTIONS_MAX - 1);
    EXPECT_EQ(turn(), 0);
    pass(A_WHILE_MS);
    EXPECT_EQ(turn(), 1);
}

TEST(where_one_of_them_has_said_nothing_it_makes_room) {
    atomic_store(&world.broker.connection_count, CONNECTIONS_MAX);
    world.workers[0].opening_count = 1;
    come(1);
    EXPECT_EQ(turn(), 1);
}

TEST(without_descriptors_accepting_pauses) {
    static const int failures[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    for (size_t i = 0; i < ARRAY_COUNT(failures); i++) {
        world.accept_errors[0] = failures[i];
        come(1);
        EXPECT_EQ(turn(), 0);
        size_t before = world.accept_count;
        EXPECT_EQ(turn(), 0);
        EXPECT_EQ(world.accept_count, before);
        pass(A_WHILE_MS);
        EXPECT_EQ(turn(), 1);
    }
    EXPECT_EQ(metrics_sum(world.broker.metrics, METRIC_ACCEPT_PAUSES, 0), ARRAY_COUNT(failures));
}

TEST(one_who_has_gone_already_holds_nobody_up) {
    come(3);
    EXPECT_EQ(turn(), 1);
    world.accept_errors[0] = ECONNABORTED;
    world.accept_errors[1] = EINTR;
    EXPECT_EQ(turn(), 2);
    EXPECT_EQ(metrics_sum(world.broker.metrics, METRIC_ACCEPT_PAUSES, 0), 0);
}

TEST(while_memory_is_short_whoever_comes_is_told_and_closed) {
    atomic_store(&world.budget.level, BUDGET_CONNECTIONS);
    come(1);
    int descriptor = lowest_descriptor();
    EXPECT_EQ(turn(), 0);
    EXPECT_EQ(lowest_descriptor(), descriptor);
    expect_told("busy");
    EXPECT_EQ(metrics_sum(
                  world.broker.metrics, METRIC_LIMITS_REFUSED,
                  METRICS_PAIR(METRIC_LIMITS_REFUSED, METRICS_LIMIT_MEMORY, METRICS_PROTOCOL_HTTP)),
              1);
    atomic_store(&world.budget.level, BUDGET_ENOUGH);
    come(1);
    EXPECT_EQ(turn(), 1);
}

TEST(one_that_cannot_be_had_is_counted_and_stops_nobody) {
    world.creating = ERR_RATE;
    come(1);
    EXPECT_EQ(turn(), 0);
    world.creating = ERR_MEMORY;
    come(1);
    EXPECT_EQ(turn(), 0);
    world.creating = OK;
    come(1);
    EXPECT_EQ(turn(), 1);
    static const enum close_reason reasons[] = {CLOSE_TOO_MANY, CLOSE_MEMORY};
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        EXPECT_EQ(metrics_sum(
                      world.broker.metrics, METRIC_CONNECTIONS_CLOSED,
                      METRICS_PAIR(METRIC_CONNECTIONS_CLOSED, METRICS_PROTOCOL_OTHER, reasons[i])),
                  1);
    }
}

TEST(a_port_that_was_closed_while_it_paused_stays_closed) {
    world.accept_errors[0] = EMFILE;
    come(1);
    EXPECT_EQ(turn(), 0);
    acceptor_close(&world.workers[0]);
    EXPECT_EQ(world.workers[0].wheel.timer_count, 0);
    pass(A_WHILE_MS);
    EXPECT_EQ(turn(), 0);
    EXPECT_EQ(world.accept_count, 1);
}

#define BOUND(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define LISTENING(name) cmocka_unit_test_setup_teardown(name, begin_listening, end)

UNIT_TESTS(LISTENING(workers_share_an_address_and_a_second_broker_gets_none_of_it),
           BOUND(an_address_is_taken_before_anybody_is_listened_to),
           BOUND(a_port_that_is_off_is_no_port_and_each_has_its_entrance),
           LISTENING(one_is_accepted_a_turn_and_many_where_the_turn_before_had_one_too),
           LISTENING(where_all_places_are_taken_by_those_who_stay_accepting_pauses),
           LISTENING(where_one_of_them_has_said_nothing_it_makes_room),
           LISTENING(without_descriptors_accepting_pauses),
           LISTENING(one_who_has_gone_already_holds_nobody_up),
           LISTENING(while_memory_is_short_whoever_comes_is_told_and_closed),
           LISTENING(one_that_cannot_be_had_is_counted_and_stops_nobody),
           LISTENING(a_port_that_was_closed_while_it_paused_stays_closed))
