#!/usr/bin/python3
"""The house plan, checked against the sources: who includes whom, and who asks the outside world.

    check_rooms.py --root . --rooms build/release/rooms.txt

rooms.txt is written by cmake/rooms.cmake at configure time, one room a line:
    name|directory|dep;dep|test dep;test dep
All rooms share one include root, so the compiler accepts any room's header; this is what notices an
undeclared one. Exceptions stand in tools/rooms_allow.txt, each with its reason; one that is no
longer needed is an error, too. Prints one line per finding and exits 1 if there was any.
"""
import argparse
import pathlib
import re
import sys
from dataclasses import dataclass, field

# Outside libraries whose headers are heavy, or that would tie a room to one world: prefix of the
# include -> rooms or groups that may name it. They may do so in .cc and *_internal.h files only.
HEAVY = {
    "boost/": set(),
    "rocksdb/": {"engine/rocks"},
    "openssl/": {"runtime/epoll"},
    "nghttp2/": {"edge/etcd"},
    "google/": {"edge/etcd"},
    "grpcpp/": set(),
    "spdlog/": {"app"},
    "CLI/": {"app", "sim"},
    "toml++/": {"app/config"},
    "fmt/": None,  # any room
}

# Rooms that are the outside world's side of the house.
WORLDLY = {"runtime/epoll", "engine/rocks", "app"}


@dataclass(frozen=True)
class Rule:
    """A thing that a room must not ask for, and what it takes instead."""

    name: str
    pattern: re.Pattern
    text: str  # "<file>:<line> <text>"
    in_tests: bool = False  # binding in *_test.cc and *_fuzz.cc, too


def rule(name, pattern, text, in_tests=False):
    return Rule(name, re.compile(pattern), text, in_tests)


RULES = [
    rule(
        "clock",
        r"\b(system_clock|steady_clock|high_resolution_clock|utc_clock|gettimeofday|clock_gettime"
        r"|timespec_get|localtime(_r)?|gmtime(_r)?)\b"
        r"|(?<![\w.>])(std::)?time\s*\(\s*(nullptr|NULL|0|&)",
        "asks the wall clock. Take Input::now in a core, Shard::clock() elsewhere "
        "(ARCHITECTURE.md, Time).",
        in_tests=True,
    ),
    rule(
        "thread",
        r"\bstd::(jthread|thread|async|future|promise|packaged_task|condition_variable(_any)?"
        r"|latch|barrier|counting_semaphore|binary_semaphore|this_thread)\b"
        r"|\bpthread_\w+|\bthread_local\b",
        "uses threads. Spawn a Task into a Scope, or submit to another shard "
        "(ARCHITECTURE.md, Turns).",
        in_tests=True,
    ),
    rule(
        "sleep",
        r"\b(sleep_for|sleep_until|usleep|nanosleep)\b|(?<![\w:.>])::sleep\s*\(",
        "sleeps. Arm a timer of port::Timers, or co_await port::sleep (ARCHITECTURE.md, Time).",
        in_tests=True,
    ),
    rule(
        "mutex",
        r"\bstd::((recursive_|shared_|timed_)*mutex|lock_guard|unique_lock|scoped_lock|shared_lock"
        r"|once_flag|call_once|atomic\w*)\b",
        "shares memory between threads. An object belongs to one shard for life; cross shards "
        "with Shard::submit (ARCHITECTURE.md, Turns).",
    ),
    rule(
        "random",
        r"\b(random_device|mt19937(_64)?|getrandom)\b|(?<![\w.>])(std::)?s?rand\s*\(",
        "draws randomness of its own. Take a seeded Prng (base/prng.h), or port::Entropy in a "
        "driver (ARCHITECTURE.md, Time).",
        in_tests=True,
    ),
    rule(
        "socket",
        r"#\s*include\s*<(sys/(socket|epoll|un|uio|eventfd|timerfd)\.h|netinet/"
        r"|arpa/|netdb\.h|poll\.h)",
        "opens sockets. Go through port::Net (src/port/net.h).",
    ),
    rule(
        "file",
        r"#\s*include\s*<(fcntl\.h|unistd\.h|fstream|filesystem|dirent\.h"
        r"|sys/(stat|mman|file|types|statvfs)\.h)|\b(fopen|freopen|tmpfile)\s*\(",
        "touches files. Go through port::Disk (src/port/disk.h).",
    ),
    rule(
        "environment",
        r"\b(secure_)?getenv\b|\bsetenv\b",
        "reads the environment. Take it from the options struct; app reads the environment.",
    ),
    rule(
        "print",
        r"\bstd::(cout|cerr|clog)\b|(?<![\w.>])((f|v|vf)?printf|f?puts|perror)\s*\(",
        "prints. Hand it to a Log (base/log.h).",
    ),
    rule(
        "exit",
        r"\bstd::(abort|exit|_Exit|quick_exit|signal|raise)\b|(?<![\w.>:])(::)?_exit\s*\("
        r"|(?<![\w.>:])::(abort|exit|signal|raise)\s*\(",
        "ends the process. CHECK a bug; report the rest through Shard::fatal "
        "(ARCHITECTURE.md, Errors).",
    ),
]
ALL = {r.name for r in RULES}
# What binds whom. sim is a program of its own that reads scenarios and prints findings, two rooms
# serve tests only, and engine/mem is called from any shard: these are bound by what replay needs.
REPLAY = {"clock", "thread", "sleep", "random", "socket"}
BINDING = {
    "sim": REPLAY,
    "test_support": REPLAY,
    "engine/conformance": REPLAY,
    "engine/mem": ALL - {"mutex"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Comments, string and character literals; raw strings first. Newlines inside are kept.
NOISE = re.compile(
    r'R"([^(\s]*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'",
    re.S,
)


@dataclass
class Room:
    name: str
    directory: str
    deps: set
    test_deps: set = field(default_factory=set)

    @property
    def group(self):
        return self.name.split("/")[0]


def read_rooms(path):
    rooms = {}
    for line in path.read_text().splitlines():
        if not line.strip():
            continue
        parts = line.split("|") + [""]
        rooms[parts[0]] = Room(
            parts[0],
            parts[1],
            set(filter(None, parts[2].split(";"))),
            set(filter(None, parts[3].split(";"))),
        )
    return rooms


def read_allowances(path, findings):
    """{(file, rule): line number}; each line is `file | rule | reason`."""
    allowed = {}
    if not path.exists():
        return allowed
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 3 or not parts[2]:
            findings.append(f"{path.name}:{number} is not `file | rule | reason`.")
        elif parts[1] not in ALL | {"heavy"}:
            findings.append(f"{path.name}:{number} names no rule: {parts[1]}.")
        else:
            allowed[(parts[0], parts[1])] = number
    return allowed


def blank(match):
    text = match.group(0)
    return re.sub(r"[^\n]", " ", text)


def is_test(path):
    """x_test.cc, x_fuzz.cc, and what only they include: x_test_node.h."""
    return path.stem.endswith(("_test", "_fuzz")) or "_test_" in path.stem


class Checker:
    def __init__(self, root, rooms):
        self.root = root
        self.rooms = rooms
        self.findings = []
        self.allow_path = root / "tools" / "rooms_allow.txt"
        self.allowed = read_allowances(self.allow_path, self.findings)
        self.used = set()
        self.by_directory = {room.directory: room for room in rooms.values()}

    def room_of_file(self, relative):
        for parent in relative.parents:
            if str(parent) in self.by_directory:
                return self.by_directory[str(parent)]
        return None

    def room_of_include(self, included):
        for parent in pathlib.PurePosixPath(included).parents:
            if str(parent) in self.rooms:
                return self.rooms[str(parent)]
        return None

    def find(self, where, rule_name, text):
        key = (str(where[0]), rule_name)
        if key in self.allowed:
            self.used.add(key)
        else:
            self.findings.append(f"{where[0]}:{where[1]} {text}")

    def check_include(self, where, room, quote, included):
        path = where[0]
        for prefix, owners in HEAVY.items():
            if not included.startswith(prefix):
                continue
            if owners is not None and not owners & {room.name, room.group} and not is_test(path):
                whose = ", ".join(sorted(owners)) or "no room"
                self.find(
                    where,
                    "heavy",
                    f"includes <{included}>, which is for {whose}. Use that "
                    "room's own header, or take the library there by an ADR "
                    "(CONTRIBUTING.md, Dependencies).",
                )
            elif path.suffix == ".h" and not path.stem.endswith("_internal"):
                self.find(
                    where,
                    "heavy",
                    f"includes <{included}> in a header. Move it to the .cc, "
                    "behind a factory or a pointer (ARCHITECTURE.md, The house).",
                )
        if quote == "<":
            return
        target = self.room_of_include(included)
        if target is None:
            self.findings.append(
                f'{path}:{where[1]} includes "{included}", which is in no room. '
                'Name it from the include root: "core/raft/core.h".'
            )
            return
        declared = room.deps | {room.name} | (room.test_deps if is_test(path) else set())
        if target.name not in declared:
            self.findings.append(
                f'{path}:{where[1]} includes "{included}", but {room.name} does not list '
                f"{target.name}. Add it to room({room.name} DEPS ...) in cmake/rooms.cmake if it "
                "belongs below; if not, move the shared noun down (ARCHITECTURE.md, The house)."
            )

    def check_file(self, relative):
        room = self.room_of_file(relative)
        if room is None:
            self.findings.append(f"{relative}:1 lies in no room. Declare one in cmake/rooms.cmake.")
            return
        text = (self.root / relative).read_text(errors="replace")
        code = NOISE.sub(blank, text)
        lines = zip(text.splitlines(), code.splitlines())
        for number, (line, code_line) in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if match and code_line.lstrip().startswith("#"):  # else it is commented out
                self.check_include((relative, number), room, match.group(1), match.group(2))
        if room.name in WORLDLY:
            return
        binding = BINDING.get(room.name, BINDING.get(room.group, ALL))
        for rule_ in RULES:
            if rule_.name not in binding or (is_test(relative) and not rule_.in_tests):
                continue
            for match in rule_.pattern.finditer(code):
                number = code.count("\n", 0, match.start()) + 1
                self.find((relative, number), rule_.name, rule_.text)

    def run(self):
        directories = [self.root / "src"] + [
            self.root / room.directory
            for room in self.rooms.values()
            if not room.directory.startswith("src/")
        ]
        files = sorted(
            {
                path.relative_to(self.root)
                for directory in directories
                for path in directory.rglob("*")
                if path.suffix in (".h", ".cc")
            }
        )
        for relative in files:
            self.check_file(relative)
        for key, number in self.allowed.items():
            if key not in self.used:
                self.findings.append(
                    f"{self.allow_path.name}:{number} allows {key[0]} the rule "
                    f"`{key[1]}`, which it no longer breaks. Remove the line."
                )
        return len(files)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--rooms", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if not arguments.rooms.exists():
        print(f"{arguments.rooms} is not there: configure first (./dev build)")
        return 1
    checker = Checker(arguments.root.resolve(), read_rooms(arguments.rooms))
    count = checker.run()
    for finding in checker.findings:
        print(finding)
    print(f"rooms: {count} files of {len(checker.rooms)} rooms, {len(checker.findings)} findings")
    return 1 if checker.findings else 0


if __name__ == "__main__":
    sys.exit(main())
