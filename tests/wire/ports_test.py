# SPDX-License-Identifier: Apache-2.0
"""The port of MQTT beside the public one: where it is, and that they share their limits."""
import socket

import pytest

from harness import http
from harness.broker import wait_for
from harness.mqtt import connected


def connect(broker, count=1):
    return [socket.create_connection(("127.0.0.1", broker.mqtt_port), timeout=20)
            for _ in range(count)]


def status(broker):
    return http.request(broker.operator, "GET", "/api/v1/status").json()


def is_ended(connection):
    """The broker has closed it, with a reset or in order."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_the_broker_says_where_mqtt_is(start_broker):
    broker = start_broker()
    said = f"127.0.0.1:{broker.mqtt_port}"
    assert status(broker)["mqtt"] == said
    assert broker.wait_logged("STARTED")[0]["mqtt_listen"] == said
    for one in connect(broker):
        one.close()


def test_mqtt_may_be_off(start_broker):
    broker = start_broker("--mqtt", "off")
    assert broker.mqtt is None and status(broker)["mqtt"] == "off"
    assert broker.publish("a", 1)["offset"] == 1


def test_each_worker_accepts_at_the_port_of_mqtt(start_broker):
    broker = start_broker("--workers", "3")
    sockets = connect(broker, 60)
    wait_for(lambda: status(broker)["connections"] == 60, what="60 connections")
    for one in sockets:
        one.close()
    wait_for(lambda: status(broker)["connections"] == 0, what="their end")


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
def test_the_ports_share_a_limit(start_broker, limit):
    broker = start_broker(config=f"limits: {{{limit}: 3, loopback: true}}\n")
    sockets = [connected(broker, name) for name in "ab"]
    wait_for(lambda: status(broker)["connections"] == 2, what="2 connections")
    with broker.connect() as third:
        assert third.request("GET", "/channels/a").status == 200
        fourth = connect(broker)[0]
        if limit == "connections_per_address":
            assert is_ended(fourth)
        else:
            broker.wait_logged("CONNECTIONS_FULL")
        fourth.close()
    for one in sockets:
        one.close()


def test_a_drain_ends_what_came_by_the_port_of_mqtt(start_broker):
    broker = start_broker("--workers", "2")
    sockets = connect(broker, 8)
    wait_for(lambda: status(broker)["connections"] == 8, what="8 connections")
    broker.stop()
    assert all(is_ended(one) for one in sockets)
    for one in sockets:
        one.close()
