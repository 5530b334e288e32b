/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/operator.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/config/config.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/resources.h"
#include "broker/support/clock.h"
#include "tests/protocols/operator/client.h"
#include "tests/protocols/operator/fakes.h"
#include "tests/unit.h"

struct port {
    struct broker *broker;
    struct operator_server *server;
};

static struct config_address address_of(bool six, uint16_t number) {
    struct config_address address = {.length = six ? sizeof(struct sockaddr_in6)
                                                   : sizeof(struct sockaddr_in)};
    if (six) {
        struct sockaddr_in6 *socket = (void *)&address.socket;
        socket->sin6_family = AF_INET6;
        socket->sin6_addr = in6addr_loopback;
        socket->sin6_port = htons(number);
    } else {
        struct sockaddr_in *socket = (void *)&address.socket;
        socket->sin_family = AF_INET;
        socket->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socket->sin_port = htons(number);
    }
    return address;
}

static void open_port(struct port *port, bool six) {
    struct error why = {0};
    struct config_address address = address_of(six, 0);
    port->broker = fakes_create(&address);
    if (operator_create(port->broker, &port->server, &why) != OK) {
        fail_msg("%s", why.detail);
    }
    EXPECT_EQ(operator_start(port->server, &why), OK);
    EXPECT_TRUE(operator_port(port->server) != 0);
}

static void close_port(struct port *port) {
    operator_stop(port->server);
    fakes_release();
    operator_destroy(port->server);
    fakes_destroy(port->broker);
}

static void wait_for_held(unsigned count) {
    for (unsigned i = 0; i < 12000 && fakes_held() != count; i++) {
        usleep(5000);
    }
    EXPECT_EQ(fakes_held(), count);
}

static size_t drop_bytes(char *bytes, size_t size, size_t count, void *context) {
    (void)bytes;
    *(size_t *)context += size * count;
    return size * count;
}

/* One request by libcurl; returns the status. */
static long fetch(CURL *curl, uint16_t number, const char *path, size_t *ret_length) {
    char url[128];
    long status = 0;
    *ret_length = 0;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", (unsigned)number, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)CLIENT_SECONDS_MAX);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret_length);
    EXPECT_EQ(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

TEST(answers_at_once_and_later_on_one_connection) {
    struct port port;
    size_t length;
    long connects = 0;
    long all_connects = 0;
    open_port(&port, false);
    CURL *curl = curl_easy_init();
    for (size_t i = 0; i < 50; i++) {
        EXPECT_EQ(fetch(curl, operator_port(port.server), "/channels/now", &length), 200);
        EXPECT_EQ(length, 4);
        curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
        all_connects += connects;
        EXPECT_EQ(fetch(curl, operator_port(port.server), "/channels/later", &length), 200);
        EXPECT_EQ(length, 6);
        curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
        all_connects += connects;
    }
    EXPECT_EQ(all_connects, 1);
    curl_easy_cleanup(curl);
    close_port(&port);
}

struct asker {
    pthread_t thread;
    uint16_t number;
    unsigned answered;
};

static void *ask_often(void *argument) {
    struct asker *asker = argument;
    size_t length;
    CURL *curl = curl_easy_init();
    for (unsigned i = 0; i < 40; i++) {
        asker->answered +=
            fetch(curl, asker->number, i % 4 == 0 ? "/metrics" : "/channels/later", &length) == 200;
    }
    curl_easy_cleanup(curl);
    return NULL;
}

TEST(many_clients_at_once_are_all_answered) {
    struct port port;
    struct asker askers[8];
    open_port(&port, false);
    for (size_t i = 0; i < 8; i++) {
        askers[i] = (struct asker){.number = operator_port(port.server)};
        EXPECT_EQ(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(askers[i].thread, NULL);
        EXPECT_EQ(askers[i].answered, 40);
    }
    struct broker *broker = port.broker;
    uint64_t channels =
        metrics_sum(broker->metrics, METRIC_HTTP_REQUESTS,
                    METRICS_PAIR(METRIC_HTTP_REQUESTS, METRICS_ROUTE_OTHER, METRICS_STATUS_2XX));
    uint64_t operator_own =
        metrics_sum(broker->metrics, METRIC_HTTP_REQUESTS,
                    METRICS_PAIR(METRIC_HTTP_REQUESTS, METRICS_ROUTE_OPERATOR, METRICS_STATUS_2XX));
    EXPECT_EQ(channels, 240);
    EXPECT_EQ(operator_own, 80);
    close_port(&port);
}

TEST(health_is_told_while_every_call_waits) {
    struct port port;
    int held[20];
    struct buffer text = {0};
    open_port(&port, false);
    for (size_t i = 0; i < 20; i++) {
        static const char request[] = "GET /channels/held HTTP/1.1\r\nHost: localhost\r\n\r\n";
        held[i] = client_connect(operator_port(port.server), false);
        client_send(held[i], request);
    }
    wait_for_held(20);
    client_ask(operator_port(port.server), "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
               &text);
    EXPECT_NOT_NULL(strstr((const char *)text.bytes, "HTTP/1.1 200 OK\r\n"));
    fakes_release();
    for (size_t i = 0; i < 20; i++) {
        buffer_clear(&text);
        EXPECT_TRUE(client_read_reply(held[i], &text));
        EXPECT_NOT_NULL(strstr((const char *)text.bytes, "\r\n\r\nlater\n"));
        close(held[i]);
    }
    buffer_finish(&text);
    close_port(&port);
}

TEST(client_that_leaves_a_waiting_call_harms_nobody) {
    struct port port;
    struct buffer text = {0};
    open_port(&port, false);
    for (size_t i = 0; i < 10; i++) {
        static const char request[] = "GET /channels/held HTTP/1.1\r\nHost: localhost\r\n\r\n";
        int client = client_connect(operator_port(port.server), false);
        client_send(client, request);
        wait_for_held((unsigned)i + 1);
        close(client);
    }
    fakes_release();
    client_ask(operator_port(port.server), "GET /channels/later HTTP/1.1\r\nHost: a\r\n\r\n",
               &text);
    EXPECT_NOT_NULL(strstr((const char *)text.bytes, "later\n"));
    buffer_finish(&text);
    close_port(&port);
}

TEST(stop_gives_up_calls_that_stay_unanswered) {
    struct port port;
    static const char request[] = "GET /channels/held HTTP/1.1\r\nHost: localhost\r\n\r\n";
    open_port(&port, false);
    int client = client_connect(operator_port(port.server), false);
    client_send(client, request);
    wait_for_held(1);
    uint64_t before_ms = clock_monotonic_ms();
    operator_stop(port.server);
    EXPECT_TRUE(clock_monotonic_ms() - before_ms >= OPERATOR_STOP_MS); /* and it ends */
    struct buffer text = {0};
    client_read_to_end(client, &text);
    EXPECT_EQ(text.length, 0);
    close(client);
    buffer_finish(&text);
    fakes_release(); /* the letter comes after the thread's end and frees the request */
    close_port(&port);
}

static void *stop_thread(void *argument) {
    operator_stop(argument);
    return NULL;
}

/* The end has begun when nobody is let in any more. */
static void wait_for_the_end(uint16_t port) {
    int other = client_connect(port, false);
    while (other != -1) {
        close(other);
        other = client_connect(port, false);
    }
}

/* Answers a held call while the port stops. False: this machine took longer for that than
 * OPERATOR_STOP_MS, and the port was right to go. */
static bool is_answered_in_the_end(void) {
    struct port port;
    static const char request[] = "GET /channels/held HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct buffer text = {0};
    pthread_t thread;
    open_port(&port, false);
    int client = client_connect(operator_port(port.server), false);
    client_send(client, request);
    wait_for_held(1);
    EXPECT_EQ(pthread_create(&thread, NULL, stop_thread, port.server), 0);
    wait_for_the_end(operator_port(port.server));
    fakes_release();
    bool is_answered = client_read_reply(client, &text);
    if (is_answered) {
        EXPECT_NOT_NULL(memmem(text.bytes, text.length, "later\n", 6));
        EXPECT_NOT_NULL(memmem(text.bytes, text.length, "Connection: close", 17));
    }
    pthread_join(thread, NULL);
    close(client);
    buffer_finish(&text);
    close_port(&port);
    return is_answered;
}

TEST(stop_lets_an_answer_out_that_comes_in_time) {
    bool is_answered = false;
    for (int i = 0; i < 10 && !is_answered; i++) {
        is_answered = is_answered_in_the_end();
    }
    EXPECT_TRUE(is_answered);
}

/* How long the end takes while many are connected and ask for nothing. */
static uint64_t stop_idle_ms(void) {
    struct port port;
    int idle[100];
    open_port(&port, false);
    for (size_t i = 0; i < 100; i++) {
        idle[i] = client_connect(operator_port(port.server), false);
    }
    uint64_t before_ms = clock_monotonic_ms();
    operator_stop(port.server);
    uint64_t took_ms = clock_monotonic_ms() - before_ms;
    for (size_t i = 0; i < 100; i++) {
        close(idle[i]);
    }
    close_port(&port);
    return took_ms;
}

/* Were they waited for, it would never take less; this machine may take longer by itself. */
TEST(idle_connections_do_not_delay_the_end) {
    uint64_t took_ms = OPERATOR_STOP_MS;
    for (int i = 0; i < 10 && took_ms >= OPERATOR_STOP_MS; i++) {
        took_ms = stop_idle_ms();
    }
    EXPECT_TRUE(took_ms < OPERATOR_STOP_MS);
}

TEST(connections_above_the_limit_are_closed_and_the_others_served) {
    struct port port;
    static int clients[OPERATOR_CONNECTIONS_MAX + 20];
    struct buffer text = {0};
    resources_prepare(); /* both ends are here: some 1050 descriptors, where 1024 are usual */
    open_port(&port, false);
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        clients[i] = client_connect(operator_port(port.server), false);
    }
    client_send(clients[0], "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(client_read_reply(clients[0], &text));
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        close(clients[i]);
    }
    buffer_finish(&text);
    close_port(&port);
}

TEST(address_that_is_taken_is_an_error) {
    struct port port;
    struct operator_server *second = NULL;
    struct error why = {0};
    open_port(&port, false);
    struct config_address address = address_of(false, operator_port(port.server));
    struct broker *broker = fakes_create(&address);
    EXPECT_EQ(operator_create(broker, &second, &why), ERR_IO);
    fakes_destroy(broker);
    EXPECT_NULL(second);
    EXPECT_NOT_NULL(strstr(why.detail, "cannot listen at the operator's port 127.0.0.1:"));
    EXPECT_NOT_NULL(strstr(why.detail, "is another broker running?"));
    close_port(&port);
}

/* A machine may know of IPv6 and have no address of it, not even this one. */
static bool has_sixth_version(void) {
    struct config_address address = address_of(true, 0);
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = probe >= 0 && bind(probe, (void *)&address.socket, address.length) == 0;
    if (probe >= 0) {
        close(probe);
    }
    return has;
}

TEST(address_of_the_sixth_version_is_served) {
    struct port port;
    struct buffer text = {0};
    if (!has_sixth_version()) {
        skip();
    }
    open_port(&port, true);
    int client = client_connect(operator_port(port.server), true);
    client_send(client, "GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    EXPECT_TRUE(client_read_reply(client, &text));
    EXPECT_NOT_NULL(strstr((const char *)text.bytes, " 200 OK"));
    close(client);
    buffer_finish(&text);
    close_port(&port);
}

TEST(port_that_was_never_started_can_be_destroyed) {
    struct error why = {0};
    struct config_address address = address_of(false, 0);
    struct broker *broker = fakes_create(&address);
    struct operator_server *server;
    EXPECT_EQ(operator_create(broker, &server, &why), OK);
    operator_destroy(server);
    operator_stop(NULL);
    operator_destroy(NULL);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(answers_at_once_and_later_on_one_connection),
           UNIT(many_clients_at_once_are_all_answered), UNIT(health_is_told_while_every_call_waits),
           UNIT(client_that_leaves_a_waiting_call_harms_nobody),
           UNIT(stop_gives_up_calls_that_stay_unanswered),
           UNIT(stop_lets_an_answer_out_that_comes_in_time),
           UNIT(idle_connections_do_not_delay_the_end),
           UNIT(connections_above_the_limit_are_closed_and_the_others_served),
           UNIT(address_that_is_taken_is_an_error), UNIT(address_of_the_sixth_version_is_served),
           UNIT(port_that_was_never_started_can_be_destroyed))
