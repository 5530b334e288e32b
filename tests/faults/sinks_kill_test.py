# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load: a sink loses nothing, keeps its order, and repeats no more than what was
under way or had just been taken, with the ids that it had before."""
import json
import random
import threading
import time

import pytest

from harness import http
from harness.broker import Broker, wait_for
from harness.deliveries import (Progress, disorder, foreign, identity, missing, repeats,
                                unexcused)
from harness.endpoints import Endpoints

ROUNDS = 6
CHANNELS = 6
PACE_S = 0.004  # between two publishes: the sanitized broker and Python keep up with four sinks
SINKS = {
    "ordered": "",
    "parallel": "mode: parallel\n    concurrency: 16",
    "batched": "batch: { count: 20, age: 20ms }",
    "parallel-batched": "mode: parallel\n    concurrency: 4\n    batch: { count: 10 }",
}
IS_ORDERED = {"ordered", "batched"}
CATCH_UP_S = 120


def configuration(endpoints):
    rows = [f"""
  - name: {name}
    channels: ["load/*"]
    start: earliest
    {words}
    retry: {{ schedule: [{', '.join(['100ms'] * 30)}] }}
    webhook: {{ url: "{endpoints[name].url}" }}""" for name, words in SINKS.items()]
    return ('egress: { allow: ["127.0.0.1/32"] }\nchannels:\n  - match: "**"\n'
            "    history: { messages: unlimited }\nsinks:" + "".join(rows) + "\n")


def publish_until(broker, stop, begun):
    """Over one connection after the other, until told, and notes when each was begun; a kill in
    between is expected."""
    pause, number = threading.Event(), 0
    while not stop.is_set():
        try:
            with broker.connect() as connection:
                while not stop.is_set():
                    channel = f"load/{number % CHANNELS}"
                    number += 1
                    begun_s = time.monotonic()
                    answer = connection.request(
                        "POST", f"/channels/{channel}", {"Content-Type": "application/json"},
                        json.dumps({"n": number, "x": "x" * random.randrange(200)}).encode())
                    assert answer.status == 200, answer
                    begun[(channel, answer.json()["offset"])] = begun_s
                    pause.wait(PACE_S)
        except (OSError, http.Closed):
            return  # killed


def stored_places(broker):
    messages, gaps = broker.all_messages("load/*")
    assert not gaps, gaps
    return [(message["channel"], message["offset"]) for message in messages]


def wait_until_taken(broker, endpoint, expected):
    try:
        wait_for(lambda: not missing(expected, endpoint.answered()), CATCH_UP_S,
                 f"all of {endpoint.name}")
    except TimeoutError as error:
        raise AssertionError(f"{error}: {missing(expected, endpoint.answered())}, the last was "
                             f"{endpoint.arrivals[-1:]}\n" + "\n".join(broker.logged[-40:])
                             ) from error


@pytest.mark.deadline(600)
def test_sinks_lose_nothing_over_kills_and_repeat_only_what_was_under_way(tmp_path):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    with Endpoints() as endpoints:
        for name in SINKS:
            endpoints.add(name, delay_s=0.002 if name in IS_ORDERED else 0.02)
        broker = Broker("--workers", "2", data=tmp_path / "data", config=configuration(endpoints))
        begun, kills = {}, []
        try:
            broker.start()
            for _ in range(ROUNDS):
                stop = threading.Event()
                thread = threading.Thread(target=publish_until, args=(broker, stop, begun))
                thread.start()
                threading.Event().wait(chance.uniform(0.2, 2.5))
                killed_s = time.monotonic()
                broker.kill()
                stop.set()
                thread.join(20)
                broker.start()
                kills.append((killed_s, time.monotonic()))
            expected = stored_places(broker)
            assert not missing(begun, expected), "an answered publish is lost"
            for name in SINKS:
                wait_until_taken(broker, endpoints[name], expected)
            broker.stop()
        finally:
            broker.close()
        progress = Progress(begun, [arrival for name in SINKS
                                    for arrival in endpoints[name].arrivals])
        for name in SINKS:
            judge(endpoints[name], expected, kills, progress)


def judge(endpoint, expected, kills, progress):
    arrivals = list(endpoint.arrivals)
    faults = foreign(expected, endpoint.answered()) + identity(arrivals) + \
        unexcused(arrivals, kills, progress)
    if endpoint.name in IS_ORDERED:
        places = [place for arrival in arrivals for place in arrival.places]
        faults += disorder(places, len(kills))
    print(f"{endpoint.name}: {len(expected)} messages, {len(arrivals)} requests, "
          f"{len(repeats(arrivals))} repeats over {len(kills)} kills")
    assert not faults, (endpoint.name, faults)
