# SPDX-License-Identifier: Apache-2.0
"""Fixtures of tests/wire and tests/faults: a broker that tests share, and private ones."""
import itertools
import os
import re
import signal
import subprocess
from urllib.parse import quote

import pytest

from harness import http
from harness.broker import Broker, raise_descriptor_limit
from harness.kafka import Kafka, MockKafka

DEADLINE_S = 180  # of a test that takes no minute on a machine that is busy
channel_numbers = itertools.count(1)
# A name that has a `channel` in it, with its slashes or with something else in their place; what
# sessions are called that were not told a name; and the channel of ten messages of history_test.
OWN_NAME = re.compile(r"test(.)\d+\1\d+|^auto-|^history/ten$")


def pytest_sessionstart():
    raise_descriptor_limit()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Breaks a test off at its deadline, so that a hang is a failure with a stack."""
    marker = item.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else DEADLINE_S

    def on_alarm(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session", name="shared_broker")
def start_shared_broker():
    broker = Broker()
    try:
        broker.start()
        yield broker
        assert_names_are_own(broker)
        broker.stop()
    finally:
        broker.close()


def names_on(broker, resource, key):
    """All that the operator is told of: channels, sessions or sinks, by their names."""
    names, after = [], ""
    while after is not None:
        answer = http.request(broker.operator, "GET",
                              f"/api/v1/{resource}?limit=1000&after={quote(after, safe='')}")
        assert answer.status == 200, answer
        names += [row[key] for row in answer.json()[resource]]
        after = answer.json()["next"]
    return names


def assert_names_are_own(broker):
    """What two tests call the same makes one of them fail one day, in another order: so no test
    leaves anything on the shared broker that is not called after its own `channel`."""
    foreign = [(resource, name) for resource, key in (("channels", "channel"),
                                                      ("sessions", "client_id"), ("sinks", "name"))
               for name in names_on(broker, resource, key) if not OWN_NAME.search(name)]
    assert not foreign, f"take `channel` in the name, or start_broker(): {foreign[:20]}"


@pytest.fixture(name="broker")
def lend_shared_broker(shared_broker):
    """A broker without a configuration that other tests use too: take a fresh `channel`, and call
    after it whatever you leave there (assert_names_are_own() looks)."""
    yield shared_broker
    shared_broker.assert_alive()


@pytest.fixture(name="start_broker")
def start_private_brokers():
    """start_broker(*flags, config=…, data=…): one's own, stopped and judged at the end."""
    brokers = []

    def start(*arguments, **options):
        broker = Broker(*arguments, **options)
        brokers.append(broker)
        return broker.start()

    try:
        yield start
        for broker in brokers:
            broker.stop()
    finally:
        for broker in brokers:
            broker.close()


@pytest.fixture(name="channel")
def name_channel():
    """A channel that no other test knows."""
    return f"test/{os.getpid()}/{next(channel_numbers)}"


@pytest.fixture(scope="session", name="shared_kafka")
def start_shared_kafka():
    Kafka.fetch()
    kafka = Kafka()
    try:
        yield kafka.start()
    finally:
        kafka.close()


@pytest.fixture(name="kafka")
def lend_shared_kafka(shared_kafka):
    """A real Kafka that tests share: all that use it are of the group `kafka` (xdist_group), so
    that there is one. Skips with a word where it cannot be had. Take topics of your own. What a
    test has killed and not started again, since it failed, is there for the next one."""
    if shared_kafka.process.poll() is not None:
        shared_kafka.start()
    return shared_kafka


@pytest.fixture(name="start_mock_kafka")
def start_private_mocks():
    """start_mock_kafka(brokers=3): a cluster of one's own that fails as it is told."""
    mocks = []

    def start(brokers=1):
        mocks.append(MockKafka(brokers))
        return mocks[-1]

    yield start
    for mock in mocks:
        mock.close()


@pytest.fixture(name="small_disk")
def mount_small_disk(tmp_path):
    """A file system of 48 MiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a tmpfs")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)],
                          capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
