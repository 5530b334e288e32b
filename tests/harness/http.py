# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1.1 client over a bare socket: it sends exactly the bytes that it is given."""
import contextlib
import json
import socket
import ssl
import struct
import time
from urllib.parse import urlsplit

TIMEOUT_S = 30  # an answer takes no second, but on a machine that is busy with much else

# https is spoken by what a test has started, here, under any name and with a made-up certificate,
# unless the test says what it trusts.
TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


class Closed(Exception):
    """The peer ended the connection where more was due."""


class Response:
    """Status, header fields (lower-case names; several values joined by ", ") and body."""

    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def type(self):
        return self.headers.get("content-type", "").split(";")[0].strip()

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:400]!r}>"


def connect_narrow(parts, timeout_s, receive_bytes):
    """The window is agreed upon when the connection is made: the buffer must be small before."""
    family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
    one = socket.socket(family)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    one.settimeout(timeout_s)
    one.connect((parts.hostname, parts.port))
    return one


class Connection:
    """One TCP connection with a read buffer. `receive_bytes`: the kernel takes no more for it;
    `context`: how it speaks TLS. The URL is None while a broker starts: nobody listens there."""

    def __init__(self, url, timeout_s=TIMEOUT_S, source=None, receive_bytes=None, context=None):
        if url is None:
            raise ConnectionRefusedError("it is not up yet")
        parts = urlsplit(url)
        self.host = f"{parts.hostname}:{parts.port}"
        if parts.scheme in ("https", "mqtts"):
            at = parts._replace(netloc=f"127.0.0.1:{parts.port}")
            self.socket = (context or TLS).wrap_socket(
                socket.create_connection((at.hostname, at.port), timeout_s, source and (source, 0))
                if receive_bytes is None else connect_narrow(at, timeout_s, receive_bytes),
                server_hostname=parts.hostname)
        elif receive_bytes is None:
            self.socket = socket.create_connection((parts.hostname, parts.port), timeout_s,
                                                   source and (source, 0))
        else:
            self.socket = connect_narrow(parts, timeout_s, receive_bytes)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.taken = None  # what was read inside of whole()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    @contextlib.contextmanager
    def whole(self):
        """All that is read in it, or nothing: what was read of it before the time was over is
        there for the next try."""
        self.taken = b""
        try:
            yield
        except socket.timeout:
            self.buffer = self.taken + self.buffer
            raise
        finally:
            self.taken = None

    def note(self, data):
        if self.taken is not None:
            self.taken += data

    def reset(self):
        """Ends it by RST, as a host does that no longer knows the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def fill(self):
        """Reads once. Closed: the end."""
        try:
            more = self.socket.recv(262144)
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            raise Closed("reset") from error
        if not more:
            raise Closed("end")
        self.buffer += more

    def read_exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        self.note(data)
        return data

    def read_until(self, mark):
        while mark not in self.buffer:
            self.fill()
        data, self.buffer = self.buffer.split(mark, 1)
        self.note(data + mark)
        return data

    def read_head(self):
        """(status, reason, fields) of the next head, interim ones too."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = (lines[0].split(" ", 2) + [""])[:3]
        assert version == "HTTP/1.1", lines[0]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            assert name == name.strip() and name, line
            name = name.lower()
            headers[name] = headers[name] + ", " + value.strip() if name in headers \
                else value.strip()
        return int(status), reason, headers

    def read_chunked(self):
        body = b""
        while True:
            size = int(self.read_until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        while self.read_until(b"\r\n"):
            pass
        return body

    def read_response(self, method="GET", skip_interim=True):
        """The next whole response."""
        while True:
            status, reason, headers = self.read_head()
            if status >= 200 or status == 101 or not skip_interim:
                break
        if method == "HEAD" or status < 200 or status in (204, 304):
            return Response(status, reason, headers, b"")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            assert "content-length" not in headers
            return Response(status, reason, headers, self.read_chunked())
        if "content-length" in headers:
            return Response(status, reason, headers,
                            self.read_exactly(int(headers["content-length"])))
        while True:
            try:
                self.fill()
            except Closed:
                body, self.buffer = self.buffer, b""
                return Response(status, reason, headers, body)

    def request(self, method, target, headers=None, body=None):
        """Sends one request with Host and Content-Length filled in, and reads its answer."""
        self.send(request_bytes(self.host, method, target, headers, body))
        return self.read_response(method)

    def burst(self, *requests):
        """Sends all of them at once, so that nothing of this side is between one and the next, and
        reads their answers. Each is (method, target, headers, body)."""
        self.send(b"".join(request_bytes(self.host, *one) for one in requests))
        return [self.read_response(one[0]) for one in requests]

    def is_closed_within(self, seconds=TIMEOUT_S):
        """Does the peer end the connection in time? Discards what it still sends."""
        end = time.monotonic() + seconds
        try:
            while True:
                self.socket.settimeout(max(0.01, end - time.monotonic()))
                self.fill()
        except Closed:
            return True
        except (TimeoutError, socket.timeout):
            return False


def request_bytes(host, method, target, headers=None, body=None):
    """One request as bytes. A header given as None is left out."""
    fields = {"Host": host}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    fields.update(headers or {})
    head = [f"{method} {target} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return ("\r\n".join(head) + "\r\n\r\n").encode("utf-8", "surrogateescape") + (body or b"")


def request(url, method, target, headers=None, body=None, timeout_s=TIMEOUT_S, **options):
    """One request on a connection of its own."""
    if isinstance(body, str):
        body = body.encode()
    with Connection(url, timeout_s, **options) as connection:
        return connection.request(method, target, headers, body)
