# SPDX-License-Identifier: Apache-2.0
"""Patterns where there is much of everything: messages of others, readers, bytes at once."""
import json
import threading

import pytest

from harness.broker import wait_for
from harness.readers import KINDS, STREAMS

MIB = 1048576
# Two feeds' tails and frames, the batch that is not folded yet (64 MiB at most), the pages under
# way and 64 KiB of a cut frame for each reader: 2 to 51 MiB were measured. Who kept 4 MiB for each
# of the hundred that lack 200 MB took 280 MiB and more; this is the geometric middle.
GROWTH_BYTES_MAX = 120 * MIB
UNLIMITED = """
channels:
  - match: "**"
    history: { messages: unlimited }
"""


def flood(broker, batches, channels=1):
    """Ten thousand messages a batch, for others than the readers of a test."""
    body = b"".join(b'{"n":%d}\n' % number for number in range(10000))
    for number in range(batches):
        answer = broker.post(f"others/{number % channels}", body, "application/x-ndjson")
        assert answer.status == 200, answer


def publish_rare(broker, count, pattern="rare/{}/x"):
    """One message each for channels of their own, in one publish; gives their ids."""
    body = json.dumps([{"channel": pattern.format(number), "data": number}
                       for number in range(count)]).encode()
    answer = broker.request("POST", "/publish", {"Content-Type": "application/json"}, body)
    assert answer.status == 200, answer
    return [one["id"] for one in answer.json()["results"]]


@pytest.mark.parametrize("batches", [6, pytest.param(60, marks=pytest.mark.heavy)])
@pytest.mark.deadline(240)
def test_a_pattern_that_is_rare_in_a_long_log_is_found_whole(start_broker, batches):
    """By the merge of its few channels, by the walk where they are many, forwards and backwards."""
    broker = start_broker("--workers", "2", config=UNLIMITED)
    expected = publish_rare(broker, 5)
    for _ in range(3):
        flood(broker, batches // 3)
        expected += publish_rare(broker, 700)
    flood(broker, batches // 3, channels=50)
    expected += publish_rare(broker, 5)
    for pattern in ("rare/*/x", "rare/**", "*/*/x"):
        for kind in KINDS:
            with KINDS[kind](broker, [pattern], since="earliest", timeout_s=60) as reader:
                assert [message["id"] for message in reader.messages(len(expected), 120)] == \
                    expected, (kind, pattern)
    back, query = [], {}
    while True:
        page = broker.page("rare/**", limit=500, **query)
        if not page["messages"]:
            break
        back = [message["id"] for message in page["messages"]] + back
        query = {"before": page["prev"]}
    assert back == expected
    assert [message["data"] for message in broker.page("rare/*/x", limit=5)["messages"]] == \
        [0, 1, 2, 3, 4]


@pytest.mark.deadline(240)
def test_large_messages_come_to_many_readers_of_patterns_whole(start_broker):
    """More at once than a worker's mailbox takes: its readers go on in the log."""
    broker = start_broker("--workers", "2", config=UNLIMITED)
    size, each = 400000, 12
    readers = [STREAMS[kind](broker, [selector], timeout_s=120)
               for kind in STREAMS for selector in ("large/*", "large/**", "large/1")]
    faults, answers = [], []

    def publish(number):
        try:
            with broker.connect(timeout_s=60) as connection:
                for _ in range(each):
                    answer = connection.request("POST", f"/channels/large/{number}", None,
                                                b'"' + b"%d" % number * size + b'"')
                    assert answer.status == 200, answer
                    answers.append((answer.json()["id"], number))
        except Exception as fault:  # pylint: disable=broad-except
            faults.append(fault)

    threads = [threading.Thread(target=publish, args=(number,), daemon=True)
               for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert faults == [] and len(answers) == 4 * each
    whole = [message["id"] for page in pages(broker, "large/*") for message in page]
    assert sorted(whole) == sorted(identity for identity, _ in answers)
    ones = [identity for identity in whole if (identity, 1) in answers]
    for index, reader in enumerate(readers):
        expected = ones if index % 3 == 2 else whole
        seen = []
        for message in (reader.message(60) for _ in expected):
            assert len(message["data"]) == size
            seen.append(message["id"])
        assert seen == expected
        reader.close()


def pages(broker, selector):
    since = "earliest"
    while True:
        page = broker.page(selector, since=since, limit=1000)
        yield page["messages"]
        since = page["next"]
        if page["at_head"]:
            return


@pytest.mark.deadline(120)
def test_many_readers_of_many_patterns_see_all_of_theirs(start_broker):
    """Seventy-five readers on two workers, with feeds that come and go meanwhile."""
    broker = start_broker("--workers", "2")
    selectors = [f"m/{number}" for number in range(10)] + \
        [f"m/{number}/**" for number in range(10)] + ["m/*", "m/**", "*/*", "**", "m/*/x"]
    readers = [(selector, STREAMS[kind](broker, [selector]))
               for selector in selectors for kind in ("events", "websocket", "subscription")]
    published = []
    for number in range(400):
        name = f"m/{number % 10}" + ("/x" if number % 3 == 0 else "")
        published.append((name, broker.publish(name, number)["id"]))
        if number % 10 == 0:
            STREAMS["websocket"](broker, [f"m/{number % 7}/*"]).close()
    for selector, reader in readers:
        with reader:
            expected = [identity for name, identity in published if stands_for(selector, name)]
            assert [message["id"] for message in reader.messages(len(expected))] == expected, \
                selector


def stands_for(selector, name):
    """What API.md says of patterns, said once more."""
    parts, names = selector.split("/"), name.split("/")
    if parts[-1] == "**":
        return len(names) >= len(parts) - 1 and \
            all(part in ("*", one) for part, one in zip(parts[:-1], names))
    return len(parts) == len(names) and \
        all(part in ("*", one) for part, one in zip(parts, names))


@pytest.mark.heavy
@pytest.mark.deadline(400)
@pytest.mark.parametrize("policy", ["conflate", "drop", "catch_up"])
def test_stalled_readers_of_patterns_cost_no_memory_whatever_their_policy(start_broker, policy):
    """A hundred of them while 200 MB go by; the broker grows by what it may hold, not by them."""
    broker = start_broker(config=UNLIMITED)
    body = b"".join(b'{"n":%d,"x":"%s"}\n' % (number, b"x" * 2000) for number in range(2000))
    warm = [STREAMS[kind](broker, ["stall/*"]) for kind in ("websocket", "events")]
    for number in range(10):
        assert broker.post(f"stall/{number}", body, "application/x-ndjson").status == 200
    for reader in warm:
        reader.close()
    before = broker.rss_anon_bytes()
    readers = [STREAMS[kind](broker, [selector], on_lag=policy, timeout_s=100, receive_bytes=4096)
               for _ in range(10) for kind in STREAMS for selector in ("stall/*", "**")]
    peak = before
    for number in range(50):
        answer = broker.post(f"stall/{number % 20}", body, "application/x-ndjson",
                             {"Tidings-Key": f"k{number % 3}"})
        assert answer.status == 200, answer
        peak = max(peak, broker.rss_anon_bytes())
    broker.publish("stall/1", "end", {"Tidings-Key": "end"})
    print(f"{policy}: {(peak - before) / MIB:.1f} MiB for {len(readers)} readers")
    assert peak - before < GROWTH_BYTES_MAX
    for reader in readers[:1]:
        reader.until(lambda entry: entry.get("data") == "end" or "gap" in entry, 100)
    for reader in readers:
        reader.close()
    wait_for(lambda: broker.metric('tidings_readers_open{protocol="websocket"}') == 0)
