# SPDX-License-Identifier: Apache-2.0
"""The console's page of sinks and sources, in a real browser."""
import json
import re

import pytest
from console_test import HOSTILE, fixture_open_console  # noqa: F401
from demo_test import fixture_browser  # noqa: F401  one Chromium is enough

from harness.receiver import SECRET, Answer, Receiver
from harness.sinks import configuration, webhook

pytestmark = pytest.mark.xdist_group("browser")

SINKS = configuration(
    webhook("RECEIVER", name="good", channels=["good/**"], webhook={"secret": SECRET}),
    webhook("RECEIVER", name="hostile", channels=["hostile/**"], waits=["50ms"]),
    webhook("RECEIVER", name="later", channels=["later/**"], waits=["1h"]),
    sources=[{"name": "site", "mqtt": {"url": "mqtt://127.0.0.1:9", "topics": ["a/#"]}}])


def test_sinks_are_seen_paused_tested_and_their_dead_letters_sent_again(start_broker, open_console):
    with Receiver() as receiver:
        def answer(request):
            channel = request.json()["channel"].split("/")[0]
            return {"hostile": Answer(400, {}, HOSTILE.encode()),
                    "later": Answer(500, {}, b"over capacity")}.get(channel, Answer(200))

        receiver.answer = answer
        broker = start_broker(config=SINKS.replace("RECEIVER", receiver.url))
        console = open_console(broker, "#/sinks")
        rows = console.wait_for_rows(lambda rows: len(rows) == 3, "three sinks")
        assert [row[:2] for row in rows] == [
            ["good", "webhook"], ["hostile", "webhook"], ["later", "webhook"]]
        for name in ("good", "hostile", "later"):
            broker.publish(f"{name}/1", {"n": 1})
        row = console.wait_for_rows(lambda rows: rows[1][7] == "1", "a dead letter")[1]
        assert row[9] == HOSTILE
        row = console.wait_for_rows(lambda rows: rows[2][2] == "retrying", "a retry")[2]
        # An hour and a fifth of it more or less, of which a moment is over.
        assert re.match(r"in (1 h|4[7-9] min|5\d min)", row[8]) and row[9] == "over capacity"
        console.wait_for_rows(lambda rows: rows[0][2] == "live" and rows[0][6] == "1", "delivered")
        assert console.text("[data-field=sources] tbody th") == "site"
        console.picture("sinks")

        def press(index, button):
            console.run("document.querySelectorAll('[data-field=sinks] tbody tr')[arguments[0]]"
                        ".querySelectorAll('button')[arguments[1]].click()", index, button)
        press(0, 0)
        console.wait_for_rows(lambda rows: rows[0][2] == "paused", "paused")
        assert console.rows()[0][-1].startswith("Resume")
        press(0, 0)
        console.wait_for_rows(lambda rows: rows[0][2] == "live", "live again")
        press(0, 1)
        console.wait_for_text("[data-field=told]",
                              r"The test of good: delivered 200 in [\d.]+ [mµ]?s$")
        receiver.answer = Answer(200)
        press(1, 2)
        console.wait_for_text("#confirm-title", "Send the dead letters of hostile again")
        console.run("document.querySelector('#confirm .danger').click()")
        console.wait_for_text("[data-field=told]", "hostile sends 1 dead letter again")
        console.wait_for_rows(lambda rows: rows[1][6] == "1", "delivered after all")


def test_a_row_is_read_as_a_person_would_say_it(broker, open_console):
    """Of states, lags and next attempts, what the page says."""
    now = 1769850309123
    cases = {
        "stateOf": [({"state": "live", "breaker": "closed"}, "live"),
                    ({"state": "catching_up", "breaker": "closed"}, "catching up"),
                    ({"state": "broken", "breaker": "open"}, "broken"),
                    ({"state": "broken", "breaker": "half_open"}, "broken, tries one"),
                    ({"state": "disabled", "breaker": "half_open"}, "disabled")],
        "lagOf": [({"lag_messages": 0, "lag_exact": False, "lag_ms": 0}, "0"),
                  ({"lag_messages": 1200, "lag_exact": True, "lag_ms": 61000},
                   "1,200 (1 min 1 s)"),
                  ({"lag_messages": 7, "lag_exact": False, "lag_ms": 0}, "about 7")],
        "nextOf": [({"next_attempt": None}, "–"),
                   ({"next_attempt": "2026-01-31T09:05:09.500Z"}, "now"),
                   ({"next_attempt": "2026-01-31T09:10:09.123Z"}, "in 5 min")],
        "verdictOf": [({"outcome": "unreached", "status": 0, "detail": None, "took_ms": 2.5},
                       "unreached in 2.5 ms"),
                      ({"outcome": "failed", "status": 500, "detail": "no", "took_ms": 1500},
                       "failed 500 in 1.5 s: no")]}
    console = open_console(broker)
    for name, rows in cases.items():
        given = json.dumps([row for row, _ in rows])
        assert console.run_module("sinks.js", f"return {given}.map(row => it.{name}(row, {now}));"
                                  ) == [said for _, said in rows], name
