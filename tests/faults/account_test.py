# SPDX-License-Identifier: Apache-2.0
"""Everything at once: retention, expiry, deletes, kills and readers that come and go.

Each offset of a channel is delivered to each of its readers or told as missing, in order."""
import json
import random
import threading

import pytest

from harness import http
from harness.readers import KINDS, STREAMS
from harness.websocket import PeerClosed

CHANNELS = ("short/a", "long/b", "long/c")
CONFIG = """
limits: { send_budget: 16KiB }
channels:
  - match: "short/**"
    history: { messages: 60 }
  - match: "**"
    history: { messages: unlimited }
"""


class Writer:
    """Publishes one by one and in batches, some to expire in a second, and deletes some."""

    def __init__(self, broker, channel):
        self.broker, self.channel = broker, channel
        self.is_over, self.is_up = threading.Event(), threading.Event()
        self.is_up.set()
        self.last, self.faults = 0, []
        self.random = random.Random(channel)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over.is_set():
            self.is_up.wait(30)
            try:
                with self.broker.connect() as connection:
                    while not self.is_over.wait(self.random.uniform(0, 0.01)):
                        self.step(connection)
            except (OSError, http.Closed):
                self.is_over.wait(0.01)  # the kill
            except Exception as fault:  # pylint: disable=broad-except
                self.faults.append(fault)
                return

    def step(self, connection):
        if self.last > 5 and self.random.random() < 0.1:
            offset = self.random.randint(max(1, self.last - 40), self.last)
            what = self.random.choice(["offset", "offset", "offset", "before"])
            answer = connection.request("DELETE", f"/channels/{self.channel}?{what}={offset}")
            assert answer.status in (200, 204, 404), answer
            return
        fields = {"Content-Type": "application/x-ndjson"}
        if self.random.random() < 0.2:
            fields["Tidings-TTL"] = "1"
        body = "\n".join(json.dumps("x" * self.random.randint(1, 1500))
                         for _ in range(self.random.choice([1, 1, 1, 5, 30])))
        answer = connection.request("POST", f"/channels/{self.channel}", fields, body.encode())
        assert answer.status == 200, answer
        self.last = answer.json()["results"][-1]["offset"]

    def finish(self):
        self.is_over.set()
        self.is_up.set()
        self.thread.join(30)
        assert self.faults == [] and not self.thread.is_alive()


class NotUp(Exception):
    """The broker is between a kill and its start."""


class Accountant:
    """One reader of one channel that resumes again and again; knows what it must be told next."""

    def __init__(self, broker, channel, kind, policy, seed):
        self.broker, self.channel, self.kind, self.policy = broker, channel, kind, policy
        self.random = random.Random(seed)
        self.is_up = threading.Event()
        self.is_up.set()
        self.at, self.last = None, 0
        self.told = {"delivered": 0}
        self.history = []

    def take(self, entry):
        """Everything follows on what came before; what is deleted behind it may be told again."""
        self.history.append(str(entry)[:160])
        if "gap" in entry:
            gap = entry["gap"]
            assert gap["channel"] == self.channel and gap["from"] <= gap["to"], gap
            if gap["to"] <= self.last and gap["reason"] == "deleted":
                return
            assert gap["from"] <= self.last + 1, self.explain(gap)
            assert gap["from"] == self.last + 1 or gap["reason"] == "deleted", self.explain(gap)
            assert gap["reason"] in ("expired", "deleted", "dropped"), gap
            assert gap["reason"] != "dropped" or self.policy == "drop", gap
            self.told[gap["reason"]] = self.told.get(gap["reason"], 0) + gap["to"] - self.last
            self.last = gap["to"]
        elif "offset" in entry:
            assert entry["offset"] == self.last + 1, self.explain(entry)
            self.told["delivered"] += 1
            self.last = entry["offset"]

    def explain(self, entry):
        return f"{self.kind} {self.policy} stood at {self.last}: {str(entry)[:200]}\n" + \
            "\n".join(self.history[-12:])

    def open(self):
        if not self.is_up.is_set():
            raise NotUp
        since = self.at if self.at is not None else 0
        return KINDS[self.kind](self.broker, [self.channel], since=since, on_lag=self.policy,
                                receive_bytes=self.random.choice([None, 4096]), timeout_s=30)

    def turn(self, how_many, timeout_s, last=None):
        """Reads up to so many entries, or to an offset; False: nothing came."""
        before = self.last
        try:
            with self.open() as reader:
                if self.random.random() < 0.3:
                    threading.Event().wait(self.random.uniform(0, 0.4))
                try:
                    for _ in range(how_many):
                        self.take(reader.entry(timeout_s))
                        self.at = reader.at
                        if self.last == last:
                            break
                except TimeoutError:
                    pass  # at the head
        except (OSError, http.Closed, PeerClosed, NotUp):
            threading.Event().wait(0.02)  # the kill
        return self.last > before

    def finish(self, last):
        while self.last < last and self.turn(100000, 30, last):
            pass
        assert self.last == last, self.explain(f"the channel ends at {last}")


def run_all(start_broker, rounds, is_killed):
    broker = start_broker("--workers", "2", config=CONFIG)
    for channel in CHANNELS:
        broker.publish(channel, "first")
    writers = [Writer(broker, channel) for channel in CHANNELS]
    accountants = [Accountant(broker, channel, kind, policy, f"{channel} {kind} {policy}")
                   for channel in CHANNELS for kind in STREAMS for policy in ("catch_up", "drop")]
    accountants += [Accountant(broker, channel, "pages", None, channel) for channel in CHANNELS]
    faults = []

    def follow(accountant):
        try:
            for _ in range(rounds):
                accountant.turn(accountant.random.randint(1, 200), 0.3)
        except Exception as fault:  # pylint: disable=broad-except
            faults.append(fault)

    threads = [threading.Thread(target=follow, args=(one,), daemon=True) for one in accountants]
    for thread in threads:
        thread.start()
    while is_killed and any(thread.is_alive() for thread in threads):
        threading.Event().wait(random.uniform(0.5, 2))
        for one in writers + accountants:
            one.is_up.clear()
        broker.kill()
        assert not broker.bad_words(), broker.logged[-40:]
        broker.start()
        for one in writers + accountants:
            one.is_up.set()
    for thread in threads:
        thread.join(200)
    for writer in writers:
        writer.finish()
    assert faults == [], faults[0]
    for channel in CHANNELS:
        last = broker.publish(channel, "end")["offset"]
        for accountant in accountants:
            if accountant.channel == channel:
                accountant.finish(last)
    totals = {}
    for accountant in accountants:
        for reason, count in accountant.told.items():
            totals[reason] = totals.get(reason, 0) + count
    print(totals)
    assert totals["delivered"] and totals["expired"]


@pytest.mark.deadline(240)
def test_every_offset_is_delivered_or_told(start_broker):
    run_all(start_broker, 12, False)


@pytest.mark.deadline(240)
def test_every_offset_is_delivered_or_told_across_kills(start_broker):
    run_all(start_broker, 12, True)


@pytest.mark.heavy
@pytest.mark.beside
@pytest.mark.deadline(600)
@pytest.mark.parametrize("is_killed", [False, True])
def test_every_offset_is_delivered_or_told_for_long(start_broker, is_killed):
    run_all(start_broker, 40, is_killed)
