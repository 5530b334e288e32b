# SPDX-License-Identifier: Apache-2.0
"""What the console makes of the rows of connections, in a real browser."""
import json

import pytest
from console_test import fixture_open_console  # noqa: F401
from demo_test import fixture_browser  # noqa: F401  one Chromium is enough

pytestmark = pytest.mark.xdist_group("browser")


def test_the_reason_follows_from_the_row(broker, open_console):
    def row(blocked, *live, sent=100, unsent=0, window_full=False, position=0):
        return {"id": 1, "blocked": blocked, "bytes_sent": sent, "bytes_unsent": unsent,
                "window_full": window_full,
                "readers": [{"live": one, "position": position} for one in live]}

    def shut(position=5, sent=100):
        return row(False, True, sent=sent, window_full=True, position=position)

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
             ([(0, shut())], "window full"), ([(0, shut()), (30, shut())], "not acknowledged"),
             # The answer to a ping is no acknowledgement.
             ([(0, shut()), (31, shut(sent=102))], "not acknowledged"),
             ([(0, shut()), (31, shut(position=6))], "acknowledges slowly"),
             ([(0, full), (30, full), (31, shut())], "acknowledges slowly"),
             # A member of a shared subscription has no reader.
             ([(0, row(False, window_full=True)), (30, row(False, window_full=True))],
              "not acknowledged"),
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
