# SPDX-License-Identifier: Apache-2.0
"""Real conversations of the harness's clients with a broker, as what the client sent, step by step:
a write of bytes, or a frame of a WebSocket, which is masked anew each time it is sent.

    {"door": "public" | "mqtt", "steps": [["bytes", base64] | ["frame", opcode, base64]]}
"""
import base64
import contextlib

from harness import mqtt
from harness.http import Connection
from harness.mqtt import V3, V5, Client
from harness.readers import Subscriptions
from harness.websocket import PING, WebSocket


def text_of(data):
    return base64.b64encode(data).decode()


@contextlib.contextmanager
def recording(broker):
    """Everything that clients of this process send meanwhile, by connection."""
    spoken, is_framing = {}, []
    send, send_frame = Connection.send, WebSocket.send_frame

    def steps_of(connection):
        door = "mqtt" if connection.socket.getpeername()[1] == broker.mqtt_port else "public"
        return spoken.setdefault(connection, {"door": door, "steps": []})["steps"]

    def record_send(self, data):
        data = data.encode() if isinstance(data, str) else data
        if not is_framing:
            steps_of(self).append(["bytes", text_of(data)])
        send(self, data)

    def record_frame(self, opcode, payload=b"", **options):
        steps_of(self.connection).append(["frame", opcode, text_of(payload)])
        is_framing.append(True)
        send_frame(self, opcode, payload, **options)
        is_framing.pop()

    Connection.send, WebSocket.send_frame = record_send, record_frame
    try:
        found = []
        yield found
        found += spoken.values()
    finally:
        Connection.send, WebSocket.send_frame = send, send_frame


# --- what is said: each is a broker's ordinary day ----------------------------------------------


def devices(broker, version, transport):
    """Two MQTT clients with everything that they may use."""
    will = {"topic": "talk/will", "payload": b"gone", "qos": 1}
    values = {"session_expiry": 60, "receive_maximum": 10, "topic_alias_maximum": 5}
    values = values if version == V5 else None
    with Client(broker, version, transport) as reader, Client(broker, version,
                                                              transport) as writer:
        reader.connect(f"talk-{version}-{transport}", clean=False, user="u", password="p",
                       values=values)
        reader.subscribe("talk/+", ("talk/deep/#", 1), "$share/g/talk/shared", qos=2)
        writer.connect(will=will, keep_alive=30)
        for qos in (0, 1, 2):
            options = {"values": {"content_type": "text/plain", "user": [("a", "b")],
                                  "message_expiry": 60, "topic_alias": 1 + qos,
                                  "response_topic": "talk/answer", "correlation_data": b"7"}} \
                if version == V5 else {}
            writer.publish("talk/a", b"x" * 50, qos=qos, retain=qos == 1, **options)
        for _ in range(3):
            reader.message()
        reader.ping()
        reader.unsubscribe("talk/+")
        reader.send(mqtt.packets.disconnect(version))
        writer.disconnect()
    with Client(broker, version, transport) as reader:  # the session is there
        reader.connect(f"talk-{version}-{transport}", clean=False, user="u", password="p")
        if version == V5:
            reader.subscribe("talk/a", values={"user": [("since", "earliest")],
                                               "subscription_identifier": 3})
            reader.message()
        reader.ping()


def sockets(broker, deflates):
    extension = {"Sec-WebSocket-Extensions": "permessage-deflate"} if deflates else {}
    with broker.websocket("/channels/talk/a?since=earliest", headers=extension) as one:
        one.send_json({"publish": {"data": {"text": "hi"}, "event": "e", "key": "k"}, "ref": 1})
        one.recv_json()
        one.send_frame(PING, b"ping")
        one.finish()
    with Subscriptions(broker, headers=extension) as many:
        first = many.subscribe("talk/*", since="earliest", on_lag="conflate")
        many.subscribe("talk/**")
        if deflates:
            many.websocket.send_deflated('{"publish":{"channel":"talk/a","data":[1,2]},"ref":90}',
                                         pieces=2)
        many.ask({"publish": {"channel": "talk/b", "data_base64": "AAEC", "type": "image/png",
                              "headers": {"a": "b"}, "idempotency_key": "k", "ttl": 60}})
        many.message(first)
        many.ask({"unsubscribe": first})


def requests(broker):
    fields = {"Content-Type": "application/json"}
    with broker.connect() as one:
        for method, target, more, body in (
                ("POST", "/channels/talk/a", {"Tidings-Event": "e", "Tidings-Key": "k",
                                              "Idempotency-Key": "i", "Tidings-Header-A": "b",
                                              **fields}, b'{"a":[1,2.5e3,"\\u00e9",null]}'),
                ("POST", "/publish", fields, b'[{"channel":"talk/a","data":1,"ttl":60}]'),
                ("POST", "/channels/talk/a", {"Content-Type": "application/x-ndjson"}, b"1\n2\n"),
                ("POST", "/channels/talk/a", {"Content-Type": "application/cloudevents+json"},
                 b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1}'),
                ("GET", "/channels/talk/a?since=-5m&limit=10", {}, None),
                ("GET", "/channels/talk/*?since=earliest", {"Accept": "application/json"}, None),
                ("OPTIONS", "/channels/talk/a", {"Origin": "https://example.org",
                                                 "Access-Control-Request-Method": "POST"}, None),
                ("DELETE", "/channels/talk/c?offset=1", {}, None)):
            one.request(method, target, more, body)
    with broker.connect() as one:
        one.send(f"POST /channels/talk/a HTTP/1.1\r\nHost: {one.host}\r\nTransfer-Encoding: "
                 "chunked\r\nExpect: 100-continue\r\n\r\n")
        one.send(b"3\r\n\"ab\r\n2;x=y\r\nc\"\r\n0\r\nT: u\r\n\r\n")
        one.read_response()
    for target in ("/channels/talk/a?since=earliest&envelope=none",
                   "/stream?channel=talk/a&channel=talk/**&since=earliest"):
        with broker.events(target, last_event_id="0") as stream:
            stream.connection.buffer  # its head is read: the request was whole


def record(broker):
    """All of them, in turn."""
    with recording(broker) as spoken:
        for version in (V3, V5):
            for transport in ("tcp", "websocket"):
                devices(broker, version, transport)
        sockets(broker, False)
        sockets(broker, True)
        requests(broker)
    return spoken
