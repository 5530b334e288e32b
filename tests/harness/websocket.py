# SPDX-License-Identifier: Apache-2.0
"""A WebSocket client over a bare socket that can also break every rule of RFC 6455."""
import base64
import hashlib
import json
import os
import socket
import struct
import time
import zlib

from harness.http import TIMEOUT_S, Closed, Connection, request_bytes

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    """The handshake was answered with something other than 101."""

    def __init__(self, response):
        super().__init__(repr(response))
        self.response = response


class PeerClosed(Exception):
    """A close frame came; code None: it carried none, or the connection just ended."""

    def __init__(self, code, reason=""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


def handshake_headers(key=None):
    return {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode()}


def frame(opcode, payload=b"", fin=True, rsv=0, is_masked=True, length=None):
    """Any frame. `length` overrides what the header claims."""
    count = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if is_masked else 0
    if count < 126:
        head += bytes([bit | count])
    elif count < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", count)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", count)
    if is_masked:
        mask = os.urandom(4)
        head += mask
        repeated = (mask * (len(payload) // 4 + 1))[:len(payload)]
        payload = (int.from_bytes(payload, "big") ^
                   int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")
    return head + payload


class WebSocket:
    def __init__(self, url, target, headers=None, timeout_s=TIMEOUT_S, source=None,
                 receive_bytes=None, context=None):
        self.connection = Connection(url, timeout_s, source, receive_bytes, context)
        fields = handshake_headers()
        fields.update(headers or {})
        self.connection.send(request_bytes(self.connection.host, "GET", target, fields))
        status, reason, answered = self.connection.read_head()
        self.headers = answered
        if status != 101:
            length = int(answered.get("content-length", 0))
            body = self.connection.read_exactly(length)
            self.connection.close()
            from harness.http import Response
            raise Refused(Response(status, reason, answered, body))
        expected = base64.b64encode(
            hashlib.sha1(fields["Sec-WebSocket-Key"].encode() + ACCEPT_GUID).digest()).decode()
        assert answered["sec-websocket-accept"] == expected
        self.deflates = "permessage-deflate" in answered.get("sec-websocket-extensions", "")
        self.deflated_messages = 0
        self.timeout_s = timeout_s
        self.sent_close = False
        self.pings = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the connection without ceremony."""
        self.connection.close()

    def finish(self, code=1000):
        """The closing handshake; gives the code that came back."""
        self.send_frame(CLOSE, struct.pack(">H", code))
        self.sent_close = True
        return self.recv_close()

    def send_frame(self, *arguments, **options):
        """One frame()."""
        self.connection.send(frame(*arguments, **options))

    def send_text(self, text):
        self.send_frame(TEXT, text.encode() if isinstance(text, str) else text)

    def send_deflated(self, text, pieces=1):
        """One compressed text message, in so many frames."""
        packer = zlib.compressobj(wbits=-15)
        data = packer.compress(text.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
        data = data[:-4]
        for i in range(pieces):
            part = data[len(data) * i // pieces:len(data) * (i + 1) // pieces]
            self.send_frame(TEXT if i == 0 else 0, part, fin=i + 1 == pieces, rsv=0 if i else 4)

    def send_json(self, value):
        self.send_text(json.dumps(value))

    def recv_frame(self):
        """(fin, opcode, payload) of the next frame as it comes. Servers never mask."""
        with self.connection.whole():
            return self.read_frame()

    def read_frame(self):
        first, second = self.connection.read_exactly(2)
        assert first & 0x70 == 0 or (self.deflates and first & 0x7f == 0x41), "reserved bits"
        self.is_deflated = bool(first & 0x40)
        assert second & 0x80 == 0, "a masked frame from a server"
        count = second & 0x7f
        if count == 126:
            count, = struct.unpack(">H", self.connection.read_exactly(2))
            assert count > 125
        elif count == 127:
            count, = struct.unpack(">Q", self.connection.read_exactly(8))
            assert count > 65535
        return bool(first & 0x80), first & 0x0f, self.connection.read_exactly(count)

    def recv(self, timeout_s=None):
        """The next message as text or bytes; answers pings. PeerClosed at the end."""
        end = time.monotonic() + (timeout_s or self.timeout_s)
        parts, kind, packed = [], None, False
        while True:
            self.connection.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                fin, opcode, payload = self.recv_frame()
            except socket.timeout as error:
                raise TimeoutError("no message in time") from error
            except Closed as error:
                raise PeerClosed(None, str(error)) from error
            if opcode == PING:
                self.pings += 1
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else None
                if not self.sent_close:
                    try:
                        self.send_frame(CLOSE, payload[:2])
                    except OSError:
                        pass
                raise PeerClosed(code, payload[2:].decode())
            elif opcode in (0, TEXT, BINARY):
                kind = opcode or kind
                packed = self.is_deflated if opcode else packed
                parts.append(payload)
                if fin:
                    whole = b"".join(parts)
                    if packed:  # without context: each message alone
                        self.deflated_messages += 1
                        whole = zlib.decompressobj(-12).decompress(whole + b"\0\0\xff\xff")
                    return whole.decode() if kind == TEXT else whole

    def recv_json(self, timeout_s=None):
        text = self.recv(timeout_s)
        assert isinstance(text, str), "a binary message"
        return json.loads(text)

    def recv_message(self, timeout_s=None):
        """The next envelope: progress and answers are passed over."""
        while "offset" not in (entry := self.recv_json(timeout_s)):
            assert "gap" not in entry, entry
        return entry

    def recv_close(self, timeout_s=None):
        """Reads until the peer closes; gives the code."""
        while True:
            try:
                self.recv(timeout_s)
            except PeerClosed as closed:
                return closed.code
