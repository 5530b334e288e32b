# SPDX-License-Identifier: Apache-2.0
"""auth.webhook over MQTT: nothing of a client overtakes a question, and nobody else waits."""
import base64

import pytest
from harness import http
from harness import mqtt_packets as packets
from harness.application import Application
from harness.broker import wait_for
from harness.mqtt import PUBACK, V5, Client, name_of
from harness.tokens import ISSUER, Key, hash_of

KEY = Key("HS256")
EVERYTHING = {"publish": ["**"], "subscribe": ["**"], "history": ["**"]}
CONFIG = """
auth:
  keys: [ {{ name: backend, hash: "{hash}", publish: ["**"], subscribe: ["**"] }} ]
  jwt:  [ {{ issuer: "{issuer}", audience: tidings, algorithms: [HS256], key: "{key}" }} ]
  webhook: {{ url: "{url}", on: [{on}], secret: "whsec_{secret}", timeout: 10s, cache: 0s,
              when_down: deny }}
"""


@pytest.fixture(name="application")
def start_application():
    with Application() as application:
        yield application


@pytest.fixture(name="start")
def start_with_webhook(start_broker, application):
    def start(on):
        return start_broker(config=CONFIG.format(
            hash=hash_of("k"), issuer=ISSUER, key=KEY.configured_secret(), url=application.url,
            on=on, secret=base64.b64encode(b"signs the questions").decode()))
    return start


def login(broker, client_id="", subject="alice", **options):
    return Client(broker, V5).connect(client_id, user="", password=KEY.token(
        subject, rights=EVERYTHING), **options)


def come(broker, channel, reason, **options):
    """The client with that name, if it is told that; else one that is closed, which is false."""
    client = Client(broker, V5)
    client.send(packets.connect(name_of(channel), version=V5, user="",
                                password=KEY.token(rights=EVERYTHING), **options))
    client.connack = client.expect(packets.CONNACK)
    return client if client.connack.reason == reason else client.close()


def test_a_connect_waits_for_its_answer_and_all_that_came_with_it(start, application, channel):
    broker = start("connect")
    application.gate.clear()
    with Client(broker, V5) as client:
        client.send(packets.connect("", version=V5, user="",
                                    password=KEY.token(rights=EVERYTHING)),
                    packets.publish(channel, b"1", 1, 1, version=V5))
        wait_for(lambda: application.asked("connect"))
        assert broker.get("/nowhere").status == 404  # others are served
        application.gate.set()
        assert client.expect(packets.CONNACK).reason == 0
        assert client.expect(PUBACK).reason < 0x80
    application.answer = lambda question: {"allow": False}
    with Client(broker, V5) as client:
        client.connect(expect=0x87, user="", password=KEY.token("bob", rights=EVERYTHING))


def test_publishes_keep_their_order_while_some_are_asked_for(start, application, channel):
    broker = start("publish")
    application.answer = lambda question: {"allow": not question["channel"].endswith("/no")}
    with login(broker) as client, login(broker, subject="bob") as reader:
        reader.subscribe(channel + "/#", qos=1)
        names = ["a", "no", "b", "no", "c"]
        client.send(*(packets.publish(f"{channel}/{name}", name.encode(), 1, number, version=V5)
                      for number, name in enumerate(names, 1)))
        answers = [client.expect(PUBACK) for _ in names]
        assert [answer.number for answer in answers] == [1, 2, 3, 4, 5]
        assert [answer.reason == 0x87 for answer in answers] == [name == "no" for name in names]
        assert reader.payloads(3) == [b"a", b"b", b"c"]


def test_a_client_that_goes_while_it_is_asked_for_leaves_nothing_behind(start, application,
                                                                         channel):
    broker = start("publish")
    with login(broker, subject="bob") as reader:
        reader.subscribe(channel, qos=1)
        application.gate.clear()
        with login(broker, name_of(channel)) as client:
            client.send(packets.publish(channel, b"1", 2, 1, version=V5))
            wait_for(lambda: application.asked("publish"))
        with login(broker, name_of(channel)) as again:  # its session is not held up
            application.gate.set()
            again.publish(channel, b"2", 1)
        assert reader.message().payload == b"2"


def test_each_filter_is_asked_for_and_again_when_the_session_comes_back(start, application,
                                                                        channel):
    broker = start("subscribe")
    options = {"clean": False, "values": {"session_expiry": 3600}}
    with login(broker, name_of(channel), **options) as client:
        application.answer = lambda question: {"allow": not question["channel"].endswith("/no")}
        answer = client.subscribe(channel + "/a", channel + "/no", channel + "/b", qos=1,
                                  expect=False)
        assert answer.reasons == [1, 0x87, 1]
    application.answer = lambda question: {"allow": question["channel"].endswith("/b")}
    with login(broker, name_of(channel), **options) as client, login(broker) as publisher:
        assert client.connack.is_present
        for name in "ab":
            publisher.publish(f"{channel}/{name}", name.encode(), 1)
        assert client.message().payload == b"b"


@pytest.mark.parametrize("refused", [{"session_expiry": 3600}, {}], ids=["expiry", "no expiry"])
def test_a_session_loses_nothing_while_the_application_is_down(start, application, channel,
                                                               refused):
    """Nor does a client that would not have kept it: it was not let in."""
    broker = start("subscribe")
    kept = {"clean": False, "values": {"session_expiry": 3600}}
    with come(broker, channel, 0, **kept) as client:
        client.subscribe(channel, qos=1)
    application.answer = lambda question: (503, {})
    come(broker, channel, 0x89, clean=False, values=refused).close()
    application.answer = lambda question: {"allow": True}
    # That it is down is remembered for a moment.
    with wait_for(lambda: come(broker, channel, 0, **kept)) as client, login(broker) as publisher:
        assert client.connack.is_present
        publisher.publish(channel, b"1", 1)
        assert client.message().payload == b"1"


def test_a_connect_that_is_refused_leaves_the_will_that_waits(start, application, channel):
    broker = start("subscribe")
    kept = {"clean": False, "values": {"session_expiry": 3600}}
    will = {"topic": channel, "payload": b"gone", "values": {"will_delay": 3000}}
    with login(broker, subject="bob") as reader:
        reader.subscribe(channel)
        with come(broker, channel, 0, will=will, **kept) as client:
            client.subscribe(channel + "/a")
        application.answer = lambda question: (503, {})
        for _ in range(2):
            come(broker, channel, 0x89, **kept).close()
        come(broker, channel, 0, clean=True).close()  # ends the session before its time
        assert reader.message().payload == b"gone"


def away(broker):
    """The one session that is there, once nobody has it."""
    def find():
        session, = http.request(broker.operator, "GET", "/api/v1/sessions").json()["sessions"]
        return session if session["connection"] is None else None
    return wait_for(find)


def test_a_connect_that_is_refused_does_not_put_off_the_end_of_its_session(start, application,
                                                                           channel):
    """Nor a kill behind it."""
    broker = start("subscribe")
    with come(broker, channel, 0, clean=False, values={"session_expiry": 3600}) as client:
        client.subscribe(channel, qos=1)
    before = away(broker)
    application.answer = lambda question: (503, {})
    come(broker, channel, 0x89, clean=False, values={"session_expiry": 7200}).close()
    assert application.asked("subscribe")
    assert away(broker) == before
    broker.kill()
    broker.start()
    assert away(broker) == before


def test_a_will_is_asked_for_before_the_connack(start, application, channel):
    broker = start("publish")
    application.answer = lambda question: {"allow": False}
    with Client(broker, V5) as client:
        client.connect(expect=0x87, user="", password=KEY.token(rights=EVERYTHING),
                       will={"topic": channel, "payload": b"gone"})
    assert application.asked("publish")[0]["channel"] == channel
