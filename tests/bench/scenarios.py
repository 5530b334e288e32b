# SPDX-License-Identifier: Apache-2.0
"""The scenario files as `compare` sees them: what is measured beside what, and what is wanted.

Everything but the key `compare` is for `tidings bench`, which leaves that one alone:

    compare:
      title: what the row is called
      kind: delivery            a row of KINDS: which figures matter
      servers: [limit, nats]    measured beside tidings
      config: |                 the broker's configuration
      tls: true                 over TLS, to those who can
      limit: publish --file {scratch}/journal {http}   how the raw server is started
      append: --bytes 256 --count 2000 --fsync         the bare append, as a server `append`
      targets:
        - server.cpu_per_delivery <= 1.08 x limit, aim 1.00 x limit
        - p50 <= 150us, aim 100us

What a target is held against is a server, or another scenario (then the broker's figures there);
whatever it names is measured in the same rounds.
"""
import pathlib
import re
from dataclasses import dataclass

import yaml

FOLDER = pathlib.Path(__file__).resolve().parent / "scenarios"
BROKER = "tidings"
FAMILIES = ("fanout", "channels", "patterns", "connect", "idle", "publish", "history", "catch-up",
            "latency", "growth")

# kind -> what is paid, whose latency, what rate
KINDS = {
    "delivery": ("server.cpu_per_delivery", "", "delivery.rate"),
    "publish": ("server.cpu_per_publish", "answer.", "answer.rate"),
    "connect": ("server.cpu_per_connect", "connect.", "connect.rate"),
    "idle": ("server.rss_per_connection", "connect.", "connect.rate"),
}
# What grows -> scenarios whose cost a delivery must not
GROWTH = {
    "readers, 50,000 deliveries a second": ("growth-10", "growth-100", "growth-1000",
                                            "growth-10000"),
    "channels, 20,000 messages a second": ("channels-1", "channels-1000", "channels-100000"),
}
# A unit of a target -> what one is in the units of `tidings bench --json`
UNITS = {"": 1, "ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "KiB": 1024, "MiB": 1048576, "/s": 1,
         "%": 0.01}
OPERATORS = {"<=": lambda left, right: left <= right, ">=": lambda left, right: left >= right}
BOUND = r"([0-9.]+)\s*(ns|us|ms|s|KiB|MiB|/s|%)?(?:\s*x\s+([\w-]+))?"
TARGET = re.compile(rf"([\w.]+)\s*(<=|>=)\s*{BOUND}(?:,\s*aim\s+{BOUND})?")


@dataclass(frozen=True)
class Subject:
    """One thing that is measured in each round: a server under a scenario."""
    server: str
    scenario: str

    def __str__(self):
        return f"{self.server} ({self.scenario})"


@dataclass
class Bound:
    """`1.08 x limit` or `150us`."""
    text: str
    number: float
    against: str  # None: absolute

    def subject(self, scenario):
        """What it is held against."""
        is_scenario = (FOLDER / f"{self.against}.yaml").exists()
        return Subject(BROKER, self.against) if is_scenario else Subject(self.against, scenario)


@dataclass
class Target:
    """What is wanted of the broker in one measure."""
    text: str
    measure: str
    operator: str
    least: Bound
    aim: Bound  # None: there is none


@dataclass
class Scenario:
    """One file."""
    name: str
    path: pathlib.Path
    settings: dict
    title: str
    kind: str
    servers: list
    targets: list
    config: str
    limit: str
    append: str
    tls: bool

    def subjects(self):
        """The broker first, then what it is measured beside."""
        found = [Subject(BROKER, self.name)]
        found += [Subject(server, self.name) for server in self.servers]
        for target in self.targets:
            for bound in (target.least, target.aim):
                if bound is not None and bound.against is not None:
                    found.append(bound.subject(self.name))
        return list(dict.fromkeys(found))


def bound_of(number, unit, against):
    if number is None:
        return None
    text = number + (unit or "") + (f" × {against}" if against else "")
    return Bound(text, float(number) * UNITS[unit or ""], against)


def target_of(text):
    found = TARGET.fullmatch(text.strip())
    if not found:
        raise ValueError(f"not a target: {text}")
    measure, operator, *bounds = found.groups()
    return Target(text, measure, operator, bound_of(*bounds[:3]), bound_of(*bounds[3:]))


def load(path):
    """One scenario; ValueError says in a line what is wrong with it."""
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"no scenario {path.stem}: {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: is no scenario")
    told = settings.pop("compare", {})
    scenario = Scenario(
        name=path.stem, path=path, settings=settings, title=told.pop("title", path.stem),
        kind=told.pop("kind", "delivery"), servers=told.pop("servers", []),
        targets=[target_of(text) for text in told.pop("targets", [])],
        config=told.pop("config", None), limit=told.pop("limit", None),
        append=told.pop("append", None), tls=told.pop("tls", False))
    if told or scenario.kind not in KINDS:
        raise ValueError(f"{path}: compare: {', '.join(told) or scenario.kind} is not known")
    if scenario.tls and scenario.config:
        raise ValueError(f"{path}: compare: tls has a configuration of its own")
    return scenario


def place_of(path):
    """In the order of FAMILIES, smaller figures first."""
    family = next((number for number, name in enumerate(FAMILIES) if path.stem.startswith(name)),
                  len(FAMILIES))
    return family, [int(part) if part.isdigit() else 0 for part in path.stem.split("-")], path.stem


def find(words):
    """Files, or names of those in the folder; all of them for no words."""
    paths = [path if path.suffix else FOLDER / f"{word}.yaml"
             for word in words for path in [pathlib.Path(word)]]
    return [load(path) for path in paths or sorted(FOLDER.glob("*.yaml"), key=place_of)]


def group(scenarios):
    """Lists of scenarios that share a subject: each list is measured in the same rounds."""
    groups = []
    for scenario in scenarios:
        subjects = set(scenario.subjects())
        shared = [one for one in groups if any(subjects & set(other.subjects()) for other in one)]
        groups = [one for one in groups if one not in shared]
        groups.append([other for one in shared for other in one] + [scenario])
    return groups
