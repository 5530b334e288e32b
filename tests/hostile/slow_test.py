# SPDX-License-Identifier: Apache-2.0
"""Slowloris on each protocol: many connections that come forward by a byte now and then, and those
that take nothing of what they asked for."""
import pytest
from harness import mqtt_packets
from harness.websocket import handshake_headers, frame

from attacks import Attack, port_of
from bystander import assert_came, play
from forms import CONNECTIONS, DEADLINE_S, LEAST, SECONDS

pytestmark = [pytest.mark.heavy, pytest.mark.deadline(DEADLINE_S)]


HOST = "127.0.0.1:PORT"


def latin(data):
    return data.decode("latin-1")


def upgrade(target):
    fields = "".join(f"{name}: {value}\r\n" for name, value in handshake_headers().items())
    return f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n"


CONNECT = mqtt_packets.connect("", version=5)
FIELDS = f"Host: {HOST}\r\nContent-Type: application/json\r\n"
# What is sent at once, and what follows byte by byte: which port.
DRIPS = {
    "an HTTP head": ("public", "", "GET /channels/a HTTP/1.1\r\nX-A: " + "a" * 4000),
    "HTTP fields": ("public", "GET /channels/a HTTP/1.1\r\n", "X: y\r\n"),
    "an HTTP body": ("public", f"POST /channels/a HTTP/1.1\r\n{FIELDS}Content-Length: 900000\r\n"
                     "\r\n\"", "x"),
    "a chunked body": ("public", f"POST /channels/a HTTP/1.1\r\n{FIELDS}"
                       "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"),
    "WebSocket frames": ("public", upgrade("/channels/a") +
                         latin(frame(1, b"{", length=60000)), " "),
    "fragments of a message": ("public", upgrade("/stream") + latin(frame(1, b"{", fin=False)),
                               latin(frame(0, b" ", fin=False))),
    "an MQTT CONNECT": ("mqtt", "", latin(CONNECT)),
    "an MQTT PUBLISH": ("mqtt", latin(CONNECT) +
                        latin(mqtt_packets.publish("a", b"x" * 900000, version=5)[:200]), "x"),
}


@pytest.mark.parametrize("name", DRIPS)
def test_drips_of(name, start_broker):
    broker = start_broker()
    port, head, tail = DRIPS[name]
    at = port_of(getattr(broker, port))
    told = play(broker, Attack(name, SECONDS, ("drip", {
        "port": at, "connections": CONNECTIONS, "tail": tail,
        "head": head.replace(HOST, f"127.0.0.1:{at}")})))
    assert_came(told, told["opened"], CONNECTIONS * LEAST)


@pytest.mark.parametrize("name", ["a page", "events"])
def test_readers_that_take_nothing_of(name, start_broker):
    broker = start_broker()
    for _ in range(30):
        assert broker.post("a", b'"' + b"x" * 100000 + b'"').status == 200
    accept = "text/event-stream" if name == "events" else "application/json"
    request = (f"GET /channels/a?since=earliest&limit=1000 HTTP/1.1\r\nHost: {broker.host}\r\n"
               f"Accept: {accept}\r\n\r\n")
    told = play(broker, Attack(name, SECONDS, ("unread", {
        "port": port_of(broker.public), "connections": 200, "request": request})))
    assert_came(told, told["asked"], 200 * LEAST)
