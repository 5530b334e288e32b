# SPDX-License-Identifier: Apache-2.0
"""Requests that two parties could read differently, names that lead out of a folder, and bytes that
would steer a terminal or forge a line of the log: each is refused, and nothing of it is done."""
import re

import pytest
from harness import http, logs, mqtt
from harness.mqtt import V5, Client
from harness.websocket import WebSocket

CONTROL = re.compile(f"[{logs.CONTROLS}]")


def smuggled(broker, channel):
    """The request that must never be seen as one."""
    body = '{"smuggled":true}'
    return (f"POST /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def answers_until_closed(connection):
    """The statuses of all answers on a connection that its peer ends."""
    statuses = []
    try:
        while True:
            statuses.append(connection.read_response().status)
    except http.Closed:
        return statuses


# --- where does the body end? ------------------------------------------------------------------

AMBIGUOUS = {
    "both lengths": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "both lengths, capitals": "CONTENT-LENGTH: 5\r\nTRANSFER-ENCODING: CHUNKED\r\n",
    "both lengths, a tab": "Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n",
    "the same length twice": "Content-Length: 5\r\nContent-Length: 5\r\n",
    "two codings": "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "a coding and none": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "chunked and an unknown one": "Transfer-Encoding: chunked, cow\r\n",
    "an unknown one and a length": "Content-Length: 5\r\nTransfer-Encoding: cow\r\n",
    "nearly chunked": "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
    "chunked with a parameter": "Content-Length: 5\r\nTransfer-Encoding: chunked;a=b\r\n",
    "an empty coding": "Content-Length: 5\r\nTransfer-Encoding:\r\n",
    "a vertical tab": "Content-Length: 5\r\nTransfer-Encoding:\x0bchunked\r\n",
    "a blank before the colon": "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
    "a tab before the colon": "Content-Length: 5\r\nTransfer-Encoding\t: chunked\r\n",
    "a folded coding": "Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n",
    "a folded coding by a tab": "Content-Length: 5\r\nTransfer-Encoding:\r\n\tchunked\r\n",
    "a coding behind a bare line feed": "Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n",
    "a coding behind a bare return": "Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n",
    "a length behind a bare line feed": "X: y\nContent-Length: 5\r\n",
    "a NUL in the name": "Content-Length: 5\r\nTransfer\0-Encoding: chunked\r\n",
    "a length in a list": "Content-Length: 5, 5\r\n",
    "a length with a blank inside": "Content-Length: 5 5\r\n",
    "a length with an underscore": "Content-Length: 1_0\r\n",
    "an exponent": "Content-Length: 5e0\r\n",
    "a half length": "Content-Length: 5.0\r\n",
    "digits of another script": "Content-Length: \u0665\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_body_whose_end_is_unclear_is_refused_and_nothing_behind_it_is_read(
        broker, channel, name):
    with broker.connect() as connection:
        connection.send(f"POST /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n".encode()
                        + AMBIGUOUS[name].encode() + b"\r\n0\r\n\r\n" + smuggled(broker, channel))
        statuses = answers_until_closed(connection)
    assert len(statuses) == 1 and statuses[0] in (400, 501), (name, statuses)
    assert broker.page(channel)["messages"] == [], name


def test_http_1_0_has_no_chunks(broker, channel):
    with broker.connect() as connection:
        connection.send(f"POST /channels/{channel} HTTP/1.0\r\nHost: {broker.host}\r\n"
                        "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                        .encode() + smuggled(broker, channel))
        statuses = answers_until_closed(connection)
    assert len(statuses) == 1 and statuses[0] >= 400, statuses
    assert broker.page(channel)["messages"] == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_a_body_where_none_is_taken_is_no_request(broker, channel, method):
    """Its length is told, so that it can be passed over; or the connection ends."""
    inner = smuggled(broker, channel)
    with broker.connect() as connection:
        connection.send(f"{method} /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n"
                        f"Content-Length: {len(inner)}\r\n\r\n".encode() + inner)
        connection.read_response(method)
    assert broker.page(channel)["messages"] == []


@pytest.mark.parametrize("tail", [
    b"5\r\n12345\r\n0\r\nX: y\n\r\n", b"5\r\n12345\n0\r\n\r\n", b"5\r\n12345\r\n0\r\n\n",
    b"5\n12345\r\n0\r\n\r\n", b"5;a\nb\r\n12345\r\n0\r\n\r\n", b"5\r\n12345XX0\r\n\r\n",
    b"5\r\n12345\r\n0;x\x00y\r\n\r\n",
    b"5\r\n12345\r\n0\r\nContent-Length: 9\n\r\n"])
def test_chunks_that_are_not_quite_chunks_end_the_connection(broker, channel, tail):
    with broker.connect() as connection:
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}", {
            "Transfer-Encoding": "chunked", "Content-Type": "application/json"}) + tail
            + smuggled(broker, channel))
        connection.socket.settimeout(http.TIMEOUT_S)
        statuses = answers_until_closed(connection)
    assert len(statuses) == 1 and statuses[0] == 400, statuses
    assert broker.page(channel)["messages"] == []


def test_a_trailer_says_nothing_about_the_next_request(broker, channel):
    with broker.connect() as connection:
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}", {
            "Transfer-Encoding": "chunked", "Content-Type": "application/json"})
            + b"1\r\n1\r\n0\r\nContent-Length: 9\r\nHost: evil.example\r\n"
              b"Authorization: Bearer x\r\n\r\n")
        assert connection.read_response().status == 200
        assert connection.request("GET", f"/channels/{channel}").status == 200


def test_what_follows_a_refused_upgrade_is_a_request_and_what_follows_one_is_not(broker, channel):
    """A proxy that takes any answer for 101 would tunnel; we do not mistake one for the other."""
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.connection.send(smuggled(broker, channel))
        assert socket.recv_close() == 1002
    assert broker.page(channel)["messages"] == []


# --- whom is it for? ---------------------------------------------------------------------------


@pytest.mark.parametrize("target, status", [
    ("http://evil.example/channels/{channel}", 421),
    ("http://evil.example:80/channels/{channel}", 421),
    ("http://{host}@evil.example/channels/{channel}", (400, 421)),
    ("http://user@{host}/channels/{channel}", 400),
    ("http://user:pass@{host}/channels/{channel}", 400),
    ("http:///channels/{channel}", 400), ("http:/channels/{channel}", 400),
    ("http://{host}\\@evil.example/channels/{channel}", 400),
    ("ftp://{host}/channels/{channel}", 400), ("gopher://{host}/", 400),
    ("//evil.example/channels/{channel}", 404), ("/\\evil.example/", (400, 404)),
    ("*", (400, 404)), ("evil.example:80", 400)])
def test_a_target_decides_for_whom_it_is_and_confuses_nobody(broker, channel, target, status):
    with broker.connect() as connection:
        connection.send(f"GET {target.format(host=broker.host, channel=channel)} HTTP/1.1\r\n"
                        f"Host: {broker.host}\r\n\r\n")
        answer = connection.read_response()
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer


@pytest.mark.parametrize("host", [
    "", " ", "{host}, evil.example", "{host}:80", "{host}/x", "{host}@evil.example",
    "evil.example#{host}", "[::1", "[::1]x", "a b", "{host}\x00", "evil.example\\{host}",
    "127.0.0.1.evil.example", "localhost.evil.example", "0x7f.1", "127.1"])
def test_a_host_that_is_not_plainly_ours_is_refused(broker, channel, host):
    with broker.connect() as connection:
        connection.send(f"GET /channels/{channel} HTTP/1.1\r\n"
                        f"Host: {host.format(host=broker.host)}\r\n\r\n")
        assert connection.read_response().status in (400, 421), host


def test_the_host_of_the_target_beats_the_header_for_origins_too(broker, channel):
    """Else a page of a name that was made to resolve here could say so in one of them."""
    with broker.connect() as connection:
        connection.send(f"POST http://{broker.host}/channels/{channel} HTTP/1.1\r\n"
                        "Host: evil.example\r\nOrigin: http://evil.example\r\n"
                        "Content-Length: 1\r\n\r\n1")
        assert connection.read_response().status == 403
    assert broker.page(channel)["messages"] == []


# --- out of the folder -------------------------------------------------------------------------

CLIMBS = ["..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%252e%252e", "..%00", "%c0%ae%c0%ae", "..;",
          "%u002e%u002e", "....", "..%5c..", "..\\..", "%5c..%5c"]


@pytest.mark.parametrize("climb", CLIMBS)
@pytest.mark.parametrize("slash", ["/", "%2f", "%252f", "\\", "%5c"])
@pytest.mark.parametrize("port, folder", [("public", "/demo/"), ("operator", "/console/")])
def test_nothing_outside_of_the_pages_is_served(broker, port, folder, climb, slash):
    for end in ("etc/passwd", "etc/passwd%00.js", "proc/self/environ"):
        target = folder + (climb + slash) * 8 + end
        answer = http.request(getattr(broker, port), "GET", target)
        assert answer.status in (400, 404), (target, answer)
        assert b"root:" not in answer.body and b"PATH=" not in answer.body


@pytest.mark.parametrize("target", ["/demo//demo.js", "/demo/./demo.js", "/demo/%64emo.js",
                                    "/demo/demo.js/", "/demo/demo.js%00", "/demo/DEMO.JS",
                                    "/demo/../demo/demo.js", "/demo/demo.js;x", "//demo/demo.js"])
def test_a_file_has_one_name(broker, target):
    """So that no rule of a proxy in front is got round by another spelling."""
    assert broker.get(target).status in (400, 404)


# --- lines of the log --------------------------------------------------------------------------

FORGED = "time=2026-01-01T00:00:00.000Z level=info event=STARTED"
NASTY = ["\x1b[31m", "\x1b]0;pwned\x07", "\x9b31m", "\u202e", "\u2028", "\x7f", "\"", "\\",
         "a=b c=d", "%0d%0a" + FORGED, "%1b%5b2J", "\xff\xfe", "\t"]


def as_bytes(text):
    return text.encode("latin-1" if all(ord(one) < 256 for one in text) else "utf-8")


def assert_clean(broker):
    """Each line is one event that the reference knows, and steers no terminal."""
    for line in list(broker.logged):
        assert not CONTROL.search(line), repr(line)
    assert len(broker.log_lines("STARTED")) == 1


@pytest.fixture(name="talkative")
def start_talkative_broker(start_broker):
    return start_broker(config="log: { level: debug }\n")


def test_no_request_forges_a_line_of_the_log(talkative):
    for nasty in NASTY:
        raw = as_bytes(nasty)
        for line in (b"GET /channels/" + raw + b" HTTP/1.1\r\nHost: localhost\r\n",
                     b"GET /x?" + raw + b" HTTP/1.1\r\nHost: localhost\r\n",
                     b"GET / HTTP/1.1\r\nHost: " + raw + b"\r\n",
                     b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://" + raw + b"\r\n",
                     b"POST / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: " + raw + b"\r\n",
                     raw + b" / HTTP/1.1\r\nHost: localhost\r\n"):
            with talkative.connect() as connection:
                connection.send(line + b"Connection: close\r\n\r\n")
                connection.read_response()
    assert_clean(talkative)


def test_no_client_id_and_no_channel_forges_a_line_of_the_log(talkative):
    for nasty in ["\x1b[31m", "\x7f", "a\nb", "\"", "\\", "a=b c=d\r\n" + FORGED, "\u202e",
                  "\u0085", "\u2028" + FORGED]:
        try:
            with Client(talkative, V5) as client:
                client.connect(client_id=nasty)
                client.publish(nasty, b"1")
                client.disconnect()
        except (mqtt.Refused, http.Closed, OSError, AssertionError):
            pass  # refused is as good
        talkative.post("a", b"1", headers={"Tidings-Key": nasty.encode().decode("latin-1")
                                           .replace("\r", "").replace("\n", "")})
    talkative.assert_alive()
    assert_clean(talkative)


# --- how deep, how many ------------------------------------------------------------------------


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[[[{\"b\":["])
def test_json_that_is_too_deep_is_refused_everywhere(broker, channel, opening):
    deep = opening * 100000
    answer = broker.post(channel, deep, "application/json")
    assert answer.status == 400, answer
    answer = broker.request("POST", "/publish", {"Content-Type": "application/json"}, deep)
    assert answer.status == 400, answer
    batch = b'[{"channel":"' + channel.encode() + b'","data":' + deep
    answer = broker.request("POST", "/publish", {"Content-Type": "application/json"}, batch)
    assert answer.status == 400, answer
    answer = broker.post(channel, deep, "application/cloudevents+json")
    assert answer.status == 400, answer
    with WebSocket(broker.public, "/stream") as socket:
        socket.send_text(deep)
        assert socket.recv_json()["error"]["code"] == "bad-json"
        socket.send_text(b'{"publish":{"channel":"x","data":' + deep)
        assert socket.recv_json()["error"]["code"] == "bad-json"
    assert broker.page(channel)["messages"] == []


def test_a_body_that_is_mostly_chunk_lines_is_refused(broker, channel):
    """A byte a chunk, each with an extension: bytes that are read for nothing."""
    chunk = b"1;" + b"x" * 200 + b"\r\n1\r\n"
    with broker.connect() as connection:
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}", {
            "Transfer-Encoding": "chunked", "Content-Type": "application/json"}))
        try:
            for _ in range(200):
                connection.send(chunk * 64)
        except OSError:
            pass  # the end came before all was said
        try:
            assert connection.read_response().status == 400
        except http.Closed:
            pass  # the answer was overtaken by the reset that our own bytes caused
    assert broker.page(channel)["messages"] == []


# --- what every answer says --------------------------------------------------------------------


@pytest.mark.parametrize("port, target", [
    ("public", "/"), ("public", "/demo"), ("public", "/channels/a"), ("public", "/nothing"),
    ("public", "/channels/a?since=x"), ("operator", "/"), ("operator", "/metrics"),
    ("operator", "/api/v1/status"), ("operator", "/nothing"), ("operator", "/channels/a")])
def test_every_answer_hardens_the_browser_and_names_no_version(broker, port, target):
    answer = http.request(getattr(broker, port), "GET", target)
    assert answer.headers["x-content-type-options"] == "nosniff", answer
    assert answer.headers["referrer-policy"] == "no-referrer", answer
    assert answer.headers["cross-origin-resource-policy"] == "same-origin", answer
    assert "server" not in answer.headers and "x-powered-by" not in answer.headers
    assert "strict-transport-security" not in answer.headers  # this port does not speak TLS
    if answer.type == "text/html":
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"


def test_a_request_that_cannot_be_read_is_answered_with_the_same(broker):
    with broker.connect() as connection:
        connection.send("nonsense\r\n\r\n")
        answer = connection.read_response()
    assert answer.status == 400
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
