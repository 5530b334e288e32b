# SPDX-License-Identifier: Apache-2.0
"""A reader that stalls costs reads, not memory, and slows nobody."""
import json
import statistics
import threading
import time

import pytest

MIB = 1048576
BODY_BYTES = 20000
MESSAGES = 5000  # 100 MB, of which a channel keeps all unless told otherwise
SECONDS = 15
RUN = 300  # messages, of about a second
STALLED = 100
# Each lacks 100 MB. What may stand in memory is the batch that is not folded yet, and of each
# reader one write that was cut short (64 KiB) and one page of the log (64 KiB): 2 to 13 MiB were
# measured, and 64 MiB more where the disk is slow (OPEN_BATCH_BYTES_MAX). Who kept 4 MiB for each
# took 400 MiB more; this is the geometric middle.
GROWTH_BYTES_MAX = 176 * MIB
# A reader that is blocked is not looked at until its socket takes more. Were each looked at with
# each message, for 10 us, the hundred cost 1 ms a message; a message costs 0.2 ms in all.
CPU_RATIO_MAX = 2.5
# Who waits for a stalled reader waits for seconds. On a machine that is late itself it is by the
# same load without any that lateness is judged.
P99_S, P99_RATIO_MAX = 0.250, 5
TRIES = 3  # lateness alone is tried again: a reader that slows others does so each time


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
    """A reader that keeps up, and the latencies it saw."""

    def __init__(self, broker, channel):
        self.socket = broker.websocket(f"/channels/{channel}", timeout_s=60)
        self.late_s = []
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        try:
            while True:
                text = self.socket.recv()
                sent = float(text.split('"t": ', 1)[1].split(",", 1)[0])
                self.late_s.append(time.monotonic() - sent)
        except Exception:  # pylint: disable=broad-except
            pass  # the end of the socket is the end of the watch

    def finish(self):
        """The median of the p99 of each RUN messages: one noisy second does not decide."""
        self.socket.close()
        self.thread.join(10)
        runs = [sorted(self.late_s[first:first + RUN])
                for first in range(0, len(self.late_s) - RUN + 1, RUN)]
        return statistics.median(run[RUN * 99 // 100] for run in runs)


def stall(broker, channel, count):
    """Readers that take the handshake and then nothing. What their kernel takes for them is no more
    than its first window: it grows only where somebody reads."""
    return [broker.websocket(f"/channels/{channel}", timeout_s=120) for _ in range(count)]


def read_all(reader):
    for offset in range(1, MESSAGES + 1):
        assert reader.recv_json()["offset"] == offset


def watch_stalled(broker, channel, count):
    """Publishes beside so many stalled readers: what memory grew by, what it took of the processor,
    and the p99 of one who reads. Then three of them read on, and have missed nothing."""
    readers = stall(broker, channel, count)
    watcher = Watcher(broker, channel)
    before, begun_s = broker.rss_anon_bytes(), broker.cpu_seconds()
    peak, over = [before], threading.Event()

    def sample():
        while not over.wait(0.1):
            peak[0] = max(peak[0], broker.rss_anon_bytes())

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    publish_at_a_pace(broker, channel, MESSAGES, SECONDS)
    over.set()
    sampler.join()
    used_s, p99_s = broker.cpu_seconds() - begun_s, watcher.finish()
    for reader in readers[:3]:
        read_all(reader)
    for reader in readers:
        reader.close()
    return peak[0] - before, used_s, p99_s


@pytest.mark.heavy
@pytest.mark.deadline(400)
def test_stalled_readers_get_everything_and_cost_nothing(start_broker):
    broker = start_broker()
    for attempt in range(1, TRIES + 1):
        watcher = Watcher(broker, "warm")
        publish_at_a_pace(broker, "warm", MESSAGES // 2, SECONDS / 2)
        calm_s = watcher.finish()
        _, one_s, _ = watch_stalled(broker, f"one/{attempt}", 1)
        growth, used_s, late_s = watch_stalled(broker, f"many/{attempt}", STALLED)
        print(f"growth {growth / MIB:.1f} MiB; processor {used_s:.2f} s, beside one {one_s:.2f} s; "
              f"p99 {late_s * 1000:.1f} ms, without any {calm_s * 1000:.1f} ms")
        assert growth < GROWTH_BYTES_MAX
        if used_s <= CPU_RATIO_MAX * one_s and late_s <= max(P99_S, P99_RATIO_MAX * calm_s):
            return
    raise AssertionError(f"in each of {attempt} attempts: {used_s} s and {one_s} s, p99 {late_s} s")


def test_a_stalled_reader_of_any_protocol_gets_every_message(start_broker):
    """The small sister of the test above, which also runs under the sanitizers."""
    broker = start_broker()
    with broker.websocket("/channels/a", timeout_s=60) as frames, \
            broker.events("/channels/a", timeout_s=60) as stream:
        for _ in range(600):
            assert broker.post("a", b'"' + b"x" * 20000 + b'"').status == 200
        assert [frames.recv_json()["offset"] for _ in range(600)] == list(range(1, 601))
        assert [stream.next().json()["offset"] for _ in range(600)] == list(range(1, 601))


def test_a_stalled_reader_whose_messages_expired_is_told_the_gap(start_broker):
    broker = start_broker(config="channels: [ { match: \"a\", history: { messages: 50 } } ]\n")
    with broker.websocket("/channels/a", timeout_s=60) as frames, \
            broker.events("/channels/a", timeout_s=60) as stream:
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
