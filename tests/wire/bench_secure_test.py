# SPDX-License-Identifier: Apache-2.0
"""`tidings bench` over TLS: what comes is the same, and whom it does not believe gets no load."""
import contextlib
import socket
import ssl
import threading

import pytest

from harness import bench, certificates
from harness.broker import Broker

CONFIG = """
public:
  tls: {{certificate: {certificate}, key: {key}}}
mqtt: {{tls_listen: "127.0.0.1:0"}}
"""
READERS = 3
RATE = 200
SAID_ONCE = ("--quiet", "--drain", "30s", "--readers", str(READERS), "--publishers", "2",
             "--duration", "500ms", "--assert", "lost == 0", "--assert", "duplicates == 0")


@pytest.fixture(name="broker", scope="module")
def start_secure():
    certificate, key = certificates.server_pair()
    broker = Broker("--workers", "2", config=CONFIG.format(certificate=certificate, key=key),
                    context=certificates.client_context())
    try:
        yield broker.start()
        broker.stop()
    finally:
        broker.close()


def url_of(broker, protocol):
    return broker.mqtts if protocol.startswith("mqtt") else broker.public


def trusted():
    return "--ca", str(certificates.authority().certificate)


def run(broker, publish, read, *more):
    return bench.run("--publish", publish, "--publish-url", url_of(broker, publish), "--read", read,
                     "--read-url", url_of(broker, read), "--rate", str(RATE), *SAID_ONCE, *more)


@pytest.mark.parametrize("publish, read", [
    ("rest", "websocket"), ("ndjson", "stream"), ("websocket", "events"),
    ("mqtt-qos0", "mqtt-qos1"), ("mqtt-qos1", "mqtt-qos0")])
def test_nothing_is_lost_inside_of_tls(broker, channel, publish, read):
    one = run(broker, publish, read, "--channel", channel, *trusted())
    assert one.code == 0, one.told + one.printed
    assert one.counts["delivered"] == one.counts["expected"] == READERS * RATE // 2
    assert one.report["connect"]["latency"]["count"] == READERS


def test_records_that_are_larger_than_a_read_are_put_together(broker, channel):
    """Messages of 100 kB are several records, and many of them more than one read."""
    one = run(broker, "rest", "websocket", "--channel", channel, "--payload-bytes", "100000",
              *trusted())
    assert one.code == 0, one.told + one.printed
    assert one.counts["delivered"] == one.counts["expected"] > 0


def test_a_slow_reader_gets_all_in_the_end(broker, channel):
    """What OpenSSL has unsealed already is no event of the socket."""
    one = run(broker, "rest", "websocket", "--channel", channel, "--slow", "100%", "--slow-bytes",
              "2000", *trusted())
    assert one.code == 0, one.told + one.printed


def test_readers_come_and_go(broker, channel):
    one = run(broker, "rest", "events", "--channel", channel, "--churn", "20", *trusted())
    assert one.code == 0, one.told + one.printed
    assert one.report["connect"]["latency"]["count"] > READERS


def test_a_connection_is_only_a_handshake(broker):
    load = ("--read", "connection", "--url", broker.public, "--quiet", "--readers", "20",
            "--duration", "100ms", "--drain", "0s")
    assert bench.run(*load, *trusted()).code == 2, "it gets no messages"
    one = bench.run("--publish", "none", *load, *trusted())
    assert one.code == 0, one.told + one.printed
    assert one.report["connect"]["latency"]["count"] == 20
    assert one.counts["delivered"] == 0 and one.counts["unconnected"] == 0


# --- whom it believes ---


def refused(broker, *more):
    one = bench.run("--publish", "none", "--read", "websocket", "--readers", "2", "--quiet",
                    "--duration", "0s", "--drain", "0s", *more)
    assert one.code == 3
    return "\n".join(one.told)


def test_who_is_not_trusted_is_told_apart(broker):
    port = broker.public.rsplit(":", 1)[1]
    other = str(certificates.authority("Other CA").certificate)
    assert "is not trusted (--ca)" in refused(broker, "--url", broker.public)
    assert "is not trusted (--ca)" in refused(broker, "--url", broker.public, "--ca", other)
    assert "for another name" in refused(broker, "--url", f"https://0.0.0.0:{port}", *trusted())


def test_who_believes_anyone_says_so(broker):
    one = bench.run("--publish", "none", "--read", "websocket", "--url", broker.public, "--readers",
                    "2", "--quiet", "--duration", "0s", "--drain", "0s", "--insecure")
    assert one.code == 0 and one.counts["unconnected"] == 0


@pytest.fixture(name="strict_url")
def start_a_server_that_asks_for_certificates():
    """It is of TLS 1.2, where that is told within the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificates.server_pair()))
    context.load_verify_locations(str(certificates.authority().certificate))
    context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return  # it was shut down
            with raw.dup() as rest, contextlib.suppress(OSError):
                with contextlib.suppress(OSError):
                    context.wrap_socket(raw, server_side=True)
                while rest.recv(4096):  # else what comes behind the refusal would undo it
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    listener.close()


def test_who_believes_anyone_is_told_what_else_is_wrong(strict_url):
    told = refused(None, "--url", strict_url, "--insecure")
    assert "handshake failure" in told and "not trusted" not in told


def test_a_server_without_tls_is_told(broker):
    url = broker.operator.replace("http:", "https:")
    assert "does not speak TLS here" in refused(broker, "--url", url, "--insecure")


def test_authorities_that_cannot_be_read_are_told(tmp_path):
    one = bench.run("--url", "https://127.0.0.1:1", "--ca", str(tmp_path / "none.pem"))
    assert one.code == 3 and "none.pem" in one.told[0], one.told


def test_the_authorities_may_stand_in_the_environment(broker, monkeypatch):
    monkeypatch.setenv("TIDINGS_CA", str(certificates.authority().certificate))
    one = bench.run("--publish", "none", "--read", "websocket", "--url", broker.public, "--readers",
                    "2", "--quiet", "--duration", "0s", "--drain", "0s")
    assert one.code == 0 and one.counts["unconnected"] == 0
