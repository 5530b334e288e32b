# SPDX-License-Identifier: Apache-2.0
"""The trace that a publish belongs to goes with its messages (W3C Trace Context)."""
import json

import pytest

from harness import http

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
TRACE = {"traceparent": PARENT, "tracestate": STATE}
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": 1}
STARTED = f"00-{TRACE_ID}-{'a' * 16}-01"  # what an event says of its own beginning

FORMS = {
    "one message": ("/channels/{}", "application/json", b"1"),
    "lines": ("/channels/{}", "application/x-ndjson", b"1\n2\n3\n"),
    "many channels": ("/publish", "application/json",
                      b'[{"channel":"{}","data":1},{"channel":"{}","data":2}]'),
    "an event": ("/channels/{}", "application/cloudevents+json", json.dumps(EVENT).encode()),
    "events": ("/channels/{}", "application/cloudevents-batch+json",
               json.dumps([EVENT, EVENT]).encode()),
}


def send(url, form, channel, headers):
    target, media_type, body = FORMS[form]
    answer = http.request(url, "POST", target.replace("{}", channel),
                          {"Content-Type": media_type, **headers},
                          body.replace(b"{}", channel.encode()))
    assert answer.status == 200, answer
    return answer.json()


def headers_of(broker, channel):
    return [message.get("headers", {}) for message in broker.page(channel)["messages"]]


@pytest.mark.parametrize("form", FORMS)
def test_each_message_of_a_publish_has_its_trace(broker, channel, form):
    send(broker.public, form, channel, TRACE)
    send(broker.operator, form, channel, TRACE)
    found = headers_of(broker, channel)
    assert len(found) in (2, 4, 6)
    for headers in found:
        assert headers["traceparent"] == PARENT and headers["tracestate"] == STATE


def test_readers_of_all_kinds_see_it(broker, channel):
    with broker.websocket(f"/channels/{channel}") as web, \
            broker.events(f"/channels/{channel}") as events:
        broker.publish(channel, 1, TRACE)
        assert web.recv_message()["headers"] == events.next().json()["headers"] == TRACE


@pytest.mark.parametrize("parent", [
    "", "x", PARENT[:-1], PARENT + "-x", PARENT.upper(), PARENT.replace(TRACE_ID, "0" * 32),
    PARENT.replace("00f067aa0ba902b7", "0" * 16), "ff" + PARENT[2:], PARENT + "," + PARENT])
def test_an_invalid_traceparent_is_as_good_as_none(broker, channel, parent):
    broker.publish(channel, 1, {"traceparent": parent, "tracestate": STATE})
    assert headers_of(broker, channel) == [{}]


def test_two_traceparents_are_none(broker, channel):
    with broker.connect() as connection:
        connection.send(f"POST /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n"
                        f"traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n"
                        "Content-Length: 1\r\n\r\n1")
        assert connection.read_response().status == 200
    assert headers_of(broker, channel) == [{}]


def test_several_tracestates_are_one_list_and_a_bad_one_is_none(broker, channel):
    with broker.connect() as connection:
        for states in ("tracestate: a=1\r\ntracestate: b=2\r\n",
                       "tracestate: a=1\r\ntracestate: B=2\r\n"):
            connection.send(f"POST /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n"
                            f"traceparent: {PARENT}\r\n{states}Content-Length: 1\r\n\r\n1")
            assert connection.read_response().status == 200
    assert headers_of(broker, channel) == [{"traceparent": PARENT, "tracestate": "a=1,b=2"},
                                           {"traceparent": PARENT}]


def test_a_trace_that_the_message_says_itself_wins(broker, channel):
    own = f"00-{TRACE_ID}-{'b' * 16}-00"
    broker.publish(channel, 1, {**TRACE, "Tidings-Header-Traceparent": own})
    body = [{"channel": channel, "data": 2, "headers": {"TraceParent": own, "x": "y"}},
            {"channel": channel, "data": 3, "headers": {"x": "y"}}]
    answer = broker.request("POST", "/publish", TRACE, json.dumps(body).encode())
    assert answer.status == 200, answer
    assert headers_of(broker, channel) == [
        {"traceparent": own}, {"TraceParent": own, "x": "y"}, {"x": "y", **TRACE}]


def test_an_event_keeps_its_own_trace_beside_that_of_its_publish(broker, channel):
    """The extension `traceparent` is where the event began; the header is its last hop."""
    event = {**EVENT, "traceparent": STARTED}
    for headers, body in (
            ({"Content-Type": "application/cloudevents+json"}, json.dumps(event).encode()),
            ({f"ce-{name}": value for name, value in event.items() if name != "data"}, b"1")):
        answer = broker.request("POST", f"/channels/{channel}", {**TRACE, **headers}, body)
        assert answer.status == 200, answer
    for headers in headers_of(broker, channel):
        assert headers["ce-traceparent"] == STARTED
        assert headers["traceparent"] == PARENT and headers["tracestate"] == STATE


def test_a_trace_without_room_costs_no_publish(broker, channel):
    with broker.connect() as connection:
        connection.request("POST", f"/channels/{channel}", {
            "Content-Type": "application/json", **TRACE,
            **{f"Tidings-Header-H{number}": "" for number in range(95)}}, b"1")
    body = [{"channel": channel, "data": 1, "headers": {f"h{n}": "" for n in range(100)}},
            {"channel": channel, "data": 1, "headers": {"h": "x" * 16300}}]
    answer = broker.request("POST", "/publish", TRACE, json.dumps(body).encode())
    assert answer.status == 200, answer
    roomy, many, long = headers_of(broker, channel)
    assert roomy["traceparent"] == PARENT and len(roomy) == 97
    assert len(many) == 100 and "traceparent" not in many
    assert long["traceparent"] == PARENT and "tracestate" not in long


def test_a_retry_is_a_new_span_and_no_other_publish(broker, channel):
    key = {"Idempotency-Key": f'"{channel}"'}
    first = broker.publish(channel, 1, {**key, **TRACE})
    for headers in ({"traceparent": f"00-{TRACE_ID}-{'c' * 16}-01"}, {}, TRACE):
        assert broker.publish(channel, 1, {**key, **headers}) == first
    assert headers_of(broker, channel) == [TRACE]
    assert broker.post(channel, b"2", headers={**key, **TRACE}).status == 422


def test_a_websocket_says_its_trace_with_the_message(broker, channel):
    """The handshake's is not that of what is published later."""
    with broker.websocket(f"/channels/{channel}", headers=TRACE) as socket:
        socket.send_json({"publish": {"data": 1}, "ref": 1})
        socket.send_json({"publish": {"data": 2, "headers": TRACE}, "ref": 2})
        assert "headers" not in socket.recv_message()
        assert socket.recv_message()["headers"] == TRACE
