# SPDX-License-Identifier: Apache-2.0
"""Kafka behind TLS and a password: what goes in, what comes out, and what is wrong is said without
a secret.

librdkafka before 2.6.1 says its nonce of SCRAM twice, which Kafka 4 takes for wrong credentials.
"""
import json
import pathlib
import signal

import pytest

from harness import http
from harness.broker import wait_for
from harness.certificates import authority
from harness.kafka import client_library

# A Java machine takes seconds to start, and minutes of a processor that many share.
pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.deadline(400)]

PASSWORDS = {"PLAIN": "plain-secret", "SCRAM-SHA-256": "scram-secret",
             "SCRAM-SHA-512": "scram-secret"}
WRONG = "wrong-secret"
KNOWS_SCRAM = 0x020601ff  # librdkafka 2.6.1


@pytest.fixture(scope="module", name="has_scram")
def make_known(shared_kafka):
    """Whether the library can be let in by SCRAM; then Kafka knows `tidings` so too."""
    has_scram = client_library().libversion()[1] >= KNOWS_SCRAM
    if has_scram:
        shared_kafka.let_in("tidings", PASSWORDS["SCRAM-SHA-512"])
    return has_scram


@pytest.fixture(name="orders")
def name_orders(channel):
    return "orders/" + channel


@pytest.fixture(name="topic")
def make_topic(kafka, orders):
    """What the sink writes; what the source reads has `.in` behind it."""
    client, name = kafka.client(), orders.replace("/", ".")
    client.create_topic(name + ".in")
    return client.create_topic(name)


def configure(kafka, topic, mechanism, password=None, signer="Example CA"):
    """A sink and a source, by TLS and with a password."""
    access = json.dumps({
        "brokers": kafka.secure_brokers, "username": "tidings",
        "password": password or PASSWORDS[mechanism],
        "options": ["security.protocol=sasl_ssl", f"sasl.mechanism={mechanism}",
                    f"ssl.ca.location={authority(signer).certificate}",
                    "reconnect.backoff.max.ms=200"]})[1:-1]
    return (f'sinks: [ {{ name: shop, channels: ["orders/**"], start: earliest, format: data, '
            f'kafka: {{ {access} }} }} ]\n'
            f'sources: [ {{ name: lake, channel: "lake", start: earliest, '
            f'kafka: {{ {access}, topics: ["{topic}.in"] }} }} ]\n')


def change(broker, config):
    pathlib.Path(broker.scratch, "tidings.yaml").write_text(config, encoding="utf-8")
    broker.signal(signal.SIGHUP)


def look(broker, path):
    answer = http.request(broker.operator, "GET", path)
    assert answer.status == 200, answer
    return answer


def rows_of(broker):
    """The sink and the source as the operator sees them."""
    return (look(broker, "/api/v1/sinks/shop").json(),
            look(broker, "/api/v1/sources").json()["sources"][0])


def wait_broken(broker):
    def find():
        rows = rows_of(broker)
        return rows if all(row["state"] == "broken" for row in rows) else None
    return [row["detail"] for row in wait_for(find, 120, f"two that are broken: {rows_of(broker)}")]


def put_some(kafka, broker, topic, orders, first=1):
    broker.fill(orders, 10, first=first)
    kafka.client().produce(topic + ".in", [(None, b'{"n":%d}' % n)
                                           for n in range(first, first + 10)])


def assert_all_come(kafka, broker, topic, count):
    """Through the sink into Kafka, and through the source out of it."""
    records = kafka.client().wait_for(topic, count)
    assert [json.loads(record.value)["n"] for record in records] == list(range(1, count + 1))
    wait_for(lambda: (broker.page("lake")["last"] or 0) >= count, what="what the source reads")
    messages = broker.all_messages("lake")[0]
    assert [message["data"]["n"] for message in messages] == list(range(1, count + 1))


def assert_no_secret(broker):
    shown = [look(broker, path).body.decode() for path in
             ("/api/v1/sinks", "/api/v1/sinks/shop", "/api/v1/sources", "/metrics")]
    events = json.dumps([broker.all_messages(f"$events/{kind}")[0]
                         for kind in ("sinks/shop", "sources/lake")])
    for text in (*shown, events, "\n".join(broker.logged)):
        for secret in (*PASSWORDS.values(), WRONG):
            assert secret not in text


@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_a_sink_and_a_source_go_in_by_tls_with_a_password(kafka, start_broker, topic, orders,
                                                          mechanism, has_scram):
    """Where the library has no SCRAM that Kafka takes, that is told, and PLAIN finds all."""
    broker = start_broker(config=configure(kafka, topic, mechanism))
    put_some(kafka, broker, topic, orders)
    if mechanism != "PLAIN" and not has_scram:
        for detail in wait_broken(broker):
            assert "Authentication failed" in detail, detail
        change(broker, configure(kafka, topic, "PLAIN"))
    assert_all_come(kafka, broker, topic, 10)
    assert_no_secret(broker)


def test_a_wrong_password_is_told_and_nothing_is_lost(kafka, start_broker, topic, orders):
    broker = start_broker(config=configure(kafka, topic, "PLAIN", WRONG))
    put_some(kafka, broker, topic, orders)
    for detail in wait_broken(broker):
        assert "Authentication failed" in detail, detail
    assert_no_secret(broker)
    change(broker, configure(kafka, topic, "PLAIN"))
    put_some(kafka, broker, topic, orders, first=11)
    assert_all_come(kafka, broker, topic, 20)
    assert_no_secret(broker)


def test_an_authority_that_is_not_believed_is_told_and_nothing_is_lost(kafka, start_broker, topic,
                                                                       orders):
    broker = start_broker(config=configure(kafka, topic, "PLAIN", signer="Another CA"))
    put_some(kafka, broker, topic, orders)
    for detail in wait_broken(broker):
        assert "certificate verify failed" in detail, detail
    change(broker, configure(kafka, topic, "PLAIN"))
    assert_all_come(kafka, broker, topic, 10)
    assert_no_secret(broker)
