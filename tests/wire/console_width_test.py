# SPDX-License-Identifier: Apache-2.0
"""That the console fits the window, however narrow it is and however much there is to show."""
import re

import pytest
from console_test import VIEWS, fixture_open_console, stall  # noqa: F401
from demo_test import fixture_browser  # noqa: F401  one Chromium is enough

from harness.broker import wait_for
from harness.mqtt import connected
from harness.receiver import SECRET
from harness.sinks import declared

pytestmark = pytest.mark.xdist_group("browser")

MANY_MEMBERS = f"""
channels: [ {{ match: "{'rooms/' + 'r' * 300}/**", history: {{ messages: 7 }} }} ]
sinks:
  - name: away
    channels: ["rooms/**"]
    webhook: {{ url: "http://127.0.0.1:9/hook", secret: "{SECRET}" }}
"""
IS_LINK_SEEN = """
const link = document.querySelector('#views [aria-current="page"]').getBoundingClientRect();
return link.width > 0 && link.left >= 0 && link.right <= innerWidth;
"""


def test_a_row_of_many_members_is_shown_below_its_name(start_broker, open_console):
    broker = start_broker(config=MANY_MEMBERS)
    console = open_console(broker, "#/configuration")
    console.wait_for_text(".tree .row h3", "^rooms/")
    terms = console.run("return Object.fromEntries([...document.querySelectorAll("
                        "'.tree .row dl > div')].map(one => [...one.children]"
                        ".map(part => part.textContent)));")
    assert terms["history.messages"] == "7" and terms["webhook.url"] == "http://127.0.0.1:9/hook"
    assert "webhook.ca" not in terms, "what it has nothing for is left out"


@pytest.mark.parametrize("width", [390, 1280, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_view_fits_its_window(start_broker, open_console, width, scheme):
    broker = start_broker(config=MANY_MEMBERS)
    broker.fill("a/1", 60)
    broker.publish("a/1", {"long": "word" * 300}, {"Tidings-Header-Trace": "0" * 200})
    broker.publish("a/" + "n" * 300, 1)
    connected(broker, "n" * 256, clean=False, values={"session_expiry": 7200}).disconnect()
    with broker.websocket("/channels/a/*"), broker.events("/channels/a/1?on_lag=conflate"), \
            declared(broker, "n" * 64):
        stalled, _ = stall(broker, "big")
        console = open_console(broker)
        console.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 1400 if width < 600 else 1000, "deviceScaleFactor": 1,
            "mobile": width < 600})
        console.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for view in VIEWS:
            console.browser.get("about:blank")
            console.browser.get(f"{broker.operator}/{view}")
            console.wait_for_rows(lambda rows: rows, view)
            wide = console.run("return document.documentElement.scrollWidth")
            assert wide <= width, (view, wide)
            wait_for(lambda: console.run(IS_LINK_SEEN), what=f"the link of {view}")
            name = re.sub(r"\W.*", "", view[2:])
            console.picture(f"{name}-{scheme}-{width}")
        stalled.close()
