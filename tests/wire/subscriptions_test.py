# SPDX-License-Identifier: Apache-2.0
"""WebSocket on /stream: many subscriptions on one socket, each by its own words."""
import threading
import time

import pytest

from harness.readers import EventReader, Refusal, Subscriptions
from harness.websocket import PeerClosed, Refused


@pytest.fixture(name="socket")
def open_socket(broker):
    with Subscriptions(broker) as socket:
        yield socket


def test_an_answer_has_the_number_and_the_place(broker, channel, socket):
    answer = broker.publish(channel, 1)
    ok = socket.ask({"subscribe": channel})
    assert set(ok) == {"sub", "at"} and isinstance(ok["sub"], int)
    second = socket.ask({"subscribe": channel + "/*", "since": answer["id"]})
    assert second["sub"] != ok["sub"]
    broker.publish(channel, 2)
    entry = socket.entry(ok["sub"])
    assert set(entry) == {"channel", "offset", "id", "time", "data"}
    assert (entry["channel"], entry["offset"], entry["data"]) == (channel, 2, 2)


def test_publishing_goes_to_any_channel_and_is_answered(broker, channel, socket):
    number = socket.subscribe(channel + "/*")
    ok = socket.ask({"publish": {"channel": channel + "/7", "data": {"text": "hi"},
                                 "event": "e", "key": "k"}})
    assert ok["offset"] == 1 and ok["id"]
    message = socket.message(number)
    assert (message["id"], message["data"], message["event"], message["key"]) == \
        (ok["id"], {"text": "hi"}, "e", "k")
    assert broker.page(channel + "/7")["messages"] == [message]


@pytest.mark.parametrize("command", [
    {"publish": {"data": 1}}, {"publish": {"channel": "a/*", "data": 1}}, {"publish": {}},
    {"subscribe": ""}, {"subscribe": "a*"}, {"subscribe": "a/**/b"}, {"subscribe": 7},
    {"subscribe": "a", "since": "x"}, {"subscribe": "a", "since": "t1zzz"},
    {"subscribe": "a", "on_lag": "x"}, {"subscribe": "a", "limit": 0},
    {"subscribe": "a", "limit": -1}, {"subscribe": "a", "limit": "x"}, {"subscribe": "a", "b": 1},
    {"subscribe": "a", "publish": {"channel": "a", "data": 1}}, {"subscribe": "x" * 500},
    {"subscribe": "a/*", "since": 3}, {"unsubscribe": 999999}, {"unsubscribe": "x"},
    {"unsubscribe": -1}, {"fly": 1}, {}], ids=str)
def test_a_command_that_cannot_be_done_is_an_error_with_its_ref(broker, channel, socket, command):
    number = socket.subscribe(channel)
    with pytest.raises(Refusal) as refusal:
        socket.ask(command)
    assert refusal.value.code and refusal.value.message
    broker.publish(channel, "still here")
    assert socket.message(number)["data"] == "still here"


@pytest.mark.parametrize("text", ["", "x", "[]", "1", '{"subscribe":"a"', "{}"])
def test_what_is_no_command_is_an_error_and_not_the_end(broker, channel, socket, text):
    socket.websocket.send_text(text)
    error = socket.websocket.recv_json()["error"]
    assert error["code"] and error["message"]
    number = socket.subscribe(channel)
    broker.publish(channel, 1)
    assert socket.message(number)["data"] == 1


def test_a_ref_may_be_a_number_or_a_text_and_may_be_left_out(broker, channel, socket):
    websocket = socket.websocket
    for ref in (1, "one", 9007199254740991):
        websocket.send_json({"publish": {"channel": channel, "data": ref}, "ref": ref})
        assert websocket.recv_json()["ref"] == ref
    websocket.send_json({"publish": {"channel": channel, "data": "quiet"}})
    websocket.send_json({"publish": {"channel": channel, "data": "end"}, "ref": "end"})
    assert websocket.recv_json()["ref"] == "end"
    assert [one["data"] for one in broker.page(channel)["messages"]][-2:] == ["quiet", "end"]


def test_a_gap_has_its_subscription(start_broker):
    broker = start_broker(config="""
channels:
  - match: "short/**"
    history: { messages: 5 }
""")
    start = broker.fill("short/a", 20)[1]["id"]
    with Subscriptions(broker) as socket:
        for since in (2, start):
            number = socket.subscribe("short/a", since=since)
            gap = socket.entry(number)["gap"]
            assert (gap["channel"], gap["from"], gap["to"], gap["reason"]) == \
                ("short/a", 3, 15, "expired")
            assert [one["offset"] for one in socket.messages(number, 5)] == list(range(16, 21))


def test_each_subscription_is_in_order_and_complete(start_broker):
    """Forty subscriptions, catching up and live, of one socket at two workers."""
    broker = start_broker("--workers", "2")
    channels = [f"s/{number}" for number in range(20)]
    for number in range(200):
        broker.publish(channels[number % 20], number)
    with Subscriptions(broker, timeout_s=60) as socket:
        late = {name: socket.subscribe(name, since="earliest") for name in channels}
        live = {name: socket.subscribe(name) for name in channels}
        whole = socket.subscribe("s/*", since="earliest")
        for number in range(200, 400):
            broker.publish(channels[number % 20], number)
        for index, name in enumerate(channels):
            assert [one["data"] for one in socket.messages(late[name], 20)] == \
                list(range(index, 400, 20))
            assert [one["data"] for one in socket.messages(live[name], 10)] == \
                list(range(200 + index, 400, 20))
        assert [one["data"] for one in socket.messages(whole, 400)] == list(range(400))


def test_a_busy_catching_up_does_not_starve_a_live_subscription(start_broker):
    """Fairly in turn: live messages come between the pages of the history, not behind them all."""
    broker = start_broker(config="""
channels:
  - match: "**"
    history: { messages: unlimited }
""")
    body = b"".join(b'{"n":%d,"x":"%s"}\n' % (number, b"x" * 1000) for number in range(5000))
    rounds = 6
    for _ in range(rounds):
        assert broker.post("busy", body, "application/x-ndjson").status == 200
    with Subscriptions(broker, timeout_s=60) as socket:
        live = socket.subscribe("live")
        busy = [socket.subscribe("busy", since="earliest") for _ in range(3)]
        published = 0
        while len(socket.order) - published < 3 * rounds * 5000:
            if published <= len(socket.order) // 9000:
                broker.publish("live", published)
                published += 1
            socket.take(60)
        seen_at = [index for index, number in enumerate(socket.order) if number == live]
        assert published >= 9
        assert len(seen_at) >= published - 2, seen_at
        assert seen_at[0] < 3 * rounds * 5000 // 2, "the live one waited for the history"
        for number in busy:
            offsets = [entry["offset"] for entry in socket.waiting[number] if "offset" in entry]
            assert offsets == list(range(1, len(offsets) + 1)) and len(offsets) > rounds * 4900


def test_commands_are_answered_while_history_flows(start_broker):
    broker = start_broker()
    body = b"".join(b'{"n":%d,"x":"%s"}\n' % (number, b"x" * 1000) for number in range(5000))
    for _ in range(2):
        assert broker.post("a", body, "application/x-ndjson").status == 200
    with Subscriptions(broker, timeout_s=60) as socket:
        number = socket.subscribe("a", since="earliest")
        socket.message(number)
        ok = socket.ask({"publish": {"channel": "b", "data": 1}})
        assert ok["offset"] == 1
        assert len(socket.waiting[number]) < 9000, "the answer waited for the history"
        assert socket.ask({"unsubscribe": number}) == {}
        count = len(socket.waiting[number])
        socket.ask({"publish": {"channel": "b", "data": 2}})
        assert len(socket.waiting[number]) == count, "it said more after its end"


def test_subscriptions_that_come_and_go_under_load_leak_nothing(start_broker):
    broker = start_broker("--workers", "2")
    is_over = threading.Event()

    def publish():
        with broker.connect() as connection:
            number = 0
            while not is_over.is_set():
                number += 1
                connection.request("POST", f"/channels/load/{number % 10}", None, b"%d" % number)

    publisher = threading.Thread(target=publish, daemon=True)
    publisher.start()
    try:
        with Subscriptions(broker, timeout_s=60) as socket:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                numbers = [socket.subscribe(name, since=since)
                           for name in ("load/*", "load/1", "**") for since in ("-5", "now")]
                for number in numbers:
                    socket.message(number)
                for number in numbers:
                    socket.ask({"unsubscribe": number})
                    socket.waiting.pop(number, None)
    finally:
        is_over.set()
        publisher.join(60)
    broker.assert_alive()


def test_stream_over_sse_needs_a_channel_and_takes_many(broker, channel):
    answer = broker.get("/stream", {"Accept": "text/event-stream"})
    assert answer.status == 400 and answer.json()["field"] == "channel"
    names = [f"{channel}/{number}" for number in range(100)]
    with EventReader(broker, names) as reader:
        for name in names:
            broker.publish(name, name)
        assert [one["data"] for one in reader.messages(100)] == names


def test_an_event_stream_of_several_starts_with_its_place(broker, channel):
    answer = broker.publish(channel + "/a", 1)
    with EventReader(broker, [channel + "/a", channel + "/b"], since=answer["id"]) as reader:
        broker.publish(channel + "/b", 2)
        assert reader.message()["data"] == 2
        at = reader.at
    broker.publish(channel + "/a", 3)
    with EventReader(broker, [channel + "/a", channel + "/b"], since="earliest",
                     resume=at) as reader:
        assert reader.message()["data"] == 3, "Last-Event-ID beats since"


def test_a_socket_on_stream_may_name_the_subprotocol(broker):
    with Subscriptions(broker, headers={"Sec-WebSocket-Protocol": "tidings.v1"}) as socket:
        assert socket.websocket.headers["sec-websocket-protocol"] == "tidings.v1"


def test_a_draining_broker_closes_with_1001(start_broker):
    broker = start_broker()
    with Subscriptions(broker) as socket:
        socket.subscribe("a")
        broker.process.terminate()
        with pytest.raises(PeerClosed) as closed:
            while True:
                socket.take(20)
        assert closed.value.code == 1001
    assert broker.wait() == 0


def test_a_bad_handshake_on_stream_is_refused(broker):
    with pytest.raises(Refused) as refused:
        Subscriptions(broker, headers={"Sec-WebSocket-Version": "8"})
    assert refused.value.response.status == 426
