# SPDX-License-Identifier: Apache-2.0
"""The demo page in a real browser, and the script that plays a match to it.

TIDINGS_SCREENSHOTS names a folder to leave pictures of the page in, for somebody to look at.
"""
import http.server
import json
import os
import pathlib
import signal
import subprocess
import threading

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from harness.ports import take_port

pytestmark = pytest.mark.xdist_group("browser")  # one Chromium is enough

PLAY = pathlib.Path(__file__).parents[2] / "clients" / "demo" / "play"
READERS = ("websocket", "sse")
PATIENCE_S = 60
CHROMIUM_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,1500")


def start_chromium(folder):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in CHROMIUM_FLAGS + (f"--user-data-dir={folder}",):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver", port=take_port()),
                            options=options)


@pytest.fixture(scope="module", name="browser")
def fixture_browser(tmp_path_factory):
    """One that does not come up in its driver's own time, on a machine that is busy, is started
    once more: what goes wrong in a fixture is excused to nobody."""
    try:
        browser = start_chromium(tmp_path_factory.mktemp("chromium"))
    except WebDriverException:
        browser = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.quit()


class Page:
    """The demo page on one channel, in a tab of its own."""

    def __init__(self, browser, broker, channel):
        self.browser, self.url = browser, f"http://{broker.host}/demo?channel={channel}"
        browser.get_log("browser")
        self.open()

    def open(self):
        self.browser.switch_to.new_window("tab")
        self.browser.get(self.url)

    def close(self):
        self.browser.close()
        self.browser.switch_to.window(self.browser.window_handles[0])

    def field(self, reader, name):
        selector = f'[data-reader="{reader}"] [data-field="{name}"]'
        return self.browser.find_element(By.CSS_SELECTOR, selector).get_attribute("textContent")

    def both(self, name):
        return {self.field(reader, name) for reader in READERS}

    def wait_until_both(self, name, value):
        WebDriverWait(self.browser, PATIENCE_S).until(
            lambda _: self.both(name) == {str(value)}, f"{name} {self.both(name)}, not {value}")

    def rows(self, reader):
        rows = self.browser.find_elements(
            By.CSS_SELECTOR, f'[data-reader="{reader}"] tbody tr')
        return [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "td")] for row in rows]

    def press(self, identifier):
        self.browser.find_element(By.ID, identifier).click()

    def has_lost_nothing(self):
        return self.both("missed") == {"0"} and self.both("duplicates") == {"0"}

    def picture(self, name):
        folder = os.environ.get("TIDINGS_SCREENSHOTS")
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(str(pathlib.Path(folder) / f"{name}.png"))

    def complaints(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture(name="page")
def fixture_page(browser, broker, channel):
    page = Page(browser, broker, channel)
    page.wait_until_both("state", "live")
    yield page
    page.close()


@pytest.fixture(scope="module", name="points")
def fixture_points():
    """The match's messages, in order, as play makes them."""
    done = subprocess.run([PLAY, "--print"], capture_output=True, check=True, timeout=20)
    return [json.loads(line) for line in done.stdout.splitlines()]


def publish_all(broker, channel, messages):
    for message in messages:
        broker.publish(channel, message)


def test_the_score_is_worked_out_from_the_order_of_points(points):
    assert len(points) == 369 and [point["point"] for point in points] == list(range(1, 370))
    assert points[-1]["sets"] == [[5, 7], [6, 4], [6, 2], [6, 7], [7, 5]]
    assert points[-1]["match_winner"] == 1 and points[-1]["points"] == ["0", "0"]
    assert points[39]["points"] == ["40", "AD"] and points[38]["points"] == ["40", "40"]
    tie_break = [point["points"] for point in points[284:296]]
    assert tie_break[:2] == [["1", "0"], ["1", "1"]] and tie_break[-2] == ["5", "6"]
    assert points[295]["sets"][-1] == [6, 7]


def test_the_script_publishes_each_point_once_and_in_order(broker, channel, points):
    done = subprocess.run(
        [PLAY, "--url", f"http://{broker.host}", "--channel", channel, "--every", "1ms",
         "--from", "350"], capture_output=True, timeout=60, check=True)
    stored = broker.page(channel, since="earliest", limit=1000)["messages"]
    assert [message["data"] for message in stored] == points[349:]
    assert [message["offset"] for message in stored] == list(range(1, 21))
    assert done.stdout.decode().splitlines()[-1].endswith("offset 20")


def test_the_script_does_not_repeat_a_point_whose_answer_was_lost(broker, channel, points):
    keys = []

    class Forgetful(http.server.BaseHTTPRequestHandler):
        """Passes requests on to the broker, and keeps every third answer to a POST to itself."""
        posts = 0

        def answer(self, answer):
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            keys.append(self.headers["Idempotency-Key"])
            stored = broker.post(channel, body, headers={"Idempotency-Key": keys[-1]})
            Forgetful.posts += 1
            if Forgetful.posts % 3 != 0:
                self.answer(stored)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        subprocess.run(
            [PLAY, "--url", f"http://127.0.0.1:{proxy.server_port}", "--channel", channel,
             "--every", "1ms", "--from", "360"], capture_output=True, timeout=60, check=True)
        proxy.shutdown()
    stored = broker.page(channel, since="earliest")["messages"]
    assert [message["data"] for message in stored] == points[359:]
    assert len(set(keys)) == 10 and len(keys) == 14  # the same again where the answer was lost


def test_the_script_waits_for_a_broker_that_is_away_and_stops_when_told():
    with subprocess.Popen([PLAY, "--url", "http://127.0.0.1:1"], stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, text=True) as play:
        assert "trying again" in play.stderr.readline()
        play.send_signal(signal.SIGTERM)
        assert play.wait(timeout=PATIENCE_S) == 143


def test_the_page_may_load_nothing_from_elsewhere_and_is_revalidated(broker):
    page = broker.get("/demo")
    assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert b"//" not in page.body  # no address but the page's own
    for path in ("/demo", "/demo/demo.css", "/demo/demo.js", "/demo/reader.js",
                 "/demo/tidings.js", "/demo/board.js", "/demo/icon.svg"):
        tag = broker.get(path).headers["etag"]
        assert broker.get(path, {"If-None-Match": tag}).status == 304


def test_a_broker_without_the_demo_serves_and_prints_none(start_broker):
    broker = start_broker(config="public: { demo: false }\n")
    for path in ("/", "/demo", "/demo/", "/demo/tidings.js"):
        assert broker.get(path).status == 404, path
    assert not [line for line in broker.said if "demo" in line]
    assert broker.publish("a", 1)["offset"] == 1


def test_both_readers_show_the_newest_score(page, broker, channel, points):
    publish_all(broker, channel, points[:180])
    page.wait_until_both("offset", 180)
    newest = points[179]
    for reader in READERS:
        first, second = page.rows(reader)
        assert first == ["5", "6", str(newest["games"][0]), newest["points"][0]]
        assert second == ["7", "4", str(newest["games"][1]), newest["points"][1]]
    assert page.both("received") == {"180"} and page.has_lost_nothing()
    page.picture("live")
    assert page.complaints() == []


def test_a_page_that_was_offline_catches_up_and_misses_nothing(page, broker, channel, points):
    publish_all(broker, channel, points[:20])
    page.wait_until_both("offset", 20)
    page.press("online")
    page.wait_until_both("state", "offline")
    publish_all(broker, channel, points[20:95])
    assert page.both("offset") == {"20"}
    page.picture("offline")
    page.press("online")
    page.wait_until_both("offset", 95)
    page.wait_until_both("caught-up", 75)
    page.wait_until_both("state", "live")
    assert page.both("received") == {"95"} and page.has_lost_nothing()
    publish_all(broker, channel, points[95:96])
    page.wait_until_both("offset", 96)
    assert page.both("caught-up") == {"75"} and page.has_lost_nothing()
    page.picture("caught-up")


def test_a_page_that_was_closed_resumes_where_it_stood(page, broker, channel, points):
    publish_all(broker, channel, points[:10])
    page.wait_until_both("offset", 10)
    page.close()
    publish_all(broker, channel, points[10:50])
    page.open()
    page.wait_until_both("offset", 50)
    page.wait_until_both("caught-up", 40)
    assert page.both("received") == {"40"} and page.has_lost_nothing()
    page.picture("reopened")


def test_a_gap_is_shown_and_not_counted_as_missed(browser, start_broker, points):
    broker = start_broker(config='channels: [ { match: "**", history: { messages: 5 } } ]\n')
    page = Page(browser, broker, "tennis/court-1")
    page.wait_until_both("state", "live")
    publish_all(broker, "tennis/court-1", points[:1])
    page.wait_until_both("offset", 1)  # from here on no history is read, which may be forgotten
    publish_all(broker, "tennis/court-1", points[1:10])
    page.wait_until_both("offset", 10)
    page.press("online")
    page.wait_until_both("state", "offline")
    publish_all(broker, "tennis/court-1", points[10:40])
    page.press("online")
    page.wait_until_both("offset", 40)
    for told in page.both("gap"):
        assert "offsets 11 to 35 are no longer kept" in told
    assert page.both("received") == {"15"} and page.has_lost_nothing()
    page.picture("gap")
    page.close()


def test_the_readers_outlive_a_restart_of_the_broker(browser, start_broker, points):
    port = take_port()
    broker = start_broker("--listen", f"127.0.0.1:{port}")
    page = Page(browser, broker, "tennis/court-1")
    page.wait_until_both("state", "live")
    publish_all(broker, "tennis/court-1", points[:10])
    page.wait_until_both("offset", 10)
    broker.stop()
    page.wait_until_both("state", "reconnecting")
    broker.start()
    publish_all(broker, "tennis/court-1", points[10:30])
    page.wait_until_both("offset", 30)
    page.wait_until_both("state", "live")
    assert page.both("received") == {"30"} and page.has_lost_nothing()
    page.close()


def test_a_page_told_to_forget_begins_at_the_newest_message(page, broker, channel, points):
    publish_all(broker, channel, points[:10])
    page.wait_until_both("offset", 10)
    page.press("forget")
    page.wait_until_both("received", 1)
    assert page.both("offset") == {"10"} and page.both("caught-up") == {"–"}
    assert page.has_lost_nothing()


def test_what_a_visitor_publishes_reaches_both_readers(page, broker, channel):
    page.wait_until_both("state", "live")
    page.browser.find_element(By.CSS_SELECTOR, "#publish button").click()
    page.wait_until_both("waiting", '#1  {"score":"40-15"}')
    assert broker.page(channel)["messages"][0]["data"] == {"score": "40-15"}
    raw = page.browser.find_elements(By.CSS_SELECTOR, "#raw li")
    assert {line.get_attribute("class") for line in raw} == set(READERS)


@pytest.mark.parametrize("width, scheme", [(390, "light"), (390, "dark"), (1280, "dark")])
def test_the_page_fits_its_window(page, broker, channel, points, width, scheme):
    publish_all(broker, channel, points[:300])
    page.wait_until_both("offset", 300)
    browser = page.browser
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 2400 if width < 600 else 1500, "deviceScaleFactor": 1,
        "mobile": width < 600})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    page.picture(f"{scheme}-{width}")
