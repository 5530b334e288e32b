# SPDX-License-Identifier: Apache-2.0
"""An MQTT client over a bare socket, on TCP or WebSocket: strict with what comes, free in what it
sends. It never acknowledges, reconnects or pings unless it is told to."""
import socket
import time
from urllib.parse import urlsplit

import pytest

from harness import mqtt_packets as packets
from harness.http import TIMEOUT_S, Closed, Connection
from harness.mqtt_packets import (CONNACK, DISCONNECT, NAMES, PINGREQ, PINGRESP, PUBACK, PUBCOMP,
                                  PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, Packet)
from harness.websocket import BINARY, PeerClosed, WebSocket

V3, V5 = 4, 5
BOTH = (V3, V5)
NO_LOCAL, RETAIN_AS_PUBLISHED = 4, 8
RETAIN_IF_NEW, RETAIN_NEVER = 0x10, 0x20


each_version = pytest.mark.parametrize("version", BOTH, ids=["3.1.1", "5.0"])
each_transport = pytest.mark.parametrize("transport", ["tcp", "websocket"])


def proves(v3="", v5=""):
    """Marks a test with the normative statements that it proves: `v3="3.1.0-1 3.1.0-2"` stands for
    [MQTT-3.1.0-1] and [MQTT-3.1.0-2] of 3.1.1. mqtt_table_test.py reads it from the sources."""
    del v3, v5
    return lambda test: test


class TcpTransport:
    def __init__(self, url, timeout_s, receive_bytes=None, context=None):
        self.connection = Connection(url, timeout_s, receive_bytes=receive_bytes, context=context)
        self.socket = self.connection.socket

    def send(self, data):
        self.connection.send(data)

    def fill(self):
        self.connection.fill()
        data, self.connection.buffer = self.connection.buffer, b""
        return data

    def close(self):
        self.connection.close()


class WebSocketTransport:
    """One packet a frame unless the test sends frames itself."""

    def __init__(self, url, timeout_s, receive_bytes=None, context=None, target="/mqtt"):
        self.websocket = WebSocket(url, target, {"Sec-WebSocket-Protocol": "mqtt"},
                                   timeout_s=timeout_s, receive_bytes=receive_bytes,
                                   context=context)
        self.connection = self.websocket.connection
        self.socket = self.connection.socket

    def send(self, data):
        self.websocket.send_frame(BINARY, data)

    def fill(self):
        timeout_s = self.socket.gettimeout()
        try:
            data = self.websocket.recv(timeout_s)
        except TimeoutError as error:
            raise socket.timeout() from error
        except PeerClosed as error:
            raise Closed(str(error)) from error
        assert isinstance(data, bytes), "a text frame"
        return data

    def close(self):
        self.websocket.close()


class Client:
    """One network connection. `inbox` has the PUBLISH packets that came while something else was
    waited for."""

    def __init__(self, broker, version=V5, transport="tcp", timeout_s=TIMEOUT_S, receive_bytes=None,
                 context=None):
        kinds = {"tcp": (TcpTransport, broker.mqtt), "tls": (TcpTransport, broker.mqtts),
                 "websocket": (WebSocketTransport, broker.public)}
        make, url = kinds[transport]
        self.transport = make(url, timeout_s, receive_bytes, context or broker.context)
        self.version, self.timeout_s = version, timeout_s
        self.buffer, self.inbox = b"", []
        self.numbers = 0
        self.connack = self.client_id = None
        self.aliases = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the connection without a word."""
        self.transport.close()

    # --- bytes and packets ---

    def send(self, *data):
        self.transport.send(b"".join(data))

    def next_number(self):
        self.numbers = self.numbers % 65535 + 1
        return self.numbers

    def header_length(self):
        """(bytes of the fixed header, bytes behind it), or None where more must come."""
        length = 0
        for index in range(1, 5):
            if len(self.buffer) <= index:
                return None
            length |= (self.buffer[index] & 0x7f) << 7 * (index - 1)
            if not self.buffer[index] & 0x80:
                packets.demand(self.buffer[index] or index == 1, "a length that is too long")
                return index + 1, length
        raise packets.Violation("a length of five bytes")

    def recv(self, timeout_s=None):
        """The next packet. Closed at the end, TimeoutError where none comes."""
        end = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while True:
            header = self.header_length() if self.buffer else None
            if header and len(self.buffer) >= sum(header):
                first, start, total = self.buffer[0], header[0], sum(header)
                body, self.buffer = self.buffer[start:total], self.buffer[total:]
                return Packet(self.version, first, body)
            self.transport.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                self.buffer += self.transport.fill()
            except socket.timeout as error:
                raise TimeoutError("no packet in time") from error
            except OSError as error:
                raise Closed(str(error)) from error

    def expect(self, kind, timeout_s=None):
        """The next packet that is not PUBLISH; it must be of that kind."""
        while True:
            got = self.recv(timeout_s)
            if got.kind == PUBLISH and kind != PUBLISH:
                self.inbox.append(got)
                continue
            assert got.kind == kind, f"{NAMES[kind]} was due, and {got} came"
            return got

    def end(self, timeout_s=TIMEOUT_S):
        """Reads until the peer ends the connection: the reason of its DISCONNECT, or of a CONNACK
        that refuses, else None."""
        limit = time.monotonic() + timeout_s
        reason = None
        while True:
            try:
                got = self.recv(max(0.01, limit - time.monotonic()))
            except (Closed, ConnectionError):
                return reason
            assert reason is None, f"{got} behind the end"
            if got.kind == DISCONNECT or (got.kind == CONNACK and got.reason):
                reason = got.reason

    def is_open(self):
        """Does a ping come back?"""
        self.ping()
        return True

    # --- what clients do ---

    def connect(self, client_id="", expect=0, **options):
        """CONNECT and its CONNACK, of reason `expect`."""
        self.send(packets.connect(client_id, version=self.version, **options))
        self.connack = self.expect(CONNACK)
        assert self.connack.reason == expect, self.connack
        self.client_id = self.connack.values.get("assigned_client_id", client_id)
        return self

    def subscribe(self, *filters, qos=0, options=0, values=None, expect=True):
        """SUBSCRIBE and its SUBACK; a filter is a text, or a text and its byte of options."""
        number = self.next_number()
        pairs = [one if isinstance(one, tuple) else (one, qos | options) for one in filters]
        self.send(packets.subscribe(number, pairs, self.version, values))
        answer = self.expect(SUBACK)
        assert answer.number == number and len(answer.reasons) == len(pairs), answer
        if expect:
            assert all(reason < 0x80 for reason in answer.reasons), answer
        return answer

    def unsubscribe(self, *filters):
        number = self.next_number()
        self.send(packets.unsubscribe(number, filters, self.version))
        answer = self.expect(UNSUBACK)
        assert answer.number == number, answer
        if self.version == V5:
            assert len(answer.reasons) == len(filters), answer
        return answer

    def publish(self, topic, payload=b"", qos=0, expect=0, number=None, **options):
        """PUBLISH and all of its acknowledgements; gives the first of them."""
        number = (number or self.next_number()) if qos else None
        self.send(packets.publish(topic, payload, qos, number, self.version, **options))
        if qos == 0:
            return None
        answer = self.expect(PUBACK if qos == 1 else PUBREC)
        assert answer.number == number, answer
        if expect is not None:
            assert (answer.reason == expect) or (expect == 0 and answer.reason == 0x10), answer
        if qos == 2 and answer.reason < 0x80:
            self.release(number)
        return answer

    def release(self, number, expect=0):
        """PUBREL and its PUBCOMP."""
        self.send(packets.acknowledge(PUBREL, number, self.version))
        done = self.expect(PUBCOMP)
        assert done.number == number and done.reason == expect, done
        return done

    def raw_message(self, timeout_s=None):
        """The next PUBLISH as it came, unacknowledged."""
        got = self.inbox.pop(0) if self.inbox else self.expect(PUBLISH, timeout_s)
        alias = got.values.get("topic_alias")
        if alias:
            got.topic = self.aliases[alias] = got.topic or self.aliases[alias]
        return got

    def acknowledge(self, got, reason=None):
        """What the QoS of that PUBLISH wants, to its end."""
        if got.qos == 1:
            self.send(packets.acknowledge(PUBACK, got.number, self.version, reason))
        elif got.qos == 2:
            self.send(packets.acknowledge(PUBREC, got.number, self.version, reason))
            released = self.expect(PUBREL)
            assert released.number == got.number, released
            self.send(packets.acknowledge(PUBCOMP, got.number, self.version))
        return got

    def message(self, timeout_s=None):
        """The next PUBLISH, acknowledged."""
        return self.acknowledge(self.raw_message(timeout_s))

    def messages(self, count, timeout_s=60):
        end = time.monotonic() + timeout_s
        return [self.message(max(0.01, end - time.monotonic())) for _ in range(count)]

    def payloads(self, count):
        return [got.payload for got in self.messages(count)]

    def ping(self):
        """PINGREQ and its PINGRESP: whatever was due before has come then."""
        self.send(packets.packet(PINGREQ))
        return self.expect(PINGRESP)

    def nothing_until(self, publisher, topic, qos=0):
        """Publishes a mark to `topic`; gives the payloads that came in front of it."""
        publisher.publish(topic, b"mark", qos=qos)
        found = []
        while (got := self.message()).payload != b"mark":
            found.append(got)
        return found

    def disconnect(self, reason=None, values=None):
        """DISCONNECT, and waits for the end that the server makes."""
        self.send(packets.disconnect(self.version, reason, values))
        assert self.end() is None
        self.close()


def connected(broker, client_id="", version=V5, transport="tcp", **options):
    """A client that is connected."""
    return Client(broker, version, transport).connect(client_id, **options)


def fate_of(broker, data, version=V5, before=(), timeout_s=TIMEOUT_S):
    """What becomes of a client that sends `data`, behind a CONNECT unless `before` is None: the
    reason that it was told, or None, when its connection has ended."""
    with Client(broker, version) as client:
        if before is not None:
            client.connect()
            for one in before:
                client.send(one)
        try:
            client.send(data)
        except OSError:
            pass  # the end was quicker
        return client.end(timeout_s)


def retained_of(broker, channel, options=0, version=V5, qos=2):
    """What a new subscriber of the channel and all below it is sent of before: [(payload, retain)].
    They come in the order of the log beside what is live, so a last one ends the list."""
    barrier = channel + "/zz-barrier"
    with connected(broker) as publisher, connected(broker, version=version) as reader:
        publisher.publish(barrier, b"barrier", 1, retain=True)
        reader.subscribe((channel + "/#", qos | options))
        found = []
        while (got := reader.message()).topic != barrier:
            found.append((got.payload, got.retain))
        return found


def name_of(channel):
    """A client id that no other test has."""
    return channel.replace("/", "-")


def address_of(url):
    """(host, port) of an mqtt:// URL."""
    parts = urlsplit(url)
    return parts.hostname, parts.port
