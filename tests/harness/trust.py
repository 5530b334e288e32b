# SPDX-License-Identifier: Apache-2.0
"""Who asks for what, by every protocol: one try gives one word, and asserts on its way there that
the refusal had the code that the protocol documents.

    yes      it was done
    no       the identity is known, and lacks the right
    needed   there were no credentials, and none but those would help
    invalid  the credentials are no good
"""
import contextlib
import json
import uuid
from dataclasses import dataclass, field
from urllib.parse import quote

from harness import http, mqtt
from harness.broker import wait_for
from harness.http import request_bytes
from harness.mqtt import V3, V5, Client
from harness.readers import Refusal, Subscriptions
from harness.websocket import PeerClosed, Refused

CHALLENGE = 'Bearer realm="tidings"'


@dataclass(frozen=True)
class Who:
    """A caller: a bearer token or key, or a client certificate, or nothing."""
    name: str
    bearer: str = None
    pair: tuple = None
    tenant: str = None
    headers: dict = field(default_factory=dict, hash=False)

    def fields(self, **more):
        found = {**self.headers, **more}
        if self.bearer is not None:
            found["Authorization"] = "Bearer " + self.bearer
        return found

    def login(self):
        return {} if self.bearer is None else {"user": "", "password": self.bearer}


def judge_status(answer):
    """The word for an answer over HTTP."""
    if answer.status in (200, 204):
        return "yes"
    assert answer.type == "application/problem+json", answer
    assert answer.json()["status"] == answer.status and answer.json()["detail"], answer
    if answer.status == 403:
        return "no"
    assert answer.status == 401, answer
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(CHALLENGE), challenge
    return "invalid" if 'error="invalid_token"' in challenge else "needed"


# --- HTTP ------------------------------------------------------------------------------------


def post(broker, who, text, body=b"1"):
    return broker.request("POST", "/channels/" + quote(text, safe="/*$"),
                          who.fields(**{"Content-Type": "application/json"}), body)


def publish_by_post(broker, who, text):
    return judge_status(post(broker, who, text))


def publish_by_batch(broker, who, text):
    body = json.dumps([{"channel": text, "data": 1}]).encode()
    return judge_status(broker.request(
        "POST", "/publish", who.fields(**{"Content-Type": "application/json"}), body))


def read_page(broker, who, text):
    return judge_status(broker.get("/channels/" + quote(text, safe="/*$"), who.fields()))


def delete(broker, who, text):
    assert operators(broker, who, "POST", text, b"1").status == 200  # so that there is something
    return judge_status(broker.request("DELETE", "/channels/" + quote(text, safe="/*$"),
                                       who.fields()))


def open_events(broker, who, target):
    with broker.connect() as connection:
        connection.send(request_bytes(connection.host, "GET", target,
                                      who.fields(Accept="text/event-stream")))
        status, reason, headers = connection.read_head()
        if status == 200:
            assert headers["content-type"].startswith("text/event-stream"), headers
            return "yes"
        body = connection.read_exactly(int(headers["content-length"]))
        return judge_status(http.Response(status, reason, headers, body))


def subscribe_by_events(broker, who, text):
    return open_events(broker, who, "/channels/" + quote(text, safe="/*$"))


def subscribe_by_stream_of_events(broker, who, text):
    return open_events(broker, who, "/stream?channel=" + quote(text, safe="/*$"))


def history_by_events(broker, who, text):
    return open_events(broker, who, "/channels/" + quote(text, safe="/*$") + "?since=earliest")


def poll(broker, who, text):
    """A long poll from now on is a stream of one answer."""
    return judge_status(broker.get("/channels/" + quote(text, safe="/*$") + "?since=now",
                                   who.fields()))


# --- WebSocket -------------------------------------------------------------------------------


def open_socket(broker, who, text, query=""):
    try:
        with broker.websocket("/channels/" + quote(text, safe="/*$") + query,
                              headers=who.fields()):
            return "yes"
    except Refused as refused:
        return judge_status(refused.response)


def subscribe_by_socket(broker, who, text):
    return open_socket(broker, who, text)


def history_by_socket(broker, who, text):
    return open_socket(broker, who, text, "?since=earliest")


def ask(broker, who, command):
    """A command on a socket of /stream."""
    try:
        with Subscriptions(broker, headers=who.fields()) as one:
            one.ask(command)
            return "yes"
    except Refused as refused:
        return judge_status(refused.response)
    except Refusal as refusal:
        return {"forbidden": "no", "unauthorized": "needed"}[refusal.code]


def subscribe_by_command(broker, who, text):
    return ask(broker, who, {"subscribe": text})


def history_by_command(broker, who, text):
    return ask(broker, who, {"subscribe": text, "since": "earliest"})


def publish_by_command(broker, who, text):
    return ask(broker, who, {"publish": {"channel": text, "data": 1}})


# --- MQTT ------------------------------------------------------------------------------------

CONNACK_WORDS = {V5: {0x86: "invalid", 0x87: "needed"}, V3: {4: "invalid", 5: "needed"}}
REFUSED_FILTER = {V5: 0x87, V3: 0x80}


def as_filter(text):
    return text.replace("**", "#").replace("*", "+")


def operators(broker, who, method, text, body=None, query=""):
    """By the operator's port, in the name space of the caller's tenant."""
    fields = {"Tidings-Tenant": who.tenant} if who.tenant else {}
    if body is not None:
        fields["Content-Type"] = "application/json"
    return http.request(broker.operator, method, "/channels/" + quote(text, safe="/*$") + query,
                        fields, body, context=broker.context)


def payloads(broker, who, text):
    answer = operators(broker, who, "GET", text, query="?since=-20")
    assert answer.status == 200, answer
    return [message["data"] for message in answer.json()["messages"]]


def is_stored(broker, who, text, mark):
    """Is the message there, once all that was published before this question is?"""
    barrier = json.dumps(uuid.uuid4().hex)
    assert operators(broker, who, "POST", "barrier", barrier.encode()).status == 200
    wait_for(lambda: json.loads(barrier) in payloads(broker, who, "barrier"))
    return mark in payloads(broker, who, text)


@contextlib.contextmanager
def login(broker, who, version, transport):
    """(client, the word of a CONNECT that was refused, or None)"""
    with Client(broker, version, transport) as client:
        client.send(mqtt.packets.connect(version=version, **who.login()))
        connack = client.expect(mqtt.CONNACK)
        word = CONNACK_WORDS[version][connack.reason] if connack.reason else None
        assert word is None or client.end() is None
        yield client, word


def publish_by_mqtt(broker, who, text, version, transport, qos):
    mark = uuid.uuid4().hex
    with login(broker, who, version, transport) as (client, word):
        if word is not None:
            return word
        answer = client.publish(text, json.dumps(mark), qos=qos, expect=None)
        client.ping()
        did = is_stored(broker, who, text, mark)
        if answer is not None and version == V5:
            assert answer.reason == 0x87 if not did else answer.reason < 0x80, answer
        return "yes" if did else "no"


def subscribe_by_mqtt(broker, who, text, version, transport, since=None):
    values = {"user": [("since", since)]} if since else None
    with login(broker, who, version, transport) as (client, word):
        if word is not None:
            return word
        reason, = client.subscribe(as_filter(text), qos=1, values=values, expect=False).reasons
        assert reason in (1, REFUSED_FILTER[version]), hex(reason)
        return "yes" if reason == 1 else "no"


def mqtt_tries(transport):
    """{(action, name): try} over one transport."""
    tries = {}
    for version, name in ((V3, "3.1.1"), (V5, "5.0")):
        for qos in (0, 1, 2):
            tries["publish", f"mqtt {name} qos {qos}"] = \
                lambda *who, version=version, qos=qos: publish_by_mqtt(*who, version, transport,
                                                                       qos)
        tries["subscribe", f"mqtt {name}"] = \
            lambda *who, version=version: subscribe_by_mqtt(*who, version, transport)
    tries["history", "mqtt 5.0"] = \
        lambda *who: subscribe_by_mqtt(*who, V5, transport, since="earliest")
    return tries


HTTP_TRIES = {
    ("publish", "post"): publish_by_post,
    ("publish", "batch"): publish_by_batch,
    ("publish", "websocket"): publish_by_command,
    ("history", "page"): read_page,
    ("history", "sse"): history_by_events,
    ("history", "websocket"): history_by_socket,
    ("history", "subscription"): history_by_command,
    ("subscribe", "sse"): subscribe_by_events,
    ("subscribe", "sse of many"): subscribe_by_stream_of_events,
    ("subscribe", "websocket"): subscribe_by_socket,
    ("subscribe", "subscription"): subscribe_by_command,
    ("delete", "delete"): delete,
}
TRIES = {**HTTP_TRIES, **mqtt_tries("tcp")}
TLS_TRIES = {**HTTP_TRIES, **mqtt_tries("tls")}

# An anonymous caller that lacks a right is told that credentials could help, where there is a word
# for it: a SUBACK and a PUBACK have none.
WORDS = {
    "lacks": lambda name: "no" if name.startswith("mqtt") else "needed",
    # 3.1.1 and 5.0 refuse a client without credentials at CONNECT.
}


def expected(word, name):
    return WORDS[word](name) if word in WORDS else word


__all__ = ["PeerClosed", "TLS_TRIES", "TRIES", "Who", "expected", "post"]
