# SPDX-License-Identifier: Apache-2.0
"""What the tests of Kafka stand on."""
import pytest

from harness.kafka import partition_of

# A Java machine takes seconds to start, and minutes of a processor that many share.
pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.deadline(400)]


def test_a_real_kafka_starts_and_comes_back_as_it_was(kafka, channel):
    client, topic = kafka.client(), channel.replace("/", ".")
    client.create_topic(topic, partitions=3)
    client.produce(topic, [(b"%d" % n, b"value %d" % n, [("a", b"b")]) for n in range(30)],
                   **{"partitioner": "murmur2_random"})
    kafka.kill()
    kafka.start()
    records = client.wait_for(topic, 30)
    assert len(records) == 30
    assert all(record.headers == [("a", b"b")] for record in records)
    assert all(record.partition == partition_of(record.key, 3) for record in records)


def test_a_mock_cluster_takes_its_commands(start_mock_kafka):
    mock = start_mock_kafka(brokers=3)
    mock.tell("topic", "here", 1)
    mock.tell("errors", "produce", "NOT_LEADER_FOR_PARTITION", "_TRANSPORT")
    mock.tell("leader", "here", 0, 2)
    client = mock.client()
    client.produce("here", [(None, b"one"), (None, b"two")])
    assert [record.value for record in client.read("here", is_committed=False)] == [b"one", b"two"]
