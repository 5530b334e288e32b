# SPDX-License-Identifier: Apache-2.0
"""docs/asyncapi.yaml against the running broker: every kind of message, every example, every code.

Messages that come are judged by the schema of their kind, closed: a member that the document does
not name fails. Messages that the document says can be sent are sent as its examples have them.
"""
import base64
import re
import signal

import pytest

from harness import http
from harness.broker import ROOT
from harness.contract import Document
from harness.tokens import ISSUER, Key, key_set
from harness.websocket import TEXT

API = Document("asyncapi.yaml", "@asyncapi/specs/schemas/3.0.0-without-$id.json")
MESSAGES = API.document["components"]["messages"]
SOCKETS = ("channelSocket", "multiplexedSocket")
UNPROVOKED = {"1011": "the broker would have to fail", "1013": "memory would have to be short"}
LEEWAY_S = 60  # broker/limits.h
SOON_S = 4  # room for what is opened with a token before it ends
NEVER_SENT = {1005, 1006, 1015}  # RFC 6455, section 7.4.1


KEY = Key()


def token(patterns, **options):
    return KEY.token(rights={"subscribe": patterns}, **options)


def bearer(patterns, **options):
    return {"Authorization": "Bearer " + token(patterns, **options)}


@pytest.fixture(name="guarded")
def start_guarded_broker(start_broker, tmp_path):
    (tmp_path / "keys.json").write_text(key_set(KEY), encoding="ascii")
    return start_broker(config=f"auth: {{ jwt: [ {{ issuer: '{ISSUER}', audience: tidings, "
                        f"algorithms: [ES256], jwks: '{tmp_path}/keys.json' }} ] }}\n")


def judge(kind, entry):
    API.validate(entry, MESSAGES[kind]["payload"])
    return entry


def kind_of(entry, prefix):
    """What a socket's message is: `prefix` is "subscribed" on /stream."""
    for member, kind in (("error", "error"), ("closed", "closed"), ("done", "done"),
                         ("gap", "gap"), ("at", "progress"),
                         ("offset", "envelope")):
        if member in entry:
            is_alone = kind in ("error", "done", "closed") or not prefix
            return kind if is_alone else prefix + kind.capitalize()
    raise KeyError(entry)


def test_the_document_is_asyncapi():
    assert API.errors_of_form() == []
    for reference in API.references():
        API.at(reference)


def test_every_message_has_an_example_that_is_valid():
    for name, message in MESSAGES.items():
        assert message.get("examples"), name
        for example in message["examples"]:
            judge(name, example["payload"])


def test_a_wrong_message_is_not_valid():
    """The schemas can fail."""
    for kind, entry in (("envelope", {"channel": "a", "offset": 1, "id": "t1A", "data": 1}),
                        ("subscribedProgress", {"at": "t1A"}),
                        ("gap", {"gap": {"channel": "a", "reason": "lost", "id": "t1A"}}),
                        ("published", {"ref": 1, "ok": {"offset": 1, "id": "t1A", "more": 1}})):
        with pytest.raises(AssertionError):
            judge(kind, entry)


def ask(socket, kind, answer_kind, **changes):
    """Sends the example of a command, changed; gives its answer and what came before."""
    command = {**MESSAGES[kind]["examples"][0]["payload"], **changes}
    socket.send_json(judge(kind, command))
    before = []
    while "ref" not in (entry := socket.recv_json()):
        before.append(judge(kind_of(entry, "subscribed"), entry))
    assert entry["ref"] == command["ref"]
    return judge(answer_kind, entry), before


def test_commands_are_taken_as_the_examples_have_them(start_broker):
    with start_broker().websocket("/stream") as socket:
        opened, _ = ask(socket, "subscribe", "subscribed")
        ask(socket, "publish", "published")
        ask(socket, "publish", "published")  # under the same idempotency key
        ask(socket, "unsubscribe", "unsubscribed", unsubscribe=opened["ok"]["sub"])
        ask(socket, "auth", "authorized")  # nobody asks for credentials here
        ask(socket, "unsubscribe", "error", unsubscribe=99)
        ask(socket, "subscribe", "error", subscribe="a+b")


def test_each_kind_comes_on_a_socket_with_subscriptions(start_broker):
    broker = start_broker()
    broker.fill("a/1", 3)
    broker.request("DELETE", "/channels/a/1?offset=2")
    seen = set()
    with broker.websocket("/stream") as socket:
        _, before = ask(socket, "subscribe", "subscribed", subscribe="a/1", since="earliest",
                        limit=2, ref=7)
        entries = list(before)
        while not entries or "done" not in entries[-1]:
            entry = socket.recv_json()
            entries.append(judge(kind_of(entry, "subscribed"), entry))
        seen |= {kind_of(entry, "subscribed") for entry in entries}
        ask(socket, "subscribe", "subscribed", subscribe="a/1", since=99, ref=8)
        entry = socket.recv_json()
        seen.add(kind_of(judge("subscribedGap", entry), "subscribed"))
    assert seen == {"subscribedEnvelope", "subscribedGap", "done"}


def test_each_kind_comes_on_a_socket_of_one_channel(broker, channel):
    broker.post(channel, b"\x00\x01", "image/png", {"Tidings-Event": "e", "Tidings-Key": "k",
                                                    "Tidings-Header-A": "b"})
    with broker.websocket(f"/channels/{channel}?since=earliest") as socket:
        entry = judge("envelope", socket.recv_json())
        assert set(entry) >= {"data_base64", "type", "event", "key", "headers"}
        socket.send_json(judge("publish", {"publish": {"data": 1}, "ref": "x"}))
        answers = [socket.recv_json() for _ in range(2)]
        for answer in answers:
            judge("published" if "ref" in answer else "envelope", answer)
    with broker.websocket(f"/channels/{channel}?since=99") as socket:
        judge("gap", socket.recv_json())
        socket.send_json({"publish": {"data": 1, "channel": "a+b"}})
        judge("error", socket.recv_json())


def test_what_a_new_token_does_not_allow_is_closed(guarded):
    with guarded.websocket("/stream", headers=bearer(["a/**", "b/**"])) as socket:
        ask(socket, "subscribe", "subscribed", subscribe="a/1", ref=1)
        ask(socket, "subscribe", "subscribed", subscribe="b/1", ref=2)
        ask(socket, "auth", "authorized", auth=token(["a/**"]))
        entry = judge("closed", socket.recv_json())
        assert (entry["sub"], entry["closed"]["code"]) == (2, "forbidden")
        ask(socket, "auth", "error", auth="nonsense")
        ask(socket, "subscribe", "error", subscribe="b/1", ref=3)
    with guarded.websocket("/channels/b/1", headers=bearer(["b/**"])) as socket:
        ask(socket, "auth", "authorized", auth=token(["a/**"]))
        assert socket.recv_close() == 1008


def test_an_expired_token_ends_sockets_with_4001_and_events_with_a_word(guarded):
    soon = bearer(["a/**"], ttl_s=SOON_S - LEEWAY_S)
    with guarded.websocket("/channels/a/1", headers=soon) as one, \
            guarded.websocket("/stream", headers=soon) as many, \
            guarded.events("/channels/a/1", headers=soon) as events:
        assert one.recv_close() == many.recv_close() == 4001
        event = events.next()
        assert event.event == "close"
        assert judge("closeEvent", event.json()) == {"code": "token_expired", "reconnect": True}


def test_progress_is_told_where_nothing_was_for_a_reader(broker, channel):
    with broker.websocket(f"/channels/{channel}/quiet") as one, \
            broker.websocket("/stream") as many:
        ask(many, "subscribe", "subscribed", subscribe=f"{channel}/quiet", ref=1)
        broker.fill(channel, 1)
        judge("progress", one.recv_json(60))
        judge("subscribedProgress", many.recv_json(60))


def test_each_kind_of_event_comes(start_broker):
    broker = start_broker()
    broker.fill("a", 2)
    with broker.events("/channels/a?since=earliest") as events:
        event = events.next()
        assert event.event is None and event.id == judge("envelopeEvent", event.json())["id"]
    with broker.events("/channels/a?since=earliest&envelope=none") as events:
        judge("bareEvent", events.next().json())
    with broker.events("/stream?channel=a&channel=b&since=earliest") as events:
        judge("envelopeEvent", events.next().json())
    with broker.events("/channels/a?since=99") as events:
        event = events.next()
        assert event.event == "gap" and event.id == judge("gapEvent", event.json())["id"]
    with broker.events("/channels/a") as events:
        broker.dismiss(events.connection)
        event = events.next()
        assert event.event == "close"
        assert judge("closeEvent", event.json()) == {"code": "operator", "reconnect": True}
    with broker.events("/channels/a") as events:
        http.request(broker.operator, "POST", "/api/v1/drain?over=0s", body=b"")
        assert judge("closeEvent", events.next().json()) == {"code": "draining", "reconnect": True}


@pytest.mark.parametrize("since", API.document["components"]["schemas"]["since"]["examples"])
def test_examples_of_since_are_taken(broker, channel, since):
    broker.fill(channel, 1)
    known = broker.page(channel)["next"]
    since = known if since.startswith("t1") else since
    with broker.websocket(f"/channels/{channel}?since={since}") as socket:
        broker.fill(channel, 1)
        entry = socket.recv_json()
        judge(kind_of(entry, ""), entry)


@pytest.mark.parametrize("name", API.document["components"]["parameters"]["channel"]["examples"])
def test_examples_of_channels_are_taken(start_broker, name):
    broker = start_broker()
    with broker.websocket(f"/channels/{name}") as socket:
        broker.fill("tennis/court-1" if name.startswith("tennis") else "chat/7", 1)
        judge("envelope", socket.recv_json())


# --- how sockets end ----------------------------------------------------------------------------

def end_by_client(broker, socket):
    return socket.finish(1000)


def end_by_operator(broker, socket):
    broker.dismiss(socket.connection)
    return socket.recv_close()


def end_unmasked(broker, socket):
    socket.send_frame(TEXT, b"{}", is_masked=False)
    return socket.recv_close()


def end_binary(broker, socket):
    socket.send_frame(2, b"{}")
    return socket.recv_close()


def end_bad_text(broker, socket):
    socket.send_frame(TEXT, b"\xff\xfe")
    return socket.recv_close()


def end_too_big(broker, socket):
    socket.send_frame(TEXT, b"", length=1 << 40)
    return socket.recv_close()


ENDS = {"1000": end_by_client, "1001": end_by_operator, "1002": end_unmasked, "1003": end_binary,
        "1007": end_bad_text, "1009": end_too_big}


@pytest.mark.parametrize("code", ENDS)
@pytest.mark.parametrize("target", ["/channels/asyncapi", "/stream"])
def test_sockets_end_with_the_codes_that_are_named(broker, target, code):
    with broker.websocket(target) as socket:
        assert ENDS[code](broker, socket) == int(code)


def test_a_reader_that_lags_may_ask_to_be_closed(start_broker):
    broker = start_broker(config="limits: {send_budget: 4KiB}\n")
    with broker.websocket("/channels/a?on_lag=disconnect", receive_bytes=4096) as socket:
        broker.lag(lambda: broker.post("a", b'"' + base64.b64encode(b"x" * 60000) + b'"'))
        assert socket.recv_close() == 4008


def test_a_broker_that_goes_down_says_so(start_broker):
    broker = start_broker()
    with broker.websocket("/channels/a") as one, broker.websocket("/stream") as many:
        broker.signal(signal.SIGTERM)
        assert one.recv_close() == many.recv_close() == 1001
    assert broker.wait() == 0


def test_every_code_that_can_be_sent_is_named():
    """The rows of the code's table, but for reasons that this version does not give."""
    source = (ROOT / "broker/support/error.h").read_text(encoding="utf-8")
    table = source[source.index("CLOSE_REASON_TABLE(X)"):source.index("enum close_reason")]
    rows = re.findall(r'X\(\w+, "(\w+)", (\d+),', table)
    assert len(rows) == table.count("X(CLOSE_")
    planned = {"taken_over"}
    unseen = {"handshake_timeout"}  # before a socket is one
    codes = {code for name, code in rows if name not in planned | unseen}
    named = {code for socket in SOCKETS
             for code in API.document["channels"][socket]["x-close-codes"]}
    assert named == codes - {str(code) for code in NEVER_SENT}
    assert named == set(ENDS) | set(UNPROVOKED) | {"1008", "4001", "4008"}
