#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Attackers, each a process of its own that is bounded in time.

    attacks.py NAME < options.json

plays ATTACKS[NAME] and prints one line of JSON: what it did, as counts, and from when to when. They
run at the lowest priority: real ones have machines of their own, and these are not to take the
broker's. So where others want the machine too, little comes of one in its time: it goes on until
it has done the LEAST that says something, for PATIENCE_S at most.
"""
import json
import os
import pathlib
import random
import resource
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import time
from urllib.parse import urlsplit

from forms import LEAST, PATIENCE_S

ADDRESSES = [f"127.0.0.{last}" for last in range(2, 60)]
TURN_S = 0.2  # of drips: each connection moves by a byte so often
TURNS = 100  # a second, in which what is due by then is opened
BATCH = 50  # requests of one write


# --- the test's side --------------------------------------------------------------------------


class Attack:
    """Some attackers at a time, for `seconds`; from `begin` to `end` in all they were at it."""

    def __init__(self, name, seconds, *parts):
        self.name, self.seconds, self.parts = name, seconds, parts
        self.begin = self.end = None
        self.counts = {}

    def run(self):
        self.counts, begins, ends = {}, [], []
        processes = [subprocess.Popen(
            ["/usr/bin/python3", os.path.abspath(__file__), name], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) for name, _ in self.parts]
        try:
            for process, (_, options) in zip(processes, self.parts):
                process.stdin.write(json.dumps({**options, "seconds": self.seconds}).encode())
                process.stdin.close()
                process.stdin = None
            for process in processes:
                said, _ = process.communicate(timeout=self.seconds + PATIENCE_S + 60)
                assert process.returncode == 0, self.name
                begin, end, counts = json.loads(said)
                begins.append(begin)
                ends.append(end)
                for key, value in counts.items():
                    self.counts[key] = self.counts.get(key, 0) + value
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        self.begin, self.end = min(begins), max(ends)
        return self


def port_of(url):
    return urlsplit(url).port


# --- the attackers' side: each takes its options and gives counts -------------------------------


def is_time(begin, seconds, is_enough):
    """There is some left, or it was not enough yet."""
    over_s = time.monotonic() - begin - seconds
    return over_s < 0 or (over_s < PATIENCE_S and not is_enough)


def open_socket(port, source, is_blocking=True):
    one = socket.socket()
    # Ends leave nothing behind: else 28,000 ports an address were soon used up.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.settimeout(10 if is_blocking else 0)
    one.bind((source, 0))
    try:
        one.connect(("127.0.0.1", port))
    except BlockingIOError:
        pass
    return one


class Drip:
    """A connection that sends a beginning, and then a byte at a time of what is to follow."""

    def __init__(self, port, source, head, tail):
        self.socket = open_socket(port, source, is_blocking=False)
        self.head, self.tail, self.place = head, tail, 0

    def step(self):
        """False: the broker has ended it."""
        try:
            if self.head:
                self.head = self.head[self.socket.send(self.head):]
            else:
                byte = self.tail[self.place % len(self.tail):][:1]
                self.place += self.socket.send(byte)
            if self.socket.recv(65536) == b"":
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


def drip(port, connections, head, tail, seconds):
    """Slowloris: as many connections as told, opened anew when they are ended, each a byte a turn.
    `head` and `tail` are Latin-1."""
    head, tail = head.encode("latin-1"), tail.encode("latin-1")
    opened = ended = refused = 0
    drips, begin = [], time.monotonic()
    while is_time(begin, seconds, opened >= connections * LEAST):
        turn = time.monotonic()
        for _ in range(min(connections - len(drips), connections // 10 + 1)):
            try:
                drips.append(Drip(port, random.choice(ADDRESSES), head, tail))
                opened += 1
            except OSError:
                refused += 1
        alive = [one for one in drips if one.step()]
        for one in set(drips) - set(alive):
            one.socket.close()
        ended += len(drips) - len(alive)
        drips = alive
        time.sleep(max(0, turn + TURN_S - time.monotonic()))
    return {"opened": opened, "ended_by_the_broker": ended, "refused": refused,
            "held": len(drips)}


def paced(seconds, rate, is_enough=lambda: True):
    """Yields `rate` times a second, late rather than never."""
    begin, count, least = time.monotonic(), 0, seconds * rate * LEAST
    while is_time(begin, seconds, count >= least and is_enough()):
        time.sleep(max(0, begin + count / rate - time.monotonic()))
        count += 1
        yield count


def half_open(port, total, held, first, seconds):
    """Connections that say `first` and no more: `total` in all, `held` at a time. The oldest is
    given up for a new one."""
    first = first.encode("latin-1")
    waiting, opened, refused, ended = [], 0, 0, 0
    begin = time.monotonic()
    for _ in paced(seconds, TURNS):
        due = min(total, int(total * (time.monotonic() - begin) / (seconds * 0.8)) + 1)
        while opened + refused < due and is_time(begin, seconds,
                                                 opened + refused >= total * LEAST):
            try:
                one = open_socket(port, random.choice(ADDRESSES))
                if first:
                    one.send(first)
                waiting.append(one)
                opened += 1
            except OSError:
                refused += 1
            if len(waiting) > held:
                waiting.pop(0).close()
    for one in waiting:
        one.settimeout(0)
        try:
            ended += one.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            ended += 1
    return {"opened": opened, "refused": refused, "ended_by_the_broker": ended}


def read_statuses(one, count, statuses):
    """The statuses of so many answers without reading them strictly; the rest of the bytes."""
    data = b""
    while data.count(b"HTTP/1.1 ") < count:
        more = one.recv(262144)
        if not more:
            raise ConnectionError
        data += more
    for part in data.split(b"HTTP/1.1 ")[1:]:
        status = part[:3].decode()
        statuses[status] = statuses.get(status, 0) + 1


def pipelined(port, requests, rate, seconds, is_counting=True):
    """Writes BATCH requests (made by `requests()`) a time, so that `rate` a second are sent."""
    statuses, lost = {}, 0
    one = None
    for _ in paced(seconds, rate / BATCH):
        try:
            if one is None:
                one = open_socket(port, random.choice(ADDRESSES))
            one.sendall(b"".join(requests() for _ in range(BATCH)))
            if is_counting:
                read_statuses(one, BATCH, statuses)
        except OSError:
            lost += 1
            one = None
    return {**{"status_" + status: count for status, count in statuses.items()}, "lost": lost}


def bad_logins(port, token, rate, seconds):
    """A token with a random signature each time: nothing of it can be remembered."""
    import base64
    head = token.rsplit(".", 1)[0]

    def request():
        signature = base64.urlsafe_b64encode(os.urandom(64)).rstrip(b"=").decode()
        return (f"GET /channels/bystander HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Authorization: Bearer {head}.{signature}\r\n\r\n").encode()
    return pipelined(port, request, rate, seconds)


def bad_devices(port, token, rate, seconds):
    """The same by MQTT: a connection each."""
    import base64
    head, codes, lost = token.rsplit(".", 1)[0], {}, 0
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    from harness import mqtt_packets
    for _ in paced(seconds, rate):
        signature = base64.urlsafe_b64encode(os.urandom(64)).rstrip(b"=").decode()
        try:
            with open_socket(port, random.choice(ADDRESSES)) as one:
                one.sendall(mqtt_packets.connect(version=5, user="u",
                                                 password=f"{head}.{signature}"))
                data = one.recv(100)
                code = f"connack_{data[3]:#x}" if len(data) > 3 else "closed"
                codes[code] = codes.get(code, 0) + 1
        except OSError:
            lost += 1
    return {**codes, "lost": lost}


def publish(port, headers, channel, rate, seconds):
    """Publishes at a rate, whatever the answers say."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    text = (f"POST /channels/{channel} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: 3\r\n{fields}\r\n\"x\"").encode()
    return pipelined(port, lambda: text, rate, seconds)


def raw(port, data, rate, seconds):
    """One connection each: some bytes, and what comes back is read until the end."""
    data = data.encode("latin-1")
    answered = lost = 0
    for _ in paced(seconds, rate):
        try:
            with open_socket(port, random.choice(ADDRESSES)) as one:
                one.settimeout(PATIENCE_S)
                one.sendall(data)
                answered += bool(one.recv(65536))
        except OSError:
            lost += 1
    return {"answered": answered, "lost": lost}


def churn(port, data, rate, seconds):
    """Connections that end by RST right behind their bytes."""
    data = data.encode("latin-1")
    opened = refused = 0
    for _ in paced(seconds, rate):
        try:
            with open_socket(port, random.choice(ADDRESSES)) as one:
                if data:
                    one.sendall(data)
                opened += 1
        except OSError:
            refused += 1
    return {"opened": opened, "refused": refused}


def handshakes(port, rate, seconds):
    """Whole handshakes of TLS without resumption; then nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    done = failed = 0
    for _ in paced(seconds, rate):
        try:
            with context.wrap_socket(open_socket(port, random.choice(ADDRESSES))):
                done += 1
        except OSError:
            failed += 1
    return {"handshakes": done, "failed": failed}


def unread(port, request, connections, seconds):
    """Ask for much, one after another all the time, and read nothing, with the smallest window."""
    held, refused = [], 0
    for _ in paced(seconds, connections / seconds):
        try:
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.settimeout(PATIENCE_S)
            one.bind((random.choice(ADDRESSES), 0))
            one.connect(("127.0.0.1", port))
            one.sendall(request.encode("latin-1"))
            held.append(one)
        except OSError:
            refused += 1
    return {"asked": len(held), "refused": refused}


def talk(port, first, again, connections, rate, seconds, is_ended=False):
    """Connections that say `first` once and `again` at a rate, all of them together; what they are
    sent is read and thrown away. Where it `is_ended` the broker is to end some."""
    first, again = first.encode("latin-1"), again.encode("latin-1")
    watched, said, ended = selectors.DefaultSelector(), 0, 0
    unsent = {}  # of each connection that lives: a frame is never cut by us
    for _ in paced(seconds, rate, lambda: ended > 0 or not is_ended):
        if len(unsent) < connections:
            try:
                one = open_socket(port, random.choice(ADDRESSES))
                one.settimeout(0)
                watched.register(one, selectors.EVENT_READ)
                unsent[one] = first
            except OSError:
                ended += 1
        if unsent:
            one = random.choice(list(unsent))
            if not unsent[one]:
                unsent[one] = again
                said += 1
        for one, data in list(unsent.items()):
            try:
                if data:
                    unsent[one] = data[one.send(data):]
            except BlockingIOError:
                pass
            except OSError:
                pass  # the end is read below
        for key, _ in watched.select(0):
            try:
                if key.fileobj.recv(262144):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            watched.unregister(key.fileobj)
            del unsent[key.fileobj]
            key.fileobj.close()
            ended += 1
    return {"said": said, "ended_by_the_broker": ended}


ATTACKS = {attack.__name__: attack for attack in (
    drip, half_open, bad_logins, bad_devices, publish, raw, churn, handshakes, unread, talk)}


def main():
    os.nice(19)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    options = json.load(sys.stdin)
    begin = time.monotonic()
    counts = ATTACKS[sys.argv[1]](**options)
    print(json.dumps([begin, time.monotonic(), counts]))


if __name__ == "__main__":
    main()
