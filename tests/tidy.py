#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what a script can check of the house style; prints `file:line: rule: text`.

    tests/tidy.py [--report] [--root DIR] [FILE...]

Without files it takes all that git knows or would add. --report also prints how densely each C
file is commented and guarded by INVARIANT, which is a figure and never a failure. Ends with 1 if
something was found. A rule is a function in RULES that yields (line, text) for one Source; the
tests beside it (tidy_test.py) break each one.
"""
import argparse
import pathlib
import re
import subprocess
import sys

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 100

CODE = {".c", ".h"}
SCRIPTS = {".py", ".js", ".mjs", ".ts", ".tsx", ".sh", ".build"}
SCRIPT_NAMES = {"run", "check", ".ci/run", "tests/bench/compare", "tests/fuzz/run",
                "tests/support/kafka"}
PAGES = {".html", ".css", ".md", ".yaml", ".yml", ".txt"}

# Who may include whom. The longest prefix that fits a file is its part; a part may include itself
# and the parts that it names. tests/<part> may include what <part> may.
BASE = ["broker/support/"]
RULES_OF_THE_BROKER = BASE + ["broker/limits.h", "broker/metrics/", "broker/config/"]
CHANNELS = RULES_OF_THE_BROKER + ["storage/storage.h", "broker/channels/"]
DELIVERY = CHANNELS + ["broker/admission/", "broker/delivery/"]
RUNTIME = DELIVERY + ["broker/runtime/"]
PROTOCOLS = RUNTIME + ["protocols/"]
EVERYONE = PROTOCOLS + ["storage/", "clients/"]
MAY_INCLUDE = {
    "broker/support/": BASE,
    "broker/limits.h": [],
    "broker/metrics/": BASE + ["broker/limits.h", "broker/metrics/"],
    "broker/config/": RULES_OF_THE_BROKER,
    "storage/": BASE + ["broker/limits.h", "storage/"],
    "broker/channels/": CHANNELS,
    "broker/admission/": CHANNELS + ["broker/admission/"],
    "broker/delivery/": CHANNELS + ["broker/delivery/"],
    "broker/runtime/": RUNTIME,
    "protocols/": PROTOCOLS,
    "clients/": ["clients/"],
    "broker/main.c": EVERYONE,
    "tests/fuzz/": [*EVERYONE, "tests/fuzz/", "tests/protocols/"],
    "tests/faults/": EVERYONE,
    "tests/bench/": [*DELIVERY, "tests/bench/", "tests/broker/", "clients/bench/histogram.h"],
}

# Call -> what to use instead. Product code only, where the second member says so.
BANNED = {
    "strcpy": ("a span, or snprintf", False),
    "strcat": ("a buffer", False),
    "strncpy": ("memcpy with a checked length", False),
    "strncat": ("a buffer", False),
    "sprintf": ("snprintf", False),
    "vsprintf": ("vsnprintf", False),
    "gets": ("fgets", False),
    "atoi": ("span_parse_u64", False),
    "atol": ("span_parse_u64", False),
    "atoll": ("span_parse_u64", False),
    "atof": ("strtod", False),
    "scanf": ("a parser", False),
    "sscanf": ("a parser", False),
    "strtok": ("span_split", False),
    "alloca": ("a buffer", False),
    "signal": ("sigaction", False),
    "rand": ("getrandom", False),
    "srand": ("getrandom", False),
    "localtime": ("clock_format_rfc3339", False),
    "gmtime": ("gmtime_r", False),
    "asctime": ("clock_format_rfc3339", False),
    "ctime": ("clock_format_rfc3339", False),
    "strerror": ("strerrordesc_np or %m", True),
    "assert": ("INVARIANT, or static_assert", False),
    "sleep": ("a timer or a condition", True),
    "usleep": ("a timer or a condition", True),
    "nanosleep": ("a timer or a condition", True),
    "system": ("posix_spawn", True),
    "popen": ("posix_spawn", True),
    "setjmp": ("an error code", True),
    "longjmp": ("an error code", True),
}

# Modules without a unit test of their own, each with its reason. A trailing slash means a folder.
PART_OF_A_SINK = "a part of a sink; sink_test.c and tests/wire run it whole"
PART_OF_THE_SINKS = "a part of the sinks' thread; tests/wire runs it whole"
NO_UNIT_TEST = {
    "broker/main.c": "names everyone; tests/wire runs it",
    "broker/runtime/": "threads and sockets; tests/wire and tests/faults run them whole",
    "clients/": "programs; tests/wire runs them",
    "protocols/websocket/refusal.c": "two calls of others; tests/wire runs them",
    "protocols/sinks/reading.c": PART_OF_A_SINK,
    "protocols/sinks/shipping.c": PART_OF_A_SINK,
    "protocols/sinks/settling.c": PART_OF_A_SINK,
    "protocols/sinks/storing.c": PART_OF_A_SINK,
    "protocols/sinks/dead_letters.c": PART_OF_A_SINK,
    "protocols/sinks/reviving.c": PART_OF_A_SINK,
    "protocols/sinks/events.c": PART_OF_A_SINK,
    "protocols/sinks/errands.c": PART_OF_A_SINK,
    "protocols/sinks/lag.c": PART_OF_A_SINK,
    "protocols/sinks/sinks.c": PART_OF_THE_SINKS,
    "protocols/sinks/answering.c": PART_OF_THE_SINKS,
    "protocols/sinks/following.c": PART_OF_THE_SINKS,
    "protocols/sinks/learning.c": PART_OF_THE_SINKS,
    "protocols/sinks/feeding.c": PART_OF_THE_SINKS,
}

WORDS_OF_DEBT = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
FUNCTION_HEAD = re.compile(r"^(?!(?:struct|enum|union|typedef)\b[^(]*$)[A-Za-z_][^;=]*\)\s*\{$")


class Source:
    """One file: its lines, and for C the same lines with comments and strings blanked."""

    def __init__(self, root, name, known):
        self.root, self.name, self.known = root, name, known
        self.text = (root / name).read_text(encoding="utf-8", errors="replace")
        self.lines = self.text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        suffix = pathlib.PurePosixPath(name).suffix
        self.is_code = suffix in CODE
        self.is_header = suffix == ".h"
        self.is_program = self.is_code or suffix in SCRIPTS or name in SCRIPT_NAMES
        self.is_test = name.startswith("tests/")
        self.bare = blank(self.text).split("\n") if self.is_code else []

    def functions(self):
        """Yields (name, first line, last line) counted from 1, of functions at column 0."""
        start = None
        head = ""
        for number, line in enumerate(self.bare, 1):
            if start is None:
                if re.match(r"[A-Za-z_]", line) and not line.startswith("#"):
                    head, first = line, number
                elif head and line.startswith((" ", ")")):
                    head += " " + line.strip()
                else:
                    head = ""
                if head and line.rstrip().endswith("{") and FUNCTION_HEAD.match(head.rstrip()):
                    start = first
            elif line.startswith("}"):
                yield function_name(head), start, number
                start, head = None, ""


def function_name(head):
    """The word before the parameter list: `TEST(claim)` gives the claim."""
    test = re.match(r"TEST\w*\((\w+)", head)
    found = test or re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head))
    return found.group(1) if found else "?"


def blank(text):
    """C with comments, strings and characters overwritten by blanks; line ends stay."""
    pattern = re.compile(
        r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)

    def cover(found):
        part = found.group(0)
        inside = re.sub(r"[^\n]", " ", part)
        return part[0] + inside[1:-1] + part[-1] if part[0] in "\"'" else inside

    return pattern.sub(cover, text)


# --- rules of every text file ----------------------------------------------------------------


def rule_length(source):
    """A file is at most 600 lines."""
    if source.is_program and len(source.lines) > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"{len(source.lines)} lines, at most {FILE_LINES_MAX}"


def rule_columns(source):
    """A line is at most 100 columns (a page's prose may be longer)."""
    for number, line in enumerate(source.lines if source.is_program else [], 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {COLUMNS_MAX}"


def rule_tabs(source):
    """Blanks, not tabs."""
    for number, line in enumerate(source.lines, 1):
        if "\t" in line:
            yield number, "a tab"


def rule_trailing(source):
    """No blanks at the end of a line, no blank lines at the end of a file."""
    for number, line in enumerate(source.lines, 1):
        if line != line.rstrip():
            yield number, "blanks at the end"
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines), "no line end at the end of the file"
    elif source.lines and source.lines[-1] == "":
        yield len(source.lines), "an empty line at the end of the file"


def rule_licence(source):
    """One SPDX line at the top."""
    if source.is_program and not any("SPDX-License-Identifier: Apache-2.0" in line
                                     for line in source.lines[:2]):
        yield 1, "no `SPDX-License-Identifier: Apache-2.0` in the first two lines"


def rule_debt(source):
    """No words of unfinished work; a known weakness is written `WEAKNESS: … cure: …`."""
    if not source.is_program or source.name.startswith("tests/tidy"):
        return
    for number, line in enumerate(source.lines, 1):
        if WORDS_OF_DEBT.search(line):
            yield number, "unfinished work; write `WEAKNESS: … cure: …`, or do it"
        if source.is_code and re.match(r"\s*#\s*if\s+0\b", line):
            yield number, "#if 0"


def rule_places(source):
    """No path of one machine."""
    if source.name.startswith("tests/tidy"):
        return
    for number, line in enumerate(source.lines, 1):
        if re.search(r"(?<![\w.])/(work|home|root)/", line):
            yield number, "a path of one machine"


# --- rules of C ------------------------------------------------------------------------------


def rule_function_length(source):
    """A function is at most 60 lines."""
    for name, first, last in source.functions():
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, f"{name} has {last - first + 1} lines, at most {FUNCTION_LINES_MAX}"


def rule_opening(source):
    """A header opens with its purpose, then Place:, Thread:, Bounds:."""
    if not source.is_header:
        return
    opening = re.match(r"/\* SPDX[^\n]*\n/\*(.*?)\*/", source.text, re.DOTALL)
    if not opening:
        yield 2, "no opening comment behind the SPDX line"
        return
    file_name = source.name.rsplit("/", 1)[-1]
    if not re.match(re.escape(f" {file_name} — ") + r"\S", opening.group(1)):
        yield 2, f"the opening comment does not begin with `{file_name} — ` and a purpose"
    for word in ("Place:", "Thread:", "Bounds:"):
        if not re.search(rf"^ \* {word} +\S", opening.group(1), re.MULTILINE):
            yield 2, f"the opening comment has no `{word}`"


def rule_pragma(source):
    """A header has #pragma once, once."""
    if source.is_header and source.bare.count("#pragma once") != 1:
        yield 1, "not exactly one `#pragma once`"


def part_of(name):
    """The row of MAY_INCLUDE that a file stands under, or None."""
    fitting = [part for part in MAY_INCLUDE if name.startswith(part)]
    return max(fitting, key=len, default=None)


def rule_include(source):
    """Includes are root-relative and go in one direction."""
    name = source.name
    is_unit_test = source.is_test and part_of(name) is None
    part = part_of(name[len("tests/"):]) if is_unit_test else part_of(name)
    for number, bare in enumerate(source.bare, 1):
        if not bare.lstrip().startswith("#"):
            continue
        line = source.lines[number - 1]
        found = re.match(r'\s*#\s*include\s+"([^"]*)"', line)
        if not found:
            if re.match(r"\s*#\s*include\s+<lmdb\.h>", line) and "storage/" not in name:
                yield number, "lmdb.h belongs to storage/"
            continue
        target = found.group(1)
        if ".." in target or not (source.root / target).exists():
            yield number, f'"{target}" is not a path from the root'
        elif target.endswith(".c"):
            yield number, f'"{target}": a .c file is never included'
        elif is_unit_test and target.startswith("tests/"):
            continue
        elif part is not None and not may_include(part, target):
            yield number, f'{part} may not include "{target}"'


def may_include(part, target):
    """Does the table let files of `part` include `target`?"""
    return any(target == allowed or (allowed.endswith("/") and target.startswith(allowed))
               for allowed in MAY_INCLUDE[part])


def rule_banned(source):
    """Calls that have a better name."""
    for number, line in enumerate(source.bare, 1):
        for found in re.finditer(r"(?<![\w.>])(\w+)\s*\(", line):
            instead, product_only = BANNED.get(found.group(1), (None, False))
            if instead and not (product_only and source.is_test):
                yield number, f"{found.group(1)}(): use {instead}"


def rule_typedef(source):
    """No typedef of structs, unions or enums."""
    for number, line in enumerate(source.bare, 1):
        if re.match(r"\s*typedef\s+(?:const\s+)?(?:struct|union|enum)\b[^(]*$", line):
            yield number, "a typedef of a struct, union or enum"


def rule_conditional(source):
    """No #if inside a function; a platform or an option is another .c file."""
    for name, first, last in source.functions():
        for number in range(first, last + 1):
            if re.match(r"\s*#\s*(if|ifdef|ifndef|else|elif)\b", source.bare[number - 1]):
                yield number, f"a conditional inside {name}"


def rule_goto(source):
    """goto goes down."""
    for name, first, last in source.functions():
        body = source.bare[first - 1:last]
        for index, line in enumerate(body):
            found = re.search(r"\bgoto\s+(\w+)\s*;", line)
            label = found and re.compile(rf"\s*{found.group(1)}\s*:(?!:)")
            if found and not any(label.match(below) for below in body[index + 1:]):
                yield first + index, f"goto {found.group(1)} goes up in {name}"


def after_parentheses(text, start):
    """The index behind the closing parenthesis of the one at or after `start`."""
    depth = 0
    for index in range(start, len(text)):
        if text[index] == "(":
            depth += 1
        elif text[index] == ")":
            depth -= 1
            if depth == 0:
                return index + 1
    return len(text)


def rule_braces(source):
    """Braces always."""
    text = re.sub(r"\\\n", "  ", "\n".join(source.bare))
    text = re.sub(r"^[ \t]*#[^\n]*", lambda found: " " * len(found.group(0)), text, flags=re.M)
    for found in re.finditer(r"\b(if|for|while|switch|else|do)\b", text):
        word, end = found.group(1), found.end()
        if word in ("if", "for", "while", "switch"):
            end = after_parentheses(text, end)
        follows = re.match(r"\s*(\{|;|if\b)?", text[end:]).group(1)
        is_right = follows == "{" or (word == "else" and follows == "if") or \
            (word == "while" and follows == ";" and "}" in text[max(0, found.start() - 3):end])
        if not is_right:
            yield text.count("\n", 0, found.start()) + 1, f"no brace behind `{word}`"


def rule_invariant(source):
    """INVARIANT takes one claim: split, never `&&`."""
    text = "\n".join(source.bare)
    for found in re.finditer(r"\bINVARIANT\s*\(", text):
        if "&&" in text[found.start():after_parentheses(text, found.start())]:
            yield text.count("\n", 0, found.start()) + 1, "two claims in one INVARIANT"


def rule_globals(source):
    """No globals: state hangs from the broker and is handed down."""
    if source.is_test:
        return
    for number, line in enumerate(source.bare, 1):
        if re.match(r"(?:static\s+)?(?!.*\b(?:const|typedef|extern|enum|static_assert)\b)"
                    r"(?:_Thread_local\s+|volatile\s+|unsigned\s+|_Atomic\s+)*"
                    r"(?:struct\s+\w+|[a-z_]\w*)\s+\**\w+(?:\[[^\]]*\])*\s*(?:=[^=].*|;)$", line) \
                and not re.match(r"(struct|union)\s+\w+\s*;", line):
            yield number, "a global that is not const"


def rule_order(source):
    """Public functions stand in the .c in the order of the header."""
    if not source.name.endswith(".c") or source.is_test:
        return
    header = source.root / (source.name[:-2] + ".h")
    if not header.exists():
        return
    declared = re.findall(r"^[A-Za-z_][^;{}#=()]*?\b(\w+)\((?:[^;{}]*)\)[^;{}]*;",
                          blank(header.read_text(encoding="utf-8")), re.MULTILINE)
    rank = {name: index for index, name in enumerate(declared)}
    highest = -1
    for name, first, _ in source.functions():
        if rank.get(name, highest) < highest:
            yield first, f"{name} stands behind what the header declares after it"
        highest = max(highest, rank.get(name, highest))


def rule_test(source):
    """Each module has <module>_test.c in the same place under tests/."""
    if not source.name.endswith(".c") or source.is_test:
        return
    if any(source.name.startswith(known) for known in NO_UNIT_TEST):
        return
    wanted = "tests/" + source.name[:-2] + "_test.c"
    if wanted not in source.known:
        yield 1, f"no {wanted}"


def rule_names_of_tests(source):
    """A test is a claim: words, not numbers."""
    if not source.name.endswith("_test.c"):
        return
    for number, line in enumerate(source.bare, 1):
        found = re.match(r"TEST\((\w+)\)", line)
        if found and (re.fullmatch(r"(test_?)?\w*?\d+", found.group(1)) and
                      "_" not in found.group(1).strip("_0123456789")):
            yield number, f"{found.group(1)} is not a claim"


# An idempotency key, in a header, a command or a property, that is the same in each run.
CONSTANT_KEY = re.compile(r"""idempotency[-_]key["']?\s*[:,=]\s*[fb]?(["'])[^{]*?\1""",
                          re.IGNORECASE)
SHARED = re.compile(r"def test_\w+\((?:[\w\s]+,)*\s*broker\b", re.MULTILINE)


def rule_neighbours(source):
    """On the broker that tests share, a key of a test's has its `channel` in it."""
    if not re.fullmatch(r"tests/\w+/\w+_test\.py", source.name) or 'name="broker"' in source.text:
        return
    for start in SHARED.finditer(source.text):
        end = re.search(r"\n\S", source.text[start.end():])
        body = source.text[start.end():start.end() + end.start() if end else None]
        for key in CONSTANT_KEY.finditer(body):
            number = source.text.count("\n", 0, start.end() + key.start()) + 1
            yield number, "an idempotency key that another test may have: take `channel`"


RULES = {
    "length": rule_length,
    "columns": rule_columns,
    "tabs": rule_tabs,
    "trailing": rule_trailing,
    "licence": rule_licence,
    "debt": rule_debt,
    "places": rule_places,
    "function-length": rule_function_length,
    "opening": rule_opening,
    "pragma": rule_pragma,
    "include": rule_include,
    "banned": rule_banned,
    "typedef": rule_typedef,
    "conditional": rule_conditional,
    "goto": rule_goto,
    "braces": rule_braces,
    "invariant": rule_invariant,
    "globals": rule_globals,
    "order": rule_order,
    "test": rule_test,
    "claim": rule_names_of_tests,
    "neighbours": rule_neighbours,
}


def list_files(root):
    """What git tracks or would add; without git all files."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
               "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode == 0:
        names = done.stdout.decode().split("\0")
    else:
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return sorted({name for name in names if name and (root / name).is_file()})


def is_checked(name):
    """Text that people wrote; data, pictures and the licence are left alone."""
    suffix = pathlib.PurePosixPath(name).suffix
    return name in SCRIPT_NAMES or suffix in CODE | SCRIPTS | PAGES


def check(root, names=None):
    """Yields (file, line, rule, text) for all that breaks a rule."""
    known = set(list_files(root))
    for name in names or sorted(known):
        if not is_checked(name):
            continue
        source = Source(root, name, known)
        for rule, find in RULES.items():
            for line, text in find(source):
                yield name, line, rule, text


def report(root):
    """Prints lines, share of comments and lines an INVARIANT, per C file of the product."""
    print(f"{'file':48} {'lines':>6} {'comment':>8} {'lines/INVARIANT':>16}")
    sums = [0, 0, 0]
    for name in list_files(root):
        if pathlib.PurePosixPath(name).suffix not in CODE or name.startswith("tests/"):
            continue
        source = Source(root, name, set())
        lines = len(source.lines)
        code = sum(1 for line in source.bare if line.strip())
        blanks = sum(1 for line in source.lines if not line.strip())
        claims = len(re.findall(r"\b(?:INVARIANT|OWNER_CHECK|static_assert)\s*\(",
                                "\n".join(source.bare)))
        comments = lines - blanks - code
        sums = [sums[0] + lines, sums[1] + comments, sums[2] + claims]
        density = f"{lines / claims:.0f}" if claims else "-"
        print(f"{name:48} {lines:6} {100 * comments / max(lines, 1):7.0f}% {density:>16}")
    print(f"{'all':48} {sums[0]:6} {100 * sums[1] / max(sums[0], 1):7.0f}% "
          f"{sums[0] / max(sums[2], 1):16.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    if options.report:
        report(options.root)
    count = 0
    for name, line, rule, text in check(options.root, options.files):
        print(f"{name}:{line}: {rule}: {text}")
        count += 1
    print(f"tidy: {count} found" if count else "tidy: nothing to find")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
