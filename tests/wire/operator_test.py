# SPDX-License-Identifier: Apache-2.0
"""The operator's port: the same channels for trusted back ends, figures, and nothing for pages."""
import re
import socket
import time

import pytest

from harness import http
from harness.broker import Broker, wait_for


BODY_TIMEOUT_S = 30  # broker/limits.h


def ask(broker, method, target, headers=None, body=None):
    return http.request(broker.operator, method, target, headers, body)


def test_what_a_back_end_publishes_reaches_every_reader(broker, channel):
    with broker.events(f"/channels/{channel}") as stream, \
            broker.websocket(f"/channels/{channel}") as socket:
        answer = ask(broker, "POST", f"/channels/{channel}",
                     {"Content-Type": "application/json"}, b'{"n":1}')
        assert answer.status == 200 and answer.json()["offset"] == 1
        assert stream.next().json()["data"] == {"n": 1}
        assert socket.recv_json()["data"] == {"n": 1}
    theirs = ask(broker, "GET", f"/channels/{channel}?since=earliest")
    assert theirs.json() == broker.page(channel, since="earliest")


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/", "/channels/a"])
@pytest.mark.parametrize("headers, status", [
    ({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)])
def test_no_page_reads_the_operators_port(broker, path, headers, status):
    answer = ask(broker, "GET", path, headers)
    assert answer.status == status and answer.type == "application/problem+json"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
    {"Host": "evil.example"}])
def test_no_page_publishes_at_the_operators_port(broker, channel, headers):
    fields = {"Content-Type": "text/plain", **headers}
    assert ask(broker, "POST", f"/channels/{channel}", fields, b"1").status in (403, 421)
    assert broker.page(channel)["messages"] == []


@pytest.mark.parametrize("headers", [
    {"Accept": "text/event-stream"},
    {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
     "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}])
def test_streams_are_on_the_public_port(broker, channel, headers):
    answer = ask(broker, "GET", f"/channels/{channel}", headers)
    assert answer.status == 406 and "public port" in answer.json()["detail"]


@pytest.mark.parametrize("method, path, status", [
    ("PATCH", "/channels/a", 405), ("POST", "/metrics", 405), ("PUT", "/", 405),
    ("GET", "/nothing", 404), ("GET", "/channels/", 400), ("HEAD", "/healthz", 200),
    ("HEAD", "/channels/a", 200), ("OPTIONS", "/metrics", 204)])
def test_methods_and_paths_are_answered_as_documented(broker, method, path, status):
    answer = ask(broker, method, path, None, b"" if method in ("POST", "PUT") else None)
    assert answer.status == status
    if status in (405, 204):
        assert "GET" in answer.headers["allow"]


def test_figures_follow_what_happens(start_broker, channel):
    broker = start_broker()
    deliveries = 'tidings_deliveries_total{protocol="sse"}'
    before = broker.figures()
    with broker.events(f"/channels/{channel}") as stream:
        broker.fill(channel, 10)
        for _ in range(10):
            stream.next()
        wait_for(lambda: broker.metric(deliveries) - before[deliveries] >= 10)
        during = broker.figures()
    name = 'tidings_readers_open{protocol="sse"}'
    assert during[name] == before[name] + 1
    wait_for(lambda: broker.figures()[name] == before[name])
    for total, least in (("tidings_log_messages_total", 10),
                         (deliveries, 10),
                         ("tidings_connections_accepted_total", 2)):
        assert during[total] - before[total] >= least, total
    writes = 'tidings_writes_total{protocol="sse"}'
    assert 1 <= during[writes] - before[writes] <= 30
    assert during["tidings_ready"] == 1 and during["process_resident_memory_bytes"] > 1e6
    assert abs(during["process_start_time_seconds"] - time.time()) < 7200


def test_every_series_is_there_from_the_first_scrape_on(start_broker):
    broker = start_broker()
    first = set(broker.figures())
    broker.fill("a", 3)
    assert broker.request("GET", "/nothing").status == 404
    ask(broker, "POST", "/channels/a", None, b"x")
    assert set(broker.figures()) == first
    assert not [name for name in first if re.search(r'="[^"]*(/|127\.)', name)]


def test_the_end_waits_for_no_idle_and_no_half_sent_request(start_broker):
    broker = start_broker()
    idle = [http.Connection(broker.operator) for _ in range(50)]
    idle[0].send(b"POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
    idle[1].send(b"GET /healthz HTTP/1.1\r\nHost: local")
    began = time.monotonic()
    broker.stop()
    assert time.monotonic() - began < BODY_TIMEOUT_S / 2  # a sanitizer's own end takes its time
    for connection in idle:
        connection.close()


HIDDEN_LENGTHS = {
    "a blank before the colon": ("Content-Length : {length}\r\n", 400),
    "a tab before the colon": ("Content-Length\t: {length}\r\n", 400),
    "a coding behind a blank": ("Content-Length: 0\r\nTransfer-Encoding : chunked\r\n", 400),
    "a length behind a fold": ("X: a\r\n Content-Length: {length}\r\n", 400),
    "a folded length": ("Content-Length:\r\n {length}\r\n", 400),
    "a folded coding": ("Content-Length: 0\r\nTransfer-Encoding:\r\n\tchunked\r\n", 400),
    "no length": ("", 411),
}


@pytest.mark.parametrize("name", HIDDEN_LENGTHS)
def test_nothing_behind_a_request_whose_end_is_unclear_is_run(broker, channel, name):
    field, status = HIDDEN_LENGTHS[name]
    with http.Connection(broker.operator) as connection:
        start = (f"POST /channels/{channel} HTTP/1.1\r\nHost: {connection.host}\r\n"
                 "Content-Type: application/json\r\n")
        hidden = start + "Content-Length: 1\r\n\r\n1"
        connection.send((start + field.format(length=len(hidden)) + "\r\n" + hidden).encode())
        answer = connection.read_response()
        assert answer.status == status and answer.headers["connection"] == "close", answer
        with pytest.raises(http.Closed):
            connection.read_response()
    assert broker.page(channel)["messages"] == []


def test_a_post_without_a_length_ends_its_connection(broker):
    with http.Connection(broker.operator) as connection:
        connection.send(f"POST /api/v1/explain HTTP/1.1\r\nHost: {connection.host}\r\n\r\n"
                        .encode())
        assert connection.read_response().headers["connection"] == "close"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_the_port_may_be_of_ipv6():
    broker = Broker("--operator", "[::1]:0")
    try:
        broker.spawn()
        wait_for(broker.knows_its_urls)
        assert broker.operator.startswith("http://[::1]:")
        host = {"Host": broker.operator[len("http://"):]}
        assert ask(broker, "GET", "/healthz", host).status == 200
        broker.stop()
    finally:
        broker.close()
