# SPDX-License-Identifier: Apache-2.0
"""Readers that come and go under load: each message once and in order; two workers are as one."""
import json
import random
import threading

import pytest

from harness import http
from harness.sse import EventStream
from harness.websocket import PeerClosed, WebSocket

ROUNDS = 1000
PUBLISHERS = 8
# Longer than what publishers that go on without a pause put between two visits of a reader.
LONG = "channels: [{match: '**', history: {messages: 1000000, bytes: 1GiB}}]\n"


class Publishers:
    """Publishes {"p": publisher, "n": 1…} on keep-alive connections until it is left."""

    def __init__(self, broker, channel, count=PUBLISHERS, pause_s=0.0, limit=None, body=""):
        self.broker, self.channel, self.pause_s = broker, channel, pause_s
        self.limit, self.body = limit, body
        self.is_over = threading.Event()
        self.answers = [[] for _ in range(count)]
        self.faults = []
        self.threads = [threading.Thread(target=self.publish, args=(index,), daemon=True)
                        for index in range(count)]

    def publish(self, index):
        try:
            with self.broker.connect() as connection:
                number = 0
                while not self.is_over.is_set() and number != self.limit:
                    number += 1
                    body = json.dumps({"p": index, "n": number, "x": self.body}).encode()
                    answer = connection.request("POST", "/channels/" + self.channel, {
                        "Content-Type": "application/json"}, body)
                    assert answer.status == 200, answer
                    self.answers[index].append(answer.json())
                    if self.pause_s:
                        self.is_over.wait(self.pause_s)
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(fault)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def join(self):
        for thread in self.threads:
            thread.join()
        assert self.faults == []

    def __exit__(self, *_):
        self.is_over.set()
        self.join()

    @property
    def count(self):
        return sum(len(answers) for answers in self.answers)


def read_by_websocket(broker, channel, since, how_many):
    with WebSocket(broker.public, f"/channels/{channel}?since={since}") as socket:
        for _ in range(how_many):
            message = socket.recv_json()
            assert "gap" not in message, message
            if "offset" in message:
                yield message


def read_by_events(broker, channel, since, how_many):
    last = None if since == "0" else since
    query = "?since=0" if since == "0" else ""
    with EventStream(broker.public, f"/channels/{channel}{query}", last_event_id=last) as stream:
        for _ in range(how_many):
            event = stream.next()
            assert event.event is None, event
            message = event.json()
            assert message["id"] == event.id
            yield message


def read_by_pages(broker, channel, since, how_many):
    with broker.connect() as connection:
        page = connection.request(
            "GET", f"/channels/{channel}?since={since}&limit={how_many}").json()
        assert "gap" not in page, page
        yield from page["messages"]


@pytest.mark.deadline(300)
@pytest.mark.parametrize("read", [read_by_websocket, read_by_events, read_by_pages])
def test_a_reader_that_reconnects_at_random_sees_each_message_once_in_order(start_broker, read):
    broker = start_broker("--workers", "2", config=LONG)
    random.seed(20120129)
    with Publishers(broker, "race", 4, pause_s=0.002) as publishers:
        since, seen, rounds = "0", [], 0
        while rounds < ROUNDS // 3 + 1:
            before = len(seen)
            for message in read(broker, "race", since, random.randint(1, 40)):
                seen.append(message["offset"])
                since = message["id"]
                if random.random() < 0.01:
                    break
            rounds += len(seen) > before  # a page at the head may be empty: no round
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) <= publishers.count


@pytest.mark.deadline(200)
def test_offsets_are_dense_and_equal_for_every_reader_on_two_workers(start_broker):
    each = 250
    total = each * PUBLISHERS
    broker = start_broker("--workers", "2")
    readers, results = [], {}

    def follow(name, take):
        results[name] = [take() for _ in range(total)]

    def start(name, take):
        readers.append(threading.Thread(target=follow, args=(name, take), daemon=True))

    sockets = [broker.websocket("/channels/dense") for _ in range(8)]
    streams = [broker.events("/channels/dense") for _ in range(8)]
    for number, socket in enumerate(sockets):
        start(f"websocket {number}", lambda socket=socket: socket.recv_json(60))
    for number, stream in enumerate(streams):
        start(f"events {number}", lambda stream=stream: stream.next(60).json())
    for reader in readers:
        reader.start()
    with Publishers(broker, "dense", PUBLISHERS, limit=each) as publishers:
        publishers.join()
    for reader in readers:
        reader.join(90)
    for one in sockets + streams:
        one.close()
    stored, gaps = broker.all_messages("dense")
    assert gaps == [] and [message["offset"] for message in stored] == list(range(1, total + 1))
    assert len(results) == 16
    for name, seen in results.items():
        assert seen == stored, name
    answered = {}
    for index, answers in enumerate(publishers.answers):
        offsets = [answer["offset"] for answer in answers]
        assert offsets == sorted(offsets)
        for number, answer in enumerate(answers, 1):
            answered[answer["offset"]] = (answer["id"], index, number)
    for message in stored:
        assert answered[message["offset"]] == \
            (message["id"], message["data"]["p"], message["data"]["n"])


def test_both_workers_serve(start_broker):
    """Connections spread; a publish at one worker reaches readers at every other."""
    broker = start_broker("--workers", "2")
    sockets = [broker.websocket("/channels/a") for _ in range(16)]
    try:
        for number in range(1, 11):
            assert broker.publish("a", number)["offset"] == number
        for socket in sockets:
            assert [socket.recv_json()["data"] for _ in range(10)] == list(range(1, 11))
    finally:
        for socket in sockets:
            socket.close()


@pytest.mark.parametrize("size", [10, 20000])
def test_a_reader_from_the_first_offset_meets_the_head_without_a_seam(start_broker, size):
    """Catching up from the disk, then from the tail, while publishers go on."""
    broker = start_broker("--workers", "2")
    with Publishers(broker, "seam", 4, pause_s=0.001, limit=150, body="x" * size):
        with broker.websocket("/channels/seam?since=0") as early:
            seen = [early.recv_json(30)["offset"] for _ in range(300)]
        with broker.websocket("/channels/seam?since=0") as late:
            again = [late.recv_json(30)["offset"] for _ in range(600)]
    assert seen == list(range(1, 301)) and again == list(range(1, 601))


def test_what_one_worker_answered_every_reader_can_page_to(start_broker):
    """Read your own writes: a page asked for after the answer contains the message."""
    broker = start_broker("--workers", "2")
    connections = [broker.connect() for _ in range(6)]
    try:
        for number in range(1, 200):
            writer, reader = random.sample(connections, 2)
            answer = writer.request("POST", "/channels/own", None, b"%d" % number).json()
            page = reader.request("GET", "/channels/own?limit=1").json()
            assert page["messages"][0]["offset"] == answer["offset"] == number
    finally:
        for connection in connections:
            connection.close()


def test_readers_of_different_channels_do_not_hear_each_other(broker, channel):
    with broker.websocket(f"/channels/{channel}/a") as first, \
            broker.websocket(f"/channels/{channel}/b") as second:
        broker.publish(channel + "/a", "a")
        broker.publish(channel + "/b", "b")
        assert first.recv_json()["data"] == "a" and second.recv_json()["data"] == "b"
        with pytest.raises((TimeoutError, PeerClosed)):
            first.recv_json(0.5)


def test_publishers_that_leave_without_reading_the_answer_leave_no_hole(broker, channel):
    for _ in range(30):
        with broker.connect() as connection:
            connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}",
                                               None, b"1") * 3)
    broker.publish(channel, "last")
    messages, gaps = broker.all_messages(channel)
    assert gaps == []
    assert [message["offset"] for message in messages] == list(range(1, len(messages) + 1))
