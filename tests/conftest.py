# SPDX-License-Identifier: Apache-2.0
"""Fixtures of tests/wire and tests/faults: a broker that tests share, and private ones."""
import itertools
import os
import signal
import subprocess

import pytest

from harness.broker import Broker, raise_descriptor_limit

DEADLINE_S = 90
channel_numbers = itertools.count(1)


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
        broker.stop()
    finally:
        broker.close()


@pytest.fixture(name="broker")
def lend_shared_broker(shared_broker):
    """A broker without a configuration that other tests use too: take a fresh `channel`."""
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
