# SPDX-License-Identifier: Apache-2.0
"""WebSocket on /stream: many subscriptions on one socket, each a reader of its own."""
import json
import random
import threading
from socket import SO_RCVBUF, SOL_SOCKET

import pytest

from harness.broker import wait_for
from harness.websocket import TEXT, PeerClosed, Refused, frame

OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate"}


def ask(socket, command, ref=1):
    """Sends a command and gives its answer, and what came before that."""
    socket.send_json({**command, "ref": ref})
    others = []
    while (entry := socket.recv_json()).get("ref") != ref:
        others.append(entry)
    return entry, others


def subscribe(socket, what, ref=1, **options):
    answer, _ = ask(socket, {"subscribe": what, **options}, ref)
    return answer["ok"]


def stall(socket):
    """Its peer's kernel takes no more than that of what is not read."""
    socket.connection.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 65536)


def test_a_subscription_brings_what_is_published_from_then_on(broker, channel):
    broker.publish(channel, "before")
    with broker.websocket("/stream") as socket:
        ok = subscribe(socket, channel)
        assert ok["sub"] == 1 and ok["at"].startswith("t1")
        answer = broker.publish(channel, {"a": 1}, {"Tidings-Event": "goal"})
        envelope = socket.recv_json()
        assert list(envelope)[0] == "sub" and envelope.pop("sub") == 1
        assert envelope == broker.page(channel)["messages"][-1]
        assert envelope["id"] == answer["id"]


def test_subscriptions_are_numbered_and_told_apart(broker, channel):
    with broker.websocket("/stream") as socket:
        names = [f"{channel}/{i}" for i in range(5)]
        for i, name in enumerate(names):
            assert subscribe(socket, name, ref=i)["sub"] == i + 1
        for name in names:
            broker.publish(name, name)
        got = [socket.recv_json() for _ in names]
        assert {entry["sub"]: entry["data"] for entry in got} == dict(enumerate(names, 1))


def test_a_channel_subscribed_to_twice_comes_twice(broker, channel):
    with broker.websocket("/stream") as socket:
        subscribe(socket, channel)
        subscribe(socket, f"{channel}/**")
        broker.publish(channel, 1)
        assert sorted(socket.recv_json()["sub"] for _ in range(2)) == [1, 2]


def test_what_was_unsubscribed_brings_nothing_more_and_its_number_is_gone(broker, channel):
    with broker.websocket("/stream") as socket:
        subscribe(socket, channel)
        subscribe(socket, f"{channel}/b")
        assert ask(socket, {"unsubscribe": 1}, 9)[0] == {"ref": 9, "ok": {}}
        broker.publish(channel, 1)
        broker.publish(f"{channel}/b", 2)
        assert socket.recv_json()["sub"] == 2
        assert ask(socket, {"unsubscribe": 1}, 9)[0]["error"]["code"] == "not-found"
        assert subscribe(socket, channel)["sub"] == 3


@pytest.mark.parametrize("since, expected", [
    ("earliest", [1, 2, 3, 4, 5]), (0, [1, 2, 3, 4, 5]), (3, [4, 5]), ("3", [4, 5]),
    ("-2", [4, 5]), ("-1h", [1, 2, 3, 4, 5]), ("now", []), ("id", [3, 4, 5])])
def test_a_subscription_starts_where_it_says(broker, channel, since, expected):
    answers = broker.fill(channel, 5)
    since = answers[1]["id"] if since == "id" else since
    with broker.websocket("/stream") as socket:
        subscribe(socket, channel, since=since)
        assert [socket.recv_message()["data"]["n"] for _ in expected] == expected
        broker.fill(channel, 1, first=6)
        assert socket.recv_message()["data"]["n"] == 6


def test_at_is_where_it_begins(broker, channel):
    answers = broker.fill(channel, 3)
    with broker.websocket("/stream") as socket:
        at = subscribe(socket, channel, since=answers[0]["id"])["at"]
        assert socket.recv_message()["offset"] == 2
    with broker.websocket(f"/channels/{channel}?since={at}") as socket:
        assert socket.recv_message()["offset"] == 2


def test_a_start_that_is_a_gap_is_answered_first(broker, channel):
    broker.fill(channel, 3)
    with broker.websocket("/stream") as socket:
        ok = subscribe(socket, channel, since=99)
        assert ok["sub"] == 1
        told = socket.recv_json()
        assert told["sub"] == 1 and told["gap"]["reason"] == "ahead"
        assert told["gap"]["channel"] == channel
        broker.fill(channel, 1, first=4)
        assert socket.recv_message()["data"]["n"] == 4


def test_the_url_may_name_subscriptions(broker, channel):
    broker.fill(f"{channel}/a", 2)
    broker.fill(f"{channel}/b/c", 2)
    target = f"/stream?channel={channel}/a&channel={channel}/b/**&since=earliest"
    with broker.websocket(target) as socket:
        got = [socket.recv_json() for _ in range(4)]
        assert sorted((entry["sub"], entry["offset"]) for entry in got) == \
            [(1, 1), (1, 2), (2, 1), (2, 2)]
        assert subscribe(socket, channel)["sub"] == 3


@pytest.mark.parametrize("command, field", [
    ({"subscribe": "a/#"}, "subscribe"), ({"subscribe": ""}, "subscribe"),
    ({"subscribe": "a/**/b"}, "subscribe"), ({"subscribe": 7}, "subscribe"),
    ({"subscribe": "a", "since": "soon"}, "since"), ({"subscribe": "a/*", "since": 3}, "since"),
    ({"subscribe": "a", "on_lag": "wait"}, "on_lag"), ({"subscribe": "a", "limit": 0}, "limit"),
    ({"subscribe": "a", "limit": "many"}, "limit"), ({"unsubscribe": 7}, "unsubscribe"),
    ({"unsubscribe": "a"}, "unsubscribe"), ({"publish": {"data": 1}}, "channel")])
def test_what_cannot_be_done_names_its_field(broker, command, field):
    with broker.websocket("/stream") as socket:
        error = ask(socket, command)[0]["error"]
        assert error["field"] == field and error["code"] and error["message"]
        assert subscribe(socket, "still/here")["sub"] == 1


def test_a_limit_is_told_and_ends_the_subscription(broker, channel):
    answers = broker.fill(channel, 5)
    with broker.websocket("/stream") as socket:
        subscribe(socket, channel, since="earliest", limit=3)
        assert [socket.recv_json()["offset"] for _ in range(3)] == [1, 2, 3]
        assert socket.recv_json() == {"sub": 1, "done": True, "at": answers[2]["id"]}
        assert ask(socket, {"unsubscribe": 1}, 2)[0]["error"]["code"] == "not-found"
        subscribe(socket, channel, since=answers[2]["id"])
        assert socket.recv_message()["offset"] == 4


def test_a_limit_counts_live_messages_too(broker, channel):
    broker.fill(channel, 1)
    with broker.websocket("/stream") as socket:
        subscribe(socket, channel, since="earliest", limit=3)
        assert socket.recv_json()["offset"] == 1
        broker.fill(channel, 5, first=2)
        assert [socket.recv_json().get("offset") for _ in range(3)] == [2, 3, None]
        assert ask(socket, {"unsubscribe": 1}, 2) == (
            {"ref": 2, "error": {"code": "not-found", "field": "unsubscribe",
                                 "message": "there is no subscription 1 on this socket"}}, [])


def test_publishing_is_answered_while_readers_catch_up(broker, channel):
    for n in range(300):
        broker.publish(channel, "x" * 4000)
    with broker.websocket("/stream") as socket:
        for i in range(4):
            socket.send_json({"subscribe": channel, "since": "earliest", "ref": f"s{i}"})
        socket.send_json({"publish": {"channel": f"{channel}/other", "data": 1}, "ref": "p"})
        seen = 0
        while (entry := socket.recv_json()).get("ref") != "p":
            seen += "offset" in entry
        assert entry["ok"]["offset"] == 1
        assert seen < 1200


def test_subscriptions_of_one_socket_are_served_in_turn(broker, channel):
    """Of four that catch up on a slow socket none is far ahead of another."""
    for n in range(400):
        broker.publish(channel, "x" * 4000)
    with broker.websocket("/stream") as socket:
        stall(socket)
        # At once: who came first is not ahead by what a socket takes meanwhile.
        asked = frame(TEXT, json.dumps({"subscribe": channel, "since": "earliest"}).encode())
        socket.connection.send(asked * 4)
        counts = {1: 0, 2: 0, 3: 0, 4: 0}
        while max(counts.values()) < 400:
            counts[socket.recv_message()["sub"]] += 1
        assert min(counts.values()) > 200, counts  # 341 to 396; 0 where one comes after the other


def test_a_repeat_with_the_same_key_stores_nothing(broker, channel):
    publish = {"publish": {"channel": channel, "data": 1, "idempotency_key": f"k-{channel}"}}
    with broker.websocket("/stream") as socket:
        first = ask(socket, publish, 1)[0]["ok"]
        assert ask(socket, publish, 2)[0]["ok"] == first
        publish["publish"]["data"] = 2
        assert ask(socket, publish, 3)[0]["error"]["code"] == "unprocessable"
    assert len(broker.page(channel)["messages"]) == 1


def test_a_thousand_subscriptions_and_no_more(broker, channel):
    with broker.websocket("/stream") as socket:
        for i in range(1001):
            socket.send_json({"subscribe": f"{channel}/{i}", "ref": i})
        answers = {}
        while len(answers) < 1001:
            entry = socket.recv_json()
            if "ref" in entry:  # else it tells how far a subscription is
                answers[entry["ref"]] = entry
        assert answers[1000]["error"]["code"] == "too-many-requests"
        assert [answers[i]["ok"]["sub"] for i in range(1000)] == list(range(1, 1001))
        broker.publish(f"{channel}/999", "last")
        assert socket.recv_message()["sub"] == 1000


def test_a_pattern_socket_reads_and_publishes_with_a_channel(broker, channel):
    with broker.websocket(f"/channels/{channel}/**") as socket:
        assert ask(socket, {"publish": {"data": 1}})[0]["error"]["field"] == "channel"
        socket.send_json({"publish": {"channel": f"{channel}/x/y", "data": 1}})
        entry = socket.recv_message()
        assert entry["channel"] == f"{channel}/x/y" and "sub" not in entry
        assert ask(socket, {"subscribe": "a"}, 2)[0]["error"]["field"] == "subscribe"


@pytest.mark.parametrize("target", ["/stream?channel=a%23", "/stream?channel=a&since=soon",
                                    "/stream?channel=a*b"])
def test_a_url_that_means_nothing_is_refused(broker, target):
    with pytest.raises(Refused) as refused:
        broker.websocket(target)
    assert refused.value.response.status == 400


def test_resuming_any_subscription_from_any_id_loses_and_repeats_nothing(start_broker, channel):
    """Publishers go on while sockets come, read a little, and go; every id will do."""
    broker = start_broker(config="channels: [{match: '**', history: {messages: 1000000}}]\n")
    draw = random.Random(7)
    names = [f"{channel}/{i}" for i in range(6)]
    over = threading.Event()

    def publish():
        n = 0
        while not over.is_set():
            n += 1
            broker.publish(names[0] if draw.random() < 0.7 else draw.choice(names), n)

    with broker.websocket("/stream") as socket:
        since = subscribe(socket, f"{channel}/*")["at"]
    publisher = threading.Thread(target=publish)
    publisher.start()
    got = []
    try:
        for turn in range(25):
            headers = OFFER if turn % 2 else None
            with broker.websocket("/stream", headers=headers) as socket:
                socket.send_json({"subscribe": f"{channel}/*", "since": since})
                for _ in range(draw.randrange(1, 60)):
                    entry = socket.recv_message()
                    got.append((entry["channel"], entry["offset"]))
                    since = entry["id"]
    finally:
        over.set()
        publisher.join()
    for name in names:
        offsets = [offset for channel_name, offset in got if channel_name == name]
        assert offsets == list(range(1, len(offsets) + 1))
    assert len(got) > 200


def test_a_reader_that_is_cut_off_for_its_lag_ends_the_socket_with_4008(broker, channel):
    ended = 'tidings_connections_closed_total{protocol="websocket",reason="too_slow"}'
    with broker.websocket("/stream") as socket:
        stall(socket)
        subscribe(socket, channel, on_lag="disconnect")
        payload = json.dumps("x" * 100000)
        broker.lag(lambda: broker.post(channel, payload))
        with pytest.raises(PeerClosed) as closed:
            while True:
                socket.recv()
        assert closed.value.code in (4008, None)  # None: it read too late even for that
    wait_for(lambda: broker.metric(ended) >= 1)


def publish_noise(broker, channel, count):
    """More than a stalled socket takes, and nothing that compresses well."""
    draw = random.Random(1)
    for first in range(0, count, 100):
        lines = "\n".join(json.dumps({"n": n, "x": "%x" % draw.getrandbits(20000)})
                          for n in range(first, first + 100))
        assert broker.post(channel, lines, "application/x-ndjson").status == 200


@pytest.mark.parametrize("headers", [None, OFFER])
def test_policies_differ_on_one_socket_and_each_says_what_it_left_out(broker, channel, headers):
    count = 3000
    with broker.websocket("/stream", headers=headers) as socket:
        stall(socket)
        for i, on_lag in enumerate(["conflate", "catch_up", "drop"]):
            subscribe(socket, channel, ref=i, on_lag=on_lag)
        publish_noise(broker, channel, count)
        seen, skipped, dropped = {1: [], 2: [], 3: []}, 0, []
        over = {number: 0 for number in seen}  # how far each has come
        while min(over.values()) < count:
            entry = socket.recv_json()
            if "gap" in entry:
                assert entry["sub"] == 3 and entry["gap"]["reason"] == "dropped"
                dropped += range(entry["gap"]["from"], entry["gap"]["to"] + 1)
                over[3] = entry["gap"]["to"]
            elif "offset" in entry:
                assert entry["offset"] == entry["data"]["n"] + 1
                seen[entry["sub"]].append(entry["offset"])
                over[entry["sub"]] = entry["offset"]
                skipped += entry.get("skipped", 0)
    every = list(range(1, count + 1))
    assert seen[2] == every
    assert seen[1] == sorted(seen[1]) and len(seen[1]) + skipped == count and skipped > 0
    assert sorted(seen[3] + dropped) == every and dropped


def test_a_rule_decides_the_policy_of_a_subscription_to_its_channel(start_broker):
    broker = start_broker(config="channels: [{match: fast/**, on_lag: drop}]")
    with broker.websocket("/stream") as socket:
        stall(socket)
        subscribe(socket, "fast/a")
        subscribe(socket, "fast/*", ref=2)  # a pattern has no rule: it catches up
        publish_noise(broker, "fast/a", 2000)
        seen, gaps = {1: [], 2: []}, []
        while seen[2][-1:] != [2000]:
            entry = socket.recv_json()
            if "gap" in entry:
                gaps.append(entry["sub"])
            elif "offset" in entry:
                seen[entry["sub"]].append(entry["offset"])
        assert seen[2] == list(range(1, 2001))
        assert len(seen[1]) < 2000 and set(gaps) == {1}


def test_progress_is_told_of_those_that_nothing_was_for(broker, channel):
    with broker.websocket("/stream") as socket:
        subscribe(socket, f"{channel}/quiet")
        subscribe(socket, f"{channel}/busy", ref=2)
        subscribe(socket, f"{channel}/nothing/**", ref=3)
        broker.fill(f"{channel}/busy", 3)
        assert [socket.recv_message()["sub"] for _ in range(3)] == [2, 2, 2]
        told = [socket.recv_json(60) for _ in range(2)]
        assert sorted(entry["sub"] for entry in told) == [1, 3]
        assert all(list(entry) == ["sub", "at"] for entry in told)
    since = told[0]["at"]
    target = f"/stream?channel={channel}/**&since={since}"
    with broker.websocket(target) as socket:
        broker.publish(f"{channel}/quiet", "next")
        assert socket.recv_message()["data"] == "next"
