# SPDX-License-Identifier: Apache-2.0
"""TLS on the public port, on MQTT's and on the operator's: what is agreed on, what is refused, and
that nothing is lost inside."""
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
from urllib.parse import urlsplit

import pytest

from harness import certificates, http, mqtt
from harness.broker import find_binary, is_sanitized, wait_for
from harness.websocket import CLOSE, frame

CONFIG = """
public:
  tls: {{certificate: {certificate}, key: {key}{more}}}
mqtt: {{tls_listen: "127.0.0.1:0"}}
operator:
  tls: {{certificate: {certificate}, key: {key}}}
"""


def config_of(pair=None, more=""):
    certificate, key = pair or certificates.server_pair()
    return CONFIG.format(certificate=certificate, key=key, more=more)


def context_of(**options):
    return certificates.client_context(**options)


@pytest.fixture(name="broker")
def start_secure(start_broker):
    return start_broker("--workers", "2", config=config_of(), context=context_of())


def port_of(url):
    return urlsplit(url).port


def dial(broker, url=None, **options):
    """A socket with its handshake done, by the given settings of a context."""
    context = context_of()
    for name, value in options.items():
        setattr(context, name, value) if hasattr(context, name) else None
    return context.wrap_socket(socket.create_connection(
        ("127.0.0.1", port_of(url or broker.public)), 15), server_hostname="localhost")


def ask(sock, target="/channels/none"):
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return sock.recv(65536)


def s_client(broker, *arguments, url=None, text=b""):
    """What `openssl s_client` says, its errors too."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port_of(url or broker.public)}",
               "-CAfile", str(certificates.authority().certificate), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, timeout=30, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def handshakes(broker, outcome, version="none"):
    return broker.metric(
        f'tidings_tls_handshakes_total{{outcome="{outcome}",version="{version}"}}')


# --- what is agreed on ---


@pytest.mark.parametrize("flag, version", [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_the_two_versions_are_spoken(broker, flag, version):
    said = s_client(broker, flag)
    assert "Verification: OK" in said and version in said
    assert "Compression: NONE" in said or version == "TLSv1.3"


@pytest.mark.parametrize("flag", ["-tls1", "-tls1_1"])
def test_older_versions_are_refused_with_an_alert(broker, flag):
    said = s_client(broker, flag, "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in said, said
    assert wait_for(lambda: handshakes(broker, "refused") == 1)
    assert "unsupported protocol" in broker.wait_logged("TLS_REFUSED")[0]["reason"]


@pytest.mark.parametrize("cipher", [
    "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "DES-CBC3-SHA",
    "RC4-SHA", "NULL", "aNULL", "EXPORT", "DHE-RSA-AES128-GCM-SHA256"])
def test_ciphers_without_forward_secrecy_or_with_cbc_are_refused(broker, cipher):
    said = s_client(broker, "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
    assert "handshake failure" in said or "no cipher match" in said or \
        "no ciphers available" in said, said


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256",
                                    "ECDHE-ECDSA-AES256-GCM-SHA384",
                                    "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_the_client_chooses_among_the_good_ciphers(broker, cipher):
    assert f"Cipher is {cipher}" in s_client(broker, "-tls1_2", "-cipher", cipher)


@pytest.mark.parametrize("offered, chosen", [("http/1.1", "http/1.1"), ("h2,http/1.1", "http/1.1"),
                                             ("h2", None)])
def test_alpn_is_http(broker, offered, chosen):
    said = s_client(broker, "-alpn", offered)
    if chosen:
        assert f"ALPN protocol: {chosen}" in said
    else:
        assert "no application protocol" in said


def test_alpn_on_the_port_of_mqtt_is_mqtt(broker):
    assert "ALPN protocol: mqtt" in s_client(broker, "-alpn", "mqtt", url=broker.mqtts)
    assert "no application protocol" in s_client(broker, "-alpn", "http/1.1", url=broker.mqtts)


def test_renegotiation_is_refused(broker):
    said = s_client(broker, "-tls1_2", text=b"R\n")
    assert "no renegotiation" in said or "RENEGOTIATING" in said
    assert "Verify return code: 0" in said
    assert handshakes(broker, "full", "1.2") == 1


# --- resumption ---


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_resume_on_any_worker_and_across_a_reload(broker, version):
    context = context_of(version=version)
    session = None
    for number in range(24):
        if number == 12:
            broker.signal(signal.SIGHUP)
            broker.wait_logged("RELOADED")
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port_of(broker.public))),
                                 server_hostname="localhost", session=session) as sock:
            assert b"HTTP/1.1" in ask(sock)
            assert sock.session_reused == (number > 0)
            session = sock.session  # the ticket has come with the answer
    name = "1.2" if version == ssl.TLSVersion.TLSv1_2 else "1.3"
    assert handshakes(broker, "resumed", name) == 23
    assert handshakes(broker, "full", name) == 1


def test_a_session_that_is_not_ours_is_a_full_handshake(start_broker):
    first = start_broker(config=config_of(), context=context_of())
    second = start_broker(config=config_of(), context=context_of())
    context = context_of(version=ssl.TLSVersion.TLSv1_3)
    session = None
    for broker in (first, second):
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port_of(broker.public))),
                                 server_hostname="localhost", session=session) as sock:
            ask(sock)
            assert not sock.session_reused
            session = sock.session


# --- what is no TLS ---


@pytest.mark.parametrize("port", ["public", "mqtts"])
def test_plain_http_is_told_that_this_is_tls(broker, port):
    plain = "http://127.0.0.1:%d" % port_of(getattr(broker, port))
    for method, body in (("GET", None), ("POST", b"x" * 20000), ("HEAD", None)):
        with http.Connection(plain) as connection:
            connection.send(http.request_bytes("localhost", method, "/channels/a", {}, body))
            status, _, fields = connection.read_head()
            text = connection.read_exactly(int(fields["content-length"]))
            assert status == 400 and b"https" in text
            with pytest.raises(http.Closed):
                connection.fill()
    assert wait_for(lambda: handshakes(broker, "clear") == 3)


@pytest.mark.parametrize("garbage", [
    b"\x00" * 400, b"\xff" * 400, b"\x16\x03\x01\xff\xff" + b"\x01" * 65535,
    b"\x80\x2e\x01\x00\x02",
    b"SSH-2.0-x\r\n", b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff", b"\x10\x0c\x00\x04MQTT\x05\x02"],
    ids=["zeros", "ones", "a long record", "SSL 2", "SSH", "a short hello", "MQTT"])
def test_garbage_ends_that_connection_alone(broker, garbage):
    with dial(broker) as good, socket.create_connection(
            ("127.0.0.1", port_of(broker.public)), 5) as bad:
        try:
            bad.sendall(garbage)
            bad.shutdown(socket.SHUT_WR)
            while bad.recv(65536):
                pass
        except OSError:
            pass
        assert b"HTTP/1.1" in ask(good)
    broker.assert_alive()


def test_garbage_behind_the_handshake_ends_the_connection(broker):
    with dial(broker) as sock:
        raw = socket.socket(fileno=os.dup(sock.fileno()))
        raw.sendall(b"\x17\x03\x03\x00\x20" + b"\x00" * 32)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            assert sock.recv(100) == b""
            raise ConnectionError
        raw.close()
    broker.assert_alive()


def test_a_handshake_in_single_bytes_is_one(broker):
    """The client's bytes cross one by one, each an event of its own."""
    context, incoming, outgoing = context_of(), ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", port_of(broker.public)), 15) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def turn(step):
            while True:
                try:
                    done = step()
                    waits = False
                except ssl.SSLWantReadError:
                    waits = True
                for byte in outgoing.read():
                    sock.sendall(bytes([byte]))
                if not waits:
                    return done
                incoming.write(sock.recv(65536))

        turn(tls.do_handshake)
        turn(lambda: tls.write(b"GET /channels/none HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        assert b"HTTP/1.1" in turn(lambda: tls.read(1000))


def test_half_open_handshakes_end_in_time_and_hold_nobody_up(broker):
    silent = [socket.create_connection(("127.0.0.1", port_of(broker.public)), 30)
              for _ in range(100)]
    for sock in silent[::2]:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
    with dial(broker) as good:
        assert b"HTTP/1.1" in ask(good)
    for sock in silent:
        assert sock.recv(10) == b""
        sock.close()
    assert wait_for(lambda: handshakes(broker, "abandoned") >= 100)


# --- bytes ---


def test_large_messages_pass_both_ways(broker):
    payload = os.urandom(500_000).hex()
    answer = broker.publish("large", payload)
    assert answer["offset"] == 1
    with broker.websocket("/channels/large?since=earliest") as web, \
            broker.events("/channels/large?since=earliest") as events:
        assert web.recv_message()["data"] == payload
        assert events.next().json()["data"] == payload


def narrow(broker, target, receive_bytes=4096):
    """A stream of which little is in flight: its reader takes what it is told to take."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.settimeout(60)
    raw.connect(("127.0.0.1", port_of(broker.public)))
    sock = context_of().wrap_socket(raw, server_hostname="localhost")
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
                 .encode())
    return sock


def offsets_in(data):
    return [json.loads(line[6:])["offset"] for line in data.decode().split("\n")
            if line.startswith("data: {")]


@pytest.mark.deadline(240)
def test_a_stalled_reader_gets_every_byte_of_a_fan_out_when_it_reads_again(broker):
    """Its socket is full in the middle of a record; what it is sent later is exact."""
    count = 1500
    broker.publish("fan", "first")
    stalled = narrow(broker, "/channels/fan?since=earliest")
    text = "x" * 2000
    with broker.websocket("/channels/fan") as quick, broker.connect() as publisher:
        for number in range(2, count + 1):
            assert publisher.request("POST", "/channels/fan", {"Content-Type": "application/json"},
                                     json.dumps([number, text]).encode()).status == 200
        for number in range(2, count + 1):
            assert quick.recv_message()["data"] == [number, text]
    received = b""
    last = f'"offset":{count},'.encode()
    while last not in received[-20000:] or not received.endswith(b"\n\n"):
        more = stalled.recv(65536)
        assert more, received[-300:]
        received += more
    assert offsets_in(received) == list(range(1, count + 1))
    assert received.count(text.encode()) == count - 1
    stalled.close()


def test_what_was_asked_before_the_end_is_answered_behind_it(broker):
    """close_notify right behind a request: the peer has said all, and waits for the answer."""
    with dial(broker) as sock:
        sock.sendall(b"POST /channels/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                     b"Connection: close\r\n\r\n{}")
        answer = b""
        while True:
            more = sock.recv(65536)
            if not more:
                break
            answer += more
        assert b" 200 OK" in answer
        plain = sock.unwrap()  # ours is answered by nothing more: the broker's came with the end
        plain.close()


# --- all protocols ---


def test_every_protocol_passes(broker):
    with broker.websocket("/channels/all") as web, broker.events("/channels/all") as events, \
            mqtt.Client(broker, version=mqtt.V5, transport="tls") as client:
        client.connect()
        client.subscribe("all")
        broker.publish("all", 7)
        assert web.recv_message()["data"] == 7
        assert events.next().json()["data"] == 7
        assert client.expect(mqtt.PUBLISH).payload == b"7"
    assert broker.public.startswith("https://") and broker.operator.startswith("https://")
    assert broker.mqtts.startswith("mqtts://")


def test_mqtt_over_a_secure_websocket(broker):
    with mqtt.Client(broker, version=mqtt.V5, transport="websocket") as client:
        client.connect()
        client.subscribe("deep/#")
        broker.publish("deep/1", "x")
        assert client.expect(mqtt.PUBLISH).payload == b'"x"'


def test_mosquitto_and_our_own_commands_pass(broker):
    authority = str(certificates.authority().certificate)
    binary = str(find_binary())
    mqtts = f"mqtts://localhost:{port_of(broker.mqtts)}"
    https = f"https://localhost:{port_of(broker.public)}"
    for url in (mqtts, https):
        done = subprocess.run([binary, "pub", "own", '{"n":1}', "--url", url, "--ca", authority],
                              capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        done = subprocess.run([binary, "sub", "own", "--since", "earliest", "--limit", "1", "--url",
                               url, "--ca", authority], capture_output=True, timeout=30,
                              check=False)
        assert done.returncode == 0 and done.stdout == b'{"n":1}\n', done
        done = subprocess.run([binary, "pub", "own", "x", "--url", url], capture_output=True,
                              timeout=30, check=False)
        assert done.returncode == 1 and b"--ca" in done.stderr, done.stderr
    if shutil.which("mosquitto_pub"):
        subprocess.run(["mosquitto_pub", "-h", "localhost", "-p", str(port_of(broker.mqtts)),
                        "--cafile", authority, "-t", "m", "-m", "1", "-q", "1"], check=True,
                       timeout=30)
        assert broker.page("m", since="earliest")["messages"][0]["offset"] == 1
    done = subprocess.run([binary, "health", "--ca", authority, "--operator",
                           f"https://localhost:{port_of(broker.operator)}"], capture_output=True,
                          timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_only_pages_that_came_over_tls_may_act_on_the_operators_port(broker):
    """The console's: its origin has the scheme of the port."""
    port = port_of(broker.operator)

    def drain(origin):
        return http.request(f"https://localhost:{port}", "DELETE", "/api/v1/drain",
                            {"Origin": origin}, context=context_of())
    assert drain(f"https://localhost:{port}").status == 200
    assert drain(f"http://localhost:{port}").status == 403


# --- certificates ---


def serial_of(broker, url=None):
    with dial(broker, url) as sock:
        return sock.getpeercert()["serialNumber"]


@pytest.mark.deadline(240)
@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.heavy)])
def test_a_certificate_swap_keeps_its_connections(start_broker, tmp_path, count):
    pair = [shutil.copy(path, tmp_path / name)
            for path, name in zip(certificates.server_pair(), ("certificate.pem", "key.pem"))]
    broker = start_broker("--workers", "2", config=config_of(pair), context=context_of())
    before = serial_of(broker), serial_of(broker, broker.operator)
    readers = [broker.websocket("/channels/swap") for _ in range(count)]
    for path, name in zip(certificates.authority().server("swapped"), pair):
        shutil.copy(path, name)
    broker.signal(signal.SIGHUP)
    broker.wait_logged("RELOADED")
    wait_for(lambda: len(broker.log_lines("TLS_CERTIFICATE_LOADED")) == 2)
    wait_for(lambda: serial_of(broker) != before[0])
    wait_for(lambda: serial_of(broker, broker.operator) != before[1])
    broker.publish("swap", "still here")
    for reader in readers:
        assert reader.recv_message()["data"] == "still here"
        reader.close()


def break_key(pair):
    pathlib.Path(pair[1]).write_bytes(certificates.authority().server("other")[1].read_bytes())


def break_certificate(pair):
    pathlib.Path(pair[0]).write_text("nothing", encoding="ascii")


def remove_certificate(pair):
    os.unlink(pair[0])


@pytest.mark.parametrize("spoil, key", [(break_key, "tls.key"),
                                        (break_certificate, "tls.certificate"),
                                        (remove_certificate, "tls.certificate")])
def test_a_reload_with_files_that_cannot_be_used_keeps_the_old_ones(start_broker, tmp_path, spoil,
                                                                    key):
    pair = [shutil.copy(path, tmp_path / name)
            for path, name in zip(certificates.server_pair(), ("certificate.pem", "key.pem"))]
    broker = start_broker(config=config_of(pair), context=context_of())
    before = serial_of(broker)
    spoil(pair)
    broker.signal(signal.SIGHUP)
    broker.wait_logged("RELOAD_REFUSED")
    faults = broker.log_lines("CONFIGURATION_FAULT")
    assert any(fault["key"] == "public." + key for fault in faults), faults
    assert serial_of(broker) == before
    assert serial_of(broker, broker.operator) is not None
    checked = subprocess.run([str(find_binary()), "check", f"{broker.scratch}/tidings.yaml"],
                             capture_output=True, timeout=30, check=False)
    assert checked.returncode == 1 and ("public." + key).encode() in checked.stderr, checked.stderr


def serve_fails(tmp_path, config):
    file = tmp_path / "tidings.yaml"
    file.write_text(config, encoding="utf-8")
    done = subprocess.run([str(find_binary()), "serve", "--config", str(file), "--data",
                           str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--operator",
                           "127.0.0.1:0", "--mqtt", "off"], capture_output=True, timeout=30,
                          check=False)
    assert done.returncode == 1, done
    return done.stderr.decode()


def test_faults_are_named_at_the_start(tmp_path):
    certificate, key = certificates.server_pair()
    said = serve_fails(tmp_path, f"public: {{tls: {{certificate: {certificate}}}}}\n")
    assert "public.tls.key: is missing" in said
    said = serve_fails(tmp_path, f"public: {{tls: {{certificate: /none.pem, key: {key}}}}}\n")
    assert "public.tls.certificate: /none.pem cannot be read: No such file" in said
    said = serve_fails(tmp_path, 'mqtt: {tls_listen: "127.0.0.1:0"}\n')
    assert "mqtt.tls_listen: needs public.tls.certificate" in said
    more = ", client_certificates: required"
    said = serve_fails(tmp_path, config_of(more=more))
    assert "public.tls.client_ca: is missing" in said
    other = certificates.authority().server("misfit")[1]
    said = serve_fails(tmp_path, config_of((certificate, other)))
    assert "public.tls.key" in said and "operator.tls.key" in said


def test_certificates_that_have_expired_and_keys_that_others_read_are_warned_of(start_broker,
                                                                               tmp_path):
    pair = certificates.authority().issue("late", "/CN=late", "DNS:localhost,IP:127.0.0.1", days=0)
    key = shutil.copy(pair[1], tmp_path / "key.pem")
    os.chmod(key, 0o644)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    broker = start_broker(config=config_of((pair[0], key)), context=context)
    assert broker.wait_logged("TLS_KEY_EXPOSED")[0]["file"] == str(key)
    expires = broker.metric("tidings_tls_certificate_expiry_timestamp_seconds")
    assert abs(expires - time.time()) < 86400


# --- the end ---


@pytest.mark.parametrize("is_shut", [False, True])
def test_a_peer_that_ends_and_reads_nothing_costs_no_turns(start_broker, is_shut):
    broker = start_broker("--workers", "1", config=config_of(), context=context_of())
    reader = broker.websocket("/channels/big", receive_bytes=4096)
    for _ in range(4):
        broker.publish("big", "x" * 900000)
    wait_for(lambda: broker.is_blocked(reader.connection))
    turns = 'tidings_thread_turns_total{thread="worker-0"}'
    before = broker.metric(turns)
    sock = reader.connection.socket
    sock.sendall(frame(CLOSE, b"\x03\xe8"))
    with pytest.raises(ssl.SSLError):  # what was sent to it lies in front of the answer
        sock.unwrap()
    if is_shut:
        sock.shutdown(socket.SHUT_WR)
    wait_for(lambda: broker.metric('tidings_connections_open{protocol="websocket"}') == 0)
    assert broker.metric(turns) - before < 2000


# --- certificates of clients ---


def test_clients_without_a_certificate_of_the_authority_are_refused(start_broker):
    authority = certificates.authority("Devices")
    more = f", client_ca: {authority.certificate}, client_certificates: required"
    pair = certificates.client_pair("device-7", "Devices")
    context = context_of()
    context.load_cert_chain(*map(str, pair))
    broker = start_broker(config=config_of(more=more), context=context)
    assert broker.get("/channels/none?since=earliest").status in (200, 404)
    stranger = context_of()
    stranger.load_cert_chain(*map(str, certificates.client_pair("device-8", "Strangers")))
    for refused in (context_of(), stranger):
        with pytest.raises((OSError, http.Closed)):
            http.request(broker.public, "GET", "/channels/none", context=refused)
    reasons = {line["reason"] for line in broker.wait_logged("TLS_REFUSED")}
    assert wait_for(lambda: handshakes(broker, "refused") == 2)
    assert any("certificate" in reason for reason in reasons), reasons


def test_optional_certificates_are_verified_where_they_are_shown(start_broker):
    authority = certificates.authority("Devices")
    more = f", client_ca: {authority.certificate}, client_certificates: optional"
    broker = start_broker(config=config_of(more=more), context=context_of())
    assert broker.get("/channels/none?since=earliest").status in (200, 404)
    stranger = context_of()
    stranger.load_cert_chain(*map(str, certificates.client_pair("device-8", "Strangers")))
    with pytest.raises((OSError, http.Closed)):
        http.request(broker.public, "GET", "/channels/none", context=stranger)
    known = context_of()
    known.load_cert_chain(*map(str, certificates.client_pair("device-7", "Devices")))
    assert http.request(broker.public, "GET", "/channels/none?since=earliest",
                        context=known).status in (200, 404)
