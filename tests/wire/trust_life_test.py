# SPDX-License-Identifier: Apache-2.0
"""What happens to a stream when the trust in it ends: expired, revoked, its row gone, renewed; one
table for every protocol. And the key sets: rotated, down, silent."""
import json
import signal
import time

import pytest
from harness import certificates, http
from harness.broker import Broker, wait_for
from harness.http import Closed
from harness.mqtt import V3, V5, Client
from harness.readers import Refusal, Subscriptions
from harness.sse import EventStream
from harness.tokens import ISSUER, Key, KeyServer, hash_of, key_set
from harness.trust import TRIES, Who, publish_by_post
from harness.websocket import PeerClosed

KEY = Key()
LEEWAY_S = 60  # broker/limits.h
SOON_S = 4  # room for what is opened with a token before it ends
RIGHTS = {"publish": ["chat/**"], "subscribe": ["chat/**"], "history": ["chat/**"]}
CONFIG = """
auth:
  keys: [ {{ name: backend, hash: "{hash}", publish: ["**"], subscribe: ["**"] }},
          {{ name: guest, hash: "{guest}", publish: ["**"], subscribe: ["**"] }} ]
  jwt:  [ {{ issuer: "{issuer}", audience: tidings, algorithms: [ES256], jwks: "{jwks}" }} ]
"""


def config_of(jwks):
    return CONFIG.format(hash=hash_of("key-of-backend"), guest=hash_of("key-of-guest"),
                         issuer=ISSUER, jwks=jwks)


@pytest.fixture(scope="module", name="trusting")
def start_trusting_broker(tmp_path_factory):
    path = tmp_path_factory.mktemp("trust") / "es.json"
    path.write_text(key_set(KEY), encoding="ascii")
    broker = Broker(config=config_of(path))
    try:
        yield broker.start()
        broker.stop()
    finally:
        broker.close()


def token(subject="alice", ends_in_s=None, **claims):
    """`ends_in_s`: when the broker ends what it opened, leeway and all."""
    if ends_in_s is not None:
        claims["exp"] = int(time.time()) + ends_in_s - LEEWAY_S
    return KEY.token(subject, rights=claims.pop("rights", RIGHTS), **claims)


def fields_of(text):
    return {"Authorization": "Bearer " + text}


# --- a request that takes its time ----------------------------------------------------------------


@pytest.mark.parametrize("reason", ["revoked", "token-expired"])
def test_a_body_that_comes_behind_the_end_of_its_token_is_not_published(trusting, channel, reason):
    """Else who drips a body could publish hours later."""
    channel = "chat/" + channel
    ends_in_s = SOON_S if reason == "token-expired" else None
    text = token("late", ends_in_s=ends_in_s, jti=channel)
    with trusting.connect() as slow:
        slow.send(http.request_bytes(trusting.host, "POST", "/channels/" + channel,
                                     {**fields_of(text), "Content-Length": "3"}) + b"1")
        if reason == "revoked":
            assert http.request(trusting.operator, "POST", "/api/v1/revoke",
                                {"Content-Type": "application/json"},
                                json.dumps({"jti": channel}).encode()).status == 200
        wait_for(lambda: trusting.get("/channels/" + channel, fields_of(text)).status == 401)
        slow.send(b"23")
        answer = slow.read_response("POST")
    assert answer.status == 401 and answer.json()["type"] == "/problems/" + reason, answer
    page = trusting.get(f"/channels/{channel}?since=earliest", fields_of(token("other")))
    assert page.json()["messages"] == []


# --- how each protocol opens a stream of a channel, and how it is told the end ------------------


class Events:
    def __init__(self, broker, channel, text):
        self.stream = EventStream(broker.public, "/channels/" + channel, fields_of(text),
                                  context=broker.context)
        assert self.stream.status == 200

    def receive(self):
        return self.stream.next().json()["data"]

    def end(self):
        event = self.stream.next(30)
        assert event.event == "close", event
        with pytest.raises((EOFError, Closed)):
            self.stream.block(15)
        return event.json()["code"], event.json()["reconnect"]

    def close(self):
        self.stream.close()


class Socket:
    def __init__(self, broker, channel, text):
        self.socket = broker.websocket("/channels/" + channel, headers=fields_of(text))

    def receive(self):
        return self.socket.recv_message()["data"]

    def end(self):
        return self.socket.recv_close(30)

    def renew(self, text):
        self.socket.send_json({"auth": text, "ref": 1})
        while "ref" not in (answer := self.socket.recv_json()):
            pass
        return answer

    def close(self):
        self.socket.close()


class Subscription(Socket):
    def __init__(self, broker, channel, text):
        self.subscriptions = Subscriptions(broker, headers=fields_of(text))
        self.socket = self.subscriptions.websocket
        self.number = self.subscriptions.subscribe(channel)

    def receive(self):
        return self.subscriptions.message(self.number)["data"]


class Device:
    version, transport = V5, "tcp"

    def __init__(self, broker, channel, text):
        self.client = Client(broker, self.version, self.transport)
        self.client.connect(user="", password=text)
        self.client.subscribe(channel)

    def receive(self):
        return json.loads(self.client.message().payload)

    def end(self):
        return self.client.end(30)

    def close(self):
        self.client.close()


class OldDevice(Device):
    version = V3


class PageDevice(Device):
    transport = "websocket"


PROTOCOLS = {"sse": Events, "websocket": Socket, "stream": Subscription, "mqtt 5.0": Device,
             "mqtt 3.1.1": OldDevice, "mqtt over websocket": PageDevice}

# What the reader is told when its token expires, and when it is revoked.
ENDS = {
    "sse": (("token_expired", True), ("revoked", False)),
    "websocket": (4001, 1008),
    "stream": (4001, 1008),
    "mqtt 5.0": (0xA0, 0x87),
    "mqtt 3.1.1": (None, None),
    "mqtt over websocket": (0xA0, 0x87),
}
each_protocol = pytest.mark.parametrize("name", ENDS)


def revoke(broker, **what):
    answer = http.request(broker.operator, "POST", "/api/v1/revoke",
                          {"Content-Type": "application/json"}, json.dumps(what).encode())
    assert answer.status in (200, 204), answer
    return answer


def hears(broker, stream, channel):
    """Does the stream still bring what is published?"""
    assert broker.post(channel, b'"still"', headers=fields_of("key-of-backend")).status == 200
    return stream.receive() == "still"


@each_protocol
def test_a_stream_ends_when_its_token_does(trusting, name):
    channel = f"chat/expire/{name.replace(' ', '-')}"
    other = PROTOCOLS[name](trusting, channel, token())
    stream = PROTOCOLS[name](trusting, channel, token(ends_in_s=SOON_S))
    assert hears(trusting, stream, channel) and other.receive() == "still"
    assert stream.end() == ENDS[name][0]
    assert hears(trusting, other, channel)  # another's token is another's
    stream.close()
    other.close()


@each_protocol
@pytest.mark.parametrize("by", ["jti", "sub"])
def test_a_stream_ends_at_once_when_its_token_is_revoked(trusting, name, by):
    slug = f"{by}-{name.replace(' ', '-')}"
    channel = f"chat/revoke/{slug}"
    secret = token("sub-of-" + slug, jti="jti-of-" + slug)
    stream = PROTOCOLS[name](trusting, channel, secret)
    other = PROTOCOLS[name](trusting, channel, token("another", jti="another"))
    assert hears(trusting, stream, channel) and other.receive() == "still"
    revoke(trusting, **{by: f"{by}-of-{slug}"})
    assert stream.end() == ENDS[name][1]
    assert trusting.get("/channels/" + channel, fields_of(secret)).status == 401
    assert hears(trusting, other, channel)
    stream.close()
    other.close()


@each_protocol
def test_a_revocation_reaches_tokens_of_a_clock_that_is_ahead(trusting, name):
    tenant = "ahead-" + name.replace(" ", "-").replace(".", "-")
    issued_s = int(time.time()) + LEEWAY_S - 5
    seen = token(tenant=tenant, iat=issued_s, jti="seen")
    unseen = token(tenant=tenant, iat=issued_s + 2, jti="unseen")
    stream = PROTOCOLS[name](trusting, "chat/1", seen)
    told = revoke(trusting, sub="alice", tenant=tenant).json()
    assert stream.end() == ENDS[name][1]
    for text in (seen, unseen):
        assert trusting.get("/channels/chat/1", fields_of(text)).status == 401
    # Which holds when the clock here comes to its `iat`, too.
    assert told["revoked"][:19] == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(issued_s))
    stream.close()


def test_who_logs_in_after_a_revocation_is_let_in_at_once(trusting):
    fields = fields_of(token("dora", jti="first"))
    assert trusting.get("/channels/chat/1", fields).status == 200
    revoked = revoke(trusting, sub="dora").json()["revoked"]
    wait_for(lambda: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) > revoked[:19])
    assert trusting.get("/channels/chat/1", fields_of(token("dora"))).status == 200
    assert trusting.get("/channels/chat/1", fields).status == 401


@each_protocol
def test_a_whole_tenant_can_be_revoked(trusting, name):
    slug = name.replace(" ", "-").replace(".", "-")
    stream = PROTOCOLS[name](trusting, "chat/1", token(tenant="t-" + slug))
    other = PROTOCOLS[name](trusting, "chat/1", token(tenant="u-" + slug))
    revoke(trusting, tenant="t-" + slug)
    assert stream.end() == ENDS[name][1]
    answer = trusting.post("chat/1", b'"still"', headers=fields_of(token(tenant="u-" + slug)))
    assert answer.status == 200 and other.receive() == "still"
    stream.close()
    other.close()


def test_a_revocation_survives_a_restart(start_broker, tmp_path):
    path = tmp_path / "es.json"
    path.write_text(key_set(KEY), encoding="ascii")
    broker = start_broker(config=config_of(path))
    secret = token("gone", jti="gone-1")
    assert broker.get("/channels/chat/1", fields_of(secret)).status == 200
    revoke(broker, jti="gone-1")
    assert broker.get("/channels/chat/1", fields_of(secret)).status == 401
    broker.kill()
    broker.start()
    answer = broker.get("/channels/chat/1", fields_of(secret))
    assert answer.status == 401 and "revoked" in answer.json()["type"], answer
    assert broker.get("/channels/chat/1", fields_of(token("gone", jti="gone-2"))).status == 200


@pytest.mark.parametrize("name", ["websocket", "stream"])
def test_a_new_token_in_place_keeps_the_stream_beyond_the_old_one(trusting, name):
    channel = f"chat/renew/{name}"
    stream = PROTOCOLS[name](trusting, channel, token("carol", ends_in_s=SOON_S))
    answer = stream.renew(token("carol"))
    assert "ok" in answer, answer
    trusting.let_pass(SOON_S)
    assert hears(trusting, stream, channel)
    stream.close()


@pytest.mark.parametrize("name", ["websocket", "stream"])
@pytest.mark.parametrize("wrong", ["subject", "tenant", "expired", "nonsense"])
def test_another_identity_cannot_be_taken_in_place(trusting, name, wrong):
    channel = f"chat/renew/{name}/{wrong}"
    stream = PROTOCOLS[name](trusting, channel, token("carol"))
    answer = stream.renew({"subject": token("dave"), "tenant": token("carol", tenant="acme"),
                           "expired": token("carol", ttl_s=-3600), "nonsense": "x.y.z"}[wrong])
    assert "error" in answer, answer
    assert hears(trusting, stream, channel)  # the old one is still good
    stream.close()


def test_a_new_token_with_fewer_rights_ends_what_it_does_not_allow(trusting):
    stream = PROTOCOLS["websocket"](trusting, "chat/less", token("carol"))
    stream.socket.send_json({"auth": token("carol", rights={"subscribe": ["chat/more"]}), "ref": 1})
    assert stream.socket.recv_close() == 1008
    with Subscriptions(trusting, headers=fields_of(token("carol"))) as both:
        kept, lost = both.subscribe("chat/more"), both.subscribe("chat/less")
        both.ask({"auth": token("carol", rights={"subscribe": ["chat/more"]})})
        entry = both.entry(lost)
        assert entry["closed"]["code"] == "forbidden", entry
        assert trusting.post("chat/more", b"7",
                             headers=fields_of("key-of-backend")).status == 200
        assert both.message(kept)["data"] == 7
        with pytest.raises(Refusal):
            both.subscribe("chat/less")


def word_or_end(broker, text):
    try:
        return publish_by_post(broker, Who("guest", text), "chat/1")
    except Closed:
        return "ended"


@each_protocol
def test_a_key_that_is_taken_out_of_the_configuration_ends_its_streams(start_broker, tmp_path,
                                                                       name):
    path = tmp_path / "es.json"
    path.write_text(key_set(KEY), encoding="ascii")
    config = tmp_path / "own.yaml"
    config.write_text(config_of(path), encoding="utf-8")
    broker = start_broker("--config", str(config))
    guest = PROTOCOLS[name](broker, "chat/1", "key-of-guest")
    backend = PROTOCOLS[name](broker, "chat/1", "key-of-backend")
    alice = PROTOCOLS[name](broker, "chat/1", token())
    text = config_of(path)
    start = text.index("          { name: guest")
    config.write_text(text[:start].rstrip().rstrip(",") + " ]\n" + text[text.index("  jwt:"):],
                      encoding="utf-8")
    broker.signal(signal.SIGHUP)
    assert guest.end() == ENDS[name][1]
    # A request that is under way just then is cut off like a stream.
    wait_for(lambda: word_or_end(broker, "key-of-guest") == "invalid", what="the refusal")
    assert hears(broker, backend, "chat/1") and alice.receive() == "still"
    for stream in (guest, backend, alice):
        stream.close()


def test_who_is_not_concerned_by_a_reload_is_answered_while_it_goes_on(start_broker, tmp_path):
    """Also one whose connection is there, and has not said yet who it is."""
    path = tmp_path / "es.json"
    path.write_text(key_set(KEY), encoding="ascii")
    config = tmp_path / "own.yaml"
    with_guest = config_of(path)
    without = with_guest.replace(hash_of("key-of-guest"), hash_of("key-of-another"))
    config.write_text(with_guest, encoding="utf-8")
    broker = start_broker("--config", str(config))
    for turn in range(10):
        config.write_text(with_guest if turn % 2 else without, encoding="utf-8")
        broker.signal(signal.SIGHUP)
        for _ in range(20):
            assert broker.post("chat/1", b"1",
                               headers=fields_of("key-of-backend")).status == 200
        wait_for(lambda turn=turn: len(broker.log_lines("AUTH_RELOADED")) > turn)


# --- certificates of clients ------------------------------------------------------------------

BRIEF_S = 20  # room for three handshakes and a request before it ends
DEVICES = """
auth:
  certificates:
    - {{ subject: "CN=device-*,O=Example", name: "{{cn}}", subscribe: ["devices/**"] }}
public: {{ tls: {{ certificate: "{pair[0]}", key: "{pair[1]}", client_ca: "{ca}",
                  client_certificates: optional }} }}
mqtt: {{ tls_listen: "127.0.0.1:0" }}
"""


@pytest.fixture(name="certified")
def start_a_broker_for_devices(start_broker, tmp_path):
    config = tmp_path / "own.yaml"
    config.write_text(DEVICES.format(pair=certificates.server_pair(),
                                     ca=certificates.authority().certificate), encoding="utf-8")
    broker = start_broker("--config", str(config), context=certificates.client_context())
    broker.path = config
    return broker


def open_as(broker, pair):
    broker.context = certificates.client_context(pair)
    return broker.websocket("/channels/devices/x"), Client(broker, V5, "tls").connect()


def test_a_connection_ends_with_the_certificate_of_its_client(certified):
    socket, device = open_as(certified, certificates.brief_client_pair("device-brief", BRIEF_S))
    with certified.connect() as kept:
        assert kept.request("GET", "/channels/devices/x").status == 403
        assert socket.recv_close(30) == ENDS["websocket"][0]
        assert device.end(30) == ENDS["mqtt 5.0"][0]
        answer = kept.request("GET", "/channels/devices/x")
        assert (answer.status, answer.json()["type"]) == (401, "/problems/token-expired"), answer


@pytest.mark.parametrize("row, end", [("other-*", 1), ("device-7*", 0)])
def test_a_certificate_whose_row_is_gone_is_told_so(certified, row, end):
    """One whose row is another may come back."""
    socket, device = open_as(certified, certificates.client_pair("device-7"))
    text = certified.path.read_text(encoding="utf-8")
    certified.path.write_text(text.replace("device-*", row), encoding="utf-8")
    certified.signal(signal.SIGHUP)
    assert socket.recv_close(30) == ENDS["websocket"][end]
    assert device.end(30) == ENDS["mqtt 5.0"][end]


# --- key sets ---------------------------------------------------------------------------------


@pytest.fixture(name="keys")
def start_key_server():
    with KeyServer(KEY) as server:
        yield server


def word(broker, key, **claims):
    return publish_by_post(broker, Who("x", key.token(rights=RIGHTS, **claims)), "chat/1")


@pytest.mark.deadline(180)
def test_a_key_that_is_new_in_the_set_is_fetched_when_it_is_seen(start_broker, keys):
    broker = start_broker(config=config_of(keys.url))
    assert word(broker, KEY) == "yes"
    fresh = Key("ES256", "fresh")
    keys.keys.append(fresh)
    # At most one fetch a minute for kids that nobody knows: the first was at the start.
    assert wait_for(lambda: word(broker, fresh) == "yes", 80, "the rotated key")
    assert word(broker, KEY) == "yes"


def test_unknown_kids_cause_no_more_than_one_fetch_a_minute(start_broker, keys):
    broker = start_broker(config=config_of(keys.url))
    assert word(broker, KEY) == "yes"
    before = keys.requests
    for number in range(50):
        assert word(broker, Key("ES256", "two"), header=None, jti=str(number)) == "invalid"
    assert keys.requests <= before + 1


@pytest.mark.parametrize("mode", ["down", "silent", "garbage"])
def test_keys_that_are_known_keep_working_while_the_set_is_gone(start_broker, keys, mode):
    broker = start_broker(config=config_of(keys.url))
    assert word(broker, KEY) == "yes"
    keys.mode = mode
    assert word(broker, KEY, jti="1") == "yes"
    assert word(broker, Key("ES256", "two"), jti="2") == "invalid"  # asked for, and told in time
    assert word(broker, KEY, jti="3") == "yes"
    assert broker.get("/channels/chat/1", fields_of("key-of-backend")).status == 403


@pytest.mark.parametrize("action, name", [key for key in TRIES if key[0] != "delete"])
def test_a_set_that_is_down_is_told_by_every_protocol(start_broker, keys, action, name):
    broker = start_broker(config=config_of(keys.url))
    known = Who("known", KEY.token(rights=RIGHTS))
    assert TRIES[action, name](broker, known, "chat/1") == "yes"
    keys.mode = "down"
    fresh = Who("fresh", KEY.token(rights=RIGHTS, jti="fresh"))  # which no cache knows
    assert TRIES[action, name](broker, fresh, "chat/1") == "yes"
    unknown = Who("unknown", Key("ES256", "two").token(rights=RIGHTS))
    assert TRIES[action, name](broker, unknown, "chat/1") == "invalid"


@pytest.mark.deadline(180)
def test_a_broker_whose_key_set_is_down_starts_all_the_same(start_broker, keys):
    keys.mode = "down"
    broker = start_broker(config=config_of(keys.url))
    assert word(broker, KEY) == "invalid"
    assert publish_by_post(broker, Who("key", "key-of-backend"), "chat/1") == "yes"
    keys.mode = "up"
    assert wait_for(lambda: word(broker, KEY) == "yes", 80, "the key set")


def test_a_socket_that_waits_for_the_key_set_holds_up_nobody(start_broker, keys):
    broker = start_broker("--workers", "1", config=config_of(keys.url))
    assert word(broker, KEY) == "yes"
    keys.mode = "silent"
    with broker.connect() as waiting, broker.connect() as other:
        waiting.send(http.request_bytes(waiting.host, "GET", "/channels/chat/1",
                                        fields_of(Key("ES256", "two").token())))
        for _ in range(20):
            assert other.request("POST", "/channels/chat/1", {
                "Content-Type": "application/json", **fields_of("key-of-backend")},
                b"1").status == 200
        try:
            assert waiting.read_response().status == 401
        except PeerClosed:
            pytest.fail("the one that waited was dropped")
