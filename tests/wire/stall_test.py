# SPDX-License-Identifier: Apache-2.0
"""A reader that stalls costs reads, not memory, and slows nobody."""
import json
import statistics
import threading
import time

import pytest

MIB = 1048576
BODY_BYTES = 20000
MESSAGES = 10000  # 200 MB, and what a channel keeps unless told otherwise
SECONDS = 30
GROWTH_BYTES_MAX = 24 * MIB
# A hundred readers have a hundred connections, each with at most one write that was cut short
# (WRITE_BYTES_MAX, 64 KiB): what their number may cost beyond what one reader costs.
TOLERANCE_BYTES = 8 * MIB
NOISE_S = 0.003  # a scheduler's turn: below it a ratio says nothing


def publish_at_a_pace(broker, channel, count, seconds):
    """`count` messages spread over `seconds`, each with the moment it left."""
    pause = threading.Event()
    with broker.connect() as connection:
        begin = time.monotonic()
        for number in range(count):
            early = begin + number * seconds / count - time.monotonic()
            if early > 0:
                pause.wait(early)
            body = json.dumps({"t": time.monotonic(), "x": "x" * BODY_BYTES}).encode()
            answer = connection.request("POST", "/channels/" + channel, {
                "Content-Type": "application/json"}, body)
            assert answer.status == 200, answer


class Watcher:
    """A reader that keeps up, and the latencies it saw, second by second."""

    def __init__(self, broker, channel):
        self.socket = broker.websocket(f"/channels/{channel}", timeout_s=60)
        self.seconds = {}
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        try:
            while True:
                text = self.socket.recv()
                now = time.monotonic()
                sent = float(text.split('"t": ', 1)[1].split(",", 1)[0])
                self.seconds.setdefault(int(now), []).append(now - sent)
        except Exception:  # pylint: disable=broad-except
            pass  # the end of the socket is the end of the watch

    def finish(self):
        """The median over the seconds of each one's p99: one noisy second does not decide."""
        self.socket.close()
        self.thread.join(10)
        each = [sorted(values)[len(values) * 99 // 100] for values in self.seconds.values()
                if len(values) >= 100]
        return statistics.median(each)


def stall(broker, channel, count):
    """Readers that take the handshake and then nothing. What their kernel takes for them is no more
    than its first window: it grows only where somebody reads."""
    return [broker.websocket(f"/channels/{channel}", timeout_s=120) for _ in range(count)]


def read_all(reader):
    for offset in range(1, MESSAGES + 1):
        assert reader.recv_json()["offset"] == offset


@pytest.mark.heavy
@pytest.mark.deadline(400)
def test_stalled_readers_get_everything_and_cost_nothing(start_broker):
    broker = start_broker()
    watcher = Watcher(broker, "warm")
    publish_at_a_pace(broker, "warm", MESSAGES // 2, SECONDS / 2)
    calm_s = watcher.finish()

    growth, slow_s = {}, {}
    for count in (1, 100):
        channel = f"stalled/{count}"
        readers = stall(broker, channel, count)
        watcher = Watcher(broker, channel)
        before = broker.rss_anon_bytes()
        peak = [before]
        over = threading.Event()

        def sample(peak=peak, over=over):
            while not over.wait(0.1):
                peak[0] = max(peak[0], broker.rss_anon_bytes())

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        publish_at_a_pace(broker, channel, MESSAGES, SECONDS)
        over.set()
        sampler.join()
        slow_s[count] = watcher.finish()
        growth[count] = peak[0] - before
        for reader in readers[:3]:
            read_all(reader)
        for reader in readers:
            reader.close()
    print(f"growth {growth}, p99 calm {calm_s:.5f} s, with stalled {slow_s}")
    assert growth[1] < GROWTH_BYTES_MAX, growth
    assert growth[100] < growth[1] + TOLERANCE_BYTES, growth
    for count, seconds in slow_s.items():
        assert seconds <= 2 * calm_s + NOISE_S, (count, calm_s, slow_s)


def test_a_stalled_reader_of_any_protocol_gets_every_message(start_broker):
    """The small sister of the test above, which also runs under the sanitizers."""
    broker = start_broker()
    with broker.websocket("/channels/a", timeout_s=30) as frames, \
            broker.events("/channels/a", timeout_s=30) as stream:
        for _ in range(600):
            assert broker.post("a", b'"' + b"x" * 20000 + b'"').status == 200
        assert [frames.recv_json()["offset"] for _ in range(600)] == list(range(1, 601))
        assert [stream.next().json()["offset"] for _ in range(600)] == list(range(1, 601))


def test_a_stalled_reader_whose_messages_expired_is_told_the_gap(start_broker):
    broker = start_broker(config="channels: [ { match: \"a\", history: { messages: 50 } } ]\n")
    with broker.websocket("/channels/a", timeout_s=30) as frames, \
            broker.events("/channels/a", timeout_s=30) as stream:
        total = 1500
        for _ in range(total):
            assert broker.post("a", b'"' + b"x" * 20000 + b'"').status == 200

        def account(take):
            """Every offset is either delivered or inside a gap, in order."""
            expected = 1
            gaps = 0
            while expected <= total:
                entry = take()
                if "gap" in entry:
                    assert entry["gap"]["from"] == expected, (expected, entry)
                    assert entry["gap"]["reason"] in ("expired", "dropped")
                    expected = entry["gap"]["to"] + 1
                    gaps += 1
                else:
                    assert entry["offset"] == expected
                    expected += 1
            return gaps

        def take_event():
            event = stream.next()
            return {"gap": event.json()} if event.event == "gap" else event.json()

        assert account(frames.recv_json) >= 1
        assert account(take_event) >= 1
