# SPDX-License-Identifier: Apache-2.0
"""auth.webhook: what the application is asked, what its answers do, and who decides when it is
down."""
import base64
import pathlib
import signal
import threading

import pytest
from harness import http, mqtt
from harness.application import Application
from harness.broker import wait_for
from harness.mqtt import Client
from harness.tokens import ISSUER, Key, hash_of
from harness.websocket import Refused

KEY = Key("HS256")
SECRET = b"what the questions are signed with"
RIGHTS = {"publish": ["chat/**"], "subscribe": ["chat/**"], "history": ["chat/**"]}
CONFIG = """
auth:
  keys: [ {{ name: backend, hash: "{hash}", publish: ["**"], subscribe: ["**"], history: ["**"] }} ]
  jwt:  [ {{ issuer: "{issuer}", audience: tidings, algorithms: [HS256], key: "{key}" }} ]
  webhook: {{ url: "{url}", on: [{on}], secret: "whsec_{secret}", timeout: {timeout},
              cache: {cache}, when_down: {when_down} }}
"""


@pytest.fixture(name="application")
def start_application():
    with Application() as application:
        yield application


@pytest.fixture(name="start")
def start_with_webhook(start_broker, application):
    def start(on, *, timeout="20s", cache="30s", when_down="deny", flags=("--workers", "1")):
        return start_broker(*flags, config=CONFIG.format(
            hash=hash_of("key-of-backend"), issuer=ISSUER, key=KEY.configured_secret(),
            url=application.url, on=on, secret=base64.b64encode(SECRET).decode(),
            timeout=timeout, cache=cache, when_down=when_down))
    return start


def bearer(text):
    return {"Authorization": "Bearer " + text}


def token(**options):
    return KEY.token(rights=RIGHTS, **options)


def read(broker, text=None):
    return broker.get("/channels/chat/1?since=earliest",
                      bearer(text) if text is not None else {})


def write(broker, text, channel="chat/1"):
    return broker.request("POST", "/channels/" + channel,
                          {"Content-Type": "application/json", **bearer(text)}, b"1")


def test_who_connects_is_told_with_credentials_and_the_question_is_signed(application, start):
    broker = start("connect")
    text = token(tenant="acme", jti="t-7")
    assert read(broker, text).status == 200
    question = application.questions[0]
    assert question["action"] == "connect"
    assert question["identity"] == {"kind": "token", "sub": "alice", "tenant": "acme",
                                    "issuer": ISSUER, "jti": "t-7"}
    assert question["credentials"] == {"bearer": text}
    assert question["protocol"] == "http" and question["peer"].startswith("127.0.0.1:")
    assert application.is_signed(0, SECRET)
    assert not application.is_signed(0, b"another secret")
    assert "channel" not in question


def test_an_answer_is_remembered_and_another_token_is_another_question(application, start):
    broker = start("connect")
    text = token()
    for _ in range(5):
        assert read(broker, text).status == 200
    assert len(application.questions) == 1
    assert read(broker, token(subject="bob")).status == 200
    assert len(application.questions) == 2


def test_a_cache_of_zero_asks_each_time(application, start):
    broker = start("connect", cache="0s")
    text = token()
    for _ in range(3):
        assert read(broker, text).status == 200
    assert len(application.questions) == 3


def test_the_answer_may_say_how_long_it_is_good(application, start):
    application.answer = lambda _: {"allow": True, "cache": 0}
    broker = start("connect")
    text = token()
    for _ in range(3):
        assert read(broker, text).status == 200
    assert len(application.questions) == 3


def test_whom_the_application_refuses_does_not_get_in(application, start):
    application.answer = lambda _: {"allow": False, "reason": "blocked"}
    broker = start("connect")
    answer = read(broker, token())
    assert answer.status == 403 and "blocked" in answer.json()["detail"]
    with pytest.raises(Refused) as refused:
        broker.websocket("/channels/chat/1", headers=bearer(token(jti="2")))
    assert refused.value.response.status == 403
    assert broker.events("/channels/chat/1", headers=bearer(token(jti="3"))).status == 403
    with Client(broker) as client:
        client.send(mqtt.packets.connect(version=5, user="u", password=token(jti="4")))
        assert client.expect(mqtt.CONNACK).reason == 0x87


def test_the_application_may_know_whom_the_broker_does_not(application, start):
    application.answer = lambda question: {
        "allow": question["credentials"].get("bearer") == "session-of-carol", "sub": "carol",
        "rights": {"publish": ["users/{sub}"], "history": ["chat/**"]}}
    broker = start("connect")
    assert read(broker, "session-of-carol").status == 200
    assert application.questions[0]["identity"] is None
    assert write(broker, "session-of-carol", "users/carol").status == 200
    assert write(broker, "session-of-carol", "users/bob").status == 403
    assert read(broker, "session-of-nobody").status == 401


def test_bad_tokens_are_not_asked_about(application, start):
    broker = start("connect")
    assert read(broker, token(ttl_s=-3600)).status == 401
    assert read(broker, token()[:-2] + "AA").status == 401
    assert not application.questions


def test_publishing_and_subscribing_are_asked_about_by_channel(application, start):
    application.answer = lambda question: {"allow": question["channel"] != "chat/closed"}
    broker = start("subscribe, publish")
    text = token()
    assert write(broker, text).status == 200
    assert write(broker, text, "chat/closed").status == 403
    assert read(broker, text).status == 200
    stream = broker.events("/channels/chat/closed?since=now", headers=bearer(text))
    assert stream.status == 403
    assert [question["channel"] for question in application.asked("publish")] == [
        "chat/1", "chat/closed"]
    assert application.asked("subscribe")[0] == {
        "action": "subscribe", "identity": {"kind": "token", "sub": "alice", "issuer": ISSUER},
        "channel": "chat/1", "history": True}
    assert not application.asked("connect")


def test_the_brokers_own_rules_come_first(application, start):
    broker = start("publish")
    assert write(broker, token(), "other/1").status == 403
    assert not application.questions


def test_an_mqtt_client_is_asked_about_too(application, start):
    application.answer = lambda question: {"allow": question.get("channel") != "chat/closed"}
    broker = start("connect, subscribe, publish")
    with Client(broker) as client:
        client.send(mqtt.packets.connect(version=5, client_id="phone", user="u",
                                         password=token()))
        assert client.expect(mqtt.CONNACK).reason == 0
        assert application.questions[0]["client_id"] == "phone"
        assert application.questions[0]["protocol"] == "mqtt"


@pytest.mark.parametrize("answer", [
    (500, {"allow": True}), (302, {"allow": True}), b"no json", {"allow": "yes"}, {},
    {"allow": True, "rights": {"publish": "chat"}}, b'{"allow":true,"allow":false}',
    b'{"allow":true,"x":"' + b"x" * 70000 + b'"}'])
def test_what_is_no_answer_is_a_no_that_may_be_tried_again(application, start, answer):
    application.answer = lambda _: answer
    broker = start("connect")
    refused = read(broker, token())
    assert refused.status == 503 and "auth.webhook" in refused.json()["detail"]
    broker.stop()
    assert any("WEBHOOK_FAILED" in line for line in broker.logged)


def test_an_application_that_is_slow_is_down(application, start):
    application.gate.clear()
    broker = start("connect", timeout="200ms")
    assert read(broker, token()).status == 503


def test_when_it_is_down_those_whom_the_broker_knows_may_be_let_in(application, start):
    application.answer = lambda _: (500, {})
    broker = start("connect, publish", when_down="allow")
    assert write(broker, token()).status == 200
    assert read(broker, "session-of-nobody").status in (401, 503)


def test_questions_that_are_alike_share_one_call(application, start):
    broker = start("connect", cache="0s")
    application.gate.clear()
    text, answers = token(), []
    threads = [threading.Thread(target=lambda: answers.append(read(broker, text).status))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(application.questions) == 1)
    wait_for(lambda: broker.metric('tidings_connections_open{protocol="http"}') >= 8)
    application.gate.set()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 8
    assert len(application.questions) < 8


def test_a_broker_that_ends_does_not_wait_for_the_application(application, start):
    broker = start("connect", timeout="30s")
    application.gate.clear()
    thread = threading.Thread(target=swallow, args=(broker,))
    thread.start()
    wait_for(lambda: application.questions)
    broker.stop(25)  # less than the application has
    thread.join(60)


def swallow(broker):
    try:
        read(broker, token())
    except (OSError, http.Closed):
        pass  # it ended


# --- a reload while the application is asked ---

def rewrite(broker, before, after):
    """Reads the configuration again with something else in it."""
    path = pathlib.Path(broker.scratch, "tidings.yaml")
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    broker.signal(signal.SIGHUP)
    broker.wait_logged("AUTH_RELOADED")


def in_background(work):
    """The answer comes into a list."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    return thread, answers


def open_socket(broker):
    try:
        with broker.websocket("/channels/chat/1", headers=bearer("key-of-backend")) as socket:
            return socket.recv_close()
    except Refused as refused:
        return refused.response.status


@pytest.mark.parametrize("said", [{}, {"sub": "another"}])
def test_whom_a_reload_put_out_is_not_let_in_by_an_answer_behind_it(application, start, said):
    broker = start("connect")
    application.answer = lambda _: {"allow": True, **said}
    application.gate.clear()
    thread, answers = in_background(lambda: open_socket(broker))
    wait_for(lambda: application.asked("connect"))
    rewrite(broker, hash_of("key-of-backend"), hash_of("key-of-another"))
    application.gate.set()
    thread.join(60)
    assert answers == [503]
    application.answer = lambda _: {"allow": False}
    assert open_socket(broker) == 401


def test_whom_the_application_named_goes_with_the_row_that_let_him_ask(application, start):
    broker = start("connect")
    application.answer = lambda _: {"allow": True, "sub": "another"}
    with broker.websocket("/channels/chat/1", headers=bearer("key-of-backend")) as gone, \
            broker.websocket("/channels/chat/1", headers=bearer(token())) as kept:
        rewrite(broker, hash_of("key-of-backend"), hash_of("key-of-another"))
        assert gone.recv_close() == 4001
        assert write(broker, token()).status == 200
        assert kept.recv_message()["data"] == 1


def test_a_question_to_a_new_application_does_not_wait_for_the_old_one(application, start):
    broker = start("publish")
    application.gate.clear()
    with Application(lambda _: {"allow": False}) as successor:
        thread, answers = in_background(lambda: write(broker, "key-of-backend").status)
        wait_for(lambda: application.asked("publish"))
        rewrite(broker, application.url, successor.url)
        assert write(broker, "key-of-backend").status == 403
        assert len(successor.asked("publish")) == 1
        application.gate.set()
        thread.join(60)
    assert answers == [200]


def test_a_body_behind_the_end_of_its_token_is_not_published_though_it_was_allowed(start,
                                                                                  application):
    """The application said yes when the head came; then the token was revoked."""
    broker = start("publish", cache="0s")
    text = token(jti="late")
    with broker.connect() as slow:
        slow.send(http.request_bytes(broker.host, "POST", "/channels/chat/late",
                                     {**bearer(text), "Content-Length": "3"}) + b"1")
        wait_for(lambda: application.asked("publish"))
        assert http.request(broker.operator, "POST", "/api/v1/revoke",
                            {"Content-Type": "application/json"}, b'{"jti":"late"}').status == 200
        wait_for(lambda: read(broker, text).status == 401)
        slow.send(b"23")
        answer = slow.read_response("POST")
    assert answer.status == 401 and answer.json()["type"] == "/problems/revoked", answer
