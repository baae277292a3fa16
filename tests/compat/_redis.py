"""Redis' own suite (tests/ of a checkout of redis/redis, in Tcl) against a server that runs."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

SECONDS_MAX = 60  # without progress; then the test under way has failed
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LINE = re.compile(r"^\[(ok|err|skip|ignore|exception|TIMEOUT)\]: (.*)$")
ENDED = re.compile(r" in tests/\S+\.tcl$")
UNDER_WAY = re.compile(r"=> \(IN PROGRESS\) (.*)$", re.M)

# The suite sends FUNCTION FLUSH before every unit, also where no function is used: there are none
# here, so the error of a server without scripting must not end the unit.
FLUSH = "    r function flush\n"


class Suite:
    """A copy of the checkout's tests, changed in that one line; gone with the context."""

    def __init__(self, checkout):
        self.checkout = pathlib.Path(checkout)

    def __enter__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="asterias-redis-suite-"))
        shutil.copytree(self.checkout / "tests", self.root / "tests", symlinks=True)
        (self.root / "tests/tmp").mkdir(exist_ok=True)
        shutil.copytree(self.checkout / "src/commands", self.root / "src/commands")
        for client in ("redis-cli", "redis-benchmark"):
            if found := shutil.which(client):
                (self.root / "src" / client).symlink_to(found)
        server = self.root / "tests/support/server.tcl"
        text = server.read_text()
        if text.count(FLUSH) != 1:
            raise RuntimeError(f"{server}: another version than 7.0.15?")
        server.write_text(text.replace(FLUSH, "    catch {r function flush}\n"))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def units(self):
        return self.tcl("--list-tests").split()

    def tcl(self, *arguments):
        done = subprocess.run(
            ["tclsh", "tests/test_helper.tcl", *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30 * SECONDS_MAX,
            check=False,
            env=dict(os.environ, LC_ALL="C.UTF-8"),
        )
        return COLOUR.sub("", done.stdout.decode(errors="replace"))

    def run(self, address, unit, *arguments):
        """One run of a unit: what `parse` makes of it."""
        host, port = address
        target = ("--host", host, "--port", str(port), "--single", unit)
        patience = ("--durable", "--timeout", str(SECONDS_MAX))
        return parse(self.tcl(*target, *patience, *arguments))

    def skip_file(self, names):
        path = self.root / "skip"
        path.write_text("\n".join(names))
        return ("--skipfile", str(path))


def parse(text):
    """(seen, outside): seen is [(test, outcome, text)] in order, with outcome ok, err, skip or
    ignore; outside are the errors beyond any test, which end what is left of a unit."""
    seen, outside, open_error = [], [], None
    for line in text.split("\n                   The End\n")[0].splitlines():
        match = LINE.match(line)
        if not match:
            if open_error is not None and not line.startswith("["):
                open_error.append(line)
            continue
        kind, name = match.groups()
        open_error = None
        if kind == "ok":
            seen.append((re.sub(r" \(\d+ ms\)$", "", name), "ok", None))
        elif kind == "err" and ENDED.search(name):
            open_error = []
            seen.append((ENDED.sub("", name), "err", open_error))
        elif kind in ("err", "exception"):
            open_error = [name]
            outside.append(open_error)
        elif kind in ("skip", "ignore"):
            seen.append((name, kind, None))
    if "[TIMEOUT]" in text:
        seen += [(name, "err", ["no end"]) for name in UNDER_WAY.findall(text)]
    return numbered(seen), [shorten(lines) for lines in outside]


def numbered(seen):
    """The second test of one name gets #2."""
    times, out = {}, []
    for name, outcome, lines in seen:
        times[name] = times.get(name, 0) + 1
        mark = f" #{times[name]}" if times[name] > 1 and outcome != "ignore" else ""
        out.append((name + mark, outcome, shorten(lines)))
    return out


def shorten(lines):
    """What went wrong, from a message and perhaps a Tcl stack, of which the command counts. The
    suite cuts ten characters off the first line of what is no assertion; the second has it all."""
    if lines is None:
        return None
    lines = [line.encode("ascii", "backslashreplace").decode() for line in lines]
    lines = [re.sub(r"[\x00-\x1f]", "?", line) for line in lines]
    stack = [i for i, line in enumerate(lines) if line.strip() == "while executing"]
    if stack and stack[0] + 1 < len(lines):
        return f"{lines[stack[0] - 1]} [{lines[stack[0] + 1].strip()}]"[:300]
    return " ".join(line.strip() for line in lines if line.strip())[:300]


def run_unit(suite, table, address, unit, say):
    """({test: None or why it failed} of the counted tests, how many the suite itself left out).

    The tests that do not count are skipped, so that what they leave behind harms nobody. One that
    fails is run once more by itself: the failure of another may have left it a connection in the
    middle of something. A test without end ends the suite, which then goes on without it."""
    found, hung, outside = {}, [], []
    counted = table.tests(unit, counted=True)
    others = table.tests(unit, counted=False)
    while True:
        skip = suite.skip_file(plain(name) for name in others + hung)
        seen, outside = suite.run(address, unit, *skip)
        names = [name for name, outcome, _ in seen if outcome != "ignore"]
        table.check_tests(unit, names)
        ran = {name: why for name, outcome, why in seen if outcome in ("ok", "err")}
        found = {**ran, **found}
        ended = [name for name, why in ran.items() if why == "no end"]
        if not ended:
            break
        hung += ended
        say(f"  {unit}: no end of {ended}")
    lost = outside[0] if outside else "not reached"
    results = {name: found.get(name, f"not reached: {lost}") for name in counted}
    for name in [name for name, why in results.items() if why and name not in hung]:
        again, _ = suite.run(address, unit, "--only", plain(name))
        alone = {test: why for test, outcome, why in again if outcome in ("ok", "err")}
        results[name] = alone.get(name, results[name])
    left_out = sum(outcome == "ignore" for _, outcome, _ in seen)
    return results, left_out


def plain(name):
    return re.sub(r" #\d+$", "", name)
