# SPDX-License-Identifier: Apache-2.0
"""The real broker as a process: started on free ports, ended by SIGTERM, its last words judged."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from urllib.parse import quote, urlsplit

from harness import http, logs
from harness.sse import EventStream
from harness.websocket import WebSocket

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A deadline is for what never comes. What does comes in a moment, but on a machine that does much
# else at a time; so it is far from that, and costs nothing.
PATIENCE_S = 60
END_S = 60  # a sanitizer looks through all memory at the end
BAD_WORDS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|"
                       r"runtime error:|INVARIANT_BROKEN|Assertion .* failed")
BAD_END = "the broker ended with"  # what is said of one that was to end otherwise, or to go on


def find_binary():
    """$TIDINGS_BINARY, else the newest build under the root."""
    named = os.environ.get("TIDINGS_BINARY")
    if named:
        return pathlib.Path(named).resolve()
    built = sorted(ROOT.glob("build*/tidings"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise FileNotFoundError("no build*/tidings, and no TIDINGS_BINARY")
    return built[-1]


def is_sanitized():
    """Was the binary built with a sanitizer? Then its memory and speed are not its own."""
    return b"__asan_init" in find_binary().read_bytes() or \
        b"__tsan_init" in find_binary().read_bytes()


def wait_for(claim, timeout_s=PATIENCE_S, what="the condition"):
    """Asks until `claim()` is true; gives what it gave."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        found = claim()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {timeout_s} s")
        pause.wait(0.02)


def raise_descriptor_limit(limit=None):
    """To what the system gives, or for good to less."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = limit or hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Broker:
    """One process. `data` is kept between start() and the next start(), and removed by close()."""

    def __init__(self, *arguments, data=None, config=None, environment=None,
                 descriptors=None, context=None):
        self.arguments = list(arguments)
        self.scratch = tempfile.mkdtemp(prefix="tidings-test-")
        self.data = str(data or pathlib.Path(self.scratch, "data"))
        self.environment = environment or {}
        self.descriptors = descriptors
        self.context = context  # how its clients speak TLS, where they do
        if config is not None:
            path = pathlib.Path(self.scratch, "tidings.yaml")
            path.write_text(config, encoding="utf-8")
            self.arguments += ["--config", str(path)]
        self.process, self.is_awaited = None, False  # whether somebody waited for its end
        self.said, self.logged, self.threads = [], [], []
        self.public = self.operator = None
        self.mqtt = None  # "mqtt://127.0.0.1:40001"; None where it does not listen
        self.mqtts = None

    # --- its life ---

    def spawn(self):
        """Starts it without waiting for anything."""
        command = [str(find_binary()), "serve", "--data", self.data]
        for flag in ("--listen", "--operator", "--mqtt"):
            if flag not in self.arguments:
                command += [flag, "127.0.0.1:0"]
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("TIDINGS_")}
        environment.update(self.environment)
        self.said, self.logged, self.is_awaited = [], [], False
        self.public = self.operator = self.mqtt = self.mqtts = None
        self.process = subprocess.Popen(
            command + self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment, cwd=self.scratch,
            preexec_fn=lambda: raise_descriptor_limit(self.descriptors))
        self.threads = [
            threading.Thread(target=self.listen, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.said),
                                  (self.process.stderr, self.logged))]
        for thread in self.threads:
            thread.start()
        return self

    @staticmethod
    def listen(stream, lines):
        for line in stream:
            lines.append(line.decode("utf-8", "replace").rstrip("\n"))
        stream.close()

    def start(self):
        """Starts it and waits until /readyz answers 200."""
        self.spawn()
        wait_for(self.knows_its_urls, 60, "the broker's URLs")
        wait_for(self.is_ready, 60, "/readyz")
        return self

    def knows_its_urls(self):
        if self.process.poll() is not None:
            for thread in self.threads:
                thread.join(5)
            self.is_awaited = True
            raise AssertionError(f"{BAD_END} {self.process.returncode}:\n"
                                 + "\n".join(self.said + self.logged))
        for line in list(self.said):
            found = re.match(r"\s*(public|operator|mqtts?)\s+((?:http|mqtt)s?://\S+)", line)
            if found:
                setattr(self, found.group(1), found.group(2).rstrip("/"))
        return self.public and self.operator

    def is_ready(self):
        try:
            return http.request(self.operator, "GET", "/readyz",
                                context=self.context).status == 200
        except (OSError, http.Closed):
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout_s=END_S):
        """Its exit code; all of its output has been read then."""
        code = self.process.wait(timeout_s)
        for thread in self.threads:
            thread.join(10)
        self.is_awaited = True
        return code

    def kill(self):
        """kill -9: nothing is said, nothing is flushed. One that had ended by itself is told of,
        unless somebody waited for that, and so is what a sanitizer said of its life."""
        if self.process is None:
            return
        code = None if self.is_awaited else self.process.poll()
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self.assert_ended(code, (None, 0, -signal.SIGKILL))

    def stop(self, timeout_s=END_S):
        """SIGTERM, exit code 0, and no last words of a sanitizer."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a test that failed may have left it stopped
        try:
            code = self.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"{BAD_END} nothing in {timeout_s} s, behind SIGTERM") from error
        self.process = None
        self.assert_ended(code, (0,))
        self.log_lines()

    def assert_ended(self, code, allowed):
        words = "\n".join(self.bad_words() + self.logged[-60:])
        assert code in allowed, f"{BAD_END} {code}\n{words}"
        assert not self.bad_words(), words

    def bad_words(self):
        return [line for line in self.logged if BAD_WORDS.search(line)]

    def close(self):
        """Kills what still runs and removes what it wrote."""
        try:
            self.kill()
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def assert_alive(self):
        self.assert_ended(self.process.poll(), (None,))

    def log_lines(self, event=None):
        """What it logged until now, each line as {key: value}; of one event, or all."""
        lines = [logs.parse(line) for line in list(self.logged)]
        return [line for line in lines if event in (None, line["event"])]

    def wait_logged(self, event, timeout_s=PATIENCE_S):
        """The lines of that event, when there is one."""
        return wait_for(lambda: self.log_lines(event), timeout_s, event)

    def lag(self, publish):
        """Publishes until a reader is told to go because it lags. It has two seconds from then on
        for what was sent to it, and its goodbye, so its test reads at once."""
        before = len(self.log_lines("READER_TOO_SLOW"))
        while len(self.log_lines("READER_TOO_SLOW")) == before:
            publish()

    # --- talking to it ---

    @property
    def host(self):
        return urlsplit(self.public).netloc

    @property
    def mqtt_port(self):
        return urlsplit(self.mqtt).port

    def connect(self, **options):
        return http.Connection(self.public, **{"context": self.context, **options})

    def request(self, method, target, headers=None, body=None, **options):
        return http.request(self.public, method, target, headers, body,
                            **{"context": self.context, **options})

    def get(self, target, headers=None):
        return self.request("GET", target, headers)

    def post(self, channel, body, media_type="application/json", headers=None):
        fields = {} if media_type is None else {"Content-Type": media_type}
        fields.update(headers or {})
        return self.request("POST", "/channels/" + channel, fields, body)

    def publish(self, channel, value, headers=None):
        """Publishes JSON; gives the answer's body."""
        answer = self.post(channel, json.dumps(value), headers=headers)
        assert answer.status == 200, answer
        return answer.json()

    def fill(self, channel, count, first=1):
        """Publishes {"n": first} … over one connection; gives the answers."""
        answers = []
        with self.connect() as connection:
            for number in range(first, first + count):
                body = b'{"n":%d}' % number
                answer = connection.request("POST", "/channels/" + channel,
                                            {"Content-Type": "application/json"}, body)
                assert answer.status == 200, answer
                answers.append(answer.json())
        return answers

    def page(self, channel, **query):
        """A page of history; `from_` and the like lose the underscore."""
        text = "&".join(f"{name.rstrip('_')}={quote(str(value), safe='')}"
                        for name, value in query.items())
        answer = self.get(f"/channels/{channel}" + ("?" + text if text else ""))
        assert answer.status == 200, answer
        return answer.json()

    def all_messages(self, channel, since="earliest"):
        """Every message kept, page by page; and the gaps that were told on the way."""
        messages, gaps = [], []
        while True:
            page = self.page(channel, since=since, limit=1000)
            messages += page["messages"]
            gaps += page.get("gaps") or ([page["gap"]] if "gap" in page else [])
            since = page.get("next", since)
            if page["at_head"]:
                return messages, gaps

    def websocket(self, target, **options):
        return WebSocket(self.public, target, **{"context": self.context, **options})

    def events(self, target, **options):
        return EventStream(self.public, target, **{"context": self.context, **options})

    # --- looking at it ---

    def figures(self):
        """{"name{labels}": number} of one scrape."""
        answer = http.request(self.operator, "GET", "/metrics")
        assert answer.status == 200, answer
        return {name: float(number) for name, number in
                (line.rsplit(" ", 1) for line in answer.body.decode().splitlines()
                 if not line.startswith("#"))}

    def metric(self, sample):
        """A figure of /metrics by its whole name: `tidings_x_total{protocol="sse"}`."""
        return self.figures()[sample]

    def wait_metric(self, sample, number):
        """Until the figure is that: what is counted behind an answer may come a moment later."""
        wait_for(lambda: self.metric(sample) == number,
                 what=f"{sample} {number}; it is {self.metric(sample)}")

    def row_of(self, connection):
        """What the operator is told of a client's connection; None where it is not there."""
        address, port = connection.socket.getsockname()[:2]
        answer = http.request(self.operator, "GET", "/api/v1/connections?limit=1000")
        return next((row for row in answer.json()["connections"]
                     if row["peer"] == f"{address}:{port}"), None)

    def dismiss(self, connection):
        """The operator ends a client's connection."""
        number = wait_for(lambda: self.row_of(connection), what="its row")["id"]
        answer = http.request(self.operator, "DELETE", f"/api/v1/connections/{number}")
        assert answer.status == 204, answer

    def is_blocked(self, connection):
        """Does a reply wait for the client of that connection to take more?"""
        row = self.row_of(connection)
        return row is not None and row["blocked"]

    def ask_and_pause(self, channel, headers=None):
        """A connection whose client asked for 40 messages, 4 MB in all, and reads nothing yet."""
        for _ in range(40):
            assert self.post(channel, b'"' + b"x" * 100000 + b'"').status == 200
        slow = self.connect(receive_bytes=4096)
        slow.send(http.request_bytes(
            slow.host, "GET", f"/channels/{channel}?since=earliest&limit=1000", headers))
        wait_for(lambda: self.is_blocked(slow), what="a page that waits for its client")
        return slow

    def uptime_s(self):
        return http.request(self.operator, "GET", "/api/v1/status").json()["uptime_s"]

    def let_pass(self, seconds):
        """Waits until that much of the broker's own time is over."""
        until_s = self.uptime_s() + seconds + 1  # it tells whole seconds
        wait_for(lambda: self.uptime_s() >= until_s, 60, f"{seconds} s of the broker's time")

    def rss_anon_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"RssAnon:\s+(\d+) kB", text).group(1)) * 1024

    def rss_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(
            encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def data_bytes(self):
        """What the data directory takes on the disk, holes left out."""
        total = 0
        for folder, _, names in os.walk(self.data):
            for name in names:
                try:
                    total += os.stat(os.path.join(folder, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
        return total
