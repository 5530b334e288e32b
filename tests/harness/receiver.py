# SPDX-License-Identifier: Apache-2.0
"""A receiver of webhooks that records all that comes and answers as it is told, well or badly."""
import asyncio
import base64
import dataclasses
import hashlib
import hmac
import json
import socket
import struct
import threading
import time

from harness.broker import PATIENCE_S, wait_for
from harness.ports import take_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the specification's example
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret, of 24 b.").decode()
LOOPBACK = ["127.0.0.0/8", "::1/128"]  # for egress.allow
HUGE_BYTES = 50_000_000


@dataclasses.dataclass
class Answer:
    """A status with headers and a body after `delay_s`; or `raw` bytes in place of all that; then,
    or instead of an answer (`status` 0), the connection is closed or reset."""
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0
    raw: bytes = None
    closes: bool = False
    resets: bool = False

    def bytes(self):
        if self.raw is not None:
            return self.raw
        if self.status == 0:
            return b""
        headers = {"Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Told", *(f"{key}: {headers[key]}" for key in headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


OK = Answer()
DROP = Answer(status=0, closes=True)
RESET = Answer(status=0, resets=True)
HANG = Answer(status=0)
GARBAGE = Answer(raw=b"\x00\x01 this is no HTTP \r\n\r\n", closes=True)
HUGE = Answer(body=b"x" * HUGE_BYTES)


def redirect(to, status=302):
    return Answer(status, {"Location": to})


@dataclasses.dataclass
class Request:
    method: str
    target: str
    headers: dict  # lower case
    lines: list    # (name, value) as they came
    body: bytes
    time: float     # wall clock
    connection: int  # which one of the receiver's, from 1
    answer: Answer = None

    @property
    def id(self):
        return self.headers["webhook-id"]

    def json(self):
        return json.loads(self.body)

    def is_signed(self, secret=SECRET, age_s=60):
        """Is one of its signatures by the secret, and is it new?"""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        is_new = abs(self.time - int(self.headers["webhook-timestamp"])) < age_s
        return is_new and f"v1,{mac}" in self.headers["webhook-signature"].split(" ")


class Receiver:
    """`answer`: an Answer for all, or what makes one of a Request. `script` goes before it, one
    answer a request. Stopped and started again it has the same port. `tls`: (certificate, key)."""

    def __init__(self, answer=OK, tls=None, host="127.0.0.1"):
        self.answer, self.script = answer, []
        self.requests, self.connections = [], 0
        self.tls, self.host, self.port = tls, host, take_port()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server, self.writers = None, set()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.do(self.finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/hook"

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE_S)

    def start(self):
        if self.server is None:
            self.do(self.open())

    def stop(self):
        """Nobody listens any more, and whoever is connected is no longer."""
        if self.server is not None:
            self.do(self.shut())

    def accepted(self):
        """The requests that were answered with 2xx."""
        return [request for request in self.requests
                if request.answer and 200 <= request.answer.status < 300]

    def data(self):
        """The `data` of the envelopes that were accepted, as they came."""
        return [request.json()["data"] for request in self.accepted()]

    def wait(self, count=1, timeout_s=PATIENCE_S):
        """The requests, once there are as many."""
        wait_for(lambda: len(self.requests) >= count, timeout_s,
                 what=f"{count} requests; there are {len(self.requests)}")
        return list(self.requests)

    def wait_accepted(self, count=1, timeout_s=PATIENCE_S):
        wait_for(lambda: len(self.accepted()) >= count, timeout_s, what=f"{count} accepted")
        return self.accepted()

    # --- on the loop's thread

    async def open(self):
        context = None
        if self.tls:
            import ssl
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, self.tls))
        self.server = await asyncio.start_server(self.serve, self.host, self.port, ssl=context)

    async def shut(self):
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        await asyncio.sleep(0)
        self.server = None

    async def finish(self):
        """Conversations that wait for something are broken off."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        self.connections += 1
        number = self.connections
        self.writers.add(writer)
        try:
            while await self.serve_one(reader, writer, number):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            pass  # the other side went
        finally:
            self.writers.discard(writer)
            writer.close()

    async def serve_one(self, reader, writer, number):
        request = await self.read(reader, number)
        answer = self.choose(request)
        request.answer = answer
        self.requests.append(request)
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        writer.write(answer.bytes())
        if answer is HANG:
            await reader.read()
        await writer.drain()
        if answer.resets:
            self.set_reset(writer)
        return not answer.closes and not answer.resets

    @staticmethod
    async def read(reader, number):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
        first, *rest = head[:-4].split("\r\n")
        method, target, _ = first.split(" ")
        lines = [tuple(line.split(": ", 1)) for line in rest]
        headers = {name.lower(): value for name, value in lines}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, target, headers, lines, body, time.time(), number)

    def choose(self, request):
        if self.script:
            return self.script.pop(0)
        return self.answer(request) if callable(self.answer) else self.answer

    @staticmethod
    def set_reset(writer):
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
