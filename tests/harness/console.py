# SPDX-License-Identifier: Apache-2.0
"""The operator's console in a browser: one tab, and what a person sees and does there.

TIDINGS_SCREENSHOTS names a folder to leave pictures of the page in, for somebody to look at.
"""
import os
import pathlib
import re
import threading

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness import http
from harness.broker import PATIENCE_S, wait_for


def ask(broker, method, target, headers=None, body=None):
    return http.request(broker.operator, method, target, headers, body)


def resources(broker):
    """The paths that the administration lists; none where this broker has no such list."""
    answer = ask(broker, "GET", "/api/v1")
    return {one["path"] for one in answer.json()["resources"]} if answer.status == 200 else set()


class Console:
    """The console in a tab of its own."""

    def __init__(self, browser, broker, view="", address=None):
        self.browser, self.broker = browser, broker
        browser.get_log("browser")
        browser.switch_to.new_window("tab")
        browser.get(f"{address or broker.operator}/{view}")

    def close(self):
        self.browser.close()
        self.browser.switch_to.window(self.browser.window_handles[0])

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def run_module(self, name, script, *arguments):
        """Runs a script with a module of the page as `it`; gives what it returns."""
        return self.browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            f"import('/console/{name}').then(async it => {{ {script} }})"
            ".then(done, error => done(String(error)));", *arguments)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """The text of the first element that fits, or None; what is hidden has none."""
        return self.run("const one = document.querySelector(arguments[0]);"
                        "return one && one.checkVisibility() ? one.textContent.trim() : null;",
                        selector)

    def rows(self, selector="main"):
        """The cells' texts of each row of the first table in it."""
        return self.run(
            "const body = document.querySelector(arguments[0] + ' tbody');"
            "return [...(body?.rows ?? [])].map(row => [...row.cells].map(cell =>"
            "    (cell.querySelector('summary') ?? cell).textContent.trim()));", selector)

    def terms(self, name):
        return dict(self.run(
            "return [...document.querySelectorAll(`[data-field=${arguments[0]}] > div`)]"
            "    .map(row => [row.children[0].textContent, row.children[1].textContent]);", name))

    def wait_for_text(self, selector, pattern):
        wait_for(lambda: re.search(pattern, self.text(selector) or ""), PATIENCE_S,
                 f"{pattern!r} at {selector}")

    def wait_for_rows(self, claim, what, selector="main"):
        found, = wait_for(lambda: claim(rows := self.rows(selector)) and [rows], PATIENCE_S, what)
        return found

    def type(self, selector, text):
        field = self.find(selector)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text or Keys.DELETE)

    def press(self, text):
        """Clicks the button of that text once it is to be seen."""
        wait_for(lambda: self.run(
            "const found = [...document.querySelectorAll('button, nav a')].find(one =>"
            "    one.textContent === arguments[0] && one.checkVisibility());"
            "found?.click();"
            "return Boolean(found);", text), PATIENCE_S, f"the button {text!r}")

    def complaints(self):
        """What the browser's console says, but for the question after a list that is not there."""
        known = "/api/v1 - Failed" if not resources(self.broker) else None
        return [entry["message"] for entry in self.browser.get_log("browser")
                if known is None or known not in entry["message"]]

    def picture(self, name):
        folder = os.environ.get("TIDINGS_SCREENSHOTS")
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(str(pathlib.Path(folder) / f"console-{name}.png"))


class Load:
    """Publishes to a channel until it is told to stop."""

    def __init__(self, broker, channel):
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.publish, args=(broker, channel), daemon=True)

    def publish(self, broker, channel):
        with broker.connect() as connection:
            number = 0
            while not self.is_over.wait(0.01):
                number += 1
                connection.request("POST", "/channels/" + channel,
                                   {"Content-Type": "application/json"}, b'{"n":%d}' % number)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(10)
