# SPDX-License-Identifier: Apache-2.0
"""The judges of deliveries see what is wrong; the tests of sinks rest on that."""
import pathlib
import subprocess
import sys

from harness.deliveries import (Progress, disorder, foreign, identity, missing, repeats,
                                unexcused)
from harness.endpoints import Arrival, Endpoints, places_of
from harness.ports import claim

TESTS = pathlib.Path(__file__).parents[1]


def arrival(at_s, name, *offsets, answered=True, body=None):
    return Arrival(at_s, name, [("a", offset) for offset in offsets],
                   body or repr(offsets).encode(), 200 if answered else 0,
                   at_s + 0.01 if answered else None)


def test_what_is_lost_or_invented_is_told():
    assert not missing([("a", 1)], [("a", 1), ("a", 1)])
    assert missing([("a", 1), ("a", 2)], [("a", 1)])
    assert foreign([("a", 1)], [("b", 1)]) and not foreign([("a", 1)], [("a", 1)])


def test_order_may_step_back_once_a_kill_and_has_no_hole():
    assert not disorder([("a", 1), ("b", 1), ("a", 2), ("b", 2)], 0)
    assert disorder([("a", 2)], 0) and disorder([("a", 1), ("a", 3), ("a", 2)], 5)
    back = [("a", 1), ("a", 2), ("a", 3), ("a", 2), ("a", 3), ("a", 4)]
    assert disorder(back, 0) and not disorder(back, 1)


def test_an_id_is_of_the_same_messages_always():
    assert not identity([arrival(1, "x", 1, 2), arrival(2, "x", 1, 2)])
    assert identity([arrival(1, "x", 1, 2), arrival(2, "x", 1)])
    assert identity([arrival(1, "x", 1, 2), arrival(2, "y", 2, 3)])


def test_a_repeat_wants_a_kill_shortly_behind_it():
    twice = [arrival(10, "x", 1), arrival(20, "x", 1)]
    goes_on = steady(8, 30, 0.1)
    assert len(repeats(twice)) == 1
    assert unexcused(twice, [], goes_on) and unexcused(twice, [(15, 16)], goes_on)
    assert unexcused(twice, [(8, 9), (25, 26)], goes_on)
    assert not unexcused(twice, [(10.5, 11)], goes_on)
    assert not unexcused(twice, [(8, 12)], goes_on)  # its answer came to the process that was dead
    assert not unexcused([arrival(10, "x", 1, answered=False), arrival(20, "x", 1)], [], goes_on)


def test_a_repeat_is_judged_by_how_far_the_broker_had_come():
    """Not by a clock: one that stands still stores nothing either."""
    twice = [arrival(10, "x", 1), arrival(20, "x", 1)]
    assert not unexcused(twice, [(15, 16)], steady(8, 10, 0.1))  # nothing was seen since
    assert not unexcused(twice, [(15, 16)], steady(8, 30, 1.5))
    assert unexcused(twice, [(19, 19.5)], steady(8, 30, 1.5))
    assert unexcused(twice, [], steady(8, 10, 0.1))  # nobody was killed


def steady(begin_s, end_s, every_s):
    """A message each so many seconds, that comes as long after its publish."""
    count = int((end_s - begin_s) / every_s)
    begun = {("b", number): begin_s + number * every_s for number in range(count)}
    return Progress(begun, [Arrival(at_s + every_s, "", [place], b"")
                            for place, at_s in begun.items()])


def test_progress_is_one_step_behind_the_other():
    progress = steady(0, 100, 1)  # published at 0, 1, 2 …; each comes a second later
    assert [progress.after(0.5, steps) for steps in (1, 2, 3)] == [2, 3, 4]
    assert progress.after(98.5, 1) == 100 and progress.after(98.5, 2) > 1e9
    late = Progress({("b", 1): 1, ("b", 2): 2}, [Arrival(9, "", [("b", 1)], b""),
                                                 Arrival(3, "", [("b", 2)], b"")])
    assert late.after(1, 1) == 3  # the one behind it came sooner


def test_places_are_read_of_each_form():
    assert places_of(b'{"channel":"a","offset":1}') == [("a", 1)]
    assert places_of(b'[{"channel":"a","offset":1},{"channel":"b","offset":2}]') == \
        [("a", 1), ("b", 2)]
    assert places_of(b'{"channel":"a","offset":1}\n{"channel":"b","offset":2}\n') == \
        [("a", 1), ("b", 2)]


CLAIM = "import sys; from harness.ports import claim; sys.exit(not claim(int(sys.argv[1])))"


def is_free_elsewhere(port):
    """Would the tests of another process take it?"""
    return subprocess.run([sys.executable, "-c", CLAIM, str(port)], cwd=TESTS,
                          check=False).returncode == 0


def test_the_port_of_an_endpoint_is_no_other_tests_up_or_down():
    with Endpoints() as endpoints:
        endpoint = endpoints.add("one")
        assert not claim(endpoint.port) and not is_free_elsewhere(endpoint.port)
        endpoints.stop(endpoint)
        assert not claim(endpoint.port) and not is_free_elsewhere(endpoint.port)
        endpoints.start(endpoint)
