# SPDX-License-Identifier: Apache-2.0
"""Medians and ratios of what `compare` measured, as text and as Markdown.

Rounds are interleaved, so a ratio is taken in each round and then the median of these: what
disturbs the machine for seconds disturbs both of its sides.
"""
import io
import statistics

from scenarios import BROKER, GROWTH, KINDS, OPERATORS, Subject

HEAD = ("scenario", "server", "cost", "× limit", "× tidings", "p50", "p99", "rate", "delivered",
        "lost", "RSS/reader", "others")
TARGET_HEAD = ("work", "measure", "wanted", "aim", "measured", "reached")
NOTHING = "–"
BAR_COLUMNS = 40
READERS_SEEN = 1000
OTHERS_BELIEVED = 0.25  # of a core, above which there is no verdict


class Figures:
    """(subject, round) -> the measures of `tidings bench --json`, or None where it failed."""

    def __init__(self):
        self.rounds = {}
        self.troubles = {}

    def add(self, subject, measures):
        self.rounds.setdefault(subject, []).append(measures)

    def values(self, subject, measure):
        """One a round; None where it was not measured."""
        return [None if measures is None else measures.get(measure)
                for measures in self.rounds.get(subject, [])]

    def median(self, subject, measure):
        known = [value for value in self.values(subject, measure) if value is not None]
        return statistics.median(known) if known else None

    def ratio(self, subject, other, measure):
        """The median of the rounds' ratios; None: there is none."""
        pairs = zip(self.values(subject, measure), self.values(other, measure))
        known = [left / right for left, right in pairs
                 if left is not None and right not in (None, 0)]
        return statistics.median(known) if known else None


def format_measure(measure, value):
    """As people read it."""
    if value is None:
        return NOTHING
    if "rss" in measure:
        return f"{value / 1024:.2f} KiB"
    if measure.endswith("rate"):
        return f"{value:,.0f}/s"
    if measure in ("delivered", "published"):
        return f"{100 * value:.2f} %"
    if measure == "others":
        return f"{100 * value:.0f} %"
    if measure in ("lost", "duplicates", "reordered", "closed", "refused"):
        return f"{value:,.0f}"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            count = value / size
            return f"{count:.3g} {unit}" if count < 100 else f"{count:.0f} {unit}"
    return f"{value:.0f} ns"


def format_ratio(ratio):
    return NOTHING if ratio is None else f"{ratio:.2f}"


def judge(figures, scenario, target):
    """(what was measured as text, does it hold, is the aim reached); None: not measured."""
    subject = Subject(BROKER, scenario.name)

    def measured(bound):
        if bound.against is None:
            return figures.median(subject, target.measure)
        return figures.ratio(subject, bound.subject(scenario.name), target.measure)

    value = measured(target.least)
    compare = OPERATORS[target.operator]
    holds = None if value is None else compare(value, target.least.number)
    aim = measured(target.aim) if target.aim else None
    reaches = None if aim is None else compare(aim, target.aim.number)
    text = format_ratio(value) if target.least.against else format_measure(target.measure, value)
    return text, holds, reaches


def is_disturbed(figures, scenario, target, holds):
    """Did other programs take so much of a core that the verdict may be theirs? They only worsen
    what they disturb: so not where the broker holds all the same, nor where memory is asked for."""
    def had_company(subject):
        return (figures.median(subject, "others") or 0) > OTHERS_BELIEVED

    if "rss" in target.measure:
        return False
    if target.least.against is not None and had_company(target.least.subject(scenario.name)):
        return True
    return not holds and had_company(Subject(BROKER, scenario.name))


def verdict_of(holds, reaches, disturbed):
    return "not measured" if holds is None else "disturbed" if disturbed else \
        "short" if not holds else "aim" if reaches else "yes"


def has_many_readers(scenario):
    """So many that what they cost in memory is seen beside what the server has anyway."""
    count = scenario.settings.get("readers", 100)
    return isinstance(count, int) and count >= READERS_SEEN


def line_of(figures, scenario, subject):
    """The cells of HEAD for one subject of a scenario."""
    cost, latency, rate = KINDS[scenario.kind]
    broker, limit = Subject(BROKER, subject.scenario), Subject("limit", subject.scenario)

    def show(measure):
        return format_measure(measure, figures.median(subject, measure))

    return (subject.scenario, subject.server, show(cost),
            format_ratio(figures.ratio(subject, limit, cost)),
            format_ratio(figures.ratio(subject, broker, cost)), show(latency + "p50"),
            show(latency + "p99"), show(rate), show("delivered"), show("lost"),
            show("server.rss_per_connection") if has_many_readers(scenario) else NOTHING,
            show("others"))


def lines_of(figures, scenarios):
    """One for each subject that was measured, in the order of the scenarios; what a scenario is
    held against stands with it, unless it is one of them itself."""
    names, told = {scenario.name for scenario in scenarios}, set()
    for scenario in scenarios:
        for subject in scenario.subjects():
            is_own = subject.scenario == scenario.name or subject.scenario not in names
            if is_own and subject not in told and subject in figures.rounds:
                told.add(subject)
                yield line_of(figures, scenario, subject)


def targets_of(figures, scenarios):
    """(title, measure, least, aim, measured, verdict), a target each."""
    for scenario in scenarios:
        for target in scenario.targets:
            text, holds, reaches = judge(figures, scenario, target)
            yield (scenario.title, target.measure, f"{target.operator} {target.least.text}",
                   target.aim.text if target.aim else "", text,
                   verdict_of(holds, reaches,
                              is_disturbed(figures, scenario, target, holds)))


def write_columns(rows, stream):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) if column < 2 else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        stream.write("  ".join(cells).rstrip() + "\n")


def write_text(figures, scenarios, stream):
    """The tables for a terminal."""
    write_columns([HEAD, *lines_of(figures, scenarios)], stream)
    judged = list(targets_of(figures, scenarios))
    if judged:
        stream.write("\n")
        write_columns([TARGET_HEAD, *judged], stream)
    write_curves(figures, scenarios, stream)
    for subject, trouble in figures.troubles.items():
        stream.write(f"\n{subject}: {trouble}\n")


def markdown_table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def markdown(figures, scenarios, about):
    """What stands in docs/PERFORMANCE.md between its marks."""
    lines = [*about, ""]
    lines += markdown_table(TARGET_HEAD, [(row[0], f"`{row[1]}`", *row[2:])
                                          for row in targets_of(figures, scenarios)])
    lines += ["", "All that was measured, the medians of the rounds:", ""]
    lines += markdown_table(HEAD, [(f"`{row[0]}`", *row[1:])
                                   for row in lines_of(figures, scenarios)])
    curves = io.StringIO()
    write_curves(figures, scenarios, curves)
    if curves.getvalue():
        lines += ["", "```text", curves.getvalue().strip("\n"), "```"]
    for subject, trouble in figures.troubles.items():
        lines += ["", f"{subject}: {trouble}"]
    return "\n".join(lines) + "\n"


def write_curve(title, points, stream):
    """Bars of a cost over a size: points of (label, nanoseconds)."""
    known = [(label, value) for label, value in points if value is not None]
    if not known:
        return
    most = max(value for _, value in known) or 1
    width = max(len(label) for label, _ in known)
    stream.write(f"\n{title}\n\n")
    for label, value in known:
        bar = "█" * max(1, round(BAR_COLUMNS * value / most))
        stream.write(f"  {label:{width}}  {bar:{BAR_COLUMNS}}  {format_measure('cpu', value)}\n")


def write_curves(figures, scenarios, stream):
    """One for each server and each of GROWTH, where at least two of its scenarios were measured."""
    titles = {scenario.name: scenario.title for scenario in scenarios}
    for what, names in GROWTH.items():
        for server in (BROKER, "limit"):
            points = [(titles[name], figures.median(Subject(server, name), KINDS["delivery"][0]))
                      for name in names if name in titles]
            if len([value for _, value in points if value is not None]) > 1:
                write_curve(f"{server}: CPU a delivery over {what}", points, stream)
