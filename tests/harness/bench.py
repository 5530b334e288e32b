# SPDX-License-Identifier: Apache-2.0
"""`tidings bench` as a process, and a server whose every answer and delivery a test decides."""
import asyncio
import base64
import hashlib
import json
import pathlib
import signal
import subprocess
import tempfile
import threading

from harness.broker import PATIENCE_S, find_binary, wait_for

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class Bench:
    """One run: started at once; finish() gives its exit code and sets `report`."""

    def __init__(self, *arguments, stdin=subprocess.DEVNULL):
        self.scratch = tempfile.TemporaryDirectory(prefix="tidings-bench-")
        self.json = pathlib.Path(self.scratch.name, "report.json")
        self.told, self.printed = [], []
        self.report = None
        self.process = subprocess.Popen(
            [str(find_binary()), "bench", *arguments, "--json", str(self.json)], stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.threads = [threading.Thread(target=self.listen, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.printed),
                                     (self.process.stderr, self.told))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def listen(stream, lines):
        for line in stream:
            lines.append(line.decode("utf-8", "replace").rstrip("\n"))
        stream.close()

    def wait_told(self, text, timeout_s=PATIENCE_S):
        """Until a line on standard error has `text`."""
        wait_for(lambda: any(text in line for line in list(self.told)), timeout_s, text)

    def wait_printed(self, text, timeout_s=PATIENCE_S):
        wait_for(lambda: text in list(self.printed), timeout_s, text)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def finish(self, timeout_s=150):
        try:
            code = self.process.wait(timeout_s)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for thread in self.threads:
                thread.join(10)
            if self.json.exists():
                self.report = json.loads(self.json.read_text(encoding="utf-8"))
            self.scratch.cleanup()
        assert "Sanitizer" not in "\n".join(self.told), "\n".join(self.told)
        assert "runtime error" not in "\n".join(self.told), "\n".join(self.told)
        return code

    @property
    def counts(self):
        return self.report["whole"]["counts"]


def run(*arguments):
    """A whole run; gives the Bench, with `code`."""
    bench = Bench(*arguments)
    bench.code = bench.finish()
    return bench


def message_frame(data):
    """A server's text frame (RFC 6455, 5.2) with a message as the broker wraps it."""
    payload = b'{"channel":"bench/0","data":' + data + b"}"
    length = len(payload)
    head = bytes([0x81, length]) if length < 126 else b"\x81\x7e" + length.to_bytes(2, "big")
    return head + payload


class Server:
    """Answers every POST with 200 and gives each WebSocket what deliver(body) says, in its own
    thread. To change an answer, override on_publish (a coroutine) or on_upgrade."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.sockets = []
        self.heard = []  # of each WebSocket that ended: what it sent
        self.unanswered_most = 0
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.started.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(
            asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1000))
        self.port = server.sockets[0].getsockname()[1]
        self.started.set()
        self.loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def serve(self, reader, writer):
        waiting = asyncio.Queue()
        waiting.under_way = 0
        answering = self.loop.create_task(self.answer(waiting, writer))
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
                if fields.get("upgrade") == "websocket":
                    key = head[head.lower().index("sec-websocket-key: ") + 19:].split("\r\n")[0]
                    writer.write(self.on_upgrade(key.encode()))
                    self.sockets.append(writer)
                    self.heard.append(await reader.read())
                    self.sockets.remove(writer)
                    return
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                waiting.put_nowait(body)
                self.unanswered_most = max(self.unanswered_most,
                                           waiting.qsize() + waiting.under_way)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            answering.cancel()
            writer.close()

    async def answer(self, waiting, writer):
        while True:
            body = await waiting.get()
            waiting.under_way = 1
            await self.on_publish(body)
            waiting.under_way = 0
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def on_upgrade(self, key):
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest())
        return (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")

    async def on_publish(self, body):
        for data in self.deliver(body):
            for writer in self.sockets:
                writer.write(message_frame(data))

    def deliver(self, body):
        return [body]
