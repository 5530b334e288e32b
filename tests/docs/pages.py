# SPDX-License-Identifier: Apache-2.0
"""The project's pages as the tests see them: blocks of code, what is claimed of each, links.

A claim is an HTML comment, which no reader of the page sees. It stands right above the block, and
has a line for each command:

    <!-- run prints "offset":1 -->

session.py says what the words mean. These stand alone: `<!-- browse URL: TEXT -->`, a page that the
reader opens; `<!-- run broker -->`, which the page takes for granted; `<!-- run restart -->` of the
page's first command, and `<!-- run stop -->` of all.
"""
import pathlib
import re
import subprocess
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What these show is not run here: why not.
UNTRIED = {
    "docs/ARCHITECTURE.md": "for those who change the broker",
    "docs/PERFORMANCE.md": "takes the machine for minutes; wire/compare_test.py runs a small round",
    "docs/api.md": "in short what openapi.yaml and asyncapi.yaml say, whose tests hold it",
    "docs/console.md": "a page to look at; its tests are in wire/",
    "docs/howto/alerts.md": "for the night in which something is broken",
    "docs/howto/docker.md": "needs a Docker engine; tests/docker/ has one",
    "docs/howto/kubernetes.md": "needs a cluster",
    "docs/reference/bench.md": "written by `tidings bench`, and checked by a test",
    "docs/reference/configuration.md": "written by the broker",
    "docs/reference/logs.md": "written by the broker",
    "docs/reference/metrics.md": "written by the broker",
    "docs/reference/mqtt-conformance.md": "written from the tests, and checked by one of them",
}
ALONE = ("run broker", "run restart", "run stop")


@dataclass
class Step:
    """A block of code, or a comment that stands alone (`language` is its first word)."""
    line: int
    language: str
    text: str
    claims: list = field(default_factory=list)

    def __str__(self):
        return f"line {self.line}: {self.text.strip()[:300]}"


def list_pages():
    """Every Markdown page that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
        check=True, capture_output=True, text=True).stdout.split()
    return [ROOT / name for name in sorted(listed) if (ROOT / name).exists()]


def is_tried(page):
    """Do the tests run what this page shows?"""
    name = page.relative_to(ROOT).as_posix()
    return name == "README.md" or (name.startswith("docs/") and name not in UNTRIED)


def steps(page):
    """What the page shows, in order. Blocks are fenced and say their language."""
    found, claims, lines = [], [], page.read_text(encoding="utf-8").split("\n")
    number = 0
    while number < len(lines):
        line, first = lines[number], number + 1
        if line.startswith("<!--"):
            while "-->" not in lines[number]:
                number += 1
            comment = "\n".join(lines[first - 1:number + 1])[4:].split("-->")[0].strip()
            if comment.startswith("browse ") or comment in ALONE:
                word, _, rest = comment.partition(" ")
                found.append(Step(first, word, rest))
            elif comment.startswith("run"):
                assert not claims, f"{page.name}:{first}: two comments for one block"
                claims = [row.strip() for row in comment[len("run"):].strip().split("\n")]
        elif line.lstrip().startswith("```"):
            indent, language = line.index("`"), line.strip().strip("`")
            end = number + 1
            while lines[end].strip() != "```":
                end += 1
            text = "\n".join(row[indent:] for row in lines[number + 1:end]) + "\n"
            found.append(Step(first, language, text, claims))
            claims, number = [], end
        elif line.strip():
            assert not claims, f"{page.name}:{first}: a claim stands right above its block"
        number += 1
    return found


def commands(text):
    """The commands of a block, each with all its lines: as many as bash needs to parse it."""
    found, pending = [], ""
    for line in text.split("\n"):
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        pending += line + "\n"
        tried = subprocess.run(["bash", "-n"], input=pending, capture_output=True, text=True,
                               check=False)
        if tried.returncode == 0 and not tried.stderr and not line.endswith("\\"):
            found.append(pending.strip())
            pending = ""
    assert not pending.strip(), f"no whole command: {pending}"
    return found


def prose(page):
    """The page without code."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))


def links(page):
    """(text, target) of every link."""
    return re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", prose(page))


def anchors(page):
    """What GitHub makes of the headings."""
    found = []
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"),
                  flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ +(.*?) *$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        again = sum(1 for other in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", other))
        found.append(f"{slug}-{again}" if again else slug)
    return found
