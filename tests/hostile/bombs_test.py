# SPDX-License-Identifier: Apache-2.0
"""Little that is sent and much that it could cost: subscriptions, patterns, depth, compression."""
import itertools
import json
import zlib

import pytest
from harness import http, mqtt_packets
from harness.broker import wait_for
from harness.websocket import TEXT, PeerClosed, frame, handshake_headers

from attacks import Attack, port_of
from bystander import assert_came, play
from forms import DEADLINE_S, LEAST, SECONDS

pytestmark = [pytest.mark.heavy, pytest.mark.deadline(DEADLINE_S)]

MIB = 1048576
KEPT_BYTES = 64 * MIB  # what a broker may have grown by when all is over: freed and not given back


def latin(*parts):
    return b"".join(parts).decode("latin-1")


def upgrade(port, target, fields=""):
    lines = "".join(f"{name}: {value}\r\n" for name, value in handshake_headers().items())
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}{fields}\r\n"


def command(value):
    return frame(TEXT, json.dumps(value).encode())


def subscriptions(port):
    """More than a socket may have, again and again."""
    return upgrade(port, "/stream"), latin(*(command({"subscribe": f"s/{number}/**", "ref": number})
                                             for number in range(1, 200)))


def unsubscriptions(port):
    return upgrade(port, "/stream"), latin(*itertools.chain.from_iterable(
        (command({"subscribe": "u/**", "since": "earliest", "ref": 1}),
         command({"unsubscribe": number, "ref": 2})) for number in range(1, 100)))


def filters(_):
    """SUBSCRIBE packets of MQTT with 500 filters each."""
    packet = mqtt_packets.subscribe(7, [(f"f/{number}/+/#", 1) for number in range(500)], 5)
    return latin(mqtt_packets.connect("", version=5)), latin(packet)


def patterns_of_one_name(_):
    """All the 1,024 patterns of ten levels that fit one topic, and messages for it."""
    every = ["/".join(levels) for levels in itertools.product(["a", "+"], repeat=10)]
    packets = [mqtt_packets.subscribe(1 + start // 128,
                                      [(one, 0) for one in every[start:start + 128]], 5)
               for start in range(0, len(every), 128)]
    return latin(mqtt_packets.connect("", version=5), *packets), \
        latin(mqtt_packets.publish("/".join("a" * 10), b"x", version=5))


def deep_patterns(_):
    """Filters as deep as they may be."""
    deep = ["+/" * depth + "#" for depth in range(20, 120)]
    packet = mqtt_packets.subscribe(7, [(one, 0) for one in deep], 5)
    return latin(mqtt_packets.connect("", version=5), packet), \
        latin(mqtt_packets.publish("a/" * 100 + "a", b"x", version=5))


TALKS = {"subscriptions": ("public", subscriptions, 40),
         "subscriptions that come and go": ("public", unsubscriptions, 20),
         "filters": ("mqtt", filters, 20),
         "patterns of one name": ("mqtt", patterns_of_one_name, 20),
         "deep patterns": ("mqtt", deep_patterns, 200)}


@pytest.mark.parametrize("name", TALKS)
def test_bombs_of(name, start_broker):
    broker = start_broker()
    door, make, rate = TALKS[name]
    port = port_of(getattr(broker, door))
    first, again = make(port)
    before = broker.rss_anon_bytes()
    told = play(broker, Attack(name, SECONDS, ("talk", {
        "port": port, "first": first, "again": again, "connections": 20, "rate": rate})))
    assert_came(told, told["said"] + told["ended_by_the_broker"], SECONDS * rate / 10)
    wait_for(lambda: broker.descriptor_count() < 200, 60, "the descriptors")
    wait_for(lambda: broker.rss_anon_bytes() - before < KEPT_BYTES, 60, "the memory")


def test_pages_of_patterns_over_a_long_log(start_broker):
    """Pages that have to look at everything for nothing."""
    broker = start_broker()
    with broker.connect() as connection:
        for number in range(20):
            body = "\n".join(json.dumps(one) for one in range(1000)).encode()
            assert connection.request("POST", f"/channels/log/{number}", {
                "Content-Type": "application/x-ndjson"}, body).status == 200
    port = port_of(broker.public)
    request = (f"GET /channels/*/*/*/*/**?since=earliest HTTP/1.1\r\nHost: 127.0.0.1:{port}"
               "\r\nConnection: close\r\n\r\n")
    told = play(broker, Attack("pages of patterns", SECONDS, ("raw", {
        "port": port, "data": request, "rate": 100})))
    assert_came(told, told["answered"], 20)


DEEP = {
    "brackets": b"[" * 900000,
    "balanced": b"[" * 400000 + b"]" * 400000,
    "objects": b'{"a":' * 150000,
    "a member of a message": b'[{"channel":"a","data":' + b"[" * 400000,
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_json_is_refused_at_its_depth(name, start_broker):
    broker = start_broker()
    for target in ("/channels/a", "/publish"):
        answer = broker.request("POST", target, {"Content-Type": "application/json"}, DEEP[name])
        assert answer.status == 400, answer
        assert answer.type == "application/problem+json"
    with broker.websocket("/stream") as socket:
        socket.send_text(DEEP[name])
        try:
            assert socket.recv_json()["error"]["code"] == "bad-json"
        except PeerClosed as closed:
            assert closed.code in (1007, 1008, 1009)


def test_deep_json_at_a_rate(start_broker):
    broker = start_broker()
    port = port_of(broker.public)
    body = "[" * 200000
    request = (f"POST /channels/a HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")
    told = play(broker, Attack("deep JSON", SECONDS, ("raw", {
        "port": port, "data": request, "rate": 100})))
    assert_came(told, told["answered"], 100 * LEAST)


def deflate_bomb(bytes_wanted):
    packer = zlib.compressobj(9, wbits=-15)
    block = b" " * MIB
    data = b"".join(packer.compress(block) for _ in range(bytes_wanted // MIB))
    return (data + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_a_compressed_frame_is_not_blown_up_beyond_what_a_message_may_have(start_broker):
    broker = start_broker()
    before = broker.rss_anon_bytes()
    port = port_of(broker.public)
    bomb = frame(TEXT, deflate_bomb(1024 * MIB), rsv=4)
    assert len(bomb) < 2 * MIB
    told = play(broker, Attack("deflate", SECONDS, ("talk", {
        "port": port, "first": upgrade(port, "/stream",
                                       "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        "again": latin(bomb), "connections": 10, "rate": 20, "is_ended": True})))
    assert_came(told, told["ended_by_the_broker"], 1)
    wait_for(lambda: broker.rss_anon_bytes() - before < KEPT_BYTES, 60, "the memory")


def test_a_compressed_frame_that_is_too_large_is_told(start_broker):
    broker = start_broker()
    with broker.websocket("/stream", headers={
            "Sec-WebSocket-Extensions": "permessage-deflate"}) as socket:
        socket.send_frame(TEXT, deflate_bomb(64 * MIB), rsv=4)
        assert socket.recv_close() == 1009


def test_compressed_bodies_are_not_taken(start_broker):
    """So none can be a bomb."""
    broker = start_broker()
    packed = zlib.compress(b"1" * 1000)
    for encoding in ("gzip", "deflate", "br", "gzip, gzip"):
        answer = broker.request("POST", "/channels/a", {
            "Content-Type": "application/json", "Content-Encoding": encoding}, packed)
        assert answer.status == 415, answer


def test_a_body_of_many_small_chunks_is_bounded(start_broker):
    broker = start_broker()
    with broker.connect() as connection:
        connection.send(f"POST /channels/a HTTP/1.1\r\nHost: {connection.host}\r\n"
                        "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(200):
                connection.send(b"1;" + b"e" * 200 + b"\r\nx\r\n" * 1)
            connection.send(b"0\r\n" + b"T: y\r\n" * 100000 + b"\r\n")
            assert connection.read_response().status in (200, 400, 431)
        except (OSError, http.Closed):
            pass
    broker.assert_alive()
