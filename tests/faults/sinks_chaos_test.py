# SPDX-License-Identifier: Apache-2.0
"""Twenty sinks of all kinds, and random kills of the broker and of what it sends to: at the end
each has every message of its channels, in order where it is ordered, and repeats are those that its
mode allows. TIDINGS_CHAOS=long takes ten minutes; TIDINGS_SEED plays one again."""
import json
import math
import os
import random
import threading
import time
from collections import Counter

import pytest

from harness import http
from harness.broker import Broker, wait_for
from harness.deliveries import (Progress, disorder, foreign, identity, missing, repeats,
                                unexcused)
from harness.endpoints import Endpoints, places_of
from harness.kafka import Kafka
from harness.ports import take_port

IS_LONG = os.environ.get("TIDINGS_CHAOS") == "long"
CHAOS_S = 600 if IS_LONG else 12
CATCH_UP_S = 180 if IS_LONG else 120
QUIET_S = (0.3, 4.0) if IS_LONG else (0.2, 1.5)  # between two kills
DOWN_S = (0.1, 5.0) if IS_LONG else (0.1, 1.0)
PACE_S = 0.01  # between two publishes: a sanitized broker sends each to twenty sinks
CHANNELS = 5
SCHEDULE = "retry: { schedule: [" + ", ".join(["500ms"] * 32) + "] }"
WEBHOOKS = {
    "ordered": "", "ordered-slow": "", "ordered-all": "order: all",
    "parallel": "mode: parallel", "parallel-wide": "mode: parallel\n    concurrency: 64",
    "parallel-slow": "mode: parallel\n    concurrency: 16",
    "batch": "batch: { count: 20, age: 20ms }", "batch-slow": "batch: { count: 50 }",
    "batch-lines": "batch: { count: 10, form: ndjson }",
    "batch-parallel": "mode: parallel\n    batch: { count: 10 }",
    "batch-parallel-slow": "mode: parallel\n    batch: { count: 25, age: 10ms }",
    "ordered-rate": "rate: 200/s",
}
IS_PARALLEL = {name for name in WEBHOOKS if "parallel" in name}
BRIDGES = ("bridge-1", "bridge-2", "bridge-3", "bridge-4")
TOPICS = {"least-1": "at_least_once", "least-2": "at_least_once",
          "once-1": "exactly_once", "once-2": "exactly_once"}


def row(name, words):
    return f'\n  - name: {name}\n    channels: ["load/*"]\n    start: earliest\n    ' \
           f"{SCHEDULE}\n    {words}"


class Chaos:
    """All that is killed, and when that was, and it was back: {name of the victim: [[seconds,
    seconds]]}, monotonic. `begun`: of each publish that was answered."""

    def __init__(self, seed, folder, endpoints):
        self.chance, self.endpoints = random.Random(seed), endpoints
        self.kills = {}
        self.kafka = self.mirror = self.broker = None
        self.begun, self.stop = {}, threading.Event()
        self.folder = folder

    def start(self):
        for name in WEBHOOKS:
            self.endpoints.add(name, delay_s=0.03 if "slow" in name else 0)
        self.mirror = Broker("--workers", "1", "--mqtt", f"127.0.0.1:{take_port()}",
                             data=self.folder / "mirror", config=HISTORY)
        self.mirror.start()
        self.start_kafka()
        self.broker = Broker("--workers", "2", data=self.folder / "data",
                             config=self.configuration())
        self.broker.start()

    def start_kafka(self):
        """Where it can be had; else the other sixteen do without."""
        try:
            Kafka.fetch()
        except pytest.skip.Exception as why:
            print(f"without Kafka: {why}")
            return
        self.kafka = Kafka()
        self.kafka.start()
        for topic in TOPICS:
            self.kafka.client().create_topic(topic, partitions=2)

    def configuration(self):
        rows = [row(name, f'{words}\n    webhook: {{ url: "{self.endpoints[name].url}" }}')
                for name, words in WEBHOOKS.items()]
        rows += [row(name, f'mqtt: {{ url: "{self.mirror.mqtt}", topic: "{name}/{{channel}}" }}')
                 for name in BRIDGES]
        if self.kafka:
            rows += [row(name, f'kafka: {{ brokers: "{self.kafka.brokers}", topic: "{name}", '
                         f"delivery: {delivery} }}") for name, delivery in TOPICS.items()]
        return HISTORY + 'egress: { allow: ["127.0.0.1/32"] }\nsinks:' + "".join(rows) + "\n"

    def close(self):
        self.stop.set()
        for one in (self.broker, self.mirror, self.kafka):
            if one is not None:
                one.close()

    # --- the load ---

    def publish(self):
        pause, number = threading.Event(), 0
        while not self.stop.is_set():
            try:
                with self.broker.connect() as connection:
                    while not self.stop.is_set():
                        number += 1
                        self.publish_one(connection, number)
                        pause.wait(PACE_S)
            except (OSError, http.Closed, TypeError):  # killed; TypeError: it has no URL yet
                pause.wait(0.05)

    def publish_one(self, connection, number):
        channel = f"load/{number % CHANNELS}"
        body = json.dumps({"n": number, "x": "x" * (number % 500)}).encode()
        begun_s = time.monotonic()
        answer = connection.request("POST", f"/channels/{channel}",
                                    {"Content-Type": "application/json"}, body)
        assert answer.status == 200, answer
        self.begun[(channel, answer.json()["offset"])] = begun_s

    # --- the kills ---

    def kill_process(self, name, one):
        kill = self.note(name)
        one.kill()
        if isinstance(one, Broker):
            assert not one.bad_words(), one.logged[-40:]
        threading.Event().wait(self.chance.uniform(0, DOWN_S[1]) if one is not self.broker else 0)
        one.start()
        kill[1] = time.monotonic()

    def kill_endpoint(self):
        endpoint = self.endpoints[self.chance.choice(list(WEBHOOKS))]
        kill = self.note(endpoint.name)
        self.endpoints.stop(endpoint)
        threading.Event().wait(self.chance.uniform(*DOWN_S))
        self.endpoints.start(endpoint)
        kill[1] = time.monotonic()

    def note(self, name):
        kill = [time.monotonic(), math.inf]
        self.kills.setdefault(name, []).append(kill)
        return kill

    def run(self):
        victims = [lambda: self.kill_process("broker", self.broker)] * 4 + \
            [self.kill_endpoint] * 5 + [lambda: self.kill_process("mirror", self.mirror)] * 2
        if self.kafka:
            victims.append(lambda: self.kill_process("kafka", self.kafka))
        end_s = time.monotonic() + CHAOS_S
        first = victims[:1] + victims[-1:]  # one each of these also in the short form
        while time.monotonic() < end_s or first:
            threading.Event().wait(self.chance.uniform(*QUIET_S))
            (first.pop() if first else self.chance.choice(victims))()

    def count(self, *names):
        return sum(len(self.kills.get(name, ())) for name in names)


HISTORY = 'channels:\n  - match: "**"\n    history: { messages: unlimited }\n'


def stored_places(broker):
    messages, gaps = broker.all_messages("load/*")
    assert not gaps, gaps
    return [(message["channel"], message["offset"]) for message in messages]


def judge_webhook(chaos, endpoint, expected, progress):
    arrivals, name = list(endpoint.arrivals), endpoint.name
    kills = [kill for victim in ("broker", name) for kill in chaos.kills.get(victim, ())]
    faults = missing(expected, endpoint.answered()) + foreign(expected, endpoint.answered()) + \
        identity(arrivals) + unexcused(arrivals, kills, progress)
    if name not in IS_PARALLEL:
        places = [place for arrival in arrivals for place in arrival.places]
        # An endpoint that is down is tried again and again; each try may step back.
        faults += disorder(places, len(arrivals) if chaos.kills.get(name) else len(kills))
    return len(repeats(arrivals)), faults


def judge_places(places, expected, kills, is_exact=False):
    """Of what was read back from Kafka or the other broker."""
    copies = Counter(places)
    again = sum(count - 1 for count in copies.values())
    faults = missing(expected, places) + foreign(expected, places) + disorder(places, kills)
    if is_exact and again:
        faults.append(f"{again} repeats: {[one for one in copies if copies[one] > 1][:5]}")
    if max(copies.values(), default=0) > kills + 1:
        faults.append(f"one came {max(copies.values())} times over {kills} kills")
    return again, faults


def bridged(chaos, name):
    """Places in the order in which the other broker has them."""
    messages, _ = chaos.mirror.all_messages(f"{name}/**")
    return [(message["channel"].removeprefix(name + "/"),
             int(message["headers"]["tidings-offset"])) for message in messages]


def recorded(chaos, topic):
    return [place for record in chaos.kafka.client().read(topic)
            for place in places_of(record.value)]


@pytest.mark.deadline(CHAOS_S + 3 * CATCH_UP_S + 120)
@pytest.mark.xdist_group("kafka")
def test_every_sink_has_every_message_after_random_kills(tmp_path):
    seed = int(os.environ.get("TIDINGS_SEED", random.randrange(1 << 32)))
    print("TIDINGS_SEED", seed)
    with Endpoints() as endpoints:
        chaos = Chaos(seed, tmp_path, endpoints)
        try:
            chaos.start()
            thread = threading.Thread(target=chaos.publish, daemon=True)
            thread.start()
            chaos.run()
            chaos.stop.set()
            thread.join(20)
            expected = stored_places(chaos.broker)
            assert not missing(chaos.begun, expected), "an answered publish is lost"
            print(f"{len(expected)} messages; kills: "
                  + ", ".join(f"{name} {len(at_s)}" for name, at_s in chaos.kills.items()))
            judge_all(chaos, expected)
            chaos.broker.stop()
            chaos.mirror.stop()
        finally:
            chaos.close()


def judge_all(chaos, expected):
    faults = {}
    for name in WEBHOOKS:
        endpoint = chaos.endpoints[name]
        wait_for(lambda endpoint=endpoint: not missing(expected, endpoint.answered()),
                 CATCH_UP_S, f"all of {name}")
    progress = Progress(chaos.begun, [arrival for name in WEBHOOKS
                                      for arrival in list(chaos.endpoints[name].arrivals)])
    for name in WEBHOOKS:
        tell(name, judge_webhook(chaos, chaos.endpoints[name], expected, progress), faults)
    for name in BRIDGES:
        wait_for(lambda name=name: not missing(expected, bridged(chaos, name)), CATCH_UP_S,
                 f"all of {name}")
        kills = chaos.count("broker", "mirror")
        tell(name, judge_places(bridged(chaos, name), expected, kills), faults)
    for name, delivery in TOPICS.items() if chaos.kafka else ():
        wait_for(lambda name=name: not missing(expected, recorded(chaos, name)), CATCH_UP_S,
                 f"all of {name}")
        is_exact = delivery == "exactly_once"
        kills = 0 if is_exact else chaos.count("broker", "kafka")
        tell(name, judge_places(recorded(chaos, name), expected, kills, is_exact), faults)
    assert not faults, faults


def tell(name, judged, faults):
    again, found = judged
    print(f"{name}: {again} repeats")
    if found:
        faults[name] = found
