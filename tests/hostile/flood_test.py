# SPDX-License-Identifier: Apache-2.0
"""Many at once: handshakes that are never finished, wrong passwords, connections that come and go,
publishers above their limit."""
import pytest
from harness import mqtt_packets
from harness.broker import wait_for
from harness.tokens import ISSUER, Key, hash_of, key_set

from attacks import Attack, port_of
from bystander import assert_came, play
from forms import DEADLINE_S, IS_LONG, LEAST, SECONDS

pytestmark = [pytest.mark.heavy, pytest.mark.deadline(DEADLINE_S)]

HALF_OPEN = 20000
HALF_OPEN_HELD = 3500  # of each of two attackers: a process here has 20,000 descriptors
BAD_LOGINS_A_MINUTE = 100000
CONNECT = mqtt_packets.connect("", version=5).decode("latin-1")
FIRST_BYTES = {"nothing": ("public", ""),
               "half a request": ("public", "GET /channels/a HTTP/1.1\r"),
               "half a CONNECT": ("mqtt", CONNECT[:6])}
KEY = Key()
AUTH = """
auth:
  keys: [ {{ name: backend, hash: "{hash}", publish: ["**"], subscribe: ["**"], history: ["**"] }},
          {{ name: greedy, hash: "{greedy}", publish: ["**"] }} ]
  jwt:
    - {{ issuer: "{issuer}", audience: tidings, algorithms: [ES256], jwks: "{folder}/es.json" }}
"""
BACKEND = {"Authorization": "Bearer key-of-backend"}


def start_trusting(start_broker, folder, more=""):
    (folder / "es.json").write_text(key_set(KEY), encoding="ascii")
    return start_broker(config=AUTH.format(
        hash=hash_of("key-of-backend"), greedy=hash_of("key-of-greedy"), issuer=ISSUER,
        folder=folder) + more)


@pytest.mark.parametrize("first", FIRST_BYTES)
def test_twenty_thousand_connections_that_say(first, start_broker):
    broker = start_broker()
    port, data = FIRST_BYTES[first]
    seconds = max(SECONDS, 8)
    part = ("half_open", {"port": port_of(getattr(broker, port)), "total": HALF_OPEN // 2,
                          "held": HALF_OPEN_HELD, "first": data})
    told = play(broker, Attack(f"half open: {first}", seconds, part, part))
    assert_came(told, told["opened"] + told["refused"], HALF_OPEN * LEAST)
    # What was held is let go: descriptors and memory come back.
    wait_for(lambda: broker.descriptor_count() < 200, 60, "the descriptors")


@pytest.mark.parametrize("is_held", [False, True], ids=["all looked at", "held by address"])
def test_a_hundred_thousand_bad_logins_a_minute(is_held, start_broker, tmp_path):
    """Loopback is held to no limit of an address, unless that is asked for."""
    broker = start_trusting(start_broker, tmp_path,
                            "limits: { loopback: true }\n" if is_held else "")
    token = KEY.token(rights={"subscribe": ["**"]})
    half = BAD_LOGINS_A_MINUTE / 60 / 2
    told = play(broker, Attack(
        "bad logins", SECONDS,
        ("bad_logins", {"port": port_of(broker.public), "token": token, "rate": half}),
        ("bad_devices", {"port": port_of(broker.mqtt), "token": token, "rate": half})),
        headers=BACKEND)
    wrong = sum(count for name, count in told.items() if name not in (
        "status_401", "status_429", "connack_0x86", "connack_0x9f", "closed", "lost")
        and name.startswith(("status", "connack")))
    assert wrong == 0, told
    tried = sum(count for name, count in told.items()
                if name.startswith(("status", "connack", "closed", "lost")))
    assert_came(told, tried, BAD_LOGINS_A_MINUTE / 60 * SECONDS * LEAST)
    # The address of an honest client is not shut out by what others do.
    assert broker.get("/channels/bystander?since=now", BACKEND).status == 200


@pytest.mark.parametrize("data", ["", "GET /channels/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
                         ids=["bare", "a request", "a hello"])
def test_connections_that_come_and_go(data, start_broker):
    broker = start_broker()
    told = play(broker, Attack("churn", SECONDS, ("churn", {
        "port": port_of(broker.public), "data": data, "rate": 3000})))
    assert_came(told, told["opened"], 1000 * LEAST)
    wait_for(lambda: broker.descriptor_count() < 200, 60, "the descriptors")


@pytest.mark.parametrize("limit", ["connection", "identity", "tenant"])
def test_a_publisher_at_ten_times_its_limit(limit, start_broker, tmp_path):
    """Its own limit stops it; the bystander, whose limit is its own, goes on."""
    rate = 300
    more = {"connection": f"limits: {{ publish_rate: {rate}/s }}\n",
            "identity": f"limits: {{ publish_rate_per_identity: {rate}/s }}\n",
            "tenant": f"tenants: [ {{ name: big, publish_rate: {rate}/s }} ]\n"}[limit]
    broker = start_trusting(start_broker, tmp_path, more)
    token = KEY.token("greedy", rights={"publish": ["**"]},
                      tenant="big" if limit == "tenant" else None)
    attack = Attack("ten times the limit", SECONDS, ("publish", {
        "port": port_of(broker.public), "headers": {"Authorization": "Bearer " + token},
        "channel": "greedy", "rate": 10 * rate}))
    told = play(broker, attack, headers=BACKEND)
    taken, refused = told.get("status_200", 0), told.get("status_429", 0)
    # A second's worth at once and then the rate; without a limit it were ten times that.
    limit = rate * (attack.end - attack.begin + 1)
    assert_came(told, taken, 1)
    assert taken <= 3 * limit, told
    # A machine that is busy does not come to ten times the limit.
    assert refused > taken or taken + refused < limit * 5, told


def test_many_publishers_that_wait_for_no_answer(start_broker):
    broker = start_broker()
    port = port_of(broker.mqtt)
    packet = mqtt_packets.publish("a", b"x" * 100, version=5)
    told = play(broker, Attack("publishes by MQTT", SECONDS, ("talk", {
        "port": port, "first": CONNECT, "again": packet.decode("latin-1"), "connections": 50,
        "rate": 4000 if IS_LONG else 2000})))
    assert_came(told, told["said"], 1000 * LEAST)
