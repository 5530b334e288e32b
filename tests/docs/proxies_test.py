# SPDX-License-Identifier: Apache-2.0
"""docs/howto/proxies/: the documented files in front of a broker, with other ports and paths, and
less grace for those whose streams are cut."""
import itertools
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import threading

import pytest
import yaml
from harness import http
from harness.broker import wait_for
from harness.ports import take_port
from harness.sse import EventStream
from harness.websocket import PeerClosed, Refused, WebSocket

from pages import ROOT

FILES = ROOT / "docs" / "howto" / "proxies"
NAME = "broker.example.org"
READ_ONLY = "live.example.org"
# The broker speaks at least so often on a stream that is idle (broker/limits.h) …
SILENCE_S = 25
# … and a long poll may be silent for so long.
POLL_S = 60


def make_certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-keyout", folder / "proxy.key", "-out",
         folder / "proxy.pem"], check=True, capture_output=True)


def replace(text, pattern, other):
    """As re.sub, but what is replaced has to be there."""
    text, count = re.subn(pattern, lambda _: other, text)
    assert count, pattern
    return text


class Proxy:
    """A proxy as a process of its own, with the documented configuration on another port."""

    def __init__(self, folder, upstream):
        self.folder, self.upstream, self.port = folder, upstream, take_port()
        self.process = None
        make_certificate(folder)
        self.configure()

    def url(self, name=NAME):
        return f"https://{name}:{self.port}"

    def start(self):
        with open(self.folder / "proxy.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
                env={**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder),
                     "XDG_CONFIG_HOME": str(self.folder)})
        wait_for(self.answers, 60, f"the proxy ({self.folder}/proxy.log)")

    def answers(self):
        assert self.process.poll() is None, (self.folder / "proxy.log").read_text("utf-8")
        try:
            return http.request(self.url(), "GET", "/channels/none").status == 200
        except (OSError, http.Closed):
            return False

    def stop(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.process = None


class Nginx(Proxy):
    def configure(self):
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = (FILES / "nginx.conf").read_text(encoding="utf-8")
        text = replace(text, r"user www-data;", f"user {pwd.getpwuid(os.getuid()).pw_name};")
        text = replace(text, r"\b443\b", str(self.port))
        text = replace(text, r"127\.0\.0\.1:8080", self.upstream)
        text = replace(text, r"/etc/ssl/certs/\S+\.pem", f"{self.folder}/proxy.pem")
        text = replace(text, r"/etc/ssl/private/\S+\.key", f"{self.folder}/proxy.key")
        text = replace(text, r"http \{\n", f"http {{\n{paths}")
        (self.folder / "nginx.conf").write_text(text, encoding="utf-8")
        self.command = ["nginx", "-c", str(self.folder / "nginx.conf"), "-g",
                        f"daemon off; pid {self.folder}/nginx.pid;"]
        subprocess.run([*self.command, "-t"], check=True, capture_output=True)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)


class Caddy(Proxy):
    def configure(self):
        self.admin = f"127.0.0.1:{take_port()}"
        text = (FILES / "Caddyfile").read_text(encoding="utf-8")
        for name in (NAME, READ_ONLY):
            text = replace(text, rf"\n{re.escape(name)} \{{", f"\nhttps://{name}:{self.port} {{\n"
                           f"\ttls {self.folder}/proxy.pem {self.folder}/proxy.key")
        text = replace(text, r"127\.0\.0\.1:8080", self.upstream)
        text = replace(text, r"grace_period 10s", f"grace_period 300ms\n\tadmin {self.admin}\n"
                       "\tauto_https disable_redirects\n#")
        (self.folder / "Caddyfile").write_text(text, encoding="utf-8")
        self.command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]

    def reload(self):
        subprocess.run(
            ["caddy", "reload", "--force", "--config", "Caddyfile", "--adapter", "caddyfile",
             "--address", self.admin], cwd=self.folder, check=True, capture_output=True,
            env={**os.environ, "HOME": str(self.folder)})


class Traefik(Proxy):
    def configure(self):
        rules = (FILES / "traefik-tidings.yaml").read_text(encoding="utf-8")
        rules = replace(rules, r"127\.0\.0\.1:8080", self.upstream)
        rules = replace(rules, r"/etc/ssl/certs/\S+\.pem", f"{self.folder}/proxy.pem")
        rules = replace(rules, r"/etc/ssl/private/\S+\.key", f"{self.folder}/proxy.key")
        (self.folder / "rules.yaml").write_text(rules, encoding="utf-8")
        text = (FILES / "traefik.yaml").read_text(encoding="utf-8")
        text = replace(text, r":443", f":{self.port}")
        text = replace(text, r"graceTimeOut: 10s", "graceTimeOut: 300ms")
        text = replace(text, r"/etc/traefik/tidings.yaml", f"{self.folder}/rules.yaml")
        (self.folder / "traefik.yaml").write_text(text, encoding="utf-8")
        self.command = ["traefik", "--configFile=traefik.yaml"]

    def reload(self):
        os.utime(self.folder / "rules.yaml")


# Debian has no Traefik: its files are tried where somebody has put one on the PATH.
KINDS = [Nginx, Caddy] + ([Traefik] if shutil.which("traefik") else [])
pytestmark = pytest.mark.xdist_group("proxies")


@pytest.fixture(scope="module", name="proxied", params=KINDS, ids=lambda kind: kind.__name__)
def start_proxy(request, tmp_path_factory):
    """(broker, proxy): the broker on loopback, which serves the proxy's names."""
    from harness.broker import Broker
    broker = Broker(config="public: { hosts: [broker.example.org, live.example.org],"
                           " trusted_proxies: [127.0.0.0/8] }\n")
    proxy = None
    try:
        broker.start()
        proxy = request.param(tmp_path_factory.mktemp("proxy"), broker.host)
        proxy.start()
        yield broker, proxy
        proxy.stop()
        broker.stop()
    finally:
        if proxy is not None:
            proxy.stop()
        broker.close()


def post(proxy, channel, number, headers=None, name=NAME):
    fields = {"Content-Type": "application/json", **(headers or {})}
    return http.request(proxy.url(name), "POST", f"/channels/{channel}", fields, b"%d" % number)


def test_a_publish_comes_through_and_is_read_again(proxied, channel):
    _, proxy = proxied
    assert post(proxy, channel, 1).json()["offset"] == 1
    page = http.request(proxy.url(), "GET", f"/channels/{channel}").json()
    assert [message["data"] for message in page["messages"]] == [1]


def test_a_name_with_an_escaped_slash_stays_as_it_is(proxied, channel):
    broker, proxy = proxied
    answer = post(proxy, f"{channel}/a%2Fb%20c", 1)
    assert answer.json()["channel"] == f"{channel}/a/b c"
    assert broker.page(f"{channel}/a/b%20c")["last"] == 1


def test_a_body_above_a_proxys_usual_limit_comes_through(proxied, channel):
    _, proxy = proxied
    batch = json.dumps([{"channel": channel, "data": "x" * 900_000}] * 4).encode()
    answer = http.request(proxy.url(), "POST", "/publish", {"Content-Type": "application/json"},
                          batch)
    assert answer.status == 200, answer


def test_an_event_arrives_while_its_stream_is_open(proxied, channel):
    """Nothing holds it back until a buffer is full."""
    _, proxy = proxied
    with EventStream(proxy.url(), f"/channels/{channel}") as stream:
        stream.block()
        for number in range(3):
            post(proxy, channel, number)
            assert stream.next().json()["data"] == number


def test_an_event_arrives_over_http_2(proxied, channel):
    _, proxy = proxied
    post(proxy, channel, 1)
    with subprocess.Popen(
            ["curl", "--http2", "-isSNk", "--resolve", f"{NAME}:{proxy.port}:127.0.0.1", "-H",
             "Accept: text/event-stream", proxy.url() + f"/channels/{channel}?since=0"],
            stdout=subprocess.PIPE, text=True) as curl:
        try:
            assert curl.stdout.readline().startswith("HTTP/2 200")
            data = (line for line in curl.stdout if line.startswith("data:"))
            assert json.loads(next(data)[5:])["data"] == 1
            post(proxy, channel, 2)
            assert json.loads(next(data)[5:])["data"] == 2
        finally:
            curl.kill()


def test_a_websocket_publishes_and_reads_for_a_page_of_that_name(proxied, channel):
    _, proxy = proxied
    with WebSocket(proxy.url(), f"/channels/{channel}", {"Origin": proxy.url()}) as one:
        one.send_json({"publish": {"data": 7}, "ref": 1})
        got = [one.recv_json(), one.recv_json()]
        assert {"ref": 1, "ok": got[0].get("ok") or got[1].get("ok")} in got
        assert [frame["data"] for frame in got if "data" in frame] == [7]


def test_a_page_of_another_site_is_refused_behind_the_proxy_too(proxied, channel):
    _, proxy = proxied
    assert post(proxy, channel, 1, {"Origin": "https://evil.example"}).status == 403
    with pytest.raises(Refused):
        WebSocket(proxy.url(), f"/channels/{channel}", {"Origin": "https://evil.example"})


def test_a_long_poll_is_answered_when_something_comes(proxied, channel):
    _, proxy = proxied
    with http.Connection(proxy.url()) as connection:
        connection.send(http.request_bytes(connection.host, "GET",
                                           f"/channels/{channel}?since=0&wait=30s"))
        wait_for(lambda: post(proxy, channel, 1).status == 200)
        assert connection.read_response().json()["messages"][0]["data"] == 1


def test_the_read_only_name_lets_nobody_publish(proxied, channel):
    broker, proxy = proxied
    live = proxy.url(READ_ONLY)
    broker.publish(channel, 1)
    assert http.request(live, "GET", f"/channels/{channel}").json()["last"] == 1
    with EventStream(live, f"/stream?channel={channel}&since=0") as stream:
        assert stream.next().json()["data"] == 1
    assert post(proxy, channel, 2, name=READ_ONLY).status in (403, 404, 405)
    assert http.request(live, "DELETE", f"/channels/{channel}").status in (403, 404, 405)
    for target in (f"/channels/{channel}", "/stream"):
        with pytest.raises(Refused):
            WebSocket(live, target)
    assert http.request(live, "POST", "/publish", {"Content-Type": "application/json"},
                        json.dumps([{"channel": channel, "data": 2}]).encode()).status >= 400
    assert broker.page(channel)["last"] == 1


def read_until(proxy, channel, last, got):
    """Reads events until `last`; comes back from the last id whenever the stream ends."""
    last_id = None
    while not got or got[-1] != last:
        try:
            with EventStream(proxy.url(), f"/channels/{channel}?since=0",
                             last_event_id=last_id) as stream:
                while not got or got[-1] != last:
                    event = stream.next()
                    if event.event is None:
                        got.append(event.json()["data"])
                        last_id = event.id
        except (OSError, EOFError, AssertionError, http.Closed):
            continue  # the proxy went away, or is not back yet


def disturb(proxy, how):
    if how == "reload":
        proxy.reload()
    else:
        proxy.stop()
        proxy.start()


@pytest.mark.deadline(240)
@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_reader_misses_nothing_when_the_proxy_is_disturbed(proxied, channel, how):
    broker, proxy = proxied
    got, numbers = [], itertools.count(1)
    broker.publish(channel, 0)
    reader = threading.Thread(target=read_until, args=(proxy, channel, "end", got), daemon=True)
    reader.start()
    for _ in range(3):
        wait_for(lambda: got, what="the first event")
        broker.publish(channel, next(numbers))
        disturb(proxy, how)
        broker.publish(channel, next(numbers))
    broker.publish(channel, "end")
    reader.join(80)
    assert got == [*range(next(numbers)), "end"]


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_websocket_resumes_when_the_proxy_is_disturbed(proxied, channel, how):
    broker, proxy = proxied
    broker.publish(channel, 0)
    with WebSocket(proxy.url(), f"/channels/{channel}?since=0") as one:
        last = one.recv_json()["id"]
        disturb(proxy, how)
        broker.publish(channel, 1)
        got = []
        try:
            got.append(one.recv_json(3)["data"])  # a reload may leave it alone
        except (PeerClosed, OSError, TimeoutError):
            wait_for(proxy.answers)
            with WebSocket(proxy.url(), f"/channels/{channel}?since={last}") as two:
                got.append(two.recv_json()["data"])
        assert got == [1]


def test_no_proxy_is_told_to_give_up_on_a_stream_that_is_idle():
    """Read in the files, because waiting for a minute proves little more."""
    text = (FILES / "nginx.conf").read_text(encoding="utf-8")
    timeouts = dict(re.findall(r"(proxy_(?:read|send)_timeout)\s+(\d+)s;", text))
    assert min(map(int, timeouts.values())) > max(POLL_S, 2 * SILENCE_S) and len(timeouts) == 2
    # Caddy has no such timeouts unless they are told.
    assert "timeout" not in (FILES / "Caddyfile").read_text(encoding="utf-8")
    # Nor has Traefik; a writeTimeout would end streams that are busy, too.
    static = yaml.safe_load((FILES / "traefik.yaml").read_text(encoding="utf-8"))
    assert "respondingTimeouts" not in static["entryPoints"]["websecure"]["transport"]
