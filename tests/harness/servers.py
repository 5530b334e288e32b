# SPDX-License-Identifier: Apache-2.0
"""Other brokers on loopback, where Debian's packages of them are installed: what a load or a sink
speaks to. Each takes a free port, writes into a scratch folder, and is ended with the test. Those
that are measured beside ours are set up for that, by tests/bench/peers.py."""
import json
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from harness.broker import wait_for
from harness.ports import take_port
from harness.processes import end, is_open

NCHAN = pathlib.Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
NGINX = """
load_module {module};
daemon off; worker_processes 1; pid {scratch}/pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests {requests}; client_body_buffer_size 1m;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location ~ /pub/(.+)$ {{
      nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 1000;
    }}
    location ~ /sub/(.+)$ {{
      nchan_subscriber; nchan_channel_id $1; nchan_subscriber_first_message newest;
    }}
  }}
}}
"""


class Server:
    """A process; `urls` by the scheme or word of each way in."""

    def __init__(self, program):
        path = shutil.which(program)
        if path is None:
            pytest.skip(f"no {program}")
        self.program, self.process, self.urls = path, None, {}
        self.scratch = tempfile.TemporaryDirectory(prefix="tidings-server-")

    def file(self, name, text):
        path = pathlib.Path(self.scratch.name, name)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def start(self, *arguments, ports):
        with open(pathlib.Path(self.scratch.name, "said"), "wb") as said:
            self.process = subprocess.Popen([self.program, *arguments], stdin=subprocess.DEVNULL,
                                            stdout=said, stderr=said, cwd=self.scratch.name)
        for port in ports:
            wait_for(lambda port=port: self.is_alive() and is_open(port), what=self.program)
        return self

    def is_alive(self):
        said = pathlib.Path(self.scratch.name, "said")
        assert self.process.poll() is None, said.read_text(encoding="utf-8", errors="replace")
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)
        self.scratch.cleanup()


def start_nats(token=None):
    server, tcp, websocket = Server("nats-server"), take_port(), take_port()
    closed = f"authorization {{ token: {token} }}\n" if token else ""
    server.urls = {"nats": f"nats://127.0.0.1:{tcp}", "websocket": f"http://127.0.0.1:{websocket}"}
    config = server.file("nats.conf", f"listen: 127.0.0.1:{tcp}\nwebsocket {{ listen: "
                                      f'"127.0.0.1:{websocket}", no_tls: true }}\n' + closed)
    return server.start("-c", config, ports=[tcp, websocket])


def start_redis(password=""):
    """Protected mode takes clients of 127.0.0.1 alone; a load spreads over its neighbours."""
    server, port = Server("redis-server"), take_port()
    server.urls = {"redis": f"redis://127.0.0.1:{port}"}
    return server.start("--port", str(port), "--bind", "127.0.0.1", "--save", "",
                        "--appendonly", "no", "--protected-mode", "no", "--requirepass", password,
                        ports=[port])


def start_mosquitto():
    server, port = Server("mosquitto"), take_port()
    server.urls = {"mqtt": f"mqtt://127.0.0.1:{port}"}
    config = server.file("mosquitto.conf", f"listener {port} 127.0.0.1\nallow_anonymous true\n"
                                           "max_queued_messages 0\n")
    return server.start("-c", config, ports=[port])


def start_nchan(requests=1000000):
    """`requests`: after so many it ends a connection, as nginx does after 1,000 unless told."""
    if not NCHAN.exists():
        pytest.skip("no nchan")
    server, port = Server("nginx"), take_port()
    url = f"http://127.0.0.1:{port}"
    server.urls = {"publish": url + "/pub", "read": url + "/sub"}
    config = server.file("nginx.conf", NGINX.format(module=NCHAN, scratch=server.scratch.name,
                                                    port=port, requests=requests))
    return server.start("-c", config, "-p", server.scratch.name, ports=[port])


def start_centrifugo(key):
    server, port = Server("centrifugo"), take_port()
    server.urls = {"http": f"http://127.0.0.1:{port}"}
    open_to_all = {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}
    config = server.file("centrifugo.json", json.dumps({
        "http_server": {"address": "127.0.0.1", "port": str(port)}, "http_api": {"key": key},
        "client": {"insecure": True}, "channel": {"without_namespace": open_to_all}}))
    return server.start("--config", config, ports=[port])
