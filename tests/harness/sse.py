# SPDX-License-Identifier: Apache-2.0
"""An EventSource that shows everything: comments, ids alone, and the head of the response."""
import json
import socket
import time

from harness.http import TIMEOUT_S, Connection, request_bytes


class Event:
    """One block of the stream; `data` is None where it had none."""

    def __init__(self, lines):
        self.id = self.event = self.data = None
        self.comments = []
        data = []
        for line in lines:
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "":
                self.comments.append(value)
            elif name == "data":
                data.append(value)
            elif name == "id":
                self.id = value
            elif name == "event":
                self.event = value
        if data:
            self.data = "\n".join(data)

    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"<event={self.event} id={self.id} data={self.data!r} {self.comments}>"


class EventStream:
    """Reads one stream. `response` is set instead where the broker answered with something else."""

    def __init__(self, url, target, headers=None, timeout_s=TIMEOUT_S, last_event_id=None,
                 receive_bytes=None, context=None):
        self.connection = Connection(url, timeout_s, receive_bytes=receive_bytes, context=context)
        fields = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            fields["Last-Event-ID"] = last_event_id
        fields.update(headers or {})
        self.connection.send(request_bytes(self.connection.host, "GET", target, fields))
        self.status, _, self.headers = self.connection.read_head()
        self.is_chunked = self.headers.get("transfer-encoding", "") == "chunked"
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def fill(self):
        if self.is_chunked:
            with self.connection.whole():
                size = int(self.connection.read_until(b"\r\n").split(b";")[0], 16)
                text = self.connection.read_exactly(size)
                self.connection.read_exactly(2)
            self.text += text
            if size == 0:
                raise EOFError("end of the stream")
        elif self.connection.buffer:
            self.text += self.connection.buffer
            self.connection.buffer = b""
        else:
            self.connection.fill()

    def block(self, timeout_s=TIMEOUT_S):
        """The next block, whatever it holds."""
        end = time.monotonic() + timeout_s
        while True:
            while b"\n\n" not in self.text:
                self.connection.socket.settimeout(max(0.01, end - time.monotonic()))
                try:
                    self.fill()
                except socket.timeout as error:
                    raise TimeoutError(f"no event in {timeout_s} s") from error
            text, self.text = self.text.split(b"\n\n", 1)
            lines = text.decode().split("\n")
            if any(lines):
                return Event(lines)

    def next(self, timeout_s=TIMEOUT_S):
        """The next event that has data, as EventSource would dispatch it."""
        end = time.monotonic() + timeout_s
        while True:
            event = self.block(max(0.01, end - time.monotonic()))
            if event.data is not None:
                return event
