# SPDX-License-Identifier: Apache-2.0
"""`tidings listen`: verifies webhooks as a receiver would, says what came, answers as told."""
import base64
import hashlib
import hmac
import json
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import pytest

from harness import http
from harness.broker import BAD_WORDS, END_S, find_binary, wait_for

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"x" * 24).decode()
ENVELOPE = {"channel": "tennis/court-1", "offset": 44, "id": "t1x", "data": {"score": "40-15"}}


class Listener:
    """The command under way; its standard output and error are files."""

    def __init__(self, *flags, webhook="0"):
        self.out, self.err = tempfile.NamedTemporaryFile(), tempfile.NamedTemporaryFile()
        self.process = subprocess.Popen(
            [find_binary(), "listen", "--webhook", webhook, *flags], stdin=subprocess.DEVNULL,
            stdout=self.out, stderr=self.err)

    def __enter__(self):
        def url():
            assert self.process.poll() is None, self.read(self.err)
            return re.search(r"listening at (http://\S+)/\n", self.read(self.err))
        self.url = wait_for(url, what="its address").group(1)
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(END_S)
        said = self.read(self.err)
        assert kind or (code == 0 and not BAD_WORDS.search(said)), said

    @staticmethod
    def read(stream):
        return pathlib.Path(stream.name).read_text(encoding="utf-8", errors="replace")

    def lines(self):
        return self.read(self.out).splitlines()

    def secret(self):
        return re.search(r'secret: "(whsec_[^"]+)"', self.read(self.err)).group(1)

    def post(self, body, headers, method="POST"):
        return http.request(self.url, method, "/hook", headers, body)


def sign(body, secret=SECRET, name="msg_1", at=None):
    at = str(int(at or time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": name, "webhook-timestamp": at, "Content-Type": "application/json",
            "webhook-signature": "v1," + base64.b64encode(digest).decode()}


BODY = json.dumps(ENVELOPE).encode()
# Signed when they are sent: what was signed as this file was read may be stale by then.
VERDICTS = {
    "good": (lambda: sign(BODY), 200),
    "wrong": (lambda: sign(BODY, OTHER), 401),
    "stale": (lambda: sign(BODY, at=time.time() - 3000), 401),
    "unsigned": (dict, 401),
    "malformed": (lambda: {**sign(BODY), "webhook-timestamp": "now"}, 401),
}


@pytest.fixture(scope="module", name="listener")
def start_listener():
    with Listener("--secret", SECRET) as one:
        yield one


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_verdict_is_said_and_answered(listener, verdict):
    make_headers, status = VERDICTS[verdict]
    assert listener.post(BODY, make_headers()).status == status
    line = listener.lines()[-1]
    assert re.fullmatch(r"\S+Z " + f"{status} {verdict}( again)? " + r"(msg_1|-) tennis/court-1#44 "
                        + re.escape(BODY.decode()), line), line


def test_two_secrets_in_turn_are_both_good(listener):
    both = sign(BODY, OTHER)
    both["webhook-signature"] += " " + sign(BODY)["webhook-signature"]
    assert listener.post(BODY, both).status == 200


def test_a_secret_is_made_where_none_is_given_and_is_shown():
    with Listener() as one:
        assert one.post(BODY, sign(BODY)).status == 401
        assert one.post(BODY, sign(BODY, one.secret())).status == 200
    with Listener("--secret", SECRET) as one:
        assert SECRET not in one.read(one.err)


FORMS = {
    "array": [ENVELOPE, {**ENVELOPE, "offset": 45}],
    "cloudevents": [{"specversion": "1.0", "source": "/channels/tennis/court-1", "id": "a",
                     "type": "x", "tidingsoffset": offset} for offset in (44, 45)],
}


@pytest.mark.parametrize("form", [*FORMS, "lines"])
def test_the_places_of_a_batch_are_told(listener, form):
    body = b"".join(json.dumps(one).encode() + b"\n" for one in FORMS["array"]) \
        if form == "lines" else json.dumps(FORMS[form]).encode()
    assert listener.post(body, sign(body, name="bat_" + form)).status == 200
    assert f" good bat_{form} tennis/court-1#44-45 (2 messages) " in listener.lines()[-1]


def test_the_place_of_a_bare_payload_is_in_its_headers(listener):
    headers = {**sign(b"\xff\x1b[2J", name="msg_data"), "tidings-channel": "a/b",
               "tidings-offset": "7", "Content-Type": "application/octet-stream"}
    assert listener.post(b"\xff\x1b[2J", headers).status == 200
    line = pathlib.Path(listener.out.name).read_bytes().splitlines()[-1]
    assert b" good msg_data a/b#7 \xff?[2J" in line and b"\x1b" not in line


def test_json_has_the_whole_of_it_and_a_repeat_is_recognised():
    with Listener("--secret", SECRET, "--json", "--status", "202") as one:
        assert one.post(BODY, sign(BODY)).status == 202
        assert one.post(BODY, sign(BODY)).status == 202
        assert one.post(b"\xff", sign(b"\xff", name="msg_2")).status == 202
        first, second, third = [json.loads(line) for line in one.lines()]
    assert (first["signature"], first["webhook_id"], first["repeat"]) == ("good", "msg_1", False)
    assert first["messages"] == [{"channel": "tennis/court-1", "offset": 44}]
    assert first["body"] == BODY.decode() and first["status"] == 202
    assert second["repeat"] is True and third["body_base64"] == "/w=="


def test_the_first_fail_as_told_and_count_as_no_repeat():
    with Listener("--secret", SECRET, "--fail", "2", "--delay", "50") as one:
        assert [one.post(BODY, sign(BODY)).status for _ in range(3)] == [500, 500, 200]
        assert not any(" again " in line for line in one.lines())


def test_it_ends_while_an_answer_is_still_to_come():
    with Listener("--secret", SECRET, "--delay", "600000") as one:
        with http.Connection(one.url) as waiting:
            waiting.send(http.request_bytes(waiting.host, "POST", "/", sign(BODY), BODY))
            wait_for(one.lines, what="the line")
            one.process.send_signal(signal.SIGTERM)
            assert one.process.wait(END_S) == 0


def test_what_is_no_webhook_is_told_so(listener):
    assert listener.post(None, {}, method="GET").status == 405


WRONG = [[], *(["--webhook", word] for word in ("nine", "99999", "65536", ":", "+1", "")),
         ["--webhook", "0", "--secret", "s"], ["--webhook", "0", "--status", "9"],
         ["--webhook", "0", "--fail", "-1"], ["--webhook", "0", "--delay", "x"],
         ["--webhook", "0", "more"]]


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words_are_refused(words):
    done = subprocess.run([find_binary(), "listen", *words], capture_output=True, text=True,
                          check=False, timeout=END_S)
    assert done.returncode == 2 and done.stderr.startswith("tidings: "), done
