# SPDX-License-Identifier: Apache-2.0
"""Readers of channels and patterns, alike for every protocol: a test loops over KINDS.

An entry is a dictionary as on a WebSocket: an envelope, {"gap": …} or {"at": id}. Whatever came
last leaves `at`, the id to go on from.
"""
import time
from urllib.parse import quote

from harness import http
from harness.websocket import PeerClosed


def query_of(parameters):
    """[(name, value)] or a dictionary as a query, without those that are None."""
    pairs = parameters.items() if isinstance(parameters, dict) else parameters
    text = "&".join(f"{name.rstrip('_')}={quote(str(value), safe='')}"
                    for name, value in pairs if value is not None)
    return "?" + text if text else ""


def gaps_of(page):
    """All gaps of a page; `gaps` is there where it has more than one."""
    return page.get("gaps") or ([page["gap"]] if "gap" in page else [])


def in_order(gaps, messages):
    """Gaps of one channel where they belong among its messages; others in front."""
    if not all("from" in one["gap"] for one in gaps) or \
            len({message["channel"] for message in messages}) > 1:
        return gaps + messages
    return sorted(gaps + messages,
                  key=lambda one: one["gap"]["from"] if "gap" in one else one["offset"])


class Reader:
    """What the kinds share; `entry(timeout_s)` gives the next entry, whatever it is."""

    at = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def note(self, entry):
        """Takes the id that an entry carries."""
        self.at = entry.get("id") or entry.get("at") or entry.get("gap", {}).get("id") or self.at
        return entry

    def message(self, timeout_s=30):
        """The next envelope; progress is passed over, a gap is a fault."""
        end = time.monotonic() + timeout_s
        while "offset" not in (entry := self.entry(max(0.01, end - time.monotonic()))):
            assert "gap" not in entry, entry
        return entry

    def messages(self, count, timeout_s=60):
        """The next `count` envelopes."""
        end = time.monotonic() + timeout_s
        return [self.message(max(0.01, end - time.monotonic())) for _ in range(count)]

    def until(self, is_last, timeout_s=60):
        """All entries up to and with the first of which is_last() is true."""
        end = time.monotonic() + timeout_s
        entries = []
        while True:
            entries.append(self.entry(max(0.01, end - time.monotonic())))
            if is_last(entries[-1]):
                return entries

    def is_silent(self, seconds):
        """Does no message and no gap come for so long?"""
        end = time.monotonic() + seconds
        try:
            while True:
                entry = self.entry(max(0.01, end - time.monotonic()))
                if "at" not in entry:
                    return False
        except TimeoutError:
            return True


class EventReader(Reader):
    """SSE on /channels/{selector}, or on /stream where there are several or `path` says so."""

    def __init__(self, broker, selectors, since=None, path=None, timeout_s=30, receive_bytes=None,
                 resume=None, **query):
        pairs = [("since", since), *query.items()]
        if len(selectors) > 1 or path == "/stream":
            target = "/stream" + query_of([("channel", one) for one in selectors] + pairs)
        else:
            target = "/channels/" + quote(selectors[0], safe="/*$") + query_of(pairs)
        self.stream = broker.events(target, timeout_s=timeout_s, last_event_id=resume,
                                    receive_bytes=receive_bytes)
        assert self.stream.status == 200, (self.stream.status, target)
        self.socket = self.stream.connection.socket

    def entry(self, timeout_s=30):
        end = time.monotonic() + timeout_s
        while True:
            try:
                event = self.stream.block(max(0.01, end - time.monotonic()))
            except http.Closed as error:
                raise PeerClosed(None, str(error)) from error
            if event.event == "close":
                raise PeerClosed(event.json()["code"], "by an event")
            if event.event == "gap":
                return self.note({"gap": event.json()})
            if event.data is not None:
                assert event.event is None and event.json()["id"] == event.id, event
                return self.note(event.json())
            if event.id is not None:
                return self.note({"at": event.id})

    def close(self):
        self.stream.close()


class SocketReader(Reader):
    """A WebSocket on /channels/{selector}."""

    def __init__(self, broker, selectors, since=None, timeout_s=30, receive_bytes=None, **query):
        selector, = selectors
        self.websocket = broker.websocket(
            "/channels/" + quote(selector, safe="/*$") + query_of({"since": since, **query}),
            timeout_s=timeout_s, receive_bytes=receive_bytes)
        self.socket = self.websocket.connection.socket

    def entry(self, timeout_s=30):
        return self.note(self.websocket.recv_json(timeout_s))

    def close(self):
        self.websocket.close()


class SubscribedReader(Reader):
    """One subscription, alone on a WebSocket on /stream."""

    def __init__(self, broker, selectors, since=None, timeout_s=30, receive_bytes=None,
                 headers=None, **options):
        selector, = selectors
        self.subscriptions = Subscriptions(broker, timeout_s=timeout_s, headers=headers,
                                           receive_bytes=receive_bytes)
        self.socket = self.subscriptions.websocket.connection.socket
        if since is not None:
            options["since"] = since
        self.number = self.subscriptions.subscribe(selector, **options)
        self.at = self.subscriptions.started[self.number]

    def entry(self, timeout_s=30):
        return self.note(self.subscriptions.entry(self.number, timeout_s))

    def close(self):
        self.subscriptions.close()


class PageReader(Reader):
    """Pages with `wait`, one after another: a long poll. It connects when it first asks, because a
    connection that asks nothing is ended in time."""

    def __init__(self, broker, selectors, since=None, timeout_s=30, receive_bytes=None, limit=None,
                 **query):
        selector, = selectors
        self.target = "/channels/" + quote(selector, safe="/*$")
        self.query = {"limit": limit or 100, **query}
        self.connection = None
        self.connect = lambda: broker.connect(timeout_s=timeout_s, receive_bytes=receive_bytes)
        self.entries = []
        self.since = "now" if since is None else since
        if since is None:
            self.ask(0)
            assert self.entries == []

    def ask(self, wait_s):
        self.connection = self.connection or self.connect()
        query = {"since": self.since, "wait": f"{wait_s}s" if wait_s else None, **self.query}
        answer = self.connection.request("GET", self.target + query_of(query))
        assert answer.status == 200, answer
        page = answer.json()
        self.entries += in_order([{"gap": gap} for gap in gaps_of(page)], page["messages"])
        self.since = page["next"]

    def entry(self, timeout_s=30):
        end = time.monotonic() + timeout_s
        while not self.entries:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing on a page in {timeout_s} s")
            self.ask(max(1, min(10, int(left))))
        return self.note(self.entries.pop(0))

    def close(self):
        if self.connection is not None:
            self.connection.close()


def open_stream_of_one(broker, selectors, **options):
    return EventReader(broker, selectors, path="/stream", **options)


def open_deflated(broker, selectors, **options):
    return SubscribedReader(broker, selectors, **options, headers={
        "Sec-WebSocket-Extensions": "permessage-deflate"})


KINDS = {"events": EventReader, "websocket": SocketReader, "stream events": open_stream_of_one,
         "subscription": SubscribedReader, "deflated": open_deflated, "pages": PageReader}
STREAMS = {name: kind for name, kind in KINDS.items() if name != "pages"}


class Refusal(Exception):
    """A command was answered with an error: `code` and `message`."""

    def __init__(self, error):
        super().__init__(repr(error))
        self.code, self.message, self.error = error["code"], error["message"], error


class Subscriptions:
    """A WebSocket on /stream. Entries wait, by subscription, while others are asked for."""

    def __init__(self, broker, **options):
        self.websocket = broker.websocket("/stream", **options)
        self.refs = 0
        self.answers, self.waiting, self.started = {}, {}, {}
        self.order = []  # the subscription of each entry, as they came

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.websocket.close()

    def take(self, timeout_s):
        """Reads one message and puts it where it belongs."""
        entry = self.websocket.recv_json(timeout_s)
        if "ref" in entry:
            self.answers[entry["ref"]] = entry
        else:
            self.order.append(entry["sub"])
            self.waiting.setdefault(entry["sub"], []).append(entry)

    def send(self, command):
        """Sends a command with a ref of its own; gives the ref."""
        self.refs += 1
        self.websocket.send_json({**command, "ref": self.refs})
        return self.refs

    def answer(self, ref, timeout_s=30):
        """The ok of a command that was sent; Refusal where it is an error."""
        end = time.monotonic() + timeout_s
        while ref not in self.answers:
            self.take(max(0.01, end - time.monotonic()))
        answer = self.answers.pop(ref)
        assert set(answer) in ({"ref", "ok"}, {"ref", "error"}), answer
        if "error" in answer:
            raise Refusal(answer["error"])
        return answer["ok"]

    def ask(self, command, timeout_s=30):
        return self.answer(self.send(command), timeout_s)

    def subscribe(self, selector, **options):
        """The number of the new subscription."""
        answer = self.ask({"subscribe": selector, **options})
        assert isinstance(answer["sub"], int), answer
        self.started[answer["sub"]] = answer.get("at")
        return answer["sub"]

    def entry(self, number, timeout_s=30):
        """The next entry of one subscription, without its `sub`."""
        end = time.monotonic() + timeout_s
        while not self.waiting.get(number):
            self.take(max(0.01, end - time.monotonic()))
        entry = self.waiting[number].pop(0)
        assert entry.pop("sub") == number
        return entry

    def message(self, number, timeout_s=30):
        """The next envelope of one subscription."""
        while "offset" not in (entry := self.entry(number, timeout_s)):
            assert "gap" not in entry, entry
        return entry

    def messages(self, number, count, timeout_s=60):
        return [self.message(number, timeout_s) for _ in range(count)]
