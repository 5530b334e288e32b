# SPDX-License-Identifier: Apache-2.0
"""Sinks of Kafka: what stands in a real one, and what becomes of one that fails."""
import json
import pathlib
import shutil

import pytest

from harness import http
from harness.broker import wait_for
from harness.kafka import partition_of

# A Java machine takes seconds to start, and minutes of a processor that many share.
pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.deadline(400)]


def write_config(brokers, *lines, name="shop", channels="orders/**", **kafka):
    """A configuration with one sink; `lines` are more keys of it, `kafka` those of its section."""
    options = kafka.pop("options", [])
    section = {"brokers": brokers, **kafka}
    text = [f"sinks:\n  - name: {name}\n    channels: ['{channels}']\n    start: earliest",
            *(f"    {line}" for line in lines), "    kafka:"]
    text += [f"      {key}: '{value}'" for key, value in section.items()]
    if options:
        text += [f"      options: {json.dumps(options)}"]
    return "\n".join(text) + "\n"


def show(broker, name="shop"):
    answer = http.request(broker.operator, "GET", f"/api/v1/sinks/{name}")
    assert answer.status == 200, answer
    return answer.json()


def ask(broker, action, body=None, name="shop"):
    text = None if body is None else json.dumps(body).encode()
    answer = http.request(broker.operator, "POST", f"/api/v1/sinks/{name}/{action}",
                          {"Content-Type": "application/json"}, text)
    assert answer.status == 200, answer
    return answer.json()


def wait_for_state(broker, state, timeout_s=120):
    return wait_for(lambda: (lambda it: it if it["state"] == state else None)(show(broker)),
                    timeout_s, f"the state {state}; it is {show(broker)}")


def values(records):
    return [json.loads(record.value)["n"] for record in records]


@pytest.fixture(name="topic")
def name_topic(channel):
    """A topic that no other test knows; its channel is `orders/` and so on."""
    return "orders." + channel.replace("/", ".")


@pytest.fixture(name="orders")
def name_orders(channel):
    return "orders/" + channel


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_messages_stand_in_order_with_key_headers_and_bytes(kafka, start_broker, topic, orders,
                                                            delivery):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, "format: data", delivery=delivery))
    for number in range(50):
        answer = broker.post(orders, b'{"n":%d}' % number,
                             headers={"Tidings-Event": "created", "Tidings-Key": f"k{number % 3}"})
        assert answer.status == 200, answer
    records = client.wait_for(topic, 50)
    assert values(records) == list(range(50))
    assert [record.key for record in records[:3]] == [b"k0", b"k1", b"k2"]
    headers = dict(records[7].headers)
    assert headers["tidings-channel"] == orders.encode()
    assert headers["tidings-offset"] == b"8"
    assert headers["tidings-event"] == b"created"
    assert headers["content-type"] == b"application/json"
    assert headers["tidings-id"].startswith(b"t1")
    assert wait_for_state(broker, "live")["lag_messages"] == 0


def test_keys_go_where_the_java_client_would_put_them(kafka, start_broker, topic, orders):
    client = kafka.client()
    client.create_topic(topic, partitions=7)
    broker = start_broker(config=write_config(kafka.brokers, options=["compression.type=zstd"]))
    keys = ["a", "21", "foobar", "a-little-bit-long-string", "k"]
    for key in keys:
        for number in range(5):
            answer = broker.post(orders, b'{"n":%d}' % number,
                                 headers={"Tidings-Key": key})
            assert answer.status == 200, answer
    records = client.wait_for(topic, 25)
    assert {record.key.decode() for record in records} == set(keys)
    for key in keys:
        own = [record for record in records if record.key.decode() == key]
        assert {record.partition for record in own} == {partition_of(key.encode(), 7)}
        assert [json.loads(record.value)["data"]["n"] for record in own] == list(range(5))


def test_cloudevents_are_of_the_binary_mode(kafka, start_broker, topic, orders):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, "format: cloudevents"))
    broker.publish(orders, {"n": 1})
    record, = client.wait_for(topic, 1)
    headers = dict(record.headers)
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_source"] == f"/channels/{orders}".encode()
    assert headers["content-type"] == b"application/json"
    assert json.loads(record.value) == {"n": 1}


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_record_that_is_too_large_is_a_dead_letter_and_the_others_go_on(
        kafka, start_broker, topic, orders, delivery):
    client = kafka.client()
    client.create_topic(topic, max_message_bytes=2000)
    broker = start_broker(config=write_config(kafka.brokers, "format: data", delivery=delivery))
    for number in range(1, 10):
        fill = "x" * 5000 if number % 4 == 0 else ""
        broker.publish(orders, {"n": number, "fill": fill})
    wait_for(lambda: 9 in values(client.read(topic)), 120, "the last of them")
    wait_for_state(broker, "live")
    dead = broker.all_messages("$dlq/shop")[0]
    assert [letter["data"]["n"] for letter in dead] == [4, 8]
    assert dead[0]["headers"]["tidings-channel"] == orders
    found = values(client.read(topic))
    assert list(dict.fromkeys(found)) == [1, 2, 3, 5, 6, 7, 9]
    if delivery == "exactly_once":
        assert len(found) == 7
    # Behind a thousand that were taken one by one, batches are large again: nobody sees the change.
    lines = b"".join(b'{"n":%d}\n' % number for number in range(10, 1510))
    assert broker.post(orders, lines, "application/x-ndjson").status == 200
    records = client.wait_for(topic, len(found) + 1500)
    assert values(records)[len(found):] == list(range(10, 1510))
    wait_for_state(broker, "live")
    broker.publish(orders, {"n": 1510})
    assert values(client.wait_for(topic, len(found) + 1501))[-1] == 1510


def test_a_batch_that_is_refused_lets_none_pass_it(kafka, start_broker, topic, orders):
    """Kafka takes any sequence number where a producer wrote nothing yet, so a second batch too."""
    client = kafka.client()
    client.create_topic(topic, max_message_bytes=2000)
    broker = start_broker(config=write_config(kafka.brokers, "format: data",
                                              options=["batch.num.messages=4"]))
    ask(broker, "pause")
    lines = "".join(json.dumps({"n": number, "fill": "x" * 5000 if number == 4 else ""}) + "\n"
                    for number in range(1, 41))
    assert broker.post(orders, lines.encode(), "application/x-ndjson").status == 200
    ask(broker, "resume")
    records = client.wait_for(topic, 39)
    assert list(dict.fromkeys(values(records))) == [n for n in range(1, 41) if n != 4]


def test_a_topic_that_is_missing_is_waited_for(kafka, start_broker, topic, orders):
    client = kafka.client()
    broker = start_broker(config=write_config(
        kafka.brokers, "format: data", options=["topic.metadata.propagation.max.ms=200"]))
    broker.fill(orders, 3)
    found = wait_for_state(broker, "broken")
    assert topic in found["detail"], found
    client.create_topic(topic)
    assert values(client.wait_for(topic, 3)) == [1, 2, 3]
    wait_for_state(broker, "live")


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_nothing_is_lost_when_kafka_is_killed(kafka, start_broker, topic, orders, delivery):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, "format: data", delivery=delivery))
    broker.fill(orders, 100)
    client.wait_for(topic, 1)
    kafka.kill()
    broker.fill(orders, 100, first=101)
    kafka.start()
    wait_for(lambda: set(values(client.read(topic))) == set(range(1, 201)), 120, "all of them")
    wait_for_state(broker, "live")
    if delivery == "exactly_once":
        assert values(client.read(topic)) == list(range(1, 201))


def test_exactly_once_repeats_nothing_over_kills(kafka, start_broker, topic, orders):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, "format: data",
                                              delivery="exactly_once"))
    for number in range(4):
        broker.fill(orders, 100, first=number * 100 + 1)
        broker.kill()
        broker.start()
    broker.fill(orders, 100, first=401)
    assert values(client.wait_for(topic, 500)) == list(range(1, 501))
    wait_for_state(broker, "live")
    assert client.describe_topic("tidings.checkpoints")["cleanup.policy"] == "compact"


def test_exactly_once_repeats_nothing_when_other_channels_come(kafka, start_broker, topic, orders):
    client, more = kafka.client(), orders + "/more"
    client.create_topic(topic)
    client.create_topic(topic + ".more")
    words = ("format: data",)
    broker = start_broker(config=write_config(kafka.brokers, *words, channels=orders,
                                              delivery="exactly_once"))
    for number in range(4):
        broker.fill(orders, 25, first=number * 25 + 1)
        broker.fill(more, 25, first=number * 25 + 1)
    client.wait_for(topic, 25)
    broker.kill()
    pathlib.Path(broker.scratch, "tidings.yaml").write_text(
        write_config(kafka.brokers, *words, channels=orders + "/**", delivery="exactly_once"),
        encoding="utf-8")
    broker.start()
    broker.fill(more, 25, first=101)
    broker.fill(orders, 25, first=101)
    assert values(client.wait_for(topic, 125)) == list(range(1, 126))
    wait_for_state(broker, "live")
    got = values(client.wait_for(topic + ".more", 25))
    assert got == list(range(got[0], 126))  # from the sink's place on


def test_a_replay_outlives_a_kill_before_its_first_transaction(kafka, start_broker, topic, orders):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, "format: data",
                                              delivery="exactly_once"))
    broker.fill(orders, 20)
    client.wait_for(topic, 20)
    ask(broker, "pause")
    ask(broker, "replay", {"since": "earliest"})
    broker.kill()
    broker.start()
    ask(broker, "resume")
    client.wait_for(topic, 40)
    broker.kill()  # behind it nothing is repeated
    broker.start()
    broker.fill(orders, 1, first=21)
    numbers = list(range(1, 21))
    assert values(client.wait_for(topic, 41)) == [*numbers, *numbers, 21]


def test_a_log_that_lost_its_tail_passes_over_nothing_new(kafka, start_broker, topic, orders,
                                                         tmp_path):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, "format: data",
                                              delivery="exactly_once"))
    broker.fill(orders, 10)
    client.wait_for(topic, 10)
    broker.kill()
    broker.start()
    wait_for_state(broker, "live")
    shutil.copytree(broker.data, tmp_path / "before")
    broker.fill(orders, 10, first=11)
    client.wait_for(topic, 20)
    broker.kill()
    shutil.rmtree(broker.data)
    shutil.copytree(tmp_path / "before", broker.data)
    broker.start()
    broker.fill(orders, 15, first=21)
    assert values(client.wait_for(topic, 35)) == list(range(1, 36))


def test_a_test_message_moves_no_place(kafka, start_broker, topic, orders):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, "format: data", topic=topic,
                                              delivery="exactly_once"))
    broker.fill(orders, 5)
    client.wait_for(topic, 5)
    ask(broker, "pause")
    broker.fill(orders, 5, first=6)
    assert ask(broker, "test")["outcome"] == "delivered"
    ask(broker, "resume")
    records = client.wait_for(topic, 11)
    assert [json.loads(record.value).get("n") for record in records] == \
        [1, 2, 3, 4, 5, None, 6, 7, 8, 9, 10]


def test_at_least_once_repeats_what_it_did_not_hear_of(kafka, start_broker, topic, orders):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, "format: data"))
    for number in range(3):
        broker.fill(orders, 100, first=number * 100 + 1)
        broker.kill()
        broker.start()
    wait_for(lambda: len(set(values(client.read(topic)))) == 300, 120, "all of them")
    wait_for_state(broker, "live")
    found = values(client.read(topic))
    assert list(dict.fromkeys(found)) == list(range(1, 301))  # in order, but for repeats


def test_a_change_of_leader_is_not_seen(start_mock_kafka, start_broker, topic, orders):
    mock = start_mock_kafka(brokers=3)
    mock.tell("topic", topic, 1)
    broker = start_broker(config=write_config(mock.brokers, "format: data"))
    for count in range(20, 121, 20):
        mock.tell("leader", topic, 0, count % 3 + 1)
        mock.tell("errors", "produce", "NOT_LEADER_FOR_PARTITION", "REQUEST_TIMED_OUT")
        # At once and alone: unlike Kafka, the mock takes a batch behind one that it has refused.
        lines = "".join(f'{{"n": {number}}}\n' for number in range(count - 19, count + 1))
        assert broker.post(orders, lines.encode(), "application/x-ndjson").status == 200
        records = mock.client().wait_for(topic, count, is_committed=False)
    assert values(records) == list(range(1, 121))


def test_brokers_that_are_down_are_named_and_come_back(start_mock_kafka, start_broker, topic,
                                                       orders):
    mock = start_mock_kafka()
    mock.tell("topic", topic, 1)
    mock.tell("down", -1)
    broker = start_broker(config=write_config(mock.brokers, "format: data"))
    broker.fill(orders, 10)
    assert mock.brokers in wait_for_state(broker, "broken")["detail"]
    mock.tell("up", -1)
    assert values(mock.client().wait_for(topic, 10, is_committed=False)) == list(range(1, 11))


def test_a_test_message_tells_what_kafka_said(kafka, start_broker, topic):
    client = kafka.client()
    client.create_topic(topic)
    broker = start_broker(config=write_config(kafka.brokers, topic=topic))
    assert ask(broker, "test")["outcome"] == "delivered"
    assert len(client.wait_for(topic, 1)) == 1


def test_a_test_of_a_missing_topic_says_so(kafka, start_broker, topic):
    broker = start_broker(config=write_config(kafka.brokers, topic=topic))
    answer = http.request(broker.operator, "POST", "/api/v1/sinks/shop/test").json()
    assert answer["outcome"] == "abandoned" and topic in answer["detail"], answer
