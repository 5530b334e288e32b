# SPDX-License-Identifier: Apache-2.0
"""Many receivers of webhooks in one thread: each its own port, which it keeps while it is down.

They are fast rather than strict, for tests under load, and note every request that they get: what
they noted is judged by harness/deliveries.py. An endpoint may be slow (`delay_s`), hold its answers
back (`hold()` and `let_go()`), be down (`stop()` and `start()`), or answer another status.
"""
import asyncio
import json
import threading
import time
from dataclasses import dataclass, field

from harness.ports import take_port

CALL_TIMEOUT_S = 30


@dataclass
class Arrival:
    """One request. `answered_s` is when its answer was written; None: it never was."""
    at_s: float
    id: str
    places: list  # [(channel, offset)]
    body: bytes
    status: int = 0
    answered_s: float | None = None


@dataclass(eq=False)
class Endpoint:
    """Its fields may be changed at any time; `arrivals` grows."""
    name: str
    port: int
    status: int = 200
    delay_s: float = 0
    is_holding: bool = False
    arrivals: list = field(default_factory=list)
    held: list = field(default_factory=list)
    connections: set = field(default_factory=set)
    server: asyncio.Server | None = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/{self.name}"

    def answered(self):
        """Places that were taken, in order, repeats too."""
        return [place for arrival in list(self.arrivals)
                if arrival.answered_s is not None and arrival.status // 100 == 2
                for place in arrival.places]


def places_of(body):
    """Of envelopes: one, an array, or a line each."""
    try:
        found = json.loads(body)
    except ValueError:
        found = [json.loads(line) for line in body.splitlines()]
    rows = found if isinstance(found, list) else [found]
    return [(row["channel"], row["offset"]) for row in rows]


class Conversation(asyncio.Protocol):
    """One connection: keep-alive, Content-Length, one request at a time."""

    def __init__(self, endpoint, on_arrival):
        self.endpoint, self.on_arrival = endpoint, on_arrival
        self.bytes, self.transport = bytearray(), None

    def connection_made(self, transport):
        self.transport = transport
        self.endpoint.connections.add(self)

    def connection_lost(self, _):
        self.endpoint.connections.discard(self)

    def data_received(self, data):
        self.bytes += data
        while self.take():
            pass

    def take(self):
        end = self.bytes.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self.bytes[:end]).decode("latin-1").split("\r\n")[1:]
        headers = {name.lower(): text.strip() for name, _, text in
                   (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(self.bytes) < end + 4 + length:
            if "100-continue" in headers.get("expect", ""):
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return False
        body = bytes(self.bytes[end + 4:end + 4 + length])
        del self.bytes[:end + 4 + length]
        arrival = Arrival(time.monotonic(), headers.get("webhook-id", ""), places_of(body), body)
        self.endpoint.arrivals.append(arrival)
        if self.on_arrival:
            self.on_arrival(self.endpoint, arrival)
        if self.endpoint.is_holding:
            self.endpoint.held.append((self, arrival))
        elif self.endpoint.delay_s:
            asyncio.get_running_loop().call_later(self.endpoint.delay_s, self.answer, arrival)
        else:
            self.answer(arrival)
        return True

    def answer(self, arrival):
        if self.transport.is_closing():
            return
        arrival.status = self.endpoint.status
        self.transport.write(b"HTTP/1.1 %d .\r\nContent-Length: 0\r\n\r\n" % arrival.status)
        arrival.answered_s = time.monotonic()


class Endpoints:
    """The thread. `on_arrival(endpoint, arrival)` is called on it, of each request."""

    def __init__(self, on_arrival=None):
        self.on_arrival = on_arrival
        self.rows = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for endpoint in self.rows.values():
            self.stop(endpoint)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(CALL_TIMEOUT_S)
        self.loop.close()

    def __getitem__(self, name):
        return self.rows[name]

    def call(self, work, timeout_s=CALL_TIMEOUT_S):
        """Runs a coroutine on the thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def add(self, name, **behaviour):
        """A new one, that listens. Its port stays its own."""
        endpoint = Endpoint(name, take_port(), **behaviour)
        self.rows[name] = endpoint
        self.start(endpoint)
        return endpoint

    def start(self, endpoint):
        """It is up (again)."""
        async def work():
            endpoint.server = await self.loop.create_server(
                lambda: Conversation(endpoint, self.on_arrival), "127.0.0.1", endpoint.port,
                backlog=1024)
        self.call(work())

    def stop(self, endpoint):
        """Down: connections are reset, new ones refused."""
        async def work():
            if endpoint.server is not None:
                endpoint.server.close()
                endpoint.server = None
            for conversation in list(endpoint.connections):
                conversation.transport.abort()
            endpoint.held.clear()
        self.call(work())

    def hold(self, endpoint):
        """Requests come in and wait for their answers."""
        endpoint.is_holding = True

    def let_go(self, endpoint):
        async def work():
            endpoint.is_holding = False
            for conversation, arrival in endpoint.held:
                conversation.answer(arrival)
            endpoint.held.clear()
        self.call(work())
