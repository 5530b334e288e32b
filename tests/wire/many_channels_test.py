# SPDX-License-Identifier: Apache-2.0
"""/stream over many channels with one id: random resumes lose nothing and repeat nothing."""
import json
import random
import threading

import pytest

from harness import http
from harness.broker import Broker
from harness.readers import EventReader
from harness.websocket import PeerClosed

CHANNELS = 50
HOT_LINES = 20  # messages of the busy channel for one of the 49 others: a thousand for each of them

CONFIG = """
channels:
  - match: "**"
    history: { messages: unlimited }
"""


class Traffic:
    """One hot channel and 49 others, or 50 alike, until it is left; survives a broker that is
    killed and comes back, and knows what was answered."""

    def __init__(self, broker, is_hot, pause_s):
        self.broker, self.is_hot, self.pause_s = broker, is_hot, pause_s
        self.is_over, self.is_up = threading.Event(), threading.Event()
        self.is_up.set()
        self.answered = set()
        self.faults = []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.is_over.is_set():
            self.is_up.wait(30)
            try:
                with self.broker.connect() as connection:
                    self.publish(connection)
            except (OSError, http.Closed):
                self.is_over.wait(0.01)  # the kill
            except Exception as fault:  # pylint: disable=broad-except
                self.faults.append(fault)
                return

    def publish(self, connection):
        number = 0
        while not self.is_over.wait(self.pause_s):
            number += 1
            if self.is_hot and number % 2:
                channel, kind = "load/0", "application/x-ndjson"
                body = b"".join(b'{"n":%d}\n' % line for line in range(HOT_LINES))
            else:
                channel, kind = f"load/{random.randrange(self.is_hot, CHANNELS)}", \
                    "application/json"
                body = json.dumps({"n": number}).encode()
            answer = connection.request("POST", f"/channels/{channel}", {"Content-Type": kind},
                                        body)
            assert answer.status == 200, answer
            for one in answer.json().get("results") or [answer.json()]:
                self.answered.add(one["id"])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.is_up.set()
        self.thread.join(30)
        assert self.faults == [] and not self.thread.is_alive()


class Resumer:
    """Reads a few messages, leaves, comes back with the last id it was told; again and again."""

    def __init__(self, broker, selectors):
        self.broker, self.selectors = broker, selectors
        self.at, self.resumes = None, 0
        self.seen = []

    def open(self):
        if self.at is None:
            return EventReader(self.broker, self.selectors, since="earliest", path="/stream")
        self.resumes += 1
        return EventReader(self.broker, self.selectors, resume=self.at, path="/stream")

    def turn(self, how_many, timeout_s):
        """True: something came. What was told is noted also where the broker is killed then."""
        before = len(self.seen)
        try:
            with self.open() as reader:
                reader.at = self.at
                try:
                    while len(self.seen) < before + how_many:
                        entry = reader.entry(timeout_s)
                        assert "gap" not in entry, entry
                        if "offset" in entry:
                            self.seen.append((entry["id"], entry["channel"], entry["offset"]))
                        self.at = reader.at
                except TimeoutError:
                    pass  # at the head
        except (OSError, http.Closed, PeerClosed):
            pass  # the kill
        return len(self.seen) > before


def log_of(broker, pattern="load/*"):
    messages, gaps = broker.all_messages(pattern)
    assert gaps == []
    return [(message["id"], message["channel"], message["offset"]) for message in messages]


def judge(broker, traffic, resumer, names):
    """What the resumer saw is the log, restricted to what it reads."""
    whole = log_of(broker)
    offsets = {}
    for _, channel, offset in whole:
        assert offset == offsets.get(channel, 0) + 1, "a hole or a repeat in the log itself"
        offsets[channel] = offset
    assert traffic.answered <= {entry[0] for entry in whole}, "an answered message is lost"
    expected = [entry for entry in whole if entry[1] in names]
    while len(resumer.seen) < len(expected):
        assert resumer.turn(len(expected) - len(resumer.seen), 60), "it gets no more"
    assert not resumer.turn(1, 0.5), "it gets more than there is"
    assert resumer.seen == expected
    return whole


def selectors_of(is_mixed):
    """The same fifty channels by name, or some of them by overlapping patterns."""
    names = [f"load/{number}" for number in range(CHANNELS)]
    return ["load/*", "none/**", *names[:20]] if is_mixed else names


def resume_at_random(broker, is_hot, is_mixed, rounds, kills=0):
    random.seed(f"{is_hot} {is_mixed}")
    names = {f"load/{number}" for number in range(CHANNELS)}
    quiet = [f"load/{number}" for number in range(1, CHANNELS)]
    every, others = Resumer(broker, selectors_of(is_mixed)), Resumer(broker, quiet)
    restarts = {rounds * (kill + 1) // (kills + 1) for kill in range(kills)}
    with Traffic(broker, is_hot, 0.002) as traffic:
        while every.resumes < rounds:
            most = 200 if is_hot else 20
            every.turn(random.randint(1, most), 0.2)
            if random.random() < 0.3:
                others.turn(random.randint(1, 5), 0.05)
            if every.resumes in restarts:
                restarts.remove(every.resumes)
                kill_while_reading(broker, traffic, every)
    judge(broker, traffic, others, set(quiet))
    whole = judge(broker, traffic, every, names)
    assert every.resumes >= rounds
    counts = sorted(sum(entry[1] == name for entry in whole) for name in names)
    print(f"{every.resumes} resumes, {len(whole)} messages, the busiest {counts[-1]}, "
          f"the median {counts[len(counts) // 2]}")


def kill_while_reading(broker, traffic, resumer):
    """kill -9 at some moment of a turn; what the reader was told by then counts."""
    killer = threading.Timer(random.uniform(0.0, 0.2), broker.process.kill)
    killer.start()
    while broker.process.poll() is None:
        resumer.turn(100000, 0.2)
    killer.join()
    traffic.is_up.clear()
    broker.kill()
    assert not broker.bad_words(), broker.logged[-40:]
    broker.start()
    traffic.is_up.set()


@pytest.mark.deadline(200)
@pytest.mark.parametrize("is_mixed", [False, True], ids=["names", "patterns"])
@pytest.mark.parametrize("is_hot", [False, True], ids=["alike", "one-is-hot"])
def test_resumes_of_a_stream_over_fifty_channels_lose_and_repeat_nothing(start_broker, is_hot,
                                                                         is_mixed):
    broker = start_broker("--workers", "2", config=CONFIG)
    resume_at_random(broker, is_hot, is_mixed, 100)


@pytest.mark.heavy
@pytest.mark.beside
@pytest.mark.deadline(600)
@pytest.mark.parametrize("is_hot, is_mixed", [(False, False), (True, True)],
                         ids=["alike-names", "one-is-hot-patterns"])
def test_a_thousand_resumes_and_kills_lose_and_repeat_nothing(is_hot, is_mixed):
    broker = Broker("--workers", "2", config=CONFIG)
    try:
        broker.start()
        resume_at_random(broker, is_hot, is_mixed, 1000, kills=6)
        broker.stop()
    finally:
        broker.close()


@pytest.mark.deadline(200)
def test_resumes_survive_kills():
    """The small sister of the test above, which also runs under the sanitizers."""
    broker = Broker("--workers", "2", config=CONFIG)
    try:
        broker.start()
        resume_at_random(broker, True, True, 60, kills=3)
        broker.stop()
    finally:
        broker.close()


def test_one_id_resumes_any_other_set_of_channels(broker, channel):
    """The id of a message of one channel is a place for all the others."""
    answers = [broker.publish(f"{channel}/{number % 4}", number) for number in range(24)]
    for index in (0, 7, 22):
        for selectors in ([channel + "/1", channel + "/2"], [channel + "/*"],
                          [channel + "/3", channel + "/**"], [channel + "/0"]):
            expected = [number for number in range(index + 1, 24)
                        if channel + f"/{number % 4}" in selectors
                        or any("*" in one for one in selectors)]
            with EventReader(broker, selectors, resume=answers[index]["id"],
                             path="/stream") as reader:
                assert [reader.message()["data"] for _ in expected] == expected
