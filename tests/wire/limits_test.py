# SPDX-License-Identifier: Apache-2.0
"""Every limit of `limits:`: what is turned away, what the client is told, and how it is counted."""
import concurrent.futures
import contextlib
import json
import pathlib
import re
import signal
import socket
import threading
import time

import pytest

from harness import http, mqtt_packets as packets, tokens
from harness.broker import wait_for
from harness.mqtt import CONNACK, PUBACK, PUBREC, V3, V5, Client, connected
from harness.websocket import TEXT, Refused, frame

PUBLISH = ("POST", "/channels/a", {}, b"1")
QUOTA_EXCEEDED, RATE_TOO_HIGH, RATE_EXCEEDED = 0x97, 0x96, 0x9f


def refused(broker, limit, protocol):
    return broker.metric(f'tidings_limits_refused_total{{limit="{limit}",protocol="{protocol}"}}')


def policy_of(answer):
    """RateLimit-Policy and RateLimit as (name, {parameter: number})."""
    parsed = []
    for field in ("RateLimit-Policy", "RateLimit"):
        name, *parameters = answer.headers[field.lower()].split(";")
        assert re.fullmatch(r'"[a-z-]+"', name), answer
        parsed.append((name.strip('"'), {key: int(value) for key, value in
                                         (one.split("=") for one in parameters)}))
    return parsed


def logged(broker, limit):
    return wait_for(lambda: [line for line in broker.log_lines("LIMIT_REACHED")
                             if line["limit"] == "limits." + limit], what=limit)


# --- publishes -----------------------------------------------------------------------------------

def test_a_publisher_above_its_rate_is_told_when_to_come_back(start_broker):
    broker = start_broker(config="limits: { publish_rate: 3/s }\n")
    with broker.connect() as connection:
        answers = connection.burst(*[PUBLISH] * 10)
    codes = [answer.status for answer in answers]
    assert codes[:3] == [200] * 3 and 429 in codes, codes
    (name, policy), (same, left) = policy_of(answers[0])
    assert name == same == "connection"
    assert policy == {"q": 3, "w": 1} and left == {"r": 2, "t": 1}
    told = next(answer for answer in answers if answer.status == 429)
    assert told.type == "application/problem+json"
    assert told.json()["type"] == "/problems/too-many-requests"
    assert "limits.publish_rate" in told.json()["detail"]
    assert told.headers["retry-after"] == "1"
    assert policy_of(told)[1][1]["r"] == 0
    assert refused(broker, "publish_rate", "http") == codes.count(429)
    assert len(broker.all_messages("a")[0]) == codes.count(200)
    line = logged(broker, "publish_rate")[0]
    assert line["most"] == 3 and line["peer"].startswith("127.0.0.1:")
    assert broker.post("a", b"1").status == 200  # another connection


def test_rates_that_nobody_counts_up_to_are_not_told(broker, channel):
    answer = broker.post(channel, b"1")
    assert answer.status == 200 and "ratelimit" not in answer.headers


def test_a_batch_passes_whole_or_not_at_all(start_broker):
    broker = start_broker(config="limits: { publish_rate: 5/s }\n")
    with broker.connect() as connection:
        def batch(count):
            return ("POST", "/channels/a", {"Content-Type": "application/x-ndjson"}, b"1\n" * count)
        answer, = connection.burst(batch(6))
        assert answer.status == 413, answer
        assert "6 messages" in answer.json()["detail"]
        assert "limits.publish_rate" in answer.json()["detail"]
        assert [answer.status for answer in connection.burst(batch(4), batch(4))] == [200, 429]
    assert len(broker.all_messages("a")[0]) == 4


def test_a_delete_counts_as_a_publish(start_broker):
    """Each is a record of the log."""
    broker = start_broker(config="limits: { publish_rate: 3/s }\n")
    with broker.connect() as connection:
        assert connection.request("POST", "/channels/a", {}, b"1").status == 200
        codes = [answer.status for answer in connection.burst(
            *[("DELETE", "/channels/a", {}, None)] * 12)]
    assert codes[:2] == [200] * 2 and 429 in codes, codes
    assert refused(broker, "publish_rate", "http") == codes.count(429)


def test_bytes_are_limited_as_messages_are(start_broker):
    broker = start_broker(config="limits: { publish_bytes: 1KiB/s }\n")
    big = ("POST", "/channels/a", {}, b'"' + b"x" * 700000 + b'"')
    with broker.connect() as connection:
        first, answer = connection.burst(big, big)
    assert first.status == 200, first
    assert answer.status == 429 and "bytes a second" in answer.json()["detail"], answer
    assert refused(broker, "publish_bytes", "http") == 1


def test_a_websocket_is_told_in_milliseconds(start_broker):
    broker = start_broker(config="limits: { publish_rate: 2/s }\n")
    with broker.websocket("/channels/a") as one:
        one.connection.send(b"".join(
            frame(TEXT, json.dumps({"publish": {"data": number}, "ref": number}).encode())
            for number in range(4)))
        answers = {}
        while len(answers) < 4:
            got = one.recv_json()
            if "ref" in got:
                answers[got["ref"]] = got
    assert "ok" in answers[0] and "ok" in answers[1]
    error = answers[3]["error"]
    assert error["code"] == "too-many-requests" and 0 < error["retry_after_ms"] <= 1001, error
    assert refused(broker, "publish_rate", "websocket") == 2


@pytest.mark.parametrize("qos, kind", [(1, PUBACK), (2, PUBREC)])
def test_mqtt_5_is_told_by_reason_and_cut_off_when_it_goes_on(start_broker, qos, kind):
    broker = start_broker(config="limits: { publish_rate: 2/s }\n")
    with connected(broker, "p") as client:
        client.send(*[packets.publish("a", b"1", qos, number, V5) for number in range(1, 6)])
        reasons = [client.expect(kind).reason for _ in range(5)]
        assert reasons[0] < 0x80 and reasons[-1] == QUOTA_EXCEEDED, reasons
        assert client.is_open()
        client.send(*[packets.publish("a", b"1", qos, number, V5) for number in range(100, 1000)])
        client.send(*[packets.publish("a", b"1", qos, number, V5) for number in range(100, 1000)])
        reason = None
        try:
            while reason is None:
                got = client.recv()
                reason = got.reason if got.kind != kind else None
        except ConnectionError:
            pass
        assert reason == RATE_TOO_HIGH


@pytest.mark.parametrize("version, qos", [(V5, 0), (V3, 0), (V3, 1)])
def test_who_cannot_be_told_is_read_more_slowly(start_broker, version, qos):
    broker = start_broker(config="limits: { publish_rate: 20/s }\n")
    begin = time.monotonic()
    with Client(broker, version).connect("p") as client:
        client.send(*[packets.publish("a", b"%d" % number, qos, number + 1 if qos else None,
                                      version) for number in range(50)])
        for _ in range(50 if qos else 0):
            client.expect(PUBACK)
        client.ping()
        took = time.monotonic() - begin
    messages, gaps = broker.all_messages("a")
    assert [message["data"] for message in messages] == list(range(50)) and not gaps
    assert took > 1.4  # 20 at once, and the 30 others at 20 a second
    assert refused(broker, "publish_rate", "mqtt") > 0


# --- what is too deep or too large ---------------------------------------------------------------


def test_json_that_is_too_deep_is_counted(start_broker):
    broker = start_broker()
    deep = b"[" * 65 + b"]" * 65
    assert broker.post("a", deep[1:-1], "application/json").status == 200
    answers = [broker.post("a", deep, "application/json"), broker.post("a", deep),
               broker.post("a", deep + b"\n", "application/x-ndjson"),
               broker.request("POST", "/publish", {"Content-Type": "application/json"},
                              b'[{"channel":"a","data":' + deep + b"}]")]
    assert [answer.status for answer in answers] == [400] * 4
    assert broker.post("a", b"[", "application/json").status == 400  # another fault
    assert refused(broker, "json_depth", "http") == 4
    with broker.websocket("/channels/a") as one:
        one.send_text(b'{"publish":{"data":' + deep + b"}}")
        assert one.recv_json()["error"]["code"] == "bad-json"
    assert refused(broker, "json_depth", "websocket") == 1


def test_messages_that_are_too_large_are_counted_whoever_sends_them(start_broker):
    broker = start_broker(config="channels: [ { match: '**', message_bytes_max: 100 } ]\n")
    large = b'"' + b"x" * 200 + b'"'
    assert broker.post("a", large, "application/json").status == 413
    assert refused(broker, "message_bytes", "http") == 1
    with broker.websocket("/channels/a") as one:
        one.send_text(b'{"publish":{"data":' + large + b"}}")
        assert one.recv_json()["error"]["code"] == "too-large"
    assert refused(broker, "message_bytes", "websocket") == 1
    with connected(broker, "p") as client:
        assert client.publish("a", large, qos=1, expect=None).reason >= 0x80
    assert refused(broker, "message_bytes", "mqtt") == 1


# --- publishes to a channel ----------------------------------------------------------------------

RATED = "channels: [ { match: 'slow/*', publish_rate: 3/s } ]\n"


def channel_refused(broker, protocol):
    return refused(broker, "channel_publish_rate", protocol)


def at_once(broker, *requests):
    """The answers to these, each on a connection of its own. The broker stands still while they are
    sent, so that none comes a moment of a rate later than another, however busy this machine is."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(broker.connect()) for _ in requests]
        broker.signal(signal.SIGSTOP)
        for connection, request in zip(connections, requests):
            connection.send(http.request_bytes(connection.host, *request))
        broker.signal(signal.SIGCONT)
        return [connection.read_response() for connection in connections]


def test_each_channel_of_a_rule_takes_so_much_from_everybody(start_broker):
    broker = start_broker("--workers", "2", config=RATED)
    answers = at_once(broker, *[("POST", "/channels/slow/a", {}, b"1")] * 8)
    codes = [answer.status for answer in answers]
    # The last of a burst may be refused where the clock of its worker is a moment late.
    assert codes.count(200) >= 2 and 429 in codes, codes
    passed = next(answer for answer in answers if answer.status == 200)
    (name, policy), (same, _) = policy_of(passed)
    assert name == same == "channel" and policy == {"q": 3, "w": 1}
    told = next(answer for answer in answers if answer.status == 429)
    assert "channels[].publish_rate lets 3 messages to one channel" in told.json()["detail"]
    assert told.headers["retry-after"] == "1" and policy_of(told)[1][1]["r"] == 0
    assert [broker.post(name, b"1").status for name in ["slow/b"] * 2 + ["fast"] * 8] == [200] * 10
    assert channel_refused(broker, "http") == codes.count(429)
    line = wait_for(lambda: broker.log_lines("LIMIT_REACHED"))[0]
    assert line["limit"] == "channels[].publish_rate" and line["most"] == 3


def test_a_batch_to_several_channels_passes_whole_or_not_at_all(start_broker):
    broker = start_broker("--workers", "1", config=RATED.replace("3/s", "1/s"))

    def publish(*channels):
        return "POST", "/publish", {"Content-Type": "application/json"}, json.dumps(
            [{"channel": channel, "data": 1} for channel in channels]).encode()

    with broker.connect() as connection:
        answer, passed, refused_one, again = connection.burst(
            publish("slow/a", "slow/b", "slow/a"), publish("slow/a", "fast", "slow/b"),
            publish("slow/c", "slow/a"), publish("slow/c"))
    assert answer.status == 413 and "2 messages to one channel" in answer.json()["detail"], answer
    assert passed.status == 200
    assert refused_one.status == 429 and again.status == 200, "it has its message back"


def test_a_delete_is_a_message_to_its_channel(start_broker):
    broker = start_broker("--workers", "1", config=RATED)
    with broker.connect() as connection:
        answers = connection.burst(("POST", "/channels/slow/a", {}, b"1"),
                                   *[("DELETE", "/channels/slow/a", {}, None)] * 6)
    codes = [answer.status for answer in answers]
    assert codes[:3] == [200] * 3 and 429 in codes, codes


def test_a_reload_changes_what_a_channel_takes(start_broker):
    broker = start_broker(config=RATED)
    answers = at_once(broker, *[("POST", "/channels/slow/a", {}, b"1")] * 6)
    assert 429 in [answer.status for answer in answers], answers
    path = pathlib.Path(broker.scratch, "tidings.yaml")
    path.write_text(RATED.replace("3/s", "1000/s"), encoding="utf-8")
    broker.signal(signal.SIGHUP)
    wait_for(lambda: broker.log_lines("RELOADED"))
    (_, policy), _ = policy_of(broker.post("slow/a", b"1"))  # that of a refusal, too
    assert policy["q"] == 1000


def test_a_websocket_is_told_what_a_channel_takes(start_broker):
    broker = start_broker(config=RATED)
    with broker.websocket("/channels/slow/a") as one:
        one.connection.send(b"".join(
            frame(TEXT, json.dumps({"publish": {"data": number}, "ref": number}).encode())
            for number in range(5)))
        answers = {}
        while len(answers) < 5:
            got = one.recv_json()
            if "ref" in got:
                answers[got["ref"]] = got
    assert all("ok" in answers[number] for number in range(3)), answers
    error = answers[4]["error"]
    assert error["code"] == "too-many-requests" and 0 < error["retry_after_ms"] <= 1001, error
    assert channel_refused(broker, "websocket") == 2


def test_mqtt_5_is_told_what_a_channel_takes(start_broker):
    broker = start_broker(config=RATED)
    with connected(broker, "p") as client:
        client.send(*[packets.publish("slow/a", b"1", 1, number, V5) for number in range(1, 10)])
        reasons = [client.expect(PUBACK).reason for _ in range(9)]
        assert reasons[0] < 0x80 and QUOTA_EXCEEDED in reasons, reasons
        assert client.publish("fast", b"1", qos=1, expect=None).reason < 0x80
    assert channel_refused(broker, "mqtt") == reasons.count(QUOTA_EXCEEDED)


@pytest.mark.parametrize("version, qos", [(V5, 0), (V3, 1)])
def test_who_cannot_be_told_what_a_channel_takes_is_read_more_slowly(start_broker, version, qos):
    broker = start_broker(config=RATED.replace("3/s", "10/s"))
    with Client(broker, version).connect("p") as client:
        client.send(*[packets.publish("slow/a", b"%d" % number, qos, number + 1 if qos else None,
                                      version) for number in range(15)])
        for _ in range(15 if qos else 0):
            client.expect(PUBACK)
        client.ping()
    messages, gaps = broker.all_messages("slow/a")
    assert [message["data"] for message in messages] == list(range(15)) and not gaps
    assert channel_refused(broker, "mqtt") > 0


# --- subscriptions, patterns, channels -----------------------------------------------------------

COUNTED = "limits: { subscriptions: 3, patterns: 1 }\n"


def test_subscriptions_of_a_socket_are_counted(start_broker):
    broker = start_broker(config=COUNTED)
    with broker.websocket("/stream") as one:
        def subscribe(selector):
            one.send_json({"subscribe": selector, "ref": 1})
            return one.recv_json()
        assert "ok" in subscribe("a/*")
        answer = subscribe("b/*")
        assert answer["error"]["code"] == "too-many-requests", answer
        assert "limits.patterns" in answer["error"]["message"]
        assert "ok" in subscribe("a") and "ok" in subscribe("b")
        answer = subscribe("c")
        assert "limits.subscriptions" in answer["error"]["message"], answer
        one.send_json({"unsubscribe": 1, "ref": 2})
        assert one.recv_json() == {"ref": 2, "ok": {}}
        assert "ok" in subscribe("c/*")
    assert refused(broker, "patterns", "websocket") == 1
    assert refused(broker, "subscriptions", "websocket") == 1


@pytest.mark.parametrize("target, limit", [
    ("/stream?channel=a/*&channel=b/*", "patterns"),
    ("/stream?channel=a&channel=b&channel=c&channel=d", "subscriptions")])
def test_what_a_stream_names_is_counted(start_broker, target, limit):
    broker = start_broker(config=COUNTED)
    answer = broker.get(target, {"Accept": "text/event-stream"})
    assert answer.status == 429 and f"limits.{limit}" in answer.json()["detail"], answer
    assert "retry-after" in answer.headers
    with pytest.raises(Refused) as told:
        broker.websocket(target)
    assert told.value.response.status == 429
    assert refused(broker, limit, "http") == 2


def test_filters_of_an_mqtt_session_are_counted(start_broker):
    broker = start_broker(config=COUNTED)
    with connected(broker, "s") as client:
        answer = client.subscribe("a/+", "b/+", "c", "d", "e", expect=False)
        assert answer.reasons == [0, QUOTA_EXCEEDED, 0, 0, QUOTA_EXCEEDED] or \
            list(answer.reasons) == [0, QUOTA_EXCEEDED, 0, 0, QUOTA_EXCEEDED], answer
        client.subscribe("a/+")  # in the place of the one that is there
    assert refused(broker, "patterns", "mqtt") == 1
    assert refused(broker, "subscriptions", "mqtt") == 1


def test_channels_in_all_are_limited(start_broker):
    broker = start_broker(config="limits: { channels: 2 }\n")
    assert broker.post("a", b"1").status == 200
    assert broker.post("b", b"1").status == 200
    answer = broker.post("c", b"1")
    assert answer.status == 503 and "limits.channels" in answer.json()["detail"], answer
    assert broker.post("a", b"1").status == 200
    assert refused(broker, "channels", "http") == 1


# --- connections ---------------------------------------------------------------------------------

def test_handshakes_of_an_address_are_limited(start_broker):
    broker = start_broker(config="limits: { handshakes_per_address: 5/s, loopback: true }\n")
    address = (broker.public.rsplit("/", 1)[1].split(":")[0], int(broker.public.rsplit(":", 1)[1]))
    ended, broker_waits = 0, [signal.SIGSTOP, signal.SIGCONT]
    with contextlib.ExitStack() as stack:
        broker.signal(broker_waits[0])  # so that they come at once, however busy this machine is
        sockets = [stack.enter_context(socket.create_connection(address, timeout=http.TIMEOUT_S))
                   for _ in range(20)]
        for one in sockets:
            one.sendall(b"GET /channels/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        broker.signal(broker_waits[1])
        for one in sockets:
            try:
                ended += not one.recv(100).startswith(b"HTTP/1.1 200")
            except ConnectionError:
                ended += 1
    assert 10 <= ended <= 15
    assert refused(broker, "handshakes_per_address", "other") == ended
    assert logged(broker, "handshakes_per_address")[0]["peer"].startswith("127.0.0.1:")


def test_loopback_is_not_held_to_limits_of_an_address_unless_told(start_broker):
    broker = start_broker(config="limits: { handshakes_per_address: 1/s, "
                                 "connections_per_address: 1 }\n")
    assert [broker.post("a", b"1").status for _ in range(10)] == [200] * 10
    assert broker.metric("tidings_addresses") == 0


def test_half_open_connections_keep_nobody_out(start_broker):
    broker = start_broker("--workers", "1", config="limits: { connections: 64 }\n")
    silent = [http.Connection(broker.public) for _ in range(100)]
    try:
        wait_for(lambda: broker.metric("tidings_connections_opening") <= 32, what="half of them")
        assert broker.post("a", b"1").status == 200
        assert refused(broker, "opening", "http") >= 100 - 64
        readers = [broker.websocket("/channels/a") for _ in range(40)]
        assert broker.post("a", b"1").status == 200
        for reader in readers:
            assert reader.recv_message()
            reader.close()
    finally:
        for one in silent:
            one.close()


@pytest.mark.parametrize("port", ["http", "mqtt"])
def test_a_handshake_has_its_time(start_broker, port):
    broker = start_broker(config="limits: { handshake_timeout: 300ms }\n")
    number = broker.mqtt_port if port == "mqtt" else int(broker.public.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", number), timeout=http.TIMEOUT_S) as one:
        one.sendall(b"\x10" if port == "mqtt" else b"GET / HT")
        while one.recv(1000):
            pass
    if port == "mqtt":
        broker.wait_metric('tidings_connections_closed_total{protocol="mqtt",'
                           'reason="handshake_timeout"}', 1)


def test_an_idle_connection_ends(start_broker):
    broker = start_broker(config="limits: { idle_timeout: 1s }\n")
    with broker.connect() as connection:
        assert connection.request("POST", "/channels/a", {}, b"1").status == 200
        assert connection.is_closed_within()


def test_messages_and_headers_that_are_too_large_are_counted(start_broker):
    broker = start_broker(config="channels: [{match: '**', message_bytes_max: 10B}]\n")
    assert broker.post("a", b"x" * 11, "text/plain").status == 413
    assert broker.get("/channels/a", {"X-Long": "x" * 20000}).status == 431
    assert refused(broker, "message_bytes", "http") == 1
    assert refused(broker, "headers", "http") == 1


# --- identities ----------------------------------------------------------------------------------

KEYED = """
limits: { connections_per_identity: 2, publish_rate_per_identity: 3/s,
          login_failures_per_address: 1/s, loopback: true }
auth:
  keys: [ { name: backend, hash: "%s", publish: ["**"], subscribe: ["**"], history: ["**"] } ]
"""
SECRET = "a-key-of-the-tests"
BEARER = {"Authorization": "Bearer " + SECRET}


def keyed(start_broker):
    return start_broker(config=KEYED % tokens.hash_of(SECRET))


def test_connections_of_a_subject_are_limited(start_broker):
    broker = keyed(start_broker)
    first = broker.websocket("/channels/a", headers=BEARER)
    second = broker.websocket("/channels/a", headers=BEARER)
    with pytest.raises(Refused) as told:
        broker.websocket("/channels/a", headers=BEARER)
    assert told.value.response.status == 429
    assert "limits.connections_per_identity" in told.value.response.json()["detail"]
    with Client(broker) as client:
        client.connect("c", user="backend", password=SECRET, expect=QUOTA_EXCEEDED)
    first.close()
    wait_for(lambda: broker.metric('tidings_connections_open{protocol="websocket"}') == 1,
             what="its end")
    broker.websocket("/channels/a", headers=BEARER).close()
    second.close()
    assert refused(broker, "connections_per_identity", "http") == 1
    assert refused(broker, "connections_per_identity", "mqtt") == 1


def test_whoever_has_its_answer_is_counted(start_broker):
    """Else the next one may come to another worker before the first is counted on its own."""
    broker = keyed(start_broker)
    for _ in range(30):
        with broker.websocket("/channels/a", headers=BEARER), \
                broker.websocket("/channels/a", headers=BEARER):
            with pytest.raises(Refused):
                broker.websocket("/channels/a", headers=BEARER)
        wait_for(lambda: broker.metric('tidings_connections_open{protocol="websocket"}') == 0,
                 what="their end")


def test_of_many_that_come_at_once_as_many_are_admitted_as_may(start_broker):
    broker = start_broker("--workers", "4", config=KEYED % tokens.hash_of(SECRET))
    together = threading.Barrier(12)

    def come(_):
        together.wait(60)
        try:
            return broker.websocket("/channels/a", headers=BEARER)
        except Refused as told:
            assert told.response.status == 429
            return None

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for _ in range(10):
            admitted = [one for one in pool.map(come, range(12)) if one]
            for one in admitted:
                one.close()
            assert len(admitted) == 2
            wait_for(lambda: broker.metric('tidings_connections_open{protocol="websocket"}') == 0,
                     what="their end")


def test_a_long_poll_is_one_of_the_connections_of_a_subject(start_broker):
    """Else who may have two streams had as many readers as he likes."""
    broker = keyed(start_broker)
    waiting = "/channels/a?since=earliest&wait=20s"
    with broker.websocket("/channels/a", headers=BEARER), broker.connect() as connection:
        connection.send(http.request_bytes(broker.host, "GET", waiting, BEARER))
        wait_for(lambda: b'"protocol":"http","identity":"key backend"' in http.request(
            broker.operator, "GET", "/api/v1/connections").body, what="it to wait")
        told = broker.get("/channels/a?wait=20s", BEARER)
        assert told.status == 429 and "limits.connections_per_identity" in told.json()["detail"]
        assert broker.get("/channels/a", BEARER).status == 200  # which does not wait
        assert broker.post("a", b"1", headers=BEARER).status == 200
        assert connection.read_response().status == 200
        for _ in range(3):  # the next of the same connection takes the place of the one before
            answer = connection.request("GET", waiting, BEARER)
            assert answer.status == 200, answer


def test_a_subject_shares_its_rate_over_its_connections(start_broker):
    broker = keyed(start_broker)
    post = ("POST", "/channels/a", BEARER, b"1")
    with broker.connect() as one, broker.connect() as other:
        one.send(b"".join([http.request_bytes(one.host, *post)] * 10))
        answers = other.burst(*[post] * 10) + [one.read_response() for _ in range(10)]
    codes = [answer.status for answer in answers]
    assert 200 in codes and codes.count(429) >= 5, codes
    answer = next(answer for answer in answers if answer.status == 429)
    assert policy_of(answer)[0] == ("identity", {"q": 3, "w": 1})
    assert logged(broker, "publish_rate_per_identity")[0]["identity"] == "key backend"


def test_behind_too_many_bad_credentials_none_are_looked_at(start_broker):
    broker = keyed(start_broker)
    bad = ("GET", "/channels/a", {"Authorization": "Bearer wrong"}, None)

    def exhaust(*more):
        """The answers to more than there may be in a second, and to what comes right behind."""
        with broker.connect() as connection:
            return [answer.status for answer in connection.burst(*[bad] * 14, *more)]

    codes = exhaust(("GET", "/channels/a", BEARER, None))
    assert codes[:10] == [401] * 10 and codes[-2:] == [429] * 2, codes

    def is_told_by_mqtt():
        exhaust()
        with Client(broker) as client:
            client.send(packets.connect("c", version=V5, user="backend", password="wrong"))
            return client.expect(CONNACK).reason == RATE_EXCEEDED
    wait_for(is_told_by_mqtt)  # where a second had gone by since, one more is looked at
    assert refused(broker, "login_failures_per_address", "http") >= 2
    assert refused(broker, "login_failures_per_address", "mqtt") >= 1
