# SPDX-License-Identifier: Apache-2.0
"""The operator's console in a real browser, on the real broker."""
import json
import re
from urllib.parse import quote, urlencode

import pytest
from demo_test import fixture_browser  # noqa: F401  one Chromium is enough
from selenium.webdriver.common.keys import Keys

from harness.broker import wait_for
from harness.console import Console, Load, ask, resources
from harness.mqtt import connected
from harness.ports import take_port
from harness.sinks import declared
from harness.tokens import hash_of

pytestmark = pytest.mark.xdist_group("browser")

BIG = b'"' + b"x" * 200000 + b'"'
HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"
FIVE_MESSAGES = 'channels: [ { match: "**", history: { messages: 5 } } ]\n'
REQUESTS = "return performance.getEntriesByType('resource').length;"
VIEWS = ("#/overview", "#/connections", "#/channels", "#/channel?name=a/1", "#/sessions",
         "#/sinks", "#/configuration")


@pytest.fixture(name="open_console")
def fixture_open_console(browser):
    """open_console(broker, "#/view?…"); closed at the end, after a look for errors."""
    consoles = []

    def start(broker, view=""):
        consoles.append(Console(browser, broker, view))
        return consoles[-1]

    yield start
    for console in consoles:
        complaints = console.complaints() if console.broker.process else []
        console.close()
        assert complaints == []


def stall(broker, channel, count=30):
    """An event stream that reads nothing, and `count` large messages for it; gives its peer too."""
    stream = broker.events(f"/channels/{channel}")
    for _ in range(count):
        assert broker.post(channel, BIG).status == 200
    address, port = stream.connection.socket.getsockname()[:2]
    return stream, f"{address}:{port}"


def channel_view(name, **place):
    return "#/channel?" + urlencode({"name": name, **place})


# --- who may -----------------------------------------------------------------------------------

KEY = "key-of-the-operator"
GUARDED = f"""
auth:
  keys: [ {{name: admin, hash: "{hash_of(KEY)}", operator: true}} ]
"""


def test_a_key_opens_it_as_a_password(start_broker, browser):
    """What Chromium was told once, here in the address, it sends with every call of the page."""
    broker = start_broker(config=GUARDED)
    host = broker.operator.removeprefix("http://")
    for address in (f"http://admin:{KEY}@{host}", f"http://{host}"):
        console = Console(browser, broker, "#/overview", address)
        try:
            console.wait_for_text("#state", "^Ready$")
            console.run_module("broker.js", "return await it.call('POST', '/api/v1/drain?over=1h')"
                                            ".then(() => it.call('DELETE', '/api/v1/drain'));")
            assert console.complaints() == []
        finally:
            console.close()
    wait_for(lambda: len(broker.log_lines("DRAIN_ENDED")) == 2, what="both lines")


# --- is it well, and what goes in and out ---------------------------------------------------


def test_figures_appear_and_move_under_load(start_broker, open_console):
    broker = start_broker()
    console = open_console(broker)
    console.wait_for_text("#state", "^Ready$")
    console.wait_for_text(".top", r"(?s)Tidings \d+\.\d+\.\d+.*up \d+")
    tile = ".tiles li:nth-child({}) strong"
    console.wait_for_text(tile.format(1), "^0$")
    with broker.events("/channels/load/a") as reader, Load(broker, "load/a"):
        reader.next()
        console.wait_for_text(tile.format(1), r"^[1-9]")
        console.wait_for_text(tile.format(2), r"^[1-9]")
        console.wait_for_text(tile.format(4), r"^[1-9]")
        console.wait_for_rows(
            lambda rows: [row[:3] for row in rows] == [["http", "1", "0"], ["sse", "1", "1"]],
            "clients", "[data-field=clients]")
        heights = console.run("return document.querySelector('.tiles polyline')"
                              ".getAttribute('points').split(' ')"
                              ".map(point => Number(point.split(',')[1]))")
        assert len(heights) > 1 and len(set(heights)) > 1
        log = console.terms("log")
        assert {"Channels", "Database in use", "Journal", "Positions not folded"} <= set(log)
        assert log["Channels"] == "1" and "KiB" in log["Database in use"]
        assert console.terms("trouble")["Publishes refused"] == "0"
        threads = {row[0] for row in console.rows("[data-field=threads]")}
        assert {"log", "store", "operator", "worker-0"} <= threads
    console.wait_for_text(tile.format(1), "^0$")


def test_a_gap_that_was_told_is_a_sign_of_trouble(start_broker, open_console):
    broker = start_broker(config=FIVE_MESSAGES)
    broker.fill("a", 20)
    console = open_console(broker)
    wait_for(lambda: console.terms("trouble").get("Gaps told") == "0", 60, "the first figures")
    with broker.events("/channels/a?since=0") as reader:
        assert reader.next().event == "gap"
    tones = """return Object.fromEntries(
        [...document.querySelectorAll("[data-field=trouble] > div")]
            .map(row => [row.children[0].textContent, row.children[1].dataset.tone]));"""
    wait_for(lambda: console.run(tones)["Gaps told"] == "wait", 60, "the sign")
    assert console.run(tones)["Connections closed for a fault"] == ""


def test_a_broker_that_is_away_is_told_in_words_and_found_again(start_broker, open_console):
    port = take_port()
    broker = start_broker("--operator", f"127.0.0.1:{port}")
    console = open_console(broker)
    console.wait_for_text("#state", "^Ready$")
    broker.stop()
    console.wait_for_text("#state", "^No answer$")
    console.wait_for_text("#problem", f"does not answer at 127.0.0.1:{port}. Is it running")
    console.picture("away")
    broker.start()
    console.wait_for_text("#state", "^Ready$")
    wait_for(lambda: not console.text("#problem"), 60, "the end of the problem")
    assert all("ERR_CONNECTION" in line or "Failed to fetch" in line
               for line in console.complaints())


# --- which connection is slow, and why ------------------------------------------------------

# What would be seen half a minute later.
LATER = "const now = performance.now.bind(performance); performance.now = () => now() + 30000;"


def test_a_stalled_reader_stands_first_with_its_reason_and_can_be_ended(start_broker,
                                                                        open_console):
    broker = start_broker()
    with broker.websocket("/channels/a", timeout_s=60) as quick:
        stalled, peer = stall(broker, "a")
        for _ in range(30):
            quick.recv_message()
        console = open_console(broker, "#/connections")
        console.wait_for_rows(lambda rows: rows and rows[0][1] == "socket full", "it")
        console.run(LATER)
        first, *others = console.wait_for_rows(
            lambda rows: rows and rows[0][1] == "takes nothing", "the stalled reader")
        told = ask(broker, "GET", "/api/v1/connections").json()["connections"][0]["readers"][0]
        assert first[0] == peer and first[4:6] == ["a", "sse"] and first[7] == "catch_up"
        assert first[2] == str(told["lag_messages"]) and first[3].endswith("MiB")
        assert [row[1] for row in others] == ["keeps up"]
        console.picture("stalled")

        console.find("tbody summary").click()
        console.wait_for_text("tbody details li", f"a: {told['lag_messages']} messages behind")
        console.press("End…")
        assert console.text("#confirm h2") == f"End the connection of {peer}?"
        console.press("Cancel")
        assert peer in [row[0] for row in console.rows()]
        console.press("End…")
        console.picture("end")
        console.press("End it")
        console.wait_for_rows(lambda rows: [row[1] for row in rows] == ["keeps up"], "its end")
        assert peer in console.text("#announcement")
        closed = "tidings_connections_closed_total"
        wait_for(lambda: broker.metric(f'{closed}{{protocol="sse",reason="operator"}}') == 1)
        stalled.close()


def test_the_overview_names_who_is_furthest_behind(start_broker, open_console):
    broker = start_broker()
    stalled, peer = stall(broker, "a")
    console = open_console(broker)
    console.wait_for_rows(lambda rows: rows and rows[0][1] == "socket full", "it",
                          "[data-field=behind]")
    console.run(LATER)
    row, = console.wait_for_rows(lambda rows: rows and rows[0][1] == "takes nothing",
                                 "the stalled reader", "[data-field=behind]")
    assert row[0] == peer and row[4] == "a"
    for _ in range(30):
        stalled.next()
    console.wait_for_text("[data-field=behind-none]", "Nobody is behind")
    stalled.close()


def test_the_filter_and_the_order_of_connections_are_a_link(start_broker, open_console):
    broker = start_broker()
    with broker.websocket("/channels/a"), broker.events("/channels/b/1"):
        console = open_console(broker, "#/connections?sort=age&channel=b/1")
        console.wait_for_rows(lambda rows: [row[4] for row in rows] == ["b/1"], "one reader")
        assert console.run("return document.querySelector('form').sort.value") == "age"
        console.type("[name=channel]", "a")
        console.wait_for_rows(lambda rows: [row[4] for row in rows] == ["a"], "the other")
        assert console.browser.current_url.endswith("#/connections?sort=age&channel=a")
        console.type("[name=channel]", "")
        console.wait_for_rows(lambda rows: {row[4] for row in rows} == {"a", "b/1"}, "both")


def test_sessions_are_listed_and_ended(start_broker, open_console):
    broker = start_broker()
    connected(broker, HOSTILE, clean=False, values={"session_expiry": 7200}).disconnect()
    with connected(broker, "here") as client:
        console = open_console(broker, "#/sessions")
        rows = console.wait_for_rows(lambda rows: len(rows) == 2, "two sessions")
        assert [row[:2] for row in rows] == [[HOSTILE, "away"], ["here", "connected"]]
        assert re.fullmatch(r"in (2 h|1 h 59 min)", rows[0][3]) and rows[1][3] == "–"
        console.picture("sessions")
        for name in (HOSTILE, "here"):
            console.run("document.querySelector('tbody button').click()")
            console.wait_for_text("#confirm-title", f"End the session of {re.escape(name)}")
            console.run("document.querySelector('#confirm .danger').click()")
            console.wait_for_rows(lambda rows, one=name: one not in [row[0] for row in rows], name)
        assert client.end() == 0x98
    console.wait_for_text("[data-field=none]", "none is waited")


# --- what is in a channel -------------------------------------------------------------------


def test_channels_are_listed_filtered_and_opened(start_broker, open_console):
    broker = start_broker()
    broker.fill("tennis/court-1", 3)
    broker.fill("tennis/court-2", 5)
    broker.fill("chat/7", 1)
    with broker.websocket("/channels/tennis/*"):
        console = open_console(broker, "#/channels")
        rows = console.wait_for_rows(lambda rows: len(rows) == 3, "three channels")
        assert [row[0] for row in rows] == ["chat/7", "tennis/court-1", "tennis/court-2"]
        assert [(row[1], row[3], row[5]) for row in rows] == [
            ("1", "0", "1 to 1"), ("3", "1", "1 to 3"), ("5", "1", "1 to 5")]
        console.type("[name=match]", "tennis/**")
        console.wait_for_rows(lambda rows: len(rows) == 2, "those of tennis")
        assert console.browser.current_url.endswith("#/channels?match=tennis%2F**")
        console.picture("channels")
        console.run("document.querySelector('tbody a').click()")
        console.wait_for_text("[data-field=name]", "^tennis/court-1$")
        assert len(console.wait_for_rows(lambda rows: len(rows) == 3, "messages")) == 3
        console.browser.back()
        console.wait_for_rows(lambda rows: len(rows) == 2, "the filtered list again")


def test_a_pattern_that_is_none_is_told_in_words_and_asked_once(start_broker, open_console):
    broker = start_broker()
    broker.fill("a", 1)
    console = open_console(broker, "#/channels?match=a/**/b")
    console.wait_for_text("#problem", r"`\*\*` is the last segment of a pattern\.$")
    seen = console.run(REQUESTS)
    wait_for(lambda: console.run(REQUESTS) > seen + 1, 60, "two more scrapes")
    assert len([line for line in console.complaints() if "400" in line]) == 1
    console.type("[name=match]", "")
    console.wait_for_rows(lambda rows: [row[0] for row in rows] == ["a"], "the channel")
    assert not console.text("#problem")


def test_a_list_is_turned_page_by_page(start_broker, open_console):
    broker = start_broker()
    names = [f"a/{number:03}" for number in range(150)]
    answer = broker.request("POST", "/publish", {"Content-Type": "application/json"}, json.dumps(
        [{"channel": name, "data": 1} for name in names]).encode())
    assert answer.status == 200, answer
    console = open_console(broker, "#/channels")

    def shows(*wanted):
        console.wait_for_rows(lambda rows: [row[0] for row in rows] == names[slice(*wanted)],
                              f"channels {wanted}")

    shows(0, 100)
    console.press("Next page")
    shows(100, 150)
    assert console.find("[data-field=next]").is_enabled() is False
    console.browser.refresh()
    shows(100, 150)
    console.browser.back()
    shows(0, 100)


def offsets(rows):
    return [int(row[0]) for row in rows]


def test_messages_are_paged_back_and_forth(broker, open_console, channel):
    broker.fill(channel, 120)
    console = open_console(broker, channel_view(channel))

    def turn(button, first, last):
        if button:
            console.press(button)
        console.wait_for_rows(
            lambda rows: rows and offsets(rows) == list(range(last, first - 1, -1)),
            f"{first} to {last} after {button}")

    turn(None, 71, 120)
    turn("Older", 21, 70)
    assert console.find("[data-field=follow]").is_enabled() is False
    turn("Older", 1, 20)
    assert console.find("[data-field=older]").is_enabled() is False
    link = console.browser.current_url
    turn("Newer", 21, 70)
    turn("Newest", 71, 120)
    console.browser.get("about:blank")
    console.browser.get(link)
    turn(None, 1, 20)


def test_messages_are_followed_as_they_come(broker, open_console, channel):
    broker.fill(channel, 2)
    console = open_console(broker, channel_view(channel))
    console.wait_for_rows(lambda rows: offsets(rows) == [2, 1], "what was there")
    broker.publish(channel, {"a": "live"}, {"Tidings-Event": "goal", "Tidings-Key": "k",
                                            "Tidings-Header-Origin": "here"})
    rows = console.wait_for_rows(lambda rows: offsets(rows) == [3, 2, 1], "the new one")
    assert rows[0][2:] == ['{"a":"live"}', "goal", "k", "application/json", "origin: here"]
    console.find("[data-field=follow]").click()
    broker.fill(channel, 300, 4)
    console.find("[data-field=follow]").click()
    console.wait_for_rows(lambda rows: offsets(rows)[0] == 303, "the newest again")
    console.wait_for_text("[data-field=gap]", "faster than a page can show")


@pytest.mark.parametrize("body, media_type, shown", [
    (b'{"a":[1,2]}', "application/json", '{"a":[1,2]}'), (b'"text"', None, '"text"'),
    (b"plain", "text/plain", "plain"), (b"\x00\xff", "image/png", "base64: AP8="),
    (b'"' + b"y" * 5000 + b'"', "application/json", "yyy… (5,002 characters)")])
def test_each_kind_of_data_is_shown(broker, open_console, channel, body, media_type, shown):
    assert broker.post(channel, body, media_type).status == 200
    console = open_console(broker, channel_view(channel))
    row, = console.wait_for_rows(lambda rows: len(rows) == 1, "the message")
    assert row[2].endswith(shown) and len(row[2]) < 2100


def test_a_message_is_published_from_the_page(broker, open_console, channel):
    console = open_console(broker, channel_view(channel))
    console.wait_for_text("[data-field=none]", "No messages here")
    for text, stored in (('{"n":1}', {"n": 1}), ("no JSON", "no JSON")):
        console.type("textarea", text)
        console.type("[name=event]", "goal")
        console.type("[name=key]", "k1")
        console.press("Publish")
        console.wait_for_text("[data-field=published]", "Stored at offset")
        message = wait_for(lambda: broker.page(channel, limit=1)["messages"][-1:])[0]
        assert (message["data"], message["event"], message["key"]) == (stored, "goal", "k1")
        console.wait_for_rows(lambda rows: rows and int(rows[0][0]) == message["offset"], "it")
        console.run("document.querySelector('[data-field=published]').textContent = ''")


def test_a_gap_is_told(start_broker, open_console):
    broker = start_broker(config=FIVE_MESSAGES)
    broker.fill("a", 20)
    wait_for(lambda: broker.page("a", since=0).get("gap"), 60, "the history's end")
    console = open_console(broker, channel_view("a", since=0))
    console.wait_for_text("[data-field=gap]", r"Offsets 1 to \d+: not to be had, expired")


def test_what_comes_from_the_network_stays_text(broker, open_console, channel):
    name = f"{channel}/{HOSTILE}"
    target = "/channels/?channel=" + quote(name, safe="")
    for media_type, body in (("application/json", json.dumps({HOSTILE: HOSTILE})),
                             ("text/html", HOSTILE)):
        answer = broker.request("POST", target, {
            "Content-Type": media_type, "Tidings-Event": HOSTILE, "Tidings-Key": HOSTILE,
            "Tidings-Header-X": HOSTILE}, body.encode())
        assert answer.status == 200, answer
    with broker.events("/stream?channel=" + quote(name, safe="")):
        console = open_console(broker, channel_view(name))
        rows = console.wait_for_rows(lambda rows: len(rows) == 2, "the messages")
        assert console.text("[data-field=name]") == name
        assert rows[0][2:] == [HOSTILE, HOSTILE, HOSTILE, "text/html", f"x: {HOSTILE}"]
        assert json.loads(rows[1][2]) == {HOSTILE: HOSTILE}
        for view in ("#/channels?match=" + quote(f"{channel}/*", safe=""),
                     "#/connections?channel=" + quote(name, safe="")):
            console.browser.get(f"{broker.operator}/{view}")
            console.wait_for_rows(
                lambda rows: any(name in cell for row in rows for cell in row), view)
            assert console.run("return document.querySelectorAll('main img').length") == 0
        assert console.browser.title != "hacked"


# --- configuration and drain ----------------------------------------------------------------


def test_what_the_broker_does_not_have_is_not_shown(broker, open_console):
    console = open_console(broker)
    console.wait_for_text("#state", "^Ready$")
    paths = resources(broker)
    assert (console.text('nav [href="#/configuration"]') is not None) == \
        ("/api/v1/configuration" in paths)
    assert (console.text("#drain") is not None) == ("/api/v1/drain" in paths)


def test_the_configuration_in_force_is_shown(start_broker, open_console):
    broker = start_broker(config="limits: { send_budget: 64KiB }\n")
    console = open_console(broker)
    console.wait_for_text("nav", "Configuration")
    console.press("Configuration")
    rows = console.wait_for_rows(
        lambda rows: any(row[0] == "limits.send_budget" for row in rows), "the keys", ".tree")
    row, = [row for row in rows if row[0] == "limits.send_budget"]
    assert "file" in row and any(cell in ("65536", "64KiB") for cell in row)
    console.picture("configuration")


def test_a_drain_is_begun_followed_and_undone(start_broker, open_console):
    broker = start_broker()
    with broker.websocket("/channels/a"):
        console = open_console(broker)
        console.wait_for_text("#drain", "Drain…")
        console.press("Drain…")
        console.press("Cancel")
        assert ask(broker, "GET", "/readyz").status == 200
        console.press("Drain…")
        console.press("Drain")
        console.wait_for_text("#state", r"^Draining: \d+ connection")
        assert ask(broker, "GET", "/readyz").status == 503
        console.picture("draining")
        console.press("Back into service…")
        console.press("Back into service")
        console.wait_for_text("#state", "^Ready$")
        assert ask(broker, "GET", "/readyz").status == 200


# --- calm -----------------------------------------------------------------------------------


def test_a_hidden_page_asks_nothing(broker, open_console):
    console = open_console(broker, "#/connections")
    console.wait_for_text("#state", "^Ready$")
    hide = "Object.defineProperty(document, 'hidden', {get: () => arguments[0]," \
        " configurable: true}); document.dispatchEvent(new Event('visibilitychange'));"
    at_rest = "return [...it.Repeat.all].every(one => !one.isRunning && !one.isWanted);"
    console.run(hide, True)
    wait_for(lambda: console.run_module("broker.js", at_rest), 60, "rest")
    before = console.run(REQUESTS)
    console.run_module("broker.js", "it.Repeat.all.forEach(one => one.now());")
    assert console.run_module("broker.js", at_rest)
    assert console.run(REQUESTS) == before
    console.run(hide, False)
    wait_for(lambda: console.run(REQUESTS) > before, 60, "further requests")


def test_a_page_held_still_changes_nothing_until_it_may_go_on(start_broker, open_console):
    broker = start_broker()
    broker.fill("a", 1)
    console = open_console(broker, channel_view("a"))
    console.wait_for_rows(lambda rows: offsets(rows) == [1], "the message")
    console.press("Hold still")
    broker.fill("a", 1)
    at_rest = "return [...it.Repeat.all].every(one => !one.isRunning);"
    wait_for(lambda: console.run_module("broker.js", at_rest), 60, "rest")
    assert offsets(console.rows()) == [1]
    console.press("Go on")
    console.wait_for_rows(lambda rows: offsets(rows) == [2, 1], "both messages")


def test_a_question_is_never_asked_twice_at_a_time(broker, open_console):
    console = open_console(broker)
    counts = console.run_module("broker.js", """
        let runs = 0, now = 0, most = 0;
        const gate = Promise.withResolvers();
        const all = Promise.withResolvers();
        const repeat = new it.Repeat(async () => {
            most = Math.max(most, ++now);
            if (++runs === 2) { all.resolve(); }
            await gate.promise;
            now -= 1;
        }, 1e6);
        for (let i = 0; i < 5; i++) { repeat.now(); }
        gate.resolve();
        await all.promise;
        repeat.stop();
        return [runs, most];
    """)
    assert counts == [2, 1]


def test_a_scrape_is_read_with_its_labels_and_a_restart_forgets(broker, open_console):
    console = open_console(broker)
    assert console.run_module("figures.js", r"""
        const scrape = (start, sse) => `# HELP x y\nprocess_start_time_seconds ${start}\n` +
            `tidings_build_info{version="a\\"b\\\\c"} 1\nunknown_total{a="b"} 7\n` +
            `tidings_deliveries_total{protocol="sse"} ${sse}\n` +
            `tidings_deliveries_total{protocol="websocket"} 5\n`;
        const figures = new it.Figures();
        figures.add(scrape(1, 10), 0);
        figures.add(scrape(1, 30), 2000);
        const name = 'tidings_deliveries_total';
        const first = [figures.labelValues('tidings_build_info', 'version')[0],
            figures.value(name), figures.value(name, {protocol: 'sse'}),
            figures.rates(name), figures.growth(name), figures.value('unknown_total') ?? null];
        figures.add(scrape(2, 0), 4000);
        return [...first, figures.rates(name), figures.growth(name)];
    """) == ['a"b\\c', 35, 30, [10], 20, None, [], 0]


def test_each_series_that_it_names_is_told(broker, open_console):
    console = open_console(broker)
    named = console.run_module("figures.js", "return it.SERIES;")
    told = ask(broker, "GET", "/metrics").body.decode()
    assert len(named) > 30
    assert [name for name in named if not re.search(rf"^{name}[{{ ]", told, re.M)] == []


def test_figures_are_written_as_a_person_reads_them(broker, open_console):
    cases = {"count": {0: "0", 99999: "99,999", 1234567: "1.2M"},
             "bytes": {0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10737418240: "10.0 GiB"},
             "rate": {0: "0", 0.02: "0.02", 3.14: "3.1", 1234.5: "1,235"},
             "percent": {0.004: "0.4 %", 0.5: "50 %", 1: "100 %"},
             "latency": {0.000064: "64 µs", 0.0041: "4.1 ms", 0.262144: "262 ms", 8.4: "8.4 s"},
             "duration": {0: "0 s", 61: "1 min 1 s", 3600: "1 h", 90061: "1 d 1 h"}}
    console = open_console(broker)
    for name, written in cases.items():
        assert console.run_module("format.js", f"return {list(written)}.map(it.{name});") == \
            list(written.values())
        assert console.run_module("format.js", f"return it.{name}(undefined);") == "–"


# --- for everybody --------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_tables_controls_and_regions_have_names(start_broker, open_console, view):
    broker = start_broker()
    broker.fill("a/1", 3)
    with broker.websocket("/channels/a/1"), connected(broker, "names"), declared(broker, "names"):
        console = open_console(broker, view)
        console.wait_for_rows(lambda rows: rows, "rows",
                              "[data-field=clients]" if "overview" in view else "main")
        nameless = console.run("""
            const isNamed = one => one.labels?.length > 0 || one.getAttribute("aria-label") ||
                one.textContent.trim() !== "";
            return [
                ...[...document.querySelectorAll("table")].filter(one => !one.caption),
                ...[...document.querySelectorAll("thead th")]
                    .filter(one => one.scope !== "col" || one.textContent === ""),
                ...[...document.querySelectorAll("tbody th")].filter(one => one.scope !== "row"),
                ...[...document.querySelectorAll("input, select, textarea, button, a")]
                    .filter(one => one.checkVisibility() && !isNamed(one)),
                ...[...document.querySelectorAll("section, [role=region]")].filter(one =>
                    !document.getElementById(one.getAttribute("aria-labelledby"))),
            ].map(one => one.outerHTML);
        """)
        assert nameless == []
        current = console.run("return document.querySelectorAll('[aria-current=page]').length")
        assert current == 1


def test_the_keyboard_alone_ends_a_connection(start_broker, open_console):
    broker = start_broker()
    with broker.websocket("/channels/a"):
        console = open_console(broker, "#/connections")
        console.wait_for_rows(lambda rows: rows, "the connection")
        console.find("body").send_keys(Keys.TAB)
        assert console.run("return document.activeElement.className") == "skip"
        console.run("document.querySelector('td button').focus()")
        console.browser.switch_to.active_element.send_keys(Keys.ENTER)
        assert console.browser.switch_to.active_element.text == "Cancel"
        console.browser.switch_to.active_element.send_keys(Keys.TAB)
        console.browser.switch_to.active_element.send_keys(Keys.ENTER)
        console.wait_for_rows(lambda rows: not rows, "its end")
