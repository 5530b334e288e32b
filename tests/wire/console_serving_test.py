# SPDX-License-Identifier: Apache-2.0
"""Where the operator's console comes from, and whom it obeys."""
import http.server
import re
import threading

import pytest
from demo_test import fixture_browser  # noqa: F401  one Chromium is enough

from harness.console import ask

pytestmark = pytest.mark.xdist_group("browser")


def files_of(broker):
    """All paths that the page and its modules name."""
    paths, waiting = {}, ["/"]
    while waiting:
        path = waiting.pop()
        answer = ask(broker, "GET", path)
        assert answer.status == 200, path
        paths[path] = answer
        text = answer.body.decode()
        named = re.findall(r"/console/[\w.]+", text) if path == "/" else \
            ["/console/" + name for name in re.findall(r"from '\./([\w.]+)'", text)]
        waiting += {one for one in named if one not in paths and one not in waiting}
    return paths


def test_its_files_come_from_the_operators_port_alone_and_are_revalidated(broker):
    files = files_of(broker)
    assert len(files) > 10 and "/console/channel.js" in files
    for path, answer in files.items():
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert re.findall(rb"https?://(?!www\.w3\.org/)", answer.body) == []
        tag = {"If-None-Match": answer.headers["etag"]}
        assert ask(broker, "GET", path, tag).status == 304
        if path != "/":
            assert broker.get(path).status == 404
    assert ask(broker, "GET", "/console/none.js").status == 404


@pytest.mark.parametrize("path", ["/", "/console/console.js"])
def test_it_is_not_given_to_a_name_that_was_rebound(broker, path):
    assert ask(broker, "GET", path, {"Host": "evil.example"}).status == 421


def test_a_page_of_another_origin_changes_nothing(browser, broker, channel):
    """A page that an operator visits tries what the console does, in their own browser."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>elsewhere</title>")

        def log_message(self, *_):
            pass

    attempt = """
        const [operator, channel, id, done] = arguments;
        const tries = [
            fetch(`${operator}/channels/${channel}`, {method: "POST", mode: "no-cors", body: "1"}),
            fetch(`${operator}/channels/${channel}`, {method: "POST", body: "1"}),
            fetch(`${operator}/api/v1/connections/${id}`, {method: "DELETE"}),
            fetch(`${operator}/api/v1/drain`, {method: "POST", mode: "no-cors"}),
            fetch(`${operator}/api/v1/connections`),
        ];
        Promise.allSettled(tries).then(all => done(all.map(one => one.value?.type ?? null)));
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server, \
            broker.websocket(f"/channels/{channel}"):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        row, = ask(broker, "GET", f"/api/v1/connections?channel={channel}").json()["connections"]
        browser.get(f"http://127.0.0.1:{server.server_port}/")
        told = browser.execute_async_script(attempt, broker.operator, channel, row["id"])
        server.shutdown()
        browser.get_log("browser")
        assert told == [None] * 5  # some were sent; Cross-Origin-Resource-Policy keeps the answers
        assert broker.page(channel)["messages"] == []
        assert ask(broker, "GET", "/readyz").status == 200
        rows = ask(broker, "GET", f"/api/v1/connections?channel={channel}").json()["connections"]
        assert [one["id"] for one in rows] == [row["id"]]
