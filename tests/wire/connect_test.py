# SPDX-License-Identifier: Apache-2.0
"""Connecting costs the same at the sixteen thousandth as at the first."""
import os
import pathlib

import pytest

COUNT = 16000
STEP = 1000
RATIO_MAX = 1.3


def cpu_ns(pid):
    """CPU of all threads of a process, in nanoseconds."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        text = pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text(encoding="ascii")
        total += int(text.split()[0])
    return total


@pytest.mark.heavy
@pytest.mark.deadline(300)
def connect_all(broker):
    """CPU of the broker, in us per connection, for each STEP of COUNT connections."""
    sockets, costs = [], []
    for _ in range(200):  # first uses of code and memory are nobody's cost
        broker.websocket("/channels/warm").close()
    try:
        for step in range(COUNT // STEP):
            before = cpu_ns(broker.process.pid)
            for index in range(STEP):
                sockets.append(broker.websocket(
                    f"/channels/many/{index}", source=f"127.0.0.{2 + step}"))
            costs.append((cpu_ns(broker.process.pid) - before) / STEP / 1000)
        print("CPU of the broker, us per connection:", [round(cost) for cost in costs])
        broker.publish("many/1", "x")
        for step in (0, COUNT // STEP - 1):
            assert sockets[step * STEP + 1].recv_json()["data"] == "x"
    finally:
        for one in sockets:
            one.close()
    return costs


def test_the_last_thousand_of_sixteen_cost_what_the_first_did(start_broker):
    """A cost that grows does so each time; one that another process caused does not."""
    for _ in range(3):
        costs = connect_all(start_broker())
        if costs[-1] <= RATIO_MAX * costs[0]:
            return
    assert costs[-1] <= RATIO_MAX * costs[0], costs
