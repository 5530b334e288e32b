# SPDX-License-Identifier: Apache-2.0
"""limits.memory: who is turned away when memory is short, and that the rest goes on."""
import datetime
import math
import threading

import pytest

from harness import http
from harness.broker import is_sanitized, wait_for
from harness.websocket import WebSocket

MIB = 1048576
BUDGET = 160 * MIB
TOLERANCE = 32 * MIB  # what comes between two looks, and what a page under way takes
STALLED = 250
BODY = b'"' + b"x" * MIB + b'"'

own_memory = pytest.mark.skipif(is_sanitized(), reason="memory is not its own there")


class Reader(threading.Thread):
    """Reads all that comes, and knows the offsets. Where a large message finds no room for what its
    socket does not take at once it is let go, and comes again from where it stood."""

    def __init__(self, broker, channel):
        super().__init__(daemon=True)
        self.broker, self.channel = broker, channel
        self.offsets, self.is_done = [], threading.Event()
        self.socket = self.connect("now")
        self.start()

    def connect(self, since):
        return self.broker.websocket(f"/channels/{self.channel}?since={since}", timeout_s=60)

    def run(self):
        while not self.is_done.wait(0.05):
            try:
                while True:
                    self.offsets.append(self.socket.recv_message()["offset"])
            except Exception:  # pylint: disable=broad-except
                pass
            try:
                self.socket = self.connect(self.offsets[-1] if self.offsets else 0)
            except Exception:  # pylint: disable=broad-except
                pass  # newcomers are turned away for a while

    def end(self):
        self.is_done.set()
        self.socket.close()


def publish(broker):
    """The offset, or None where memory was short: told by 503, or by an end without a word to who
    was sending his body."""
    try:
        answer = broker.post("big", BODY)
    except (OSError, http.Closed):
        return None
    if answer.status == 200:
        return answer.json()["offset"]
    assert answer.status == 503 and "retry-after" in answer.headers, answer
    return None


@own_memory
@pytest.mark.heavy
@pytest.mark.deadline(180)
def test_the_process_stays_within_its_memory_and_who_reads_loses_nothing(start_broker):
    broker = start_broker("--workers", "2", config=f"""
limits: {{ memory: {BUDGET // MIB}MiB, send_budget: 4KiB }}
channels: [ {{ match: "**", history: {{ messages: 20 }}, message_bytes_max: 2MiB }} ]
""")
    good = Reader(broker, "big")
    stalled = [WebSocket(broker.public, "/channels/big", receive_bytes=4096, timeout_s=60)
               for _ in range(STALLED)]
    peak, last = 0, 0
    try:
        for _ in range(12):
            last = wait_for(lambda: publish(broker), what="room for a publish")
            peak = max(peak, broker.rss_anon_bytes())
        wait_for(lambda: good.offsets and good.offsets[-1] == last, 60, "the good reader")
        shed = sum(broker.metric(f'tidings_memory_shed_total{{protocol="{name}"}}')
                   for name in ("websocket", "http"))
        assert shed > 0 and broker.wait_logged("MEMORY_SHED")
        assert {line["stage"] for line in broker.log_lines("MEMORY_SHORT")} & {1, 2, 3}
        assert good.offsets == list(range(1, last + 1)), "it lost something"
        assert peak < BUDGET + TOLERANCE, f"{peak / MIB:.0f} MiB"
    finally:
        for one in stalled:
            one.close()
    wait_for(lambda: broker.metric("tidings_memory_level") == 0, 60, "memory")
    assert broker.wait_logged("MEMORY_ENOUGH")
    assert http.request(broker.operator, "GET", "/readyz").status == 200
    assert broker.publish("after", 1)["offset"] == 1
    good.end()


def test_the_budget_is_told(start_broker):
    broker = start_broker(config="limits: { memory: 512MiB }\n")
    wait_for(lambda: broker.metric("tidings_memory_limit_bytes") == 512 * MIB, what="the limit")
    assert broker.metric("tidings_memory_level") == 0
    unlimited = start_broker(config="limits: { memory: unlimited }\n")
    wait_for(lambda: "tidings_memory_limit_bytes" in unlimited.figures(), what="figures")
    assert unlimited.metric("tidings_memory_limit_bytes") == 0


# --- the order -----------------------------------------------------------------------------------

LIMIT = 80 * MIB
BEGINS = {1: 0.803, 2: 0.903}  # of the limit: each stage has begun there
PATIENCE_S = 5  # then readers are closed before the last stage, too
PILED = b'"' + b"x" * 1000000 + b'"'
HEAVY, LIGHT = 24, 4


class Pile:
    """Bodies whose last byte is missing: memory of the broker that a test can put up."""

    def __init__(self, broker, count):
        self.broker, self.begun = broker, []
        self.waiting = [broker.connect() for _ in range(count)]

    def begin_one(self):
        one = self.waiting.pop()
        whole = http.request_bytes(one.host, "POST", "/channels/pile",
                                   {"Content-Type": "application/json"}, PILED)
        self.begun.append(one)
        try:
            one.send(whole[:-1])
        except ConnectionError:
            pass  # publishers are turned away by now

    def level(self):
        return self.broker.metric("tidings_memory_level")

    def has_come(self):
        return self.broker.metric("tidings_bodies_bytes") >= len(self.begun) * len(PILED)

    def reach(self, stage):
        """In few steps, because readers have a patience: so many bodies as are half of what is
        missing, for what bodies take beside themselves is not to reach the next stage as well; and
        one more where what was free and not given back is given back meanwhile."""
        while self.level() < stage:
            missing = BEGINS[stage] * LIMIT - self.broker.rss_anon_bytes()
            for _ in range(math.ceil(max(missing, 0) / 2 / len(PILED))):
                self.begin_one()
            wait_for(lambda: self.level() >= stage or self.has_come(), what=f"stage {stage}")

    def close(self):
        for one in self.waiting + self.begun:
            one.close()


def shed_count(broker):
    return sum(number for name, number in broker.figures().items()
               if name.startswith("tidings_memory_shed_total"))


def moment(line):
    return datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00"))


def post(connection, channel, body):
    return connection.request("POST", "/channels/" + channel,
                              {"Content-Type": "application/json"}, body)


def assert_order(broker, shed):
    """The log tells the stages one after the other, and of no reader before they had their time."""
    short = broker.log_lines("MEMORY_SHORT")
    assert [line["stage"] for line in short[:2]] == [1, 2], short
    assert sum(line["connections"] for line in broker.log_lines("MEMORY_SHED")) == shed
    last = [moment(line) for line in short if line["stage"] == 3]
    patience = moment(short[0]) + datetime.timedelta(seconds=PATIENCE_S - 0.2)
    for line in broker.log_lines("MEMORY_SHED"):
        assert moment(line) >= min([patience] + last), line
    assert moment(broker.wait_logged("MEMORY_ENOUGH")[0]) >= moment(short[1])


@own_memory
@pytest.mark.heavy
def test_newcomers_then_publishers_then_the_readers_that_lag_most_are_turned_away(start_broker):
    broker = start_broker("--workers", "1", config=f"""
limits: {{ memory: {LIMIT // MIB}MiB, send_budget: 4KiB, body_timeout: 5m, handshake_timeout: 1m }}
channels: [ {{ match: "**", message_bytes_max: 2MiB }} ]
""")
    narrow = {"receive_bytes": 4096, "timeout_s": 60}
    heavy = [WebSocket(broker.public, "/channels/large", **narrow) for _ in range(HEAVY)]
    light = [WebSocket(broker.public, "/channels/small", **narrow) for _ in range(LIGHT)]
    good, publisher, pile = broker.websocket("/channels/good"), broker.connect(), Pile(broker, 80)
    try:
        assert post(publisher, "large", BODY).status == 200
        assert post(publisher, "small", b'"' + b"x" * 100000 + b'"').status == 200

        pile.reach(1)
        assert broker.get("/channels/good").status == 503
        assert post(publisher, "good", b"1").status == 200 and good.recv_message()["offset"] == 1
        assert http.request(broker.operator, "GET", "/readyz").status == 503

        pile.reach(2)
        if broker.log_lines("MEMORY_SHED"):
            pytest.skip("this machine is slower than the readers' patience")
        refused = post(publisher, "good", b"2")
        assert refused.status == 503 and "retry-after" in refused.headers, refused

        wait_for(lambda: pile.level() == 0, 60, "memory")
        shed = shed_count(broker)
        assert 0 < shed <= HEAVY, "as many as it took, and none of those that hold little"
        assert broker.get("/channels/good").status == 200
        assert post(publisher, "good", b"3").status == 200 and good.recv_message()["offset"] == 2
        assert len({one.recv_message()["offset"] for one in light}) == 1
        one = pile.begun[0]  # who had begun goes on where memory was short
        one.send(PILED[-1:])
        assert one.read_response("POST").status == 200
        assert_order(broker, shed)
    finally:
        pile.close()
        for one in heavy + light + [good, publisher]:
            one.close()
