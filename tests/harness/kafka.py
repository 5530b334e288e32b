# SPDX-License-Identifier: Apache-2.0
"""Kafka: the real one (tests/support/kafka) and one that fails as told (tests/support/mock_kafka),
and a client of Debian's to look into both."""
import pathlib
import signal
import subprocess
import tempfile
import typing

import pytest

from harness.broker import ROOT, find_binary, wait_for
from harness.certificates import server_pair
from harness.ports import take_port
from harness.processes import is_open

SCRIPT = ROOT / "tests" / "support" / "kafka"
CANNOT = 77  # what the script ends with where there is no Java, say
START_TIMEOUT_S = 180  # 4 s on an idle machine, 40 s where ten others want it
FETCH_TIMEOUT_S = 330
CLIENT_TIMEOUT_S = 60


class Record(typing.NamedTuple):
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list  # of (name, bytes), in order
    time_ms: int


def client_library():
    return pytest.importorskip("confluent_kafka", reason="no python3-confluent-kafka")


class Client:
    """What a test does to a cluster and sees of it. `brokers` is "HOST:PORT,…"."""

    def __init__(self, brokers):
        self.library, self.brokers = client_library(), brokers
        self.options = {"bootstrap.servers": brokers}

    def create_topic(self, name, partitions=1, **properties):
        admin = pytest.importorskip("confluent_kafka.admin")
        topic = admin.NewTopic(name, num_partitions=partitions, replication_factor=1,
                               config={key.replace("_", "."): str(value)
                                       for key, value in properties.items()})
        client = admin.AdminClient(self.options)
        client.create_topics([topic])[name].result(CLIENT_TIMEOUT_S)
        wait_for(lambda: name in self.list_topics(), CLIENT_TIMEOUT_S, f"the topic {name}")
        return name

    def delete_topic(self, name):
        admin = pytest.importorskip("confluent_kafka.admin").AdminClient(self.options)
        admin.delete_topics([name])[name].result(CLIENT_TIMEOUT_S)
        wait_for(lambda: name not in self.list_topics(), CLIENT_TIMEOUT_S, f"the end of {name}")

    def describe_topic(self, name):
        """Its properties: {"cleanup.policy": "compact", …}."""
        admin = pytest.importorskip("confluent_kafka.admin")
        resource = admin.ConfigResource(admin.ConfigResource.Type.TOPIC, name)
        client = admin.AdminClient(self.options)  # which must outlive the answer
        found = client.describe_configs([resource])[resource].result(CLIENT_TIMEOUT_S)
        return {key: row.value for key, row in found.items()}

    def alter_topic(self, name, **properties):
        """All others are as unless told."""
        admin = pytest.importorskip("confluent_kafka.admin")
        resource = admin.ConfigResource(
            admin.ConfigResource.Type.TOPIC, name,
            set_config={key.replace("_", "."): value for key, value in properties.items()})
        client = admin.AdminClient(self.options)
        client.alter_configs([resource])[resource].result(CLIENT_TIMEOUT_S)

    def list_topics(self):
        """{name: number of partitions}"""
        client = self.library.Consumer({**self.options, "group.id": "looks"})
        try:
            topics = client.list_topics(timeout=CLIENT_TIMEOUT_S).topics
        finally:
            client.close()
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def produce(self, topic, records, **options):
        """Of (key, value), (key, value, headers) or (key, value, headers, partition); in order,
        also where the first is tried again because a topic is new."""
        refused = []
        client = self.library.Producer({**self.options, "enable.idempotence": True, **options})
        for record in records:
            key, value, headers, partition = (*record, None, None)[:4]
            words = {} if partition is None else {"partition": partition}
            client.produce(topic, value, key, headers=headers,
                           on_delivery=lambda error, _: error and refused.append(error), **words)
            client.poll(0)
        assert client.flush(CLIENT_TIMEOUT_S) == 0, "Kafka does not take them"
        assert not refused, refused

    def read(self, topic, is_committed=True, partitions=None):
        """All that the topic holds now, by partition and offset; of transactions only what was
        committed unless told."""
        numbers = range(partitions or self.list_topics().get(topic, 0))
        client = self.library.Consumer({
            **self.options, "group.id": "reads", "enable.auto.commit": False,
            "enable.partition.eof": True, "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
            "isolation.level": "read_committed" if is_committed else "read_uncommitted"})
        records, ended = [], set()
        try:
            client.assign([self.library.TopicPartition(topic, number, 0) for number in numbers])
            while len(ended) < len(numbers):
                message = client.poll(CLIENT_TIMEOUT_S)
                assert message is not None, f"{topic} has no end"
                if message.error() is None:
                    records.append(Record(message.partition(), message.offset(), message.key(),
                                          message.value(), message.headers() or [],
                                          message.timestamp()[1]))
                elif message.error().code() == self.library.KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise AssertionError(str(message.error()))
        finally:
            client.close()
        return sorted(records)

    def wait_for(self, topic, count, timeout_s=120, **options):
        """Reads until there are so many; gives all that are there then."""
        def find():
            found = self.read(topic, **options)
            return found if len(found) >= count else None
        return wait_for(find, timeout_s, f"{count} records of {topic}")


class Kafka:
    """A real one. It keeps its ports and its topics over kill() and start()."""

    def __init__(self, *properties):
        self.properties, self.process = properties, None
        self.scratch = tempfile.TemporaryDirectory(prefix="tidings-kafka-")
        self.port, self.secure_port, self.controller = take_port(), take_port(), take_port()
        self.brokers = f"127.0.0.1:{self.port}"
        self.secure_brokers = f"localhost:{self.secure_port}"  # TLS and a password: PLAIN …
        self.said = pathlib.Path(self.scratch.name, "said")
        self.pem = pathlib.Path(self.scratch.name, "server.pem")
        self.pem.write_text("".join(path.read_text("ascii") for path in reversed(server_pair())),
                            "ascii")

    @staticmethod
    def fetch():
        """Skips the test where it cannot be had."""
        try:
            done = subprocess.run([SCRIPT, "--jars"], capture_output=True, text=True,
                                  timeout=FETCH_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"no Kafka: its jars do not come within {FETCH_TIMEOUT_S} s")
        if done.returncode == CANNOT:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self):
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(
                [SCRIPT, "--port", str(self.port), "--controller", str(self.controller), "--data",
                 self.scratch.name, "--secure", str(self.secure_port), str(self.pem),
                 *self.properties],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        wait_for(lambda: self.is_alive() and is_open(self.port), START_TIMEOUT_S, "Kafka")
        return self

    def let_in(self, user, password):
        """… or SCRAM with this name and password."""
        command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                   "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", self.fetch(),
                   "kafka.admin.ConfigCommand", "--bootstrap-server", self.brokers, "--alter",
                   "--entity-type", "users", "--entity-name", user, "--add-config"]
        running = [subprocess.Popen(  # it takes one at a time, and is slow to start
            [*command, f"SCRAM-SHA-{bits}=[iterations=4096,password={password}]"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for bits in (256, 512)]
        for one in running:
            said, _ = one.communicate(timeout=START_TIMEOUT_S)
            assert one.returncode == 0, said

    def is_alive(self):
        assert self.process.poll() is None, self.said.read_text("utf-8", "replace")
        return True

    def client(self):
        return Client(self.brokers)

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(START_TIMEOUT_S)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.scratch.cleanup()


class MockKafka:
    """librdkafka's mock cluster; mock_kafka.c has the commands."""

    def __init__(self, brokers=1):
        program = find_binary().parent / "tests" / "support" / "mock_kafka"
        self.process = subprocess.Popen([program, str(brokers)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.brokers = self.process.stdout.readline().strip()
        assert self.brokers, "mock_kafka did not start"

    def tell(self, *words):
        """mock.tell("leader", "topic", 0, 2)"""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n", words

    def client(self):
        return Client(self.brokers)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def murmur2(key):
    """Of org.apache.kafka.common.utils.Utils: what the Java client chooses a partition by."""
    factor, mask = 0x5bd1e995, 0xffffffff
    found = (0x9747b28c ^ len(key)) & mask
    whole = len(key) & ~3
    for index in range(0, whole, 4):
        word = int.from_bytes(key[index:index + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        found = found * factor & mask ^ word
    if key[whole:]:
        found = (found ^ int.from_bytes(key[whole:], "little")) * factor & mask
    found = (found ^ found >> 13) * factor & mask
    return found ^ found >> 15


def partition_of(key, partitions):
    """Where the Java client puts a record of that key."""
    return (murmur2(key) & 0x7fffffff) % partitions
