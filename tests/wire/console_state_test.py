# SPDX-License-Identifier: Apache-2.0
"""What the console makes of the rows of connections, in a real browser."""
import json

import pytest
from console_test import fixture_open_console  # noqa: F401
from demo_test import fixture_browser  # noqa: F401  one Chromium is enough

pytestmark = pytest.mark.xdist_group("browser")


def test_the_reason_follows_from_the_row(broker, open_console):
    def row(blocked, *live, sent=100, unsent=0, window_full=False, unacknowledged_ms=0):
        return {"id": 1, "blocked": blocked, "bytes_sent": sent, "bytes_unsent": unsent,
                "window_full": window_full, "unacknowledged_ms": unacknowledged_ms,
                "readers": [{"live": one} for one in live]}

    full = row(True, False, unsent=50)
    cases = [([(0, full)], "socket full"), ([(0, full), (29, full)], "socket full"),
             ([(0, full), (30, full)], "takes nothing"),
             # What the kernel took is no news of the peer.
             ([(0, full), (31, row(True, False, sent=150, unsent=100))], "takes nothing"),
             ([(0, full), (2, row(True, False, unsent=40))], "too slow"),
             ([(0, full), (2, row(True, False, unsent=40)), (4, row(True, False, unsent=40))],
              "too slow"),
             ([(0, full), (2, row(True, False, unsent=40)), (32, row(True, False, unsent=40))],
              "takes nothing"),
             ([(0, row(False, True, window_full=True))], "window full"),
             ([(0, row(False, True, window_full=True, unacknowledged_ms=30000))],
              "not acknowledged"),
             # A member of a shared subscription has no reader, and may be short of its window.
             ([(0, row(False, unacknowledged_ms=30000))], "not acknowledged"),
             ([(0, row(False, True, False))], "reads history"),
             ([(0, row(False, True, True))], "keeps up"), ([(0, row(False))], "no reader")]
    console = open_console(broker)
    said = console.run_module(
        "connections.js",
        f"return {json.dumps([looks for looks, _ in cases])}.map(looks => {{"
        "    const sightings = new it.Sightings();"
        "    return looks.map(([s, row]) => sightings.judge([row], s * 1000)[0].why.word).at(-1);"
        "});")
    assert said == [word for _, word in cases]
