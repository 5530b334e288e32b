#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what the closing notes tell; prints one line of JSON a run.

    tests/bench/bench.py latency             publish to delivery, one reader, an idle machine
    tests/bench/bench.py memory [COUNT]      RSS per idle WebSocket, event stream and MQTT
                                             connection (10,000)
    tests/bench/bench.py syscalls            per delivery, 1,000 readers at 100 and 2,000 msg/s
    tests/bench/bench.py nats [WORKERS]      1,000 readers at 2,000 msg/s beside nats-server; one
                                             worker, because the load needs a core as well
    tests/bench/bench.py mqtt [WORKERS]      1,000 subscribers with QoS 0 and QoS 1 beside Mosquitto
    tests/bench/bench.py patterns [CHANNELS] what it costs a worker to find the readers of a message
                                             (patterns.c), and a broker where 100,000 channels have
                                             one reader each and 10,000 patterns another
    tests/bench/bench.py publish             messages a second: one at a time, and as batches; async
                                             and fsync
    tests/bench/bench.py disk                bytes of the data directory a message, by its size
    tests/bench/bench.py all

It needs a release build in build-release (or $TIDINGS_BINARY) and `ninja -C build-release
tests/bench/load tests/bench/patterns` (or $TIDINGS_LOAD, $TIDINGS_PATTERNS). Server and load share
the machine: compare the lines of one run, not those of two machines.
"""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("TIDINGS_BINARY", str(ROOT / "build-release" / "tidings"))

from harness.broker import Broker, wait_for  # noqa: E402  (the path comes first)
from harness.readers import Subscriptions  # noqa: E402

LOAD = os.environ.get("TIDINGS_LOAD", str(ROOT / "build-release" / "tests" / "bench" / "load"))
PATTERNS = os.environ.get("TIDINGS_PATTERNS",
                          str(ROOT / "build-release" / "tests" / "bench" / "patterns"))
READERS = 1000
SECONDS = 10


class Load:
    """The load program: connected when made, measured by run()."""

    def __init__(self, kind, host, readers, rate, seconds, size=64, publishers=4):
        self.process = subprocess.Popen(
            [LOAD, kind, host, "bench", str(readers), str(rate), str(seconds), str(size),
             str(publishers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the load could not connect")

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        text = self.process.stdout.readline()
        self.process.wait()
        return json.loads(text)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def tell(name, **figures):
    print(json.dumps({"bench": name, **figures}), flush=True)


def cpu_seconds(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


def measured(pid, load):
    """Runs a load; its result with the server's CPU a delivery."""
    before = cpu_seconds(pid)
    load.go()
    figures = load.result()
    cpu = cpu_seconds(pid) - before
    figures["cpu_us_per_delivery"] = round(cpu * 1e6 / max(figures["delivered"], 1), 3)
    figures["delivered_percent"] = round(100 * figures["delivered"] / figures["expected"], 2)
    return figures


def with_broker(work, *arguments, **options):
    broker = Broker(*arguments, **options)
    try:
        broker.start()
        work(broker)
        broker.stop()
    finally:
        broker.close()


def latency(*_):
    def work(broker):
        for kind in ("websocket", "events"):
            for rate in (100, 1000):
                tell("latency", kind=kind, rate=rate, **measured(
                    broker.process.pid, Load(kind, broker.host, 1, rate, SECONDS, publishers=1)))
    with_broker(work)


def host_of(broker, kind):
    return f"127.0.0.1:{broker.mqtt_port}" if kind.startswith("mqtt") else broker.host


def memory(count=10000):
    for kind in ("websocket", "events", "mqtt-qos0", "mqtt-qos1"):
        def work(broker, kind=kind):
            Load(kind, host_of(broker, kind), 100, 0, 0).end()
            before = rss_bytes(broker.process.pid)
            load = Load(kind, host_of(broker, kind), int(count), 0, 0)
            after = rss_bytes(broker.process.pid)
            tell("memory", kind=kind, connections=int(count), rss_before=before, rss_after=after,
                 bytes_per_connection=round((after - before) / int(count)))
            load.end()
        with_broker(work)


def trace(pid, load):
    """Counts the system calls of a run with strace, by name."""
    report = pathlib.Path(f"/tmp/tidings-strace-{os.getpid()}")
    tracer = subprocess.Popen(["strace", "-c", "-f", "-qq", "-o", str(report), "-p", str(pid)])
    wait_for(lambda: "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text(
        encoding="ascii"), 15, "strace")
    load.go()
    figures = load.result()
    tracer.terminate()
    tracer.wait()
    calls = {}
    for line in report.read_text(encoding="ascii").splitlines():
        found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if found and found.group(2) != "total":
            calls[found.group(2)] = int(found.group(1))
    report.unlink()
    return figures, calls


def syscalls(*_):
    def work(broker):
        for rate, seconds in ((100, 10), (2000, 5)):
            load = Load("websocket", broker.host, READERS, rate, seconds)
            figures, calls = trace(broker.process.pid, load)
            total = sum(calls.values())
            top = dict(sorted(calls.items(), key=lambda item: -item[1])[:8])
            tell("syscalls", rate=rate, calls=total, per_delivery=round(
                total / max(figures["delivered"], 1), 3), top=top, **figures)
    with_broker(work)


def start_peer(make_command):
    """A server on a free port of loopback, which make_command puts into its command."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = make_command(port)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_up():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    wait_for(is_up, 15, command[0])
    return process, f"127.0.0.1:{port}"


def start_nats():
    return start_peer(lambda port: ["nats-server", "-a", "127.0.0.1", "-p", str(port)])


def start_mosquitto(folder):
    """Nothing is dropped for its defaults' sake: no bound on what waits or is unacknowledged."""
    def make_command(port):
        path = pathlib.Path(folder, "mosquitto.conf")
        path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type none\n"
                        "max_queued_messages 0\nmax_inflight_messages 0\n"
                        "set_tcp_nodelay true\n", encoding="ascii")
        return ["/usr/sbin/mosquitto", "-c", str(path)]
    return start_peer(make_command)


def mqtt(workers="1"):
    """In turns, so that what disturbs the machine disturbs both."""
    def work(broker):
        server, host = start_mosquitto(broker.scratch)
        try:
            for kind in ("mqtt-qos0", "mqtt-qos1"):
                for rate in (100, 1000):
                    for _ in range(3):
                        tell("mqtt", server="tidings", kind=kind, workers=int(workers), rate=rate,
                             **measured(broker.process.pid, Load(kind, host_of(broker, kind),
                                                                 READERS, rate, SECONDS)))
                        tell("mqtt", server="mosquitto", kind=kind, rate=rate, **measured(
                            server.pid, Load(kind, host, READERS, rate, SECONDS)))
        finally:
            server.terminate()
            server.wait()
    with_broker(work, "--workers", workers)


def nats(workers="1"):
    """In turns, so that what disturbs the machine disturbs both."""
    def work(broker):
        server, host = start_nats()
        try:
            for rate in (100, 2000):
                for _ in range(3):
                    tell("nats", server="tidings", workers=int(workers), rate=rate, **measured(
                        broker.process.pid,
                        Load("websocket", urlsplit(broker.public).netloc, READERS, rate, SECONDS)))
                    tell("nats", server="nats-server", rate=rate, **measured(
                        server.pid, Load("nats", host, READERS, rate, SECONDS)))
        finally:
            server.terminate()
            server.wait()
    with_broker(work, "--workers", workers)


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


def publish(*_):
    rules = "channels: [ { match: fsync, durability: fsync } ]\n"

    def work(broker):
        for channel in ("async", "fsync"):
            for batch, count in ((1, 3000), (1000, 50)):
                body = lines_of(batch, 100)
                with broker.connect() as connection:
                    begun = time.monotonic()
                    for _ in range(count):
                        post(connection, channel, "application/x-ndjson", body)
                    seconds = time.monotonic() - begun
                tell("publish", durability=channel, batch=batch, message_bytes=100,
                     ms_per_publish=round(seconds * 1000 / count, 3),
                     per_second=round(batch * count / seconds))
    with_broker(work, config=rules)


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


BENCHES = {"latency": latency, "memory": memory, "syscalls": syscalls, "nats": nats,
           "mqtt": mqtt, "patterns": patterns, "publish": publish, "disk": disk}


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in [*BENCHES, "all"]:
        sys.exit(__doc__)
    for program in (LOAD, PATTERNS):
        if not pathlib.Path(program).exists():
            sys.exit(f"{program} is not built: ninja -C build-release tests/bench/load "
                     "tests/bench/patterns")
    begin = time.monotonic()
    for name, bench in BENCHES.items():
        if sys.argv[1] in (name, "all"):
            bench(*(sys.argv[2:] if sys.argv[1] == name else []))
    print(f"took {time.monotonic() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
