/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/tunnel.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/sockets.h"
#include "broker/runtime/tls.h"
#include "broker/support/clock.h"
#include "tests/broker/config/load.h"
#include "tests/broker/runtime/certificate.h"

#define HTTP "\x08http/1.1"
#define MQTT "\x04mqtt"
#define BULK_BYTES 1048576
#define RECORD_BYTES_MAX (16384 + 256)
#define STEPS_MAX 32

/* The broker's end of a pair of sockets, and a client at the other. */
static struct {
    struct metrics *metrics;
    struct config *config;
    struct tls *tls;
    bool is_narrow;   /* the socket takes no more than … */
    size_t send_room; /* … these bytes: also a part of a record */
    struct socket socket;
    struct tunnel *tunnel;
    int peer;
    SSL_CTX *client_context;
    SSL *client;
    uint8_t bytes[BULK_BYTES];
    uint8_t got[BULK_BYTES];
} world;

static struct certificate ours;

/* --- in front of broker/runtime --------------------------------------------------------------- */

ssize_t __real_send(int fd, const void *bytes, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags) {
    bool is_narrow = world.is_narrow && fd == world.socket.fd;
    if (is_narrow && world.send_room == 0) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t sent = __real_send(
        fd, bytes, is_narrow && length > world.send_room ? world.send_room : length, flags);
    world.send_room -= is_narrow && sent > 0 ? (size_t)sent : 0;
    return sent;
}

/* --- what a test does ------------------------------------------------------------------------- */

static void open_with(const char *more, const struct certificate *of_client, const char *spoken) {
    static char text[1024];
    int ends[2];
    snprintf(text, sizeof(text), "public: {tls: {certificate: %s, key: %s%s}}\n", ours.file,
             ours.key, more);
    world.config = load((struct config_sources){.text = span_of_string(text)});
    struct metrics_shard *shard = metrics_shard(world.metrics, METRICS_MAIN);
    EXPECT_EQ(tls_create(world.config, shard, &world.tls, NULL), OK);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    world.socket = (struct socket){.fd = ends[0]};
    world.peer = ends[1];
    world.tunnel = tunnel_create(world.tls, HTTP, &world.socket, shard);
    EXPECT_NOT_NULL(world.tunnel);
    world.client_context = SSL_CTX_new(TLS_client_method());
    if (of_client != NULL) {
        EXPECT_EQ(SSL_CTX_use_certificate_chain_file(world.client_context, of_client->file), 1);
        EXPECT_EQ(
            SSL_CTX_use_PrivateKey_file(world.client_context, of_client->key, SSL_FILETYPE_PEM), 1);
    }
    world.client = SSL_new(world.client_context);
    EXPECT_EQ(SSL_set_fd(world.client, world.peer), 1);
    if (spoken != NULL) {
        EXPECT_EQ(
            SSL_set_alpn_protos(world.client, (const uint8_t *)spoken, (unsigned)strlen(spoken)),
            0);
    }
    SSL_set_connect_state(world.client);
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    certificates_begin();
    ours = certificate_create("ours", SPAN("ours"), 10, NULL);
    EXPECT_EQ(metrics_create(1, &world.metrics), OK);
    for (size_t i = 0; i < BULK_BYTES; i++) {
        world.bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    return 0;
}

static int end(void **state) {
    (void)state;
    tunnel_destroy(world.tunnel);
    SSL_free(world.client);
    SSL_CTX_free(world.client_context);
    close(world.peer);
    close(world.socket.fd);
    tls_destroy(world.tls);
    config_destroy(world.config);
    metrics_destroy(world.metrics);
    certificates_end();
    return 0;
}

static uint64_t count_outcome(enum tunnel_outcome outcome, enum metrics_tls version) {
    return metrics_sum(world.metrics, METRIC_TLS_HANDSHAKES,
                       METRICS_PAIR(METRIC_TLS_HANDSHAKES, outcome, version));
}

/* One step of the broker's; ERR_AGAIN where nothing has come. */
static enum error_code shake(const char **ret_reason) {
    world.socket.has_input = true;
    return tunnel_shake(world.tunnel, ret_reason);
}

/* Both ends, until one is done or fails. */
static enum error_code shake_all(const char **ret_reason) {
    enum error_code code = ERR_AGAIN;
    for (int i = 0; i < STEPS_MAX && code == ERR_AGAIN; i++) {
        SSL_do_handshake(world.client);
        ERR_clear_error();
        code = shake(ret_reason);
    }
    SSL_do_handshake(world.client);
    ERR_clear_error();
    return code;
}

static void open_tunnel(void) {
    const char *reason = NULL;
    open_with("", NULL, HTTP);
    EXPECT_EQ(shake_all(&reason), OK);
    EXPECT_TRUE(tunnel_is_open(world.tunnel));
}

static enum error_code read_some(size_t room, size_t *ret_length) {
    world.socket.has_input = true;
    return tunnel_read(world.tunnel, world.got, room, ret_length);
}

/* --- handshakes ------------------------------------------------------------------------------- */

TEST(bytes_pass_both_ways_once_it_is_open) {
    size_t length = 0;
    uint64_t ends_s = 1;
    open_tunnel();
    EXPECT_EQ(count_outcome(TUNNEL_FULL, METRICS_TLS_1_3), 1);
    EXPECT_EQ(read_some(100, &length), ERR_AGAIN);
    EXPECT_EQ(SSL_write(world.client, "hello", 5), 5);
    EXPECT_EQ(read_some(100, &length), OK);
    EXPECT_SPAN(span_of(world.got, length), "hello");
    EXPECT_EQ(tunnel_send(world.tunnel, SPAN("there"), &length), OK);
    EXPECT_EQ(length, 5);
    EXPECT_EQ(SSL_read(world.client, world.got, 100), 5);
    EXPECT_SPAN(span_of(world.got, 5), "there");
    EXPECT_EQ(tunnel_subject(world.tunnel, &ends_s).length, 0);
    EXPECT_EQ(tunnel_subject(NULL, &ends_s).length, 0);
    EXPECT_EQ(ends_s, 0);
}

TEST(what_comes_in_small_pieces_is_a_handshake_all_the_same) {
    const char *reason = NULL;
    uint8_t hello[2048];
    BIO *out = BIO_new(BIO_s_mem());
    open_with("", NULL, NULL);
    SSL_set_bio(world.client, BIO_new(BIO_s_mem()), out);
    SSL_do_handshake(world.client);
    int length = BIO_read(out, hello, sizeof(hello));
    for (int i = 0; i < length; i++) {
        EXPECT_EQ(tunnel_kept_bytes(world.tunnel), 0);
        EXPECT_EQ(send(world.peer, &hello[i], 1, 0), 1);
        EXPECT_EQ(shake(&reason), ERR_AGAIN);
    }
    EXPECT_TRUE(recv(world.peer, world.got, BULK_BYTES, 0) > 0); /* it was answered */
}

TEST(http_without_tls_is_told_so_in_http) {
    const char *reason = NULL;
    char answer[512] = "";
    open_with("", NULL, NULL);
    EXPECT_EQ(send(world.peer, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    EXPECT_EQ(shake(&reason), ERR_PROTOCOL);
    EXPECT_NOT_NULL(reason);
    ssize_t length = recv(world.peer, answer, sizeof(answer) - 1, 0);
    EXPECT_TRUE(length > 0);
    EXPECT_TRUE(strncmp(answer, "HTTP/1.1 400 ", 13) == 0);
    const char *body = strstr(answer, "\r\n\r\n");
    const char *told = strstr(answer, "Content-Length: ");
    EXPECT_NOT_NULL(body);
    EXPECT_NOT_NULL(told);
    EXPECT_EQ(strtoul(told + 16, NULL, 10), strlen(body + 4));
    EXPECT_EQ(count_outcome(TUNNEL_CLEAR, METRICS_TLS_NONE), 1);
}

TEST(what_is_no_tls_is_refused_and_counted_once) {
    const char *reason = NULL;
    open_with("", NULL, NULL);
    EXPECT_EQ(send(world.peer, "\x10\x0c\x00\x04MQTT\x05\x02\x00\x3c", 12, 0), 12);
    EXPECT_EQ(shake(&reason), ERR_PROTOCOL);
    EXPECT_NOT_NULL(reason);
    tunnel_destroy(world.tunnel);
    world.tunnel = NULL;
    EXPECT_EQ(count_outcome(TUNNEL_REFUSED, METRICS_TLS_NONE), 1);
    EXPECT_EQ(count_outcome(TUNNEL_ABANDONED, METRICS_TLS_NONE), 0);
}

TEST(who_would_speak_something_else_inside_is_refused) {
    const char *reason = NULL;
    open_with("", NULL, MQTT);
    EXPECT_EQ(shake_all(&reason), ERR_PROTOCOL);
    EXPECT_FALSE(tunnel_is_open(world.tunnel));
    EXPECT_EQ(count_outcome(TUNNEL_REFUSED, METRICS_TLS_NONE), 1);
}

TEST(an_old_version_is_refused) {
    const char *reason = NULL;
    open_with("", NULL, HTTP);
    SSL_set_security_level(world.client, 0);
    EXPECT_EQ(SSL_set_min_proto_version(world.client, TLS1_VERSION), 1);
    EXPECT_EQ(SSL_set_max_proto_version(world.client, TLS1_1_VERSION), 1);
    EXPECT_EQ(shake_all(&reason), ERR_PROTOCOL);
}

TEST(a_peer_that_goes_meanwhile_has_abandoned_it) {
    const char *reason = NULL;
    open_with("", NULL, HTTP);
    SSL_do_handshake(world.client);
    EXPECT_EQ(shake(&reason), ERR_AGAIN);
    EXPECT_EQ(shutdown(world.peer, SHUT_WR), 0);
    EXPECT_EQ(shake(&reason), ERR_IO);
    tunnel_destroy(world.tunnel);
    world.tunnel = NULL;
    EXPECT_EQ(count_outcome(TUNNEL_ABANDONED, METRICS_TLS_NONE), 1);
}

TEST(a_ticket_is_taken_by_a_connection_behind_a_reload) {
    const char *reason = NULL;
    open_tunnel();
    EXPECT_EQ(SSL_read(world.client, world.got, 1), -1); /* takes the ticket in */
    SSL_SESSION *session = SSL_SESSION_dup(SSL_get0_session(world.client)); /* outlives its end */
    EXPECT_TRUE(SSL_SESSION_is_resumable(session));
    EXPECT_EQ(tls_reload(world.tls, NULL), OK);
    tunnel_destroy(world.tunnel);
    SSL_free(world.client);
    world.tunnel =
        tunnel_create(world.tls, HTTP, &world.socket, metrics_shard(world.metrics, METRICS_MAIN));
    world.client = SSL_new(world.client_context);
    EXPECT_EQ(SSL_set_fd(world.client, world.peer), 1);
    EXPECT_EQ(SSL_set_session(world.client, session), 1);
    SSL_set_connect_state(world.client);
    EXPECT_EQ(shake_all(&reason), OK);
    EXPECT_EQ(count_outcome(TUNNEL_RESUMED, METRICS_TLS_1_3), 1);
    SSL_SESSION_free(session);
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* Sends until the kernel takes no more; what is kept is one record at most. */
static size_t fill_up(void) {
    size_t all = 0;
    size_t sent = 1;
    while (sent > 0) {
        struct span rest = span_of(world.bytes + all, BULK_BYTES - all);
        EXPECT_EQ(tunnel_send(world.tunnel, rest, &sent), OK);
        all += sent;
    }
    EXPECT_TRUE(all > 0);
    EXPECT_TRUE(all < BULK_BYTES);
    EXPECT_TRUE(tunnel_kept_bytes(world.tunnel) > 0);
    EXPECT_TRUE(tunnel_kept_bytes(world.tunnel) <= RECORD_BYTES_MAX);
    return all;
}

TEST(all_that_was_taken_leaves_and_in_order_however_little_the_socket_takes) {
    size_t got = 0;
    open_tunnel();
    world.is_narrow = true;
    world.send_room = 100001;
    size_t all = fill_up();
    for (size_t kept = tunnel_kept_bytes(world.tunnel); kept > 0 || got < all;) {
        int count = SSL_read(world.client, world.got + got, (int)(BULK_BYTES - got));
        got += count > 0 ? (size_t)count : 0;
        world.send_room = 1 + got % 5000;
        EXPECT_EQ(tunnel_flush(world.tunnel), OK);
        EXPECT_TRUE(tunnel_kept_bytes(world.tunnel) <= kept);
        kept = tunnel_kept_bytes(world.tunnel);
    }
    EXPECT_EQ(got, all);
    EXPECT_TRUE(memcmp(world.got, world.bytes, all) == 0);
    EXPECT_EQ(SSL_read(world.client, world.got, 1), -1);
}

TEST(a_peer_that_asks_for_answers_and_reads_none_is_ended) {
    enum error_code code = ERR_AGAIN;
    size_t length;
    size_t most = 0;
    open_tunnel();
    fill_up();
    for (int i = 0; i < 100000 && code == ERR_AGAIN; i++) {
        EXPECT_EQ(SSL_key_update(world.client, SSL_KEY_UPDATE_REQUESTED), 1);
        EXPECT_EQ(SSL_do_handshake(world.client), 1);
        code = read_some(4096, &length);
        size_t kept = tunnel_kept_bytes(world.tunnel);
        most = kept > most ? kept : most;
    }
    EXPECT_EQ(code, ERR_IO);
    EXPECT_TRUE(most > RECORD_BYTES_MAX);
    EXPECT_TRUE(most <= TUNNEL_REST_BYTES_MAX);
    EXPECT_EQ(tunnel_send(world.tunnel, SPAN("more"), &length), ERR_IO);
    EXPECT_EQ(read_some(4096, &length), ERR_IO);
    EXPECT_TRUE(recv(world.peer, world.got, BULK_BYTES, 0) > 0); /* too late */
    EXPECT_EQ(tunnel_flush(world.tunnel), ERR_IO);
}

TEST(an_end_behind_bytes_is_told_by_the_next_call) {
    size_t length = 0;
    open_tunnel();
    EXPECT_EQ(SSL_write(world.client, "last", 4), 4);
    EXPECT_EQ(SSL_shutdown(world.client), 0);
    EXPECT_EQ(read_some(100, &length), OK);
    EXPECT_SPAN(span_of(world.got, length), "last");
    EXPECT_TRUE(tunnel_has_input(world.tunnel));
    EXPECT_EQ(read_some(100, &length), ERR_DRAINING);
    EXPECT_FALSE(tunnel_has_input(world.tunnel));
}

TEST(an_end_without_a_word_is_one_too) {
    size_t length = 0;
    open_tunnel();
    EXPECT_EQ(shutdown(world.peer, SHUT_WR), 0);
    EXPECT_EQ(read_some(100, &length), ERR_DRAINING);
}

TEST(a_record_that_was_tampered_with_breaks_it) {
    size_t length = 0;
    open_tunnel();
    EXPECT_EQ(send(world.peer, "\x17\x03\x03\x00\x14xxxxxxxxxxxxxxxxxxxx", 25, 0), 25);
    EXPECT_EQ(read_some(100, &length), ERR_IO);
    EXPECT_EQ(read_some(100, &length), ERR_IO);
    EXPECT_EQ(tunnel_send(world.tunnel, SPAN("x"), &length), ERR_IO);
}

TEST(the_peer_is_told_that_nothing_follows) {
    open_tunnel();
    tunnel_finish(world.tunnel);
    EXPECT_EQ(SSL_get_error(world.client, SSL_read(world.client, world.got, 100)),
              SSL_ERROR_ZERO_RETURN);
}

/* --- who is there ----------------------------------------------------------------------------- */

static void expect_subject(struct span common_name, const char *subject) {
    char more[256];
    const char *reason = NULL;
    uint64_t ends_s;
    uint64_t begun_s = clock_wall_ms() / 1000;
    struct certificate theirs = certificate_create("theirs", common_name, 10, NULL);
    snprintf(more, sizeof(more), ", client_certificates: required, client_ca: %s", theirs.file);
    open_with(more, &theirs, HTTP);
    EXPECT_EQ(shake_all(&reason), OK);
    EXPECT_SPAN(tunnel_subject(world.tunnel, &ends_s), subject);
    EXPECT_TRUE(ends_s > begun_s + 9 * 86400 && ends_s < begun_s + 11 * 86400);
}

TEST(a_subject_is_as_its_certificate_has_it) {
    expect_subject(SPAN("device-7"), "CN=device-7");
}

TEST(a_name_with_a_comma_is_no_second_attribute) {
    expect_subject(SPAN("device-7,O=Admins"), "CN=device-7\\,O=Admins");
}

TEST(a_name_does_not_end_at_a_nul) {
    expect_subject(SPAN("admin\0.example"), "CN=admin\\00.example");
}

TEST(a_name_brings_no_second_line) {
    expect_subject(SPAN("a\r\nb"), "CN=a\\0D\\0Ab");
}

TEST(a_certificate_that_nobody_signed_is_refused) {
    char more[256];
    const char *reason = NULL;
    uint64_t ends_s;
    struct certificate theirs = certificate_create("theirs", SPAN("theirs"), 10, NULL);
    snprintf(more, sizeof(more), ", client_certificates: optional, client_ca: %s", ours.file);
    open_with(more, &theirs, HTTP);
    EXPECT_EQ(shake_all(&reason), ERR_PROTOCOL);
    EXPECT_EQ(tunnel_subject(world.tunnel, &ends_s).length, 0);
}

TEST(a_certificate_that_has_expired_is_refused) {
    char more[256];
    const char *reason = NULL;
    struct certificate theirs = certificate_create("theirs", SPAN("theirs"), -1, NULL);
    snprintf(more, sizeof(more), ", client_certificates: optional, client_ca: %s", theirs.file);
    open_with(more, &theirs, HTTP);
    EXPECT_EQ(shake_all(&reason), ERR_PROTOCOL);
}

#define TUNNEL(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(
    TUNNEL(bytes_pass_both_ways_once_it_is_open),
    TUNNEL(what_comes_in_small_pieces_is_a_handshake_all_the_same),
    TUNNEL(http_without_tls_is_told_so_in_http), TUNNEL(what_is_no_tls_is_refused_and_counted_once),
    TUNNEL(who_would_speak_something_else_inside_is_refused), TUNNEL(an_old_version_is_refused),
    TUNNEL(a_peer_that_goes_meanwhile_has_abandoned_it),
    TUNNEL(a_ticket_is_taken_by_a_connection_behind_a_reload),
    TUNNEL(all_that_was_taken_leaves_and_in_order_however_little_the_socket_takes),
    TUNNEL(a_peer_that_asks_for_answers_and_reads_none_is_ended),
    TUNNEL(an_end_behind_bytes_is_told_by_the_next_call), TUNNEL(an_end_without_a_word_is_one_too),
    TUNNEL(a_record_that_was_tampered_with_breaks_it),
    TUNNEL(the_peer_is_told_that_nothing_follows), TUNNEL(a_subject_is_as_its_certificate_has_it),
    TUNNEL(a_name_with_a_comma_is_no_second_attribute), TUNNEL(a_name_does_not_end_at_a_nul),
    TUNNEL(a_name_brings_no_second_line), TUNNEL(a_certificate_that_nobody_signed_is_refused),
    TUNNEL(a_certificate_that_has_expired_is_refused))
