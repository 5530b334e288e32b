# SPDX-License-Identifier: Apache-2.0
"""A client of QoS 1 and 2 that keeps its side of the session when connections are lost."""
from harness.http import TIMEOUT_S, Closed
from harness.mqtt import V5, Client
from harness.mqtt_packets import (PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, acknowledge, publish)

GONE = (Closed, OSError, TimeoutError)


class Durable:
    """`delivered` has each payload that an application would have seen, in order; `outgoing` what
    is not acknowledged: identifier -> (topic, payload, qos), None in place of it behind PUBREC."""

    def __init__(self, name, version=V5, expiry=3600):
        self.name, self.version, self.expiry = name, version, expiry
        self.held, self.delivered, self.outgoing = set(), [], {}
        self.number = 0
        self.client = None
        self.is_known = False

    def connect(self, broker):
        """Goes on with the session, and sends again what was not acknowledged."""
        self.client = Client(broker, self.version)
        values = {"session_expiry": self.expiry} if self.version == V5 else None
        self.client.connect(self.name, clean=False, values=values)
        assert self.client.connack.is_present == self.is_known, f"no session of {self.name}"
        self.is_known = True
        for number, what in self.outgoing.items():
            if what is None:
                self.client.send(acknowledge(PUBREL, number, self.version))
            else:
                topic, payload, qos = what
                self.client.send(publish(topic, payload, qos, number, self.version, dup=True))

    def publish(self, topic, payload, qos=2):
        while True:
            self.number = self.number % 65535 + 1
            if self.number not in self.outgoing:
                break
        self.outgoing[self.number] = (topic, payload, qos)
        self.client.send(publish(topic, payload, qos, self.number, self.version))

    def step(self, timeout_s=TIMEOUT_S):
        """Takes one packet and answers it."""
        got = self.client.recv(timeout_s)
        number = got.number
        if got.kind == PUBLISH:
            if got.qos < 2 or number not in self.held:
                self.delivered.append(got.payload)
            if got.qos == 2:
                self.held.add(number)
            if got.qos:
                self.answer(PUBACK if got.qos == 1 else PUBREC, number)
        elif got.kind == PUBREL:
            self.held.discard(number)
            self.answer(PUBCOMP, number)
        elif got.kind == PUBREC:
            assert number in self.outgoing, got
            self.outgoing[number] = None
            self.answer(PUBREL, number)
        elif got.kind in (PUBACK, PUBCOMP):
            assert number in self.outgoing, got
            del self.outgoing[number]
        else:
            raise AssertionError(got)

    def answer(self, kind, number):
        self.client.send(acknowledge(kind, number, self.version))

    def steps(self, count):
        """So many, or as many as come before the connection is gone."""
        try:
            for _ in range(count):
                self.step(0.05)
        except GONE:
            pass

    def settle(self, is_done):
        """Steps until `is_done()`."""
        while not is_done():
            self.step()

    def cut(self):
        """Loses the connection, whatever is on its way."""
        self.client.close()
