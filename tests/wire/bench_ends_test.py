# SPDX-License-Identifier: Apache-2.0
"""How a load of `tidings bench` ends: when the server leaves it, and when it is told to."""
import signal
import socket
import subprocess

import pytest

from harness import bench
from harness.broker import wait_for


class Deaf(bench.Server):
    """Greets the first three WebSockets, and no other."""
    number = 0

    def on_upgrade(self, key):
        self.number += 1
        return super().on_upgrade(key) if self.number <= 3 else b""


def test_who_comes_again_and_is_not_answered_is_unconnected():
    with Deaf() as server:
        run = bench.run("--url", server.url, "--quiet", "--publish", "none", "--readers", "3",
                        "--churn", "50", "--duration", "2s", "--drain", "1s",
                        "--assert", "unconnected == 0")
    assert run.code == 1, run.told
    assert run.counts["connected"] == run.counts["unconnected"] == 3
    assert any("3 readers: the server did not answer in time" in line for line in run.told)


class Leaving(bench.Server):
    """Closes its WebSockets when it is told to."""
    def leave(self):
        def close_all():
            for writer in self.sockets:
                writer.close()
        self.loop.call_soon_threadsafe(close_all)


def test_a_server_that_closes_all_readers_in_the_drain_is_gone():
    class Mute(Leaving):
        number = 0

        def deliver(self, body):
            self.number += 1
            return [] if self.number == 1 else [body]  # so that the drain waits

    with Mute() as server:
        running = bench.Bench("--url", server.url, "--readers", "2", "--rate", "20",
                              "--publishers", "1", "--duration", "1s", "--drain", "30s")
        wait_for(lambda: server.number == 20, what="all messages")
        running.wait_told("published")  # a second, the first
        server.leave()
        assert running.finish() == 1, running.told
    assert running.counts["closed"] == 2
    assert any("the server is gone" in line for line in running.told), running.told


def test_a_hold_ends_when_the_server_closes_all_readers():
    with Leaving() as server:
        held = bench.Bench("--url", server.url, "--quiet", "--readers", "2", "--hold")
        held.wait_printed("ready")
        server.leave()
        assert held.finish() == 1, held.told
    assert held.counts["closed"] == 2
    # It publishes nothing, and speaks of nothing of the kind.
    assert not any("publish" in line or "answered" in line for line in held.printed), held.printed


@pytest.fixture(name="silent")
def listen_and_accept_nothing():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_a_signal_while_publishers_connect_is_no_failure_to_connect(silent):
    url = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
    running = bench.Bench("--url", url, "--publish", "mqtt-qos0", "--read", "none")
    connection, _ = silent.accept()  # it waits for an answer
    with connection:
        running.interrupt()
        assert running.finish() == 130, running.told
    assert not any("could connect" in line for line in running.told), running.told


def test_a_signal_while_the_readers_of_a_hold_connect_makes_none_ready(silent):
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    held = bench.Bench("--url", url, "--publish", "none", "--readers", "2", "--hold",
                       stdin=subprocess.DEVNULL)
    connection, _ = silent.accept()
    with connection:
        held.process.send_signal(signal.SIGTERM)
        assert held.finish() == 143, held.told
    assert "ready" not in held.printed
