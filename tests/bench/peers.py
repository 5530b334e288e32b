# SPDX-License-Identifier: Apache-2.0
"""The servers that `compare` measures: started on free ports of loopback, ended by their pid.

A row of PEERS says how a server is started, where it is reached, and by which protocols of
`tidings bench` a scenario's `publish` and `read` are spoken to it. A peer that is not installed, or
that has no protocol for a scenario, is left out and said so.

Settings are such that no peer is cut for the sake of its defaults: nothing bounds what waits for a
reader, small writes are not held back. `nats-defaults` is nats-server as it is installed.
"""
import base64
import hmac
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from harness.broker import wait_for  # noqa: E402  (the path comes first)
from harness.ports import give_port, take_port  # noqa: E402
from harness.processes import end, is_open  # noqa: E402

START_S = 20

NATS = """
listen: "127.0.0.1:{nats}"
max_pending: 8GB
write_deadline: "5m"
max_connections: 100000
websocket {{ listen: "127.0.0.1:{http}", no_tls: true }}
"""
MOSQUITTO = """
listener {mqtt} 127.0.0.1
{secure}
allow_anonymous true
log_type none
max_queued_messages 0
max_queued_bytes 0
max_inflight_messages 0
set_tcp_nodelay true
"""
NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log crit;
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
events {{ worker_connections 19000; }}
http {{
    access_log off;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    nchan_shared_memory_size 512M;
    server {{
        listen 127.0.0.1:{http} backlog=4096{secure};
        keepalive_requests 1000000000;
        location ~ ^/pub/(.+)$ {{
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_buffer_length 10000;
            nchan_message_timeout 5m;
        }}
        location ~ ^/sub/(.+)$ {{
            nchan_subscriber websocket eventsource;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
        }}
    }}
}}
"""
CENTRIFUGO = """
{{
  "http_server": {{"address": "127.0.0.1", "port": {http}}},
  "http_api": {{"insecure": true}},
  "client": {{"insecure": true, "allowed_origins": ["*"], "queue_max_size": 1073741824}},
  "channel": {{"without_namespace": {{"allow_subscribe_for_client": true}}}},
  "log": {{"level": "error"}}
}}
"""
# The certificate of a scenario with TLS: what the broker, nginx and Mosquitto are told of it
CERTIFICATE = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
               "subjectAltName=IP:127.0.0.1")
TIDINGS_SECURE = """
public: {{tls: {{certificate: "{certificate}", key: "{key}"}}}}
mqtt: {{tls_listen: "127.0.0.1:{mqtts}"}}
"""
NGINX_SECURE = """ ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key}"""
MOSQUITTO_SECURE = """
certfile {certificate}
keyfile {key}
"""
MERCURE_KEY = "a-key-that-is-for-measuring-alone-0123456789"


def web_token(key, claims):
    """A JWT signed by HMAC-SHA256."""
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = b".".join(encode(json.dumps(part).encode())
                     for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (body + b"." + encode(hmac.digest(key.encode(), body, "sha256"))).decode()


@dataclass
class Peer:
    """How one server is started and spoken to."""
    name: str
    command: list  # words with {http}, {mqtt}, {nats}, {redis}, {scratch}, {config}, {binary}
    schemes: tuple  # of the ports that it needs, the one that is waited for first
    publish: dict  # a scenario's `publish` -> the protocol of `tidings bench`
    read: dict
    binary: str = ""
    config: str = ""
    version: tuple = ("--version",)
    environment: dict = field(default_factory=dict)
    paths: dict = field(default_factory=dict)  # role -> path of its URL
    token: str = ""  # what the load says who it is
    suffix: str = ""  # of the file of the configuration
    has_child: bool = False  # its one child does the work
    secure: str = ""  # {secure} of the configuration where the scenario is of TLS; "": it cannot


def same(*names):
    return {name: name for name in names}


PEERS = {peer.name: peer for peer in (
    Peer("tidings", ["{binary}", "serve", "--workers", "1", "--data", "{scratch}/data",
                     "--listen", "127.0.0.1:{http}", "--operator", "127.0.0.1:{operator}",
                     "--mqtt", "127.0.0.1:{mqtt}", "--config", "{config}"],
         ("http", "mqtt", "mqtts", "operator"),
         same("rest", "ndjson", "publish", "websocket", "mqtt-qos0", "mqtt-qos1"),
         same("websocket", "stream", "events", "mqtt-qos0", "mqtt-qos1", "history", "webhook",
              "connection"),
         config="# as it is installed\n{secure}", version=("version",), secure=TIDINGS_SECURE),
    Peer("limit", ["{binary}", "fanout", "{http}"], ("http",), same("rest", "ndjson"),
         {"websocket": "nchan-websocket"}, version=(), paths={"read": "/channels"}),
    Peer("nats", ["{binary}", "-c", "{config}"], ("nats", "http"),
         dict.fromkeys(("rest", "ndjson", "publish", "mqtt-qos0"), "nats"),
         dict.fromkeys(("websocket", "stream", "events", "mqtt-qos0"), "nats"),
         "nats-server", NATS),
    Peer("nats-defaults", ["{binary}", "-a", "127.0.0.1", "-p", "{nats}"], ("nats",),
         dict.fromkeys(("rest", "ndjson", "publish", "mqtt-qos0"), "nats"),
         dict.fromkeys(("websocket", "stream", "events", "mqtt-qos0"), "nats"), "nats-server"),
    Peer("mosquitto", ["{binary}", "-c", "{config}"], ("mqtt",),
         {"rest": "mqtt-qos0", "mqtt-qos0": "mqtt-qos0", "mqtt-qos1": "mqtt-qos1"},
         {"websocket": "mqtt-qos0", "stream": "mqtt-qos0", "events": "mqtt-qos0",
          "mqtt-qos0": "mqtt-qos0", "mqtt-qos1": "mqtt-qos1"},
         "mosquitto", MOSQUITTO, ("-h",), secure=MOSQUITTO_SECURE),
    Peer("redis", ["{binary}", "--bind", "127.0.0.1", "--port", "{redis}", "--save", "",
                   "--appendonly", "no", "--dir", "{scratch}", "--maxclients", "19000",
                   "--protected-mode", "no",
                   "--client-output-buffer-limit", "pubsub 0 0 0"], ("redis",),
         dict.fromkeys(("rest", "ndjson", "publish"), "redis"),
         dict.fromkeys(("websocket", "stream", "events"), "redis"), "redis-server"),
    Peer("nchan", ["{binary}", "-p", "{scratch}", "-c", "{config}", "-e", "{scratch}/error.log"],
         ("http",), {"rest": "nchan-rest"},
         {"websocket": "nchan-websocket", "events": "nchan-events", "connection": "connection"},
         "nginx", NGINX, ("-v",), paths={"publish": "/pub", "read": "/sub"}, has_child=True,
         secure=NGINX_SECURE),
    Peer("centrifugo", ["{binary}", "-c", "{config}"], ("http",), {"rest": "centrifugo-rest"},
         dict.fromkeys(("websocket", "stream"), "centrifugo-websocket"), "", CENTRIFUGO,
         ("version",), suffix=".json"),
    Peer("mercure", ["{binary}", "run"], ("http",), {"rest": "mercure-rest"},
         {"events": "mercure-events", "websocket": "mercure-events"},
         environment={"SERVER_NAME": "http://127.0.0.1:{http}",
                      "MERCURE_PUBLISHER_JWT_KEY": MERCURE_KEY,
                      "MERCURE_SUBSCRIBER_JWT_KEY": MERCURE_KEY,
                      "MERCURE_EXTRA_DIRECTIVES": "anonymous"}, version=("version",),
         token=web_token(MERCURE_KEY, {"mercure": {"publish": ["*"]}})),
)}


def scheme_of(protocol):
    """Of the URL that a protocol of `tidings bench` connects to."""
    first = protocol.split("-")[0]
    return first if first in ("mqtt", "nats", "redis") and protocol != "nats-websocket" else "http"


def prepare(core):
    """In the new process: its core, and as many descriptors as there may be."""
    os.sched_setaffinity(0, {core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def clean_environment():
    """Without what would configure the broker or the load."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TIDINGS_")}


def children(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def cpu_s(pid):
    """CPU seconds of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_s(core):
    """Seconds that a core has spent in programs, whoever's."""
    text = pathlib.Path("/proc/stat").read_text(encoding="ascii")
    user, nice, system = re.search(rf"^cpu{core} (\d+) (\d+) (\d+)", text, re.MULTILINE).groups()
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


class Others:
    """What share of the two cores went to programs that are not measured, from now on."""

    def __init__(self, pid, server_core, load_core):
        self.pid = pid
        self.cores = (server_core, load_core)
        self.before = self.sample()

    def sample(self):
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = (cpu_s(self.pid), usage.ru_utime + usage.ru_stime)
        return time.monotonic(), own, [busy_s(core) for core in self.cores]

    def share(self):
        """Of the more disturbed core; the load has ended."""
        begin, own_before, busy_before = self.before
        end, own, busy = self.sample()
        mine = [after - before for before, after in zip(own_before, own)]
        if self.cores[0] == self.cores[1]:
            mine = [sum(mine)] * 2
        return max(0.0, *((after - before - spent) / (end - begin) for before, after, spent in
                          zip(busy_before, busy, mine)))


class Server:
    """One started peer; a context that ends it and removes what it wrote."""

    def __init__(self, peer, binary, core, words=None, config=None, is_secure=False):
        self.scratch = tempfile.mkdtemp(prefix="tidings-compare-")
        self.peer = peer
        self.is_secure = is_secure
        self.ports = {name: take_port() for name in peer.schemes}
        self.waited = [name for name in peer.schemes if is_secure or name != "mqtts"]
        self.certificate = f"{self.scratch}/certificate.pem"
        self.process = None
        path = pathlib.Path(self.scratch, "config" + peer.suffix)
        values = {**self.ports, "scratch": self.scratch, "config": str(path), "binary": binary,
                  "certificate": self.certificate, "key": f"{self.scratch}/key.pem"}
        values["secure"] = peer.secure.format(**values) if is_secure else ""
        if is_secure:
            subprocess.run([*CERTIFICATE, "-out", self.certificate, "-keyout", values["key"]],
                           stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            os.chmod(values["key"], 0o644)  # for one that gives up its rights before it reads it
        path.write_text(config or peer.config.format(**values), encoding="ascii")
        os.chmod(self.scratch, 0o755)  # a server that gives up its rights still looks into it
        command = [word.format(**values) for word in words or peer.command]
        environment = clean_environment()
        environment.update({key: value.format(**values)
                            for key, value in peer.environment.items()})
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, cwd=self.scratch, env=environment,
                preexec_fn=lambda: prepare(core))
            wait_for(self.is_up, START_S, " ".join(command))
            self.pid = children(self.process.pid)[0] if peer.has_child else self.process.pid
        except BaseException:
            self.close()
            raise

    def is_up(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.peer.name} ended with {self.process.returncode}")
        if not all(is_open(self.ports[name]) for name in self.waited):
            return False
        return not self.peer.has_child or len(children(self.process.pid)) > 0

    def url(self, role, protocol):
        """Where `publish` or `read` connects to."""
        scheme = scheme_of(protocol)
        port = self.ports[scheme]
        if self.is_secure:
            scheme += "s"
            port = self.ports.get(scheme, port)
        return f"{scheme}://127.0.0.1:{port}{self.peer.paths.get(role, '')}"

    def close(self):
        end(self.process)
        for port in self.ports.values():
            give_port(port)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def find_binary(peer, given):
    """Where a peer's program is, or None."""
    if peer.name in given:
        return given[peer.name]
    return shutil.which(peer.binary, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") \
        if peer.binary else None


def version_of(peer, binary):
    """`nats-server v2.9.10`, as it says itself."""
    if not peer.version:
        return peer.name
    done = subprocess.run([binary, *peer.version], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=20)
    found = re.search(r"v?\d+\.\d+(\.\d+)?", done.stdout)
    return f"{peer.binary or peer.name} {found.group(0) if found else '?'}"


class Folder:
    """A folder of its own, as a context."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="tidings-compare-")
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)
