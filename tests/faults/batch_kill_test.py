# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of a batch: it is there whole or not at all, and if answered it is there.
An idempotent publish that is repeated behind the kill is stored once."""
import itertools
import json
import pathlib
import random
import shutil
import threading

import pytest

from harness import http
from harness.broker import Broker

CHANNELS = 7
PUBLISHERS = 4
OLDER_REPEATED = 300  # behind each kill, of those that were repeated behind an earlier one

CONFIG = """
channels:
  - match: "**"
    history: {{ messages: unlimited }}
    durability: {durability}
"""


class Batches:
    """Publishes NDJSON and /publish batches of many sizes until the broker is killed."""

    def __init__(self, broker, size):
        self.broker, self.size = broker, size
        self.numbers = itertools.count()
        self.sent, self.answered, self.faults = {}, {}, []

    def make(self):
        """(name, channel of each message, target, media type, body)"""
        number = next(self.numbers)
        name = f"{random.getrandbits(48):012x}-{number}"
        count = random.choice([1, 2, 3, 10, 100, 500, 6000])  # above 4096 it is several rounds
        filler = "x" * random.randint(0, self.size if count < 1000 else 20)
        if random.random() < 0.4:
            channel = f"kill/{random.randrange(CHANNELS)}"
            lines = [json.dumps({"b": name, "i": index, "of": count, "x": filler})
                     for index in range(count)]
            return name, [channel] * count, "/channels/" + channel, "application/x-ndjson", \
                "\n".join(lines).encode()
        channels = [f"kill/{random.randrange(CHANNELS)}" for _ in range(count)]
        entries = [{"channel": channel, "data": {"b": name, "i": index, "of": count, "x": filler}}
                   for index, channel in enumerate(channels)]
        return name, channels, "/publish", "application/json", json.dumps(entries).encode()

    def publish(self):
        try:
            with self.broker.connect() as connection:
                while True:
                    name, channels, target, media_type, body = self.make()
                    self.sent[name] = channels
                    answer = connection.request("POST", target, {"Content-Type": media_type}, body)
                    assert answer.status == 200, answer
                    self.answered[name] = answer.json()["results"]
        except (OSError, http.Closed):
            pass  # the kill
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(fault)

    def run_until_killed(self, seconds):
        threads = [threading.Thread(target=self.publish, daemon=True) for _ in range(PUBLISHERS)]
        for thread in threads:
            thread.start()
        threading.Event().wait(seconds)
        self.broker.kill()
        for thread in threads:
            thread.join(20)
        assert self.faults == []
        assert not self.broker.bad_words(), self.broker.logged[-40:]


def judge(broker, batches, since):
    """Every batch whole or absent, the answered ones whole and where they were said to be; what
    the channels hold is what the pattern holds. Gives the id of the newest message."""
    messages, gaps = broker.all_messages("kill/*", since=since)
    assert gaps == []
    found = {}
    for place, message in enumerate(messages):
        found.setdefault(message["data"]["b"], []).append((place, message))
    for name, parts in found.items():
        assert [message["data"]["i"] for _, message in parts] == \
            list(range(parts[0][1]["data"]["of"])), f"{len(parts)} of a batch of {name}"
        places = [place for place, _ in parts]
        assert places == list(range(places[0], places[0] + len(places))), "others are between"
        assert [message["channel"] for _, message in parts] == batches.sent[name]
    for name, results in batches.answered.items():
        assert name in found, f"{name} was answered and is lost"
        assert [(message["channel"], message["offset"], message["id"])
                for _, message in found[name]] == \
            [(one["channel"], one["offset"], one["id"]) for one in results]
    return messages[-1]["id"] if messages else since


def assert_dense(broker):
    for number in range(CHANNELS):
        messages, gaps = broker.all_messages(f"kill/{number}", since="0")
        assert gaps == []
        assert [message["offset"] for message in messages] == list(range(1, len(messages) + 1))


def kill_in_the_middle(durability, size, rounds):
    random.seed(f"{durability} {size}")
    broker = Broker("--workers", "2", config=CONFIG.format(durability=durability))
    try:
        broker.start()
        since = broker.publish("kill/0", {"b": "first", "i": 0, "of": 1})["id"]
        for _ in range(rounds):
            batches = Batches(broker, size)
            batches.run_until_killed(random.uniform(0.02, 0.3))
            broker.start()
            since = judge(broker, batches, since)
        assert_dense(broker)
        broker.stop()
        broker.start()
        assert_dense(broker)
        broker.stop()
    finally:
        broker.close()


@pytest.mark.deadline(200)
@pytest.mark.parametrize("durability", ["async", "fsync"])
@pytest.mark.parametrize("size", [20, 3000])
def test_a_batch_is_there_whole_or_not_at_all_behind_a_kill(durability, size):
    kill_in_the_middle(durability, size, 8)


@pytest.mark.heavy
@pytest.mark.beside
@pytest.mark.deadline(600)
@pytest.mark.parametrize("durability", ["async", "fsync"])
@pytest.mark.parametrize("size", [3000, 20000])
def test_a_batch_is_there_whole_or_not_at_all_behind_many_kills(durability, size):
    kill_in_the_middle(durability, size, 20)


def test_readers_see_whole_batches_across_kills(start_broker):
    """A reader that resumes with its id meets the rest of the batch that it was cut off in."""
    random.seed(7)
    broker = start_broker("--workers", "2", config=CONFIG.format(durability="async"))
    since, seen, total = "0", [], 0
    for _ in range(6):
        total += 1
        body = "\n".join(json.dumps({"b": total, "i": index}) for index in range(500)).encode()
        with broker.websocket(f"/channels/kill/0?since={since}") as reader:
            broker.post("kill/0", body, "application/x-ndjson")
            for _ in range(random.randint(1, 499)):
                message = reader.recv_message()
                seen.append((message["data"]["b"], message["data"]["i"]))
                since = message["id"]
        broker.kill()
        broker.start()
    with broker.websocket(f"/channels/kill/0?since={since}") as reader:
        while len(seen) < 500 * total:
            message = reader.recv_message()
            seen.append((message["data"]["b"], message["data"]["i"]))
    assert seen == [(batch, index) for batch in range(1, total + 1) for index in range(500)]


@pytest.mark.deadline(200)
@pytest.mark.parametrize("count", [3, 300, 6000])
def test_a_journal_that_ends_anywhere_holds_whole_batches(count):
    """What a torn write leaves: the journal of a killed broker, cut inside its last batches."""
    random.seed(count)
    broker = Broker()
    try:
        broker.start()
        broker.publish("kill/0", {"b": "first", "i": 0, "of": 1})
        names = {"first": ["kill/0"]}
        for number in range(3):
            entries = [{"channel": f"kill/{index % CHANNELS}",
                        "data": {"b": f"b{number}", "i": index, "of": count}}
                       for index in range(count)]
            names[f"b{number}"] = [entry["channel"] for entry in entries]
            answer = broker.request("POST", "/publish", {"Content-Type": "application/json"},
                                    json.dumps(entries).encode())
            assert answer.status == 200, answer
        broker.kill()
        kept = broker.scratch + "/kept"
        shutil.copytree(broker.data, kept)
        journal = sorted(pathlib.Path(kept).glob("**/*.journal"))[-1].relative_to(kept)
        end = len(pathlib.Path(kept, journal).read_bytes().rstrip(b"\0"))
        for _ in range(12):
            shutil.rmtree(broker.data)
            shutil.copytree(kept, broker.data)
            with open(pathlib.Path(broker.data, journal), "r+b") as file:
                file.truncate(random.randint(64, end))
            broker.start()
            batches = Batches(broker, 0)
            batches.sent = names
            judge(broker, batches, "earliest")
            assert_dense(broker)
            broker.publish("kill/0", {"b": "later", "i": 0, "of": 1})
            assert_dense(broker)
            broker.kill()
            assert not broker.bad_words(), broker.logged[-40:]
    finally:
        broker.close()


# --- repeats -----------------------------------------------------------------------------------


def repeat(broker, kept, keys, is_known):
    """Asks again for these. What was answered before must be answered so again."""
    with broker.connect() as connection:
        for key in keys:
            target, media_type, body, answer = kept[key]
            headers = {"Content-Type": media_type, "Idempotency-Key": key}
            again = connection.request("POST", target, headers, body)
            assert again.status == 200, (key, again)
            if answer is not None:
                assert again.json() == answer, key
            elif is_known:
                raise AssertionError(f"{key} has no answer yet")
            kept[key] = (target, media_type, body, again.json())


def publish_with_keys(broker, kept, faults, prefix):
    """Publishes with a key each until the kill; notes what was sent before it was answered."""
    try:
        with broker.connect() as connection:
            for number in itertools.count():
                key = f"{prefix}-{number}"
                if number % 3 == 0:
                    entries = [{"channel": f"idem/{index % 3}", "data": [key, index]}
                               for index in range(random.randint(1, 30))]
                    target, media_type = "/publish", "application/json"
                    body = json.dumps(entries).encode()
                else:
                    target, media_type = f"/channels/idem/{number % 3}", "application/json"
                    body = json.dumps([key, 0]).encode()
                kept[key] = (target, media_type, body, None)
                answer = connection.request(
                    "POST", target, {"Content-Type": media_type, "Idempotency-Key": key}, body)
                assert answer.status == 200, answer
                kept[key] = (target, media_type, body, answer.json())
    except (OSError, http.Closed):
        pass  # the kill
    except Exception as fault:  # pylint: disable=broad-except
        faults.append(fault)


def kill_and_repeat(rounds):
    """What was sent before a kill is asked for again behind it, all of it twice, with some of what
    is older; behind the last kill everything is."""
    random.seed(422)
    broker = Broker("--workers", "2", config=CONFIG.format(durability="async"))
    kept, faults = {}, []
    try:
        broker.start()
        for turn in range(rounds):
            older = list(kept)
            threads = [threading.Thread(target=publish_with_keys, daemon=True,
                                        args=(broker, kept, faults, f"{turn}-{index}"))
                       for index in range(PUBLISHERS)]
            for thread in threads:
                thread.start()
            threading.Event().wait(random.uniform(0.02, 0.3))
            broker.kill()
            for thread in threads:
                thread.join(20)
            assert faults == []
            broker.start()
            newest = list(kept)[len(older):]
            repeat(broker, kept, newest, False)
            repeat(broker, kept, newest, True)
            repeat(broker, kept, random.sample(older, min(len(older), OLDER_REPEATED)), True)
        repeat(broker, kept, list(kept), True)
        expected = {}
        for target, _, body, answer in kept.values():
            for one, data in zip(answer.get("results") or [answer],
                                 [entry["data"] for entry in json.loads(body)]
                                 if target == "/publish" else [json.loads(body)]):
                assert one["id"] not in expected, "two keys were given one place"
                expected[one["id"]] = (one["channel"], one["offset"], data)
        messages, gaps = broker.all_messages("idem/*")
        assert gaps == []
        found = {message["id"]: (message["channel"], message["offset"], message["data"])
                 for message in messages}
        assert found == expected, "more is stored than was asked for, or less"
        key, (target, media_type, body, _) = random.choice(list(kept.items()))
        other = broker.request("POST", target, {"Content-Type": media_type,
                                                "Idempotency-Key": key},
                               body.replace(b"0]", b"1]", 1))
        assert other.status == 422
        broker.stop()
    finally:
        broker.close()


@pytest.mark.deadline(200)
def test_a_repeat_behind_a_kill_is_stored_once():
    kill_and_repeat(5)


@pytest.mark.heavy
@pytest.mark.beside
@pytest.mark.deadline(600)
def test_a_repeat_behind_many_kills_is_stored_once():
    kill_and_repeat(12)
