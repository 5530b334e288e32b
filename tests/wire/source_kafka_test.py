# SPDX-License-Identifier: Apache-2.0
"""Topics of Kafka in, channels out: each record once, whatever ends in between."""
import json
import pathlib
import random
import signal
import threading
import time

import pytest

from harness import http
from harness.broker import Broker, wait_for
from harness.kafka import Kafka

# A Java machine takes seconds to start, and minutes of a processor that many share.
pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.deadline(400)]

PARTITIONS = 4
RECORDS = 20000
KILLS = 8
NOW_MS = round(time.time() * 1000)


@pytest.fixture(name="topic")
def make_topic(kafka, channel):
    return kafka.client().create_topic(channel.replace("/", "."), partitions=PARTITIONS)


@pytest.fixture(name="start_source")
def start_brokers_with_sources():
    """start_source(brokers, topics, …): a broker that reads them; `row` and `more` are YAML."""
    brokers = []

    def start(*arguments, **options):
        brokers.append(Broker("--open", config=configure(*arguments, **options)))
        return brokers[-1].start()

    yield start
    for broker in brokers:
        try:
            broker.stop()
        finally:
            broker.close()


def configure(cluster, topics, row="", more="", start="earliest"):
    return ("storage: { bytes_max: 1GiB }\n"
            "channels: [ { match: \"**\", history: { messages: 100000 } } ]\n"
            "sources:\n"
            f"  - {{ name: lake, start: {start}, {row} kafka: {{ brokers: \"{cluster}\", "
            f"topics: [{', '.join(topics)}], options: [\"fetch.wait.max.ms=10\"] }} }}\n"
            f"{more}")


def channel_of(topic):
    return topic.replace(".", "/")


def wait_messages(broker, channel, count, timeout_s=120):
    """All messages of the channel, once there are so many."""
    wait_for(lambda: (broker.page(channel)["last"] or 0) >= count, timeout_s,
             f"{count} messages of {channel}")
    return broker.all_messages(channel)[0]


def numbered(first, count):
    """Records {"n": …} with a key and a partition each; what one partition gets is ascending."""
    return [(b"k%d" % (n % 7), b'{"n":%d}' % n, None, n % PARTITIONS)
            for n in range(first, first + count)]


def assert_each_once(messages, count):
    """Dense offsets, each number once, each partition in order."""
    assert [message["offset"] for message in messages] == list(range(1, count + 1))
    numbers = [message["data"]["n"] for message in messages]
    assert len(set(numbers)) == len(numbers) == count, "repeated or lost"
    for partition in range(PARTITIONS):
        mine = [n for n in numbers if n % PARTITIONS == partition]
        assert mine == sorted(mine), f"partition {partition} is out of order"


def row_of(broker):
    """The source as the operator sees it."""
    return http.request(broker.operator, "GET", "/api/v1/sources").json()["sources"][0]


def test_a_record_comes_out_as_a_message(kafka, topic, start_source):
    broker = start_source(kafka.brokers, [topic])
    kafka.client().produce(topic, [
        (b"player-7", b'{"score":"40-15"}', [("trace", b"abc"), ("bytes", b"\xff")], 0),
        (None, b"plain text", [("content-type", b"text/csv")], 0),
        (b"player-7", None, None, 0),
        (None, b"\xff\x00", None, 0),
        (None, b"17", [("ce_specversion", b"1.0"), ("ce_id", b"9"), ("ce_source", b"/shop"),
                       ("ce_type", b"order.placed")], 0)])
    first, second, third, fourth, fifth = wait_messages(broker, channel_of(topic), 5)
    assert first["data"] == {"score": "40-15"} and first["key"] == "player-7"
    assert first["headers"]["trace"] == "abc" and "bytes" not in first["headers"]
    assert first["headers"]["kafka-timestamp"].endswith("Z")
    assert (second["data"], second["type"]) == ("plain text", "text/csv")
    assert third["data"] is None and third["key"] == "player-7"
    assert fourth["data_base64"] == "/wA="
    assert fifth["event"] == "order.placed" and fifth["headers"]["ce-source"] == "/shop"


def test_killed_at_any_moment_each_record_is_published_once(kafka, topic, start_source):
    client = kafka.client()
    broker = start_source(kafka.brokers, [topic])
    chance = random.Random(8)

    may_go_on = threading.Semaphore(1)

    def produce():
        """As much as a kill comes for, so that it is not all over before the last of them."""
        for first in range(0, RECORDS, 500):
            if first % (RECORDS // KILLS) == 0:
                may_go_on.acquire()
            client.produce(topic, numbered(first, 500))

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    for kill in range(1, KILLS + 1):
        count = broker.page(channel_of(topic))["last"] or 0
        wanted = min(RECORDS // KILLS * kill, count + chance.randrange(1, 2000))
        wait_for(lambda wanted=wanted: (broker.page(channel_of(topic))["last"] or 0) >= wanted, 120,
                 "more")
        broker.kill()
        may_go_on.release()
        broker.start()
    producer.join()
    messages = wait_messages(broker, channel_of(topic), RECORDS)
    assert_each_once(messages, RECORDS)


def test_a_new_start_goes_on_where_the_last_one_ended(kafka, topic, start_source):
    client = kafka.client()
    client.produce(topic, numbered(0, 1000))
    broker = start_source(kafka.brokers, [topic], start="now")
    broker.wait_logged("SOURCE_UP")
    client.produce(topic, numbered(1000, 1))
    wait_for(lambda: broker.page(channel_of(topic))["last"] == 1, what="the first message")
    broker.stop()
    client.produce(topic, numbered(1001, 500))
    broker.start()
    messages = wait_messages(broker, channel_of(topic), 501)
    assert sorted(message["data"]["n"] for message in messages) == list(range(1000, 1501))


def test_a_record_that_no_channel_takes_is_passed_over(kafka, topic, start_source):
    client = kafka.client()
    broker = start_source(kafka.brokers, [topic], row='channel: "in/{key}",', more="")
    client.produce(topic, [
        (b"good", b"1", None, 0), (b"bad+name", b"2", None, 0), (None, b"3", None, 0),
        (b"good", json.dumps("x" * 1000000).encode(), None, 0),
        (b"good", b"5", None, 0)], **{"message.max.bytes": 4000000})
    messages = wait_messages(broker, "in/good", 3)
    assert [message["data"] for message in messages][::2] == [1, 5]
    wait_for(lambda: row_of(broker)["state"] == "live", what="the state")
    row = row_of(broker)
    assert (row["messages"], row["refused"], row["own"], row["gaps"]) == (3, 2, 0, 0)
    assert row["lag_messages"] == 0
    lines = wait_for(lambda: broker.log_lines("SOURCE_PASSED_OVER"), what="a line")
    assert lines[0]["code"] == "bad-channel" and lines[0]["partition"] == f"{topic}/0"


def test_kafka_that_goes_and_comes_back_costs_nothing(kafka, topic, start_source):
    client = kafka.client()
    broker = start_source(kafka.brokers, [topic])
    client.produce(topic, numbered(0, 1000))
    wait_messages(broker, channel_of(topic), 1000)
    kafka.kill()
    broker.wait_logged("SOURCE_DOWN")
    assert row_of(broker)["state"] == "broken" and row_of(broker)["detail"]
    kafka.start()
    client.produce(topic, numbered(1000, 1000))
    assert_each_once(wait_messages(broker, channel_of(topic), 2000), 2000)


def test_a_topic_that_is_missing_is_told_and_read_from_the_moment_it_is_there(
        kafka, topic, channel, start_source):
    client, late = kafka.client(), channel.replace("/", ".") + ".late"
    broker = start_source(kafka.brokers, [topic, late])
    client.produce(topic, numbered(0, 10))
    wait_messages(broker, channel_of(topic), 10)
    line = broker.wait_logged("SOURCE_DOWN")[0]
    assert late in line["detail"]
    client.create_topic(late)
    client.produce(late, [(None, b'{"n":1}')])
    wait_messages(broker, channel_of(late), 1)


def test_a_partition_that_is_added_is_read_from_its_beginning(kafka, channel, start_source):
    admin = pytest.importorskip("confluent_kafka.admin")
    client = kafka.client()
    topic = client.create_topic(channel.replace("/", "."))
    broker = start_source(kafka.brokers, [topic], start="now")
    broker.wait_logged("SOURCE_UP")
    client.produce(topic, [(None, b'{"n":0}', None, 0)])
    wait_messages(broker, channel_of(topic), 1)
    handle = admin.AdminClient(client.options)
    handle.create_partitions([admin.NewPartitions(topic, 2)])[topic].result(60)
    wait_for(lambda: client.list_topics()[topic] == 2, what="the second partition")
    client.produce(topic, [(None, b'{"n":1}', None, 1)])
    messages = wait_messages(broker, channel_of(topic), 2)
    assert [message["data"]["n"] for message in messages] == [0, 1]


def test_what_was_aborted_is_not_published(kafka, topic, start_source):
    client = kafka.client()
    broker = start_source(kafka.brokers, [topic])
    producer = client.library.Producer({**client.options, "transactional.id": topic})
    producer.init_transactions()
    for number, is_kept in enumerate((True, False, True)):
        producer.begin_transaction()
        producer.produce(topic, b'{"n":%d}' % number, partition=0)
        producer.flush()
        (producer.commit_transaction if is_kept else producer.abort_transaction)()
    messages = wait_messages(broker, channel_of(topic), 2)
    assert [message["data"]["n"] for message in messages] == [0, 2]


@pytest.mark.parametrize("count", [8, 400], ids=["fewer", "more"])
def test_a_topic_that_was_made_again_is_read_from_its_first_record(kafka, topic, start_source,
                                                                   count):
    client = kafka.client()
    broker = start_source(kafka.brokers, [topic])
    client.produce(topic, numbered(0, 100))
    wait_messages(broker, channel_of(topic), 100)
    broker.stop()
    client.delete_topic(topic)
    client.create_topic(topic, partitions=PARTITIONS)
    client.produce(topic, numbered(100, count))
    broker.start()
    assert_each_once(wait_messages(broker, channel_of(topic), 100 + count), 100 + count)
    gaps = wait_messages(broker, "$events/sources/lake", PARTITIONS)
    assert {gap["data"]["position"] for gap in gaps} == \
        {f"{topic}/{number}" for number in range(PARTITIONS)}
    broker.stop()
    client.produce(topic, numbered(100 + count, 8))
    broker.start()  # the topic is the one that it knows now
    assert_each_once(wait_messages(broker, channel_of(topic), 108 + count), 108 + count)
    assert broker.page("$events/sources/lake")["last"] == PARTITIONS


def put_numbers(client, topic, numbers, ages_s, keys=None):
    """Each record with its own time; whatever is taken for one of another topic is read again from
    one that is younger."""
    producer = client.library.Producer({**client.options, "enable.idempotence": True})
    for number, age_s, key in zip(numbers, ages_s, keys or [b"k"] * len(numbers), strict=True):
        producer.produce(topic, b'{"n":%d}' % number, key, partition=0,
                         timestamp=NOW_MS - 1000 * age_s)
    assert producer.flush(60) == 0


def assert_numbers(broker, topic, count):
    messages = wait_messages(broker, channel_of(topic), count)
    assert [message["data"]["n"] for message in messages] == list(range(count)), topic


def assert_no_gap(broker):
    assert broker.page("$events/sources/lake")["last"] in (None, 0)


def test_a_start_takes_no_topic_for_another_whatever_times_its_records_have(kafka, channel,
                                                                            start_source):
    client = kafka.client()
    kinds = {"falls": {}, "equal": {}, "changes": {},
             "append": {"message_timestamp_type": "LogAppendTime"}}
    names = {kind: client.create_topic(f"{channel}.{kind}".replace("/", "."), **options)
             for kind, options in kinds.items()}
    broker = start_source(kafka.brokers, list(names.values()))
    for turn in range(3):
        numbers = range(10 * turn, 10 * turn + 10)
        for kind, name in names.items():
            put_numbers(client, name, numbers, [0] * 10 if kind == "equal" else numbers)
        for name in names.values():
            assert_numbers(broker, name, len(numbers) * (turn + 1))
        broker.stop()
        client.alter_topic(names["changes"], message_timestamp_type="LogAppendTime")
        broker.start()
    assert_no_gap(broker)


def test_a_start_behind_control_records_and_what_was_aborted_tells_no_gap(kafka, topic,
                                                                          start_source):
    client = kafka.client()
    broker = start_source(kafka.brokers, [topic])
    producer = client.library.Producer({**client.options, "transactional.id": topic})
    producer.init_transactions()
    count = 0
    for is_kept in (True, False, True, True, False, False, True):
        producer.begin_transaction()
        producer.produce(topic, b'{"n":%d}' % count, partition=0, timestamp=NOW_MS - 1000 * count)
        producer.flush()
        if is_kept:
            assert_numbers(broker, topic, count)
            broker.stop()  # the record before its position is committed, control records follow
            broker.start()  # while this one is open
        (producer.commit_transaction if is_kept else producer.abort_transaction)()
        count += is_kept
        assert_numbers(broker, topic, count)
    assert_no_gap(broker)


def test_a_start_whose_last_record_was_compacted_tells_no_gap(channel, start_source):
    kafka = Kafka("log.cleaner.backoff.ms=100")
    try:
        client = kafka.start().client()
        topic = client.create_topic(channel.replace("/", "."), cleanup_policy="compact",
                                    segment_ms=100, min_cleanable_dirty_ratio="0.001")
        broker = start_source(kafka.brokers, [topic])
        put_numbers(client, topic, range(10), range(10), [b"stays"] + [b"k"] * 9)
        assert_numbers(broker, topic, 10)
        broker.stop()
        put_numbers(client, topic, [10], [10])

        def is_compacted():
            client.produce(topic, [(b"other", b"{}")])  # a segment ends with the one behind it
            return all(record.value != b'{"n":9}' for record in client.read(topic))

        wait_for(is_compacted, 120, "the end of the last record")
        broker.start()
        messages = wait_messages(broker, channel_of(topic), 12)
        numbers = [message["data"].get("n") for message in messages]
        assert numbers[:11] == list(range(11)) and set(numbers[11:]) == {None}
        assert_no_gap(broker)
    finally:
        kafka.close()


def reload(broker, text):
    before = len(broker.log_lines("RELOADED"))
    pathlib.Path(broker.scratch, "tidings.yaml").write_text(text, encoding="utf-8")
    broker.signal(signal.SIGHUP)
    wait_for(lambda: len(broker.log_lines("RELOADED")) > before, what="the reload")


def test_paused_it_reads_nothing_and_then_goes_on_where_it_was(kafka, topic, start_source):
    client = kafka.client()
    broker = start_source(kafka.brokers, [topic])
    client.produce(topic, numbered(0, 1000))
    wait_messages(broker, channel_of(topic), 1000)
    ups = len(broker.wait_logged("SOURCE_UP"))
    reload(broker, configure(kafka.brokers, [topic], row="paused: true,"))
    client.produce(topic, numbered(1000, 1000))
    reload(broker, configure(kafka.brokers, [topic]))
    messages = wait_messages(broker, channel_of(topic), 2000)
    assert_each_once(messages, 2000)
    assert len(broker.wait_logged("SOURCE_UP")) > ups, "it was not stopped"


def test_two_brokers_that_mirror_each_other_go_round_no_circle(kafka, channel, start_source):
    client = kafka.client()
    there, back = (client.create_topic(channel.replace("/", ".") + end) for end in (".a", ".b"))

    def sink(to):
        return (f"sinks: [ {{ name: out, channels: [\"mirror/**\"], start: earliest, format: data, "
                f"kafka: {{ brokers: \"{kafka.brokers}\", topic: {to} }} }} ]\n")

    left = start_source(kafka.brokers, [back], row="channel: mirror/x,", more=sink(there))
    right = start_source(kafka.brokers, [there], row="channel: mirror/x,", more=sink(back))
    left.post("mirror/x", b'{"from":"left"}',
              headers={"Tidings-Event": "hello", "Tidings-Key": "k", "Tidings-Header-A": "b"})
    message = wait_messages(right, "mirror/x", 1)[0]
    assert message["data"] == {"from": "left"} and message["event"] == "hello"
    assert message["key"] == "k" and message["headers"]["a"] == "b"
    right.publish("mirror/x", {"from": "right"})
    wait_messages(left, "mirror/x", 2)
    # What each had of the other went out again, and was known when it came back.
    assert len(client.wait_for(there, 2)) == 2 and len(client.wait_for(back, 2)) == 2
    left.publish("mirror/x", {"from": "left", "n": 2})
    assert len(wait_messages(right, "mirror/x", 3)) == 3
    assert [m["data"]["from"] for m in wait_messages(left, "mirror/x", 3)] == \
        ["left", "right", "left"]
