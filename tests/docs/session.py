# SPDX-License-Identifier: Apache-2.0
"""Does what a page says, step by step, as its reader would; each claim of the page is checked.

What may be claimed of a command (sh, one a command; python and js, one a block). TEXT is what the
output has to hold; `A … B` wants A, and B behind it; `A & B` wants both.

    prints TEXT     it ends well and has written TEXT
    fails TEXT      it ends with an error and has written TEXT
    shows TEXT      it writes TEXT and would go on; it is interrupted then
    serves TEXT, later TEXT
                    it writes the one, the page goes on, and by its end it has written the other
    elsewhere FILE  FILE is the test that runs it

js runs in a browser, on a page that the broker served; console.log is its output. Of other blocks:
`file NAME` writes it for later steps, `config` hands it to `tidings check`, `part of FILE` means
that FILE holds these lines, `parses` that the language's own parser takes it (js too, where it
wants what no page of the broker has), and `websocket TARGET` plays a conversation of lines that
begin with → and ←, where "…" stands for anything.
"""
import configparser
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import yaml
from harness.broker import BAD_WORDS, find_binary, wait_for
from harness.ports import take_port
from harness.websocket import WebSocket

from pages import ROOT, commands


def parse_script(text):
    subprocess.run(["esbuild", "--loader=jsx"], input=text, text=True, check=True,
                   capture_output=True)


def parse_go(text):
    """Where there is Go; not in Debian's packages that the tests ask for."""
    if shutil.which("gofmt"):
        subprocess.run(["gofmt", "-e"], input=text, text=True, check=True, capture_output=True)


PARSERS = {"json": json.loads, "yaml": yaml.safe_load, "jsx": parse_script, "js": parse_script,
           "go": parse_go,
           "ini": lambda text: configparser.ConfigParser().read_string(text)}
PATIENCE_S = 60
BUILD_S = 600  # ./run compiles, where nothing has been compiled yet
# The ports that the pages speak of: the broker's, and the reader's own servers (8000, 9000).
PORTS = (8080, 8081, 1883, 8000, 8883, 9000)

# Commands that go to those ports unless told.
ASSUMED = {"clients/demo/play": "--url http://localhost:8080",
           "tidings health": "--operator http://localhost:8081",
           "tidings drain": "--operator http://localhost:8081",
           "tidings explain": "--operator http://localhost:8081",
           "tidings sink": "--operator http://localhost:8081",
           "mosquitto_sub": "-p 1883", "mosquitto_pub": "-p 1883"}
# Says each line at once on a terminal, and not in a file.
BUFFERED = "mosquitto_sub"


def holds(text, wanted):
    """Does the text hold the parts of `A … B`, in this order? And of each `A … B & C … D`?"""
    def is_in_order(parts):
        pattern = ".*".join(re.escape(part.strip()) for part in parts.split(" … "))
        return re.search(pattern, text, re.DOTALL)
    return all(map(is_in_order, wanted.split(" & ")))


class Running:
    """A command of the page, in a process group of its own; its output is a file."""

    def __init__(self, command, folder, environment):
        self.command, self.folder, self.environment = command, folder, environment
        self.start()

    def start(self):
        self.file = tempfile.NamedTemporaryFile(dir=self.folder, prefix=".output-")
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=self.file, stderr=subprocess.STDOUT, start_new_session=True)

    def output(self):
        return pathlib.Path(self.file.name).read_text(encoding="utf-8", errors="replace")

    def wait_to_write(self, wanted, timeout_s):
        def has_written():
            return holds(self.output(), wanted) or self.process.poll() is not None
        try:
            wait_for(has_written, timeout_s, repr(wanted))
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.output()}") from error
        assert holds(self.output(), wanted), self.output()

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise
        said = self.output()
        self.file.close()
        assert not BAD_WORDS.search(said), said


class Tab:
    """A page that the reader opens in a browser; what it writes is its text."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.switch_to.new_window("tab")
        self.tab = browser.current_window_handle
        browser.get(url)

    def ask(self, script):
        self.browser.switch_to.window(self.tab)
        return self.browser.execute_script(script)

    def output(self):
        return self.ask("return document.body.innerText")

    def wait_to_write(self, wanted, timeout_s):
        wait_for(lambda: holds(self.output(), wanted), timeout_s, f"{wanted} in {self.output()}")

    def end(self):
        self.browser.switch_to.window(self.tab)
        self.browser.close()
        self.browser.switch_to.window(self.browser.window_handles[0])


class Script(Tab):
    """A js block under way in such a page; what it writes is what it logs."""

    COLLECT = """
    const [code] = arguments;
    window.said = [];
    console.log = (...words) => window.said.push(words.map(
        (word) => typeof word === 'string' ? word : JSON.stringify(word)).join(' '));
    const AsyncFunction = (async () => {}).constructor;
    new AsyncFunction(code)().catch((error) => console.log('uncaught', String(error)));
    """

    def __init__(self, browser, url, code):
        super().__init__(browser, url)
        # A function has no `import … from`; what it would bring is asked for as it runs.
        code = re.sub(r"^import (\{.*?\}) from '@tidings/client';$",
                      r"const \1 = await import('/demo/tidings.js');", code, flags=re.MULTILINE)
        browser.execute_script(self.COLLECT, code)

    def output(self):
        return "\n".join(self.ask("return window.said"))


class Session:
    """One page, from its first step to its last, in a folder that looks like the clone's root."""

    def __init__(self, folder, borrow_browser):
        self.folder, self.borrow_browser = folder, borrow_browser
        self.ports = {number: take_port() for number in PORTS}
        self.under_way = []  # (running, what it has to have written by the end)
        for entry in ROOT.iterdir():
            (folder / entry.name).symlink_to(entry)
        binary = find_binary()
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith("TIDINGS_")}
        self.environment.update(
            PATH=f"{binary.parent}:{os.environ['PATH']}", TIDINGS_DATA=str(folder / "data"),
            TIDINGS_PUBLIC_LISTEN=f"127.0.0.1:{self.ports[8080]}",
            TIDINGS_OPERATOR_LISTEN=f"127.0.0.1:{self.ports[8081]}",
            TIDINGS_MQTT_LISTEN=f"127.0.0.1:{self.ports[1883]}",
            TIDINGS_URL=f"http://127.0.0.1:{self.ports[8080]}", PYTHONUNBUFFERED="1")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        problems = []
        for running, _ in reversed(self.under_way):
            try:
                running.end()
            except (AssertionError, subprocess.TimeoutExpired) as error:
                problems.append(str(error))
        assert kind or not problems, problems

    def here(self, text):
        """The text with the ports that this session has instead of those of the page; what takes
        8080 for granted is told."""
        for command, port in ASSUMED.items():
            text = text.replace(command, f"{command} {port}")
        text = text.replace(BUFFERED, f"stdbuf --output=L {BUFFERED}")
        for number, port in self.ports.items():
            text = re.sub(rf"\b{number}\b", str(port), text)
        return text

    # --- steps ---

    def take(self, step):
        do = getattr(self, "take_" + step.language, self.take_other)
        do(step)

    def finish(self):
        """What was to come by the end of the page has come."""
        for running, wanted in self.under_way:
            running.wait_to_write(wanted, PATIENCE_S)

    def take_sh(self, step):
        """Variables live on from one command to the next, as in the reader's shell."""
        kept = self.folder / ".variables"
        for command, claim in zip(commands(step.text), step.claims, strict=True):
            code = (f"[ ! -f {kept} ] || . {kept}; set -a\n{self.here(command)}\n"
                    f"code=$?; export -p >{kept}; exit $code")
            if command.startswith("./") or "$" not in command and "=" not in command:
                code = self.here(command)  # so that a signal reaches the command itself
            self.run(["bash", "-c", code], claim)

    def take_python(self, step):
        self.run(["/usr/bin/python3", "-c", self.here(step.text)], *step.claims)

    def take_js(self, step):
        if step.claims == ["parses"]:
            self.take_other(step)
            return
        url = self.here("http://localhost:8080/channels/none")
        self.judge(Script(self.borrow_browser(), url, self.here(step.text)), *step.claims)

    def take_browse(self, step):
        url, _, wanted = step.text.partition(": ")
        self.judge(Tab(self.borrow_browser(), self.here(url)), "serves " + wanted)

    def take_run(self, step):
        if step.text == "broker":
            self.run([str(find_binary()), "serve"], "serves public")
        elif step.text == "restart":
            broker = next(one for one, _ in self.under_way if isinstance(one, Running))
            broker.end()
            broker.start()
            broker.wait_to_write("public", PATIENCE_S)
        else:
            self.finish()
            while self.under_way:
                self.under_way.pop()[0].end()

    def take_other(self, step):
        for claim in step.claims:
            word, _, rest = claim.partition(" ")
            if word == "file":
                (self.folder / rest).write_text(self.here(step.text), encoding="utf-8")
            elif word == "config":
                subprocess.run([find_binary(), "check", "/dev/stdin"], input=step.text, text=True,
                               check=True, env=self.environment)
            elif claim.startswith("part of "):
                whole = " ".join((ROOT / claim[8:]).read_text(encoding="utf-8").split())
                assert " ".join(step.text.split()) in whole, step
            elif word == "websocket":
                self.converse(rest, step.text)
            elif word == "parses":
                PARSERS[step.language](step.text)
            else:
                raise AssertionError(f"{claim}? {step}")
        if step.language in ("json", "yaml"):
            PARSERS[step.language](step.text)

    # --- running and judging ---

    def run(self, command, claim):
        if claim.startswith("elsewhere "):
            assert (ROOT / claim.split(" ", 1)[1]).exists(), claim
            return
        patience_s = BUILD_S if "./run" in command[-1] else PATIENCE_S
        self.judge(Running(command, self.folder, self.environment), claim, patience_s)

    def judge(self, running, claim, patience_s=PATIENCE_S):
        word, _, wanted = claim.partition(" ")
        wanted = self.here(wanted)
        self.under_way.append((running, wanted.replace(", later ", " … ")))
        running.wait_to_write(wanted.split(", later ")[0], patience_s)
        if word in ("prints", "fails"):
            code = running.process.wait(PATIENCE_S)
            assert (code == 0) == (word == "prints"), f"exit {code}: {running.output()}"
        else:
            assert word in ("serves", "shows"), claim
        if word != "serves":
            self.under_way.pop()[0].end()

    def converse(self, target, text):
        """What comes between two → may come in any order: an answer and a message do."""
        lines = [line.strip().partition(" ") for line in text.strip().split("\n")]
        with WebSocket(self.here("http://127.0.0.1:8080"), target) as one:
            for is_sent, said in itertools.groupby(lines, lambda parts: parts[0] == "→"):
                said = [json.loads(rest) for _, _, rest in said]
                if is_sent:
                    for command in said:
                        one.send_json(command)
                    continue
                for came in [one.recv_json() for _ in said]:
                    fitting = [frame for frame in said if is_like(frame, came)]
                    assert fitting, f"{came} is none of {said}"
                    said.remove(fitting[0])


def is_like(said, came):
    """The same but for "…", which is anything."""
    if isinstance(said, dict) and isinstance(came, dict):
        return said.keys() == came.keys() and all(is_like(said[key], came[key]) for key in said)
    return said in ("…", came)
