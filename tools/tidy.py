#!/usr/bin/python3
"""The habits of the house that a machine can see. Each message says what to do about it.

    tidy.py --root . --rooms build/release/rooms.txt

Prints `file:line text` per finding and exits 1 if there was any; lines that begin with `warning:`
never fail. Length limits are ratchets: what is over a limit today may shrink and never grow
(tools/tidy_allow.txt), so that nothing creeps back.
"""
import argparse
import pathlib
import re
import subprocess
import sys

WIDTH_MAX = 100
FILE_LINES_WARN, FILE_LINES_MAX = 800, 1000
FUNCTION_LINES_WARN, FUNCTION_LINES_MAX = 70, 100
MAP_ROWS = 128

CODE = {".h", ".cc", ".py", ".sh", ".cmake"}
# Written so that this file does not contain them itself.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX")) + r")\b")
MACHINE_PATH = re.compile(
    r"(?<![\w.~/>-])/(?:" + "|".join(("wo" "rk", "fa" "rm", "ro" "ot", "ho" "me")) + r")/\w"
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def tracked_files(root):
    """What git knows or would add; in a tree without git, everything outside build*/."""
    try:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        listed = [
            str(path.relative_to(root))
            for path in root.rglob("*")
            if not path.relative_to(root).parts[0].startswith(("build", ".git/"))
        ]
    paths = (pathlib.PurePosixPath(name) for name in sorted(listed))
    return [path for path in paths if (root / path).is_file()]


def read_allowances(path):
    """{(file, what): ceiling}; each line is `file | what | lines | reason`."""
    allowed = {}
    if path.exists():
        for line in path.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                file, what, lines, _reason = (part.strip() for part in line.split("|", 3))
                allowed[(file, what)] = int(lines)
    return allowed


# Comments and literals: their braces are not code. As in check_rooms.py.
NOISE = re.compile(
    r'R"([^(\s]*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'",
    re.S,
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b|^\s*extern\b")
CONTROL = re.compile(r"^\s*(\}?\s*else\b|if|for|while|switch|do|try|catch|case|default|return)\b")


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def functions(text):
    """Yields (name, first line, lines) of the C++ functions at namespace or class scope.

    A brace opens one when what stands before it, back to the last ; { or }, has parentheses, is
    no scope and no control statement, and its parent is a scope. Good enough for formatted code.
    """
    code = DIRECTIVE.sub(blank, NOISE.sub(blank, text))
    stack, start, line = [], 0, 1
    for at, char in enumerate(code):
        if char == "\n":
            line += 1
        elif char in ";{}":
            head = code[start:at]
            start = at + 1
            if char == "{":
                in_scope = not stack or stack[-1][0] == "scope"
                if "(" in head and in_scope and not CONTROL.match(head):
                    name = re.search(r"([\w:~]+)\s*\(", head)
                    first = line - head.lstrip().count("\n")
                    stack.append(("function", name.group(1) if name else "?", first))
                elif SCOPE.search(head) and "(" not in head:
                    stack.append(("scope", "", line))
                else:
                    stack.append(("block", "", line))
            elif char == "}" and stack:
                kind, name, first = stack.pop()
                if kind == "function":
                    yield name, first, line - first + 1


class Tidy:
    def __init__(self, root, rooms):
        self.root = root
        self.rooms = rooms  # {name: directory}
        self.files = tracked_files(root)
        self.allowed = read_allowances(root / "tools" / "tidy_allow.txt")
        self.used = set()
        self.findings = []
        self.warnings = []

    def find(self, path, line, text):
        self.findings.append(f"{path}:{line} {text}")

    def within_ratchet(self, path, what, lines):
        """True if an allowance covers it; findings when it has grown past its ceiling."""
        ceiling = self.allowed.get((str(path), what))
        if ceiling is None:
            return False
        self.used.add((str(path), what))
        if lines > ceiling:
            self.find(
                path, 1, f"{what} has grown from {ceiling} to {lines} lines. " "Split it instead."
            )
        return True

    # --- text ---------------------------------------------------------------------------------

    def check_text(self, path, text):
        testdata = "testdata" in path.parts or "corpus" in path.parts
        is_code = not testdata and (
            path.suffix in CODE or path.name in ("CMakeLists.txt", "dev", "run")
        )
        lines = text.split("\n")
        if text and not text.endswith("\n") and not testdata:
            self.find(path, len(lines), "does not end with a newline. Add one.")
        table = False  # columns that would be worse broken, marked for clang-format
        for number, line in enumerate(lines, 1):
            marker = re.match(r"\s*// clang-format (off|on)\b", line)
            if marker:
                table = marker.group(1) == "off"
            if is_code and not table and len(line) > WIDTH_MAX and "://" not in line:
                self.find(path, number, f"is {len(line)} columns wide. Break it at {WIDTH_MAX}.")
            if not testdata and path.name != "LICENSE":
                if "\t" in line:
                    self.find(path, number, "has a tab. Use spaces (./dev fmt).")
                if line != line.rstrip():
                    self.find(path, number, "ends in blanks. Remove them (./dev fmt).")
            if UNFINISHED.search(line):
                self.find(
                    path,
                    number,
                    "leaves something unfinished. Do it, or write an issue and "
                    "say in the README what is missing.",
                )
            if MACHINE_PATH.search(line):
                self.find(
                    path, number, "names a path of one machine. Make it relative or " "a parameter."
                )

    def check_code_length(self, path, text):
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            if not self.within_ratchet(path, "file", lines):
                self.find(
                    path,
                    1,
                    f"has {lines} lines, over {FILE_LINES_MAX}. Split it by "
                    "message or role (append.cc, vote.cc): a second noun hides "
                    "in it.",
                )
        elif lines > FILE_LINES_WARN:
            self.warnings.append(f"{path}:1 has {lines} lines. Look for the second noun inside.")
        if path.suffix not in (".h", ".cc"):
            return
        for name, first, count in functions(text):
            if count > FUNCTION_LINES_MAX:
                if not self.within_ratchet(path, name, count):
                    self.find(
                        path,
                        first,
                        f"{name} has {count} lines, over {FUNCTION_LINES_MAX}. "
                        "Keep the ifs here, move the loops down into helpers.",
                    )
            elif count > FUNCTION_LINES_WARN:
                self.warnings.append(
                    f"{path}:{first} {name} has {count} lines; a screen is "
                    f"{FUNCTION_LINES_WARN}."
                )

    def check_header(self, path, text):
        for line in text.splitlines():
            if line.strip() and not line.startswith("//"):
                if line.strip() != "#pragma once":
                    self.find(path, 1, "has no `#pragma once` after its opening comment. Add it.")
                return
        self.find(path, 1, "is empty. Remove it.")

    def check_links(self, path, text):
        text = re.sub(r"```.*?```", "", text, flags=re.S)
        for target in LINK.findall(text):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (self.root / path.parent / target).exists():
                self.find(path, 1, f"links to {target}, which is not there. Correct the link.")

    # --- the house ----------------------------------------------------------------------------

    def check_readmes(self):
        for name, directory in self.rooms.items():
            has_code = any(
                str(path.parent) == directory and path.suffix == ".cc" for path in self.files
            )
            if has_code and not (self.root / directory / "README.md").is_file():
                self.find(
                    f"{directory}/README.md",
                    1,
                    f"is not there. Say on one page what {name} is for, what it deliberately "
                    "does not know, which type to read first, how to run its tests.",
                )

    def check_architecture(self):
        path = self.root / "ARCHITECTURE.md"
        if not path.is_file():
            self.find("ARCHITECTURE.md", 1, "is not there.")
            return
        text = path.read_text()
        if text.count("\n") >= 300:
            self.find(
                "ARCHITECTURE.md",
                1,
                "has 300 lines or more: nobody reads it in 15 minutes. "
                "Move detail into a room's README.",
            )
        planned = self.planned_rooms()
        section = re.search(r"^## Code map\n(.*?)(?=^## )", text + "\n## ", re.M | re.S)
        if not section:
            self.find("ARCHITECTURE.md", 1, "has no section `## Code map` that names every room.")
            return
        groups = {name.split("/")[0] for name in set(self.rooms) | planned}
        named = {
            word
            for word in re.findall(r"`([a-z_]+(?:/[a-z0-9_]+)?)`", section.group(1))
            if word.split("/")[0] in groups
        }
        for name in sorted(set(self.rooms) - named):
            self.find(
                "ARCHITECTURE.md", 1, f"does not name the room `{name}` in its code map. " "Add it."
            )
        for name in sorted(named - set(self.rooms) - planned):
            self.find(
                "ARCHITECTURE.md",
                1,
                f"names `{name}` in its code map, which is no room "
                "(cmake/rooms.cmake). Remove it.",
            )
        for name in sorted(planned & set(self.rooms)):
            self.find("tools/rooms_planned.txt", 1, f"still lists {name}, which stands. Remove it.")

    def check_matrix(self):
        """The table of The house against the MAY_ lines of cmake/rooms.cmake."""
        architecture, plan = self.root / "ARCHITECTURE.md", self.root / "cmake" / "rooms.cmake"
        if not architecture.is_file() or not plan.is_file():
            return
        may = {
            name: set(groups.split())
            for name, groups in re.findall(r"^set\(MAY_(\w+)([^)]*)\)", plan.read_text(), re.M)
        }
        section = re.search(r"^## The house\n(.*?)(?=^## )", architecture.read_text(), re.M | re.S)
        told = {}
        for groups, looks_into in re.findall(
            r"^\| ([\w, ]+) \| ([^|]+) \|", section.group(1) if section else "", re.M
        ):
            words = set(
                re.findall(
                    r"\w+",
                    looks_into.replace("sibling cores", "core").replace(
                        "sibling services", "service"
                    ),
                )
            )
            for group in groups.split(", "):
                told[group] = None if "everything" in words else words & set(may)
        for group, allowed in sorted(may.items()):
            if group not in told:
                self.find(
                    "ARCHITECTURE.md",
                    1,
                    f"does not say what the group {group} looks into. " "Add a row to The house.",
                )
            elif told[group] is not None and told[group] != allowed:
                self.find(
                    "ARCHITECTURE.md",
                    1,
                    f"says that {group} looks into "
                    f"{sorted(told[group])}, the plan says "
                    f"{sorted(allowed)}.",
                )

    def planned_rooms(self):
        path = self.root / "tools" / "rooms_planned.txt"
        if not path.is_file():
            return set()
        return {
            line.strip()
            for line in path.read_text().splitlines()
            if line.strip() and not line.startswith("#")
        }

    def check_map(self):
        path = self.root / "docs" / "map.md"
        if not path.is_file():
            self.find("docs/map.md", 1, "is not there.")
            return
        rows = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r"\|\s*(\d+)\s*\|(.*)\|\s*$", line)
            if not match:
                continue
            row, cells = int(match.group(1)), [c.strip() for c in match.group(2).split("|")]
            if row in rows:
                self.find("docs/map.md", number, f"has row {row} twice.")
            rows[row] = cells
            if len(cells) not in (5, 6) or not all(cells[:3]):
                self.find(
                    "docs/map.md",
                    number,
                    f"row {row} needs: concept, what a user expects, "
                    "state, see it live, proved by, where it is.",
                )
            elif cells[2] != "not yet":
                self.check_claim(number, row, cells)
        for row in sorted(set(range(1, MAP_ROWS + 1)) - set(rows)):
            self.find("docs/map.md", 1, f"lacks row {row}. Rows are never dropped.")

    def check_claim(self, number, row, cells):
        if len(cells) != 6 or not all(cells[3:]):
            self.find(
                "docs/map.md",
                number,
                f"row {row} claims a state without a command to "
                "see it, a test that proves it, and where it is.",
            )
            return
        for place in re.findall(r"`([^`]*)`", cells[5]):
            if not (self.root / place).exists():
                self.find("docs/map.md", number, f"row {row} lies in {place}, which is not there.")

    def check_adrs(self):
        numbers = set()
        for path in self.files:
            if path.parent != pathlib.PurePosixPath("docs/adr") or path.name == "README.md":
                continue
            match = re.match(r"(\d{4})-[a-z0-9.-]+\.md$", path.name)
            if not match:
                self.find(path, 1, "is no ADR name. Use 0012-short-title.md.")
                continue
            if match.group(1) in numbers:
                self.find(
                    path, 1, f"takes number {match.group(1)} a second time. " "Take the next one."
                )
            numbers.add(match.group(1))
            text = (self.root / path).read_text()
            for part in (
                "Status:",
                "## Context",
                "## Options",
                "## Decision",
                "## Consequences",
                "## Revisit when",
            ):
                if not re.search(rf"^{part}", text, re.M):
                    self.find(path, 1, f"has no `{part}`. Every decision has the same six parts.")

    def run(self):
        for path in self.files:
            raw = (self.root / path).read_bytes()
            if b"\0" in raw or "corpus" in path.parts:
                continue
            text = raw.decode(errors="replace")
            self.check_text(path, text)
            if path.suffix in CODE and "testdata" not in path.parts:
                self.check_code_length(path, text)
            if path.suffix == ".h":
                self.check_header(path, text)
            if path.suffix == ".md":
                self.check_links(path, text)
        self.check_readmes()
        self.check_architecture()
        self.check_matrix()
        self.check_map()
        self.check_adrs()
        for key in sorted(set(self.allowed) - self.used):
            self.find(
                "tools/tidy_allow.txt",
                1,
                f"allows {key[0]} a long `{key[1]}` that is gone. " "Remove the line.",
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--rooms", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    rooms = {}
    for line in arguments.rooms.read_text().splitlines():
        if line.strip():
            name, directory = line.split("|")[:2]
            rooms[name] = directory
    tidy = Tidy(arguments.root.resolve(), rooms)
    tidy.run()
    for warning in tidy.warnings:
        print(f"warning: {warning}")
    for finding in tidy.findings:
        print(finding)
    print(
        f"tidy: {len(tidy.files)} files, {len(tidy.findings)} findings, "
        f"{len(tidy.warnings)} warnings"
    )
    return 1 if tidy.findings else 0


if __name__ == "__main__":
    sys.exit(main())
