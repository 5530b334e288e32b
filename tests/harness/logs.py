# SPDX-License-Identifier: Apache-2.0
"""What the broker logs, read strictly: each line by the grammar, each event by the reference."""
import json
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "reference" / "logs.md"
ROW = re.compile(r"\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \| [^|]* \|")
CONTROLS = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
STRING = rf'"(?:[^"\\{CONTROLS}]|\\["\\]|\\u(?:00|06|20)[0-9a-f]{{2}})*"'
PAIR = re.compile(rf'([a-z_]+)=({STRING}|[!#-<>-\[\]-~]+)(?: |$)')
HEAD = ["time", "level", "event", "message"]


def read_page():
    """{event: (level, message, keys)}"""
    rows = (ROW.fullmatch(line) for line in PAGE.read_text(encoding="utf-8").splitlines())
    return {row[1]: (row[2], row[3], re.findall(r"`(\w+)`", row[4])) for row in rows if row}


EVENTS = read_page()


def value_of(text):
    if text.startswith('"'):
        return json.loads(text)
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"\d+", text) else text


def parse_logfmt(line):
    pairs, at = [], 0
    while at < len(line):
        found = PAIR.match(line, at)
        assert found, f"no logfmt at column {at}: {line!r}"
        pairs.append((found[1], value_of(found[2])))
        at = found.end()
    assert not line.endswith(" "), line
    return pairs


def parse(line):
    """{key: value} of one line, which the reference must know."""
    pairs = json.loads(line, object_pairs_hook=list) if line.startswith("{") \
        else parse_logfmt(line)
    keys = [key for key, _ in pairs]
    values = dict(pairs)
    assert len(values) == len(keys) and keys[:4] == HEAD, line
    level, message, known = EVENTS[values["event"]]
    assert (values["level"], values["message"]) == (level, message), line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", values["time"]), line
    known = [*(["suppressed"] if values["event"] != "LINES_SUPPRESSED" else []), *known]
    assert keys[4:] == [key for key in known if key in values], line
    return values
