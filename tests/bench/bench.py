#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what `tests/bench/compare` does not; prints one line of JSON a run.

    tests/bench/bench.py syscalls            per delivery, 1,000 readers at 100 and 2,000 msg/s
    tests/bench/bench.py patterns [CHANNELS] what it costs a worker to find the readers of a message
                                             (patterns.c), and a broker where 100,000 channels have
                                             one reader each and 10,000 patterns another
    tests/bench/bench.py disk                bytes of the data directory a message, by its size
    tests/bench/bench.py all

It needs a release build in build-release (or $TIDINGS_BINARY) and `ninja -C build-release
tests/bench/patterns` (or $TIDINGS_PATTERNS). Server and load share the machine: compare the lines
of one run, not those of two machines.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("TIDINGS_BINARY", str(ROOT / "build-release" / "tidings"))

from harness.broker import Broker, find_binary, wait_for  # noqa: E402  (the path comes first)
from harness.readers import Subscriptions  # noqa: E402

PATTERNS = os.environ.get("TIDINGS_PATTERNS",
                          str(ROOT / "build-release" / "tests" / "bench" / "patterns"))
READERS = 1000
LOAD_S = 12
WINDOW_S = 5


def tell(name, **figures):
    print(json.dumps({"bench": name, **figures}), flush=True)


def with_broker(work, *arguments, **options):
    broker = Broker(*arguments, **options)
    try:
        broker.start()
        work(broker)
        broker.stop()
    finally:
        broker.close()


def deliveries(broker):
    return sum(value for name, value in broker.figures().items()
               if name.startswith("tidings_deliveries_total"))


def trace(pid, is_over):
    """Counts the system calls of a process with strace, by name, until `is_over()`."""
    report = pathlib.Path(f"/tmp/tidings-strace-{os.getpid()}")
    tracer = subprocess.Popen(["strace", "-c", "-f", "-qq", "-o", str(report), "-p", str(pid)])
    wait_for(lambda: "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text(
        encoding="ascii"), 15, "strace")
    wait_for(is_over, 60, "the end of the window")
    tracer.terminate()
    tracer.wait()
    calls = {}
    for line in report.read_text(encoding="ascii").splitlines():
        found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if found and found.group(2) != "total":
            calls[found.group(2)] = int(found.group(1))
    report.unlink()
    return calls


def syscalls(*_):
    """A window in the middle of a load, so that connecting is not counted."""
    def work(broker):
        for rate in (100, 2000):
            load = subprocess.Popen(
                [str(find_binary()), "bench", "--url", broker.public, "--quiet", "--readers",
                 str(READERS), "--rate", str(rate), "--duration", f"{LOAD_S}s"],
                stdout=subprocess.DEVNULL)
            start = deliveries(broker)
            wait_for(lambda start=start: deliveries(broker) > start, 60, "the first delivery")
            before, begin = deliveries(broker), time.monotonic()
            calls = trace(broker.process.pid,
                          lambda begin=begin: time.monotonic() > begin + WINDOW_S)
            delivered = deliveries(broker) - before
            load.wait()
            total = sum(calls.values())
            tell("syscalls", rate=rate, calls=total, delivered=round(delivered),
                 per_delivery=round(total / max(delivered, 1), 3),
                 top=dict(sorted(calls.items(), key=lambda item: -item[1])[:8]))
    with_broker(work)


def subscribe_all(broker, selectors):
    """A thousand subscriptions a socket, which is as many as it may have."""
    sockets = []
    for first in range(0, len(selectors), 1000):
        socket_ = Subscriptions(broker, timeout_s=120)
        refs = [socket_.send({"subscribe": one}) for one in selectors[first:first + 1000]]
        for ref in refs:
            socket_.answer(ref, 120)
        sockets.append(socket_)
    return sockets


def publish_rooms(broker, numbers):
    """A message to each of these rooms, a hundred a publish; the broker's CPU seconds for each."""
    before = broker.cpu_seconds()
    for first in range(0, len(numbers), 100):
        body = json.dumps([{"channel": f"group/{number % 100}/room/{number}", "data": number}
                           for number in numbers[first:first + 100]]).encode()
        answer = broker.request("POST", "/publish", {"Content-Type": "application/json"}, body)
        if answer.status != 200:
            raise RuntimeError(answer)
    return (broker.cpu_seconds() - before) / len(numbers)


def patterns(channels=100000):
    """One reader a channel, then 10,000 patterns of which three stand for each message. Nobody
    takes what is delivered: it waits in the kernel."""
    for line in subprocess.run([PATTERNS, str(channels)], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.splitlines():
        tell("patterns", **json.loads(line))
    count = int(channels)
    rooms = list(range(0, count, max(1, count // 10000)))

    def work(broker):
        sockets = subscribe_all(broker, ["warm"])
        publish_rooms(broker, rooms)
        alone_s = publish_rooms(broker, rooms)
        before = broker.rss_anon_bytes()
        sockets += subscribe_all(broker, [f"group/{number % 100}/room/{number}"
                                          for number in range(count)])
        with_channels = broker.rss_anon_bytes()
        channels_s = publish_rooms(broker, rooms)
        filled = broker.rss_anon_bytes()
        sockets += subscribe_all(
            broker, [f"group/{number}/**" for number in range(100)]
            + [f"*/{number}/room/*" for number in range(4900)]
            + [f"group/*/*/{number}" for number in range(0, count, max(1, count // 5000))])
        with_patterns = broker.rss_anon_bytes()
        patterns_s = publish_rooms(broker, rooms)
        tell("patterns_broker", channels=count, patterns=10000,
             bytes_per_channel=round((with_channels - before) / count),
             bytes_per_channel_published=round((filled - before) / count),
             bytes_per_pattern=round((with_patterns - filled) / 10000),
             cpu_us_per_publish=round(alone_s * 1e6, 2),
             cpu_us_with_a_reader=round(channels_s * 1e6, 2),
             cpu_us_with_patterns=round(patterns_s * 1e6, 2))
        for one in sockets:
            one.close()
    with_broker(work, "--workers", "1")


def lines_of(count, size):
    """NDJSON that no file system makes smaller: so many values, each of so many bytes."""
    return b"".join(b'"%s"\n' % os.urandom(size // 2).hex().encode()[:size - 2]
                    for _ in range(count))


def post(connection, channel, media_type, body):
    answer = connection.request("POST", "/channels/" + channel, {"Content-Type": media_type}, body)
    if answer.status != 200:
        raise RuntimeError(answer)


def disk(*_):
    rules = "channels: [ { match: '**', history: { messages: unlimited } } ]\n"
    for size in (100, 1000, 10000):
        count = 300_000_000 // (size + 400)

        def work(broker, size=size, count=count):
            before = broker.data_bytes()
            with broker.connect() as connection:
                for _ in range(0, count, 1000):
                    post(connection, "disk", "application/x-ndjson", lines_of(1000, size))
            wait_for(lambda: broker.metric("tidings_open_batch_messages") == 0, 60, "the fold")
            wait_for(lambda: broker.metric("tidings_journal_files") <= 2, 60, "the journal's end")
            stored = broker.data_bytes() - before - broker.metric("tidings_journal_bytes")
            tell("disk", message_bytes=size, messages=count,
                 bytes_per_message=round(stored / count))
        with_broker(work, config=rules)


BENCHES = {"syscalls": syscalls, "patterns": patterns, "disk": disk}


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in [*BENCHES, "all"]:
        sys.exit(__doc__)
    if not pathlib.Path(PATTERNS).exists():
        sys.exit(f"{PATTERNS} is not built: ninja -C build-release tests/bench/patterns")
    begin = time.monotonic()
    for name, bench in BENCHES.items():
        if sys.argv[1] in (name, "all"):
            bench(*(sys.argv[2:] if sys.argv[1] == name else []))
    print(f"took {time.monotonic() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
