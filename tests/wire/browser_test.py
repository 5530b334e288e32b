# SPDX-License-Identifier: Apache-2.0
"""WebSockets as a real browser opens them: permessage-deflate, /stream, several subscriptions."""
import pytest
from demo_test import fixture_browser  # noqa: F401  one Chromium is enough for both

pytestmark = pytest.mark.xdist_group("browser")

# Opens a socket, does as `ready` says when it is open, and hands back what the extensions are and
# the first `count` messages.
SCRIPT = """
const [url, ready, count, done] = arguments;
const socket = new WebSocket(url), got = [];
socket.onopen = () => ready.forEach((command) => socket.send(JSON.stringify(command)));
socket.onerror = () => done({error: "error"});
socket.onclose = (event) => done({error: event.code});
socket.onmessage = (event) => {
  got.push(JSON.parse(event.data));
  if (got.length === count) {
    socket.onclose = null;
    done({extensions: socket.extensions, got});
  }
};
"""


def talk(browser, broker, target, ready, count):
    browser.set_script_timeout(60)
    browser.get(f"http://{broker.host}/demo")
    answer = browser.execute_async_script(SCRIPT, f"ws://{broker.host}{target}", ready, count)
    assert "error" not in answer, answer
    return answer


def test_a_browser_agrees_on_compression_and_reads_it(browser, broker, channel):
    long = "thirty love, forty love, game; " * 100
    for n in range(5):
        broker.publish(channel, {"n": n, "text": long})
    answer = talk(browser, broker, f"/channels/{channel}?since=earliest", [], 5)
    assert answer["extensions"].startswith("permessage-deflate")
    assert [entry["data"] for entry in answer["got"]] == [
        {"n": n, "text": long} for n in range(5)]


def test_a_browser_sends_compressed_commands(browser, broker, channel):
    long = "thirty love, forty love, game; " * 100
    commands = [{"subscribe": f"{channel}/**", "ref": 1},
                {"publish": {"channel": f"{channel}/a", "data": long}, "ref": 2}]
    answer = talk(browser, broker, "/stream", commands, 3)
    got = {entry.get("ref"): entry for entry in answer["got"]}
    assert got[1]["ok"]["sub"] == 1 and got[2]["ok"]["offset"] == 1
    assert got[None]["sub"] == 1 and got[None]["data"] == long
