# SPDX-License-Identifier: Apache-2.0
"""The HTML report of `tidings bench` in a real browser, of results that a small program made up."""
import functools
import http.server
import json
import re
import subprocess
import threading

import pytest
from demo_test import fixture_browser  # noqa: F401  one Chromium is enough
from harness.broker import find_binary, wait_for

pytestmark = pytest.mark.xdist_group("browser")

SAMPLES = ("good", "bad", "steps", "empty", "hostile")


def write_sample(kind, form):
    program = find_binary().parent / "tests/clients/bench/report_sample"
    return subprocess.run([program, kind, form], check=True, capture_output=True).stdout


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder, and remembers what was asked for: a page that stands alone asks once."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.asked = []


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *_):  # noqa: A002  its name is the library's
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def end_headers(self):
        self.send_header("Cache-Control", "no-store")  # each report asks, whoever saw it before
        super().end_headers()


class Report:
    """One report in a tab of its own."""

    def __init__(self, browser, server, name):
        self.browser, self.server = browser, server
        self.server.asked.clear()
        browser.get_log("browser")
        browser.switch_to.new_window("tab")
        browser.get(f"http://127.0.0.1:{server.server_port}/{name}.html")

    def close(self):
        self.browser.close()
        self.browser.switch_to.window(self.browser.window_handles[0])

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText", selector)

    def curves(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0] + ' .plot path.curve')]"
                        ".map(path => path.getAttribute('d'))", selector)

    def rows(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0] + ' tbody tr')]"
                        ".map(row => [...row.cells].map(cell => cell.textContent))", selector)


@pytest.fixture(scope="module", name="reports")
def fixture_reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for kind in SAMPLES:
        (folder / f"{kind}.html").write_bytes(write_sample(kind, "html"))
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(name="open_report")
def fixture_open_report(browser, reports):
    opened = []

    def open_it(name):
        opened.append(Report(browser, reports, name))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close()


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_report_stands_alone_and_says_nothing_on_the_console(open_report, browser, kind):
    page = open_report(kind)
    wait_for(lambda: page.text("footer"), what="the page")
    loaded = page.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert [one for one in loaded if not one.startswith("data:")] == []
    assert page.server.asked == [f"/{kind}.html"]
    assert browser.get_log("browser") == []
    assert page.run("return window.hacked") is None


def test_the_curve_goes_from_the_fastest_to_the_highest(open_report):
    page = open_report("good")
    document = json.loads(write_sample("good", "json"))
    drawn = wait_for(lambda: page.curves("#latency"), what="the curve")
    of = [document["whole"]["delivery"], document["whole"]["answer"],
          document["connect"]["latency"]]
    for path, one in zip(drawn, of, strict=True):
        places = [tuple(map(float, place.split())) for place in re.split("[ML]", path)[1:]]
        assert len(places) == len(one["curve"])
        assert places == sorted(places), "further right is rarer"
        heights = [y for _, y in places]
        assert heights == sorted(heights, reverse=True), "and slower"
    assert max(float(place.split()[0]) for place in re.split("[ML]", drawn[0])[1:]) > \
        max(float(place.split()[0]) for place in re.split("[ML]", drawn[1])[1:]), \
        "60,000 deliveries show rarer ones than 1,000 answers"


def test_the_page_has_the_figures_of_the_document(open_report):
    page = open_report("bad")
    document = json.loads(write_sample("bad", "json"))
    counts = dict(page.rows("#counts"))
    assert counts["Deliveries made"] == f"{document['whole']['counts']['delivered']:,}"
    assert counts["Lost"] == f"✗ {document['whole']['counts']['lost']:,}"
    assert page.rows("#assertions") == [
        [one["assertion"], one["measured"], "✓ holds" if one["holds"] else "✗ broken"]
        for one in document["assertions"]]
    assert page.text("#verdict") == "✗ 2 of 4 assertions broken"
    assert "interrupted" in page.text("#when")
    assert page.text("#scenario pre").strip() == document["scenario"].strip()
    page.run("document.querySelector('#time summary').click()")
    rows = wait_for(lambda: page.rows("#time details"), what="the table of the series")
    assert len(rows) == len(document["series"])


@pytest.mark.parametrize("kind", ["good", "steps"])
def test_the_scenario_of_a_report_can_be_run(tmp_path, kind):
    scenario = tmp_path / "again.yaml"
    scenario.write_text(json.loads(write_sample(kind, "json"))["scenario"], encoding="utf-8")
    done = subprocess.run([find_binary(), "bench", scenario, "--check", "--pid", "1"], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_capacity_test_shows_its_limit(open_report):
    page = open_report("steps")
    document = json.loads(write_sample("steps", "json"))
    rows = page.rows("#steps")
    assert len(rows) == len(document["steps"])
    assert page.run("return document.querySelector('#steps tr.limit').cells[0].textContent") == \
        f"{document['limit']:,}/s"
    mark = wait_for(lambda: page.run(
        "return document.querySelector('#steps text.mark')?.textContent"), what="the mark")
    assert mark == f"limit {document['limit']:,}/s"


def test_what_was_not_measured_is_not_drawn(open_report):
    page = open_report("empty")
    assert page.text("#verdict") == "✗ 1 of 1 assertions broken"
    for section in ("latency", "steps", "time", "server"):
        assert page.run("return document.getElementById(arguments[0]).hidden", section), section


def test_names_are_shown_as_text_whatever_is_in_them(open_report):
    page = open_report("hostile")
    assert page.text("h1") == "<script>window.hacked = 1</script><!-- </script> & \"quoted\""
    assert page.text("#description").startswith("{{report.js}}")
    assert page.run("return document.images.length") == 0
    assert page.run("return document.title") == page.text("h1")


def test_the_axis_can_be_linear(open_report):
    page = open_report("bad")
    before = wait_for(lambda: page.curves("#latency"), what="the curve")
    page.run("document.querySelector('[name=axis][value=linear]').click()")
    assert page.curves("#latency") != before
    assert page.run("return document.querySelector('#latency .plot text').textContent") == "0"


def test_the_values_at_a_place_can_be_read_with_the_keys(open_report):
    page = open_report("good")
    wait_for(lambda: page.curves("#latency"), what="the curve")
    page.run("const svg = document.querySelector('#latency .plot svg'); svg.focus();"
             "svg.dispatchEvent(new KeyboardEvent('keydown', {key: 'End', bubbles: true}));")
    document = json.loads(write_sample("good", "json"))
    highest_ms = document["whole"]["delivery"]["max_ns"] / 1e6
    assert f"delivery {highest_ms:.0f} ms" in page.text("#latency .tip")


@pytest.mark.parametrize("width", [320, 1200])
def test_the_page_fits_its_window(open_report, browser, width):
    page = open_report("steps")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    try:
        wait_for(lambda: page.run("return document.documentElement.scrollWidth <= innerWidth"),
                 what="a page as wide as its window")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_figures_of_one_step_say_so(open_report):
    page = open_report("steps")
    wait_for(lambda: page.text("footer"), what="the page")
    limit = json.loads(write_sample("steps", "json"))["limit"]
    whose = f"of the step of {limit:,}/s"
    assert page.text("#whose") == f"O{whose[1:]}:"
    assert page.text("#assertions caption") == "O" + whose[1:]
    assert whose in wait_for(lambda: page.text("#latency h3"), what="the figure")
    assert page.text("#server caption") == "Of the process that was watched, all steps together"
    assert open_report("good").run("return document.getElementById('whose').hidden")
