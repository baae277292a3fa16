#!/usr/bin/python3
"""The suites of others against this program, unmodified but for what is told in
docs/compat/redis-suite.md, which it writes.

    suites.py redis=CHECKOUT redis-py=CHECKOUT      both, and write the document
    suites.py redis=CHECKOUT unit=unit/multi        one unit (may be repeated), no document
    suites.py redis=CHECKOUT against=HOST:PORT      against a server that runs, no document

CHECKOUT is a directory: redis/redis at tag 7.0.15, redis/redis-py at tag v4.3.4. Ends with 1 if
fewer than 98 % of the counted tests pass, or if a table does not know a test. In the first form it
asks $ASTERIAS, else build/release/asterias, as three nodes.
"""
import contextlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import _redis
import _redis_py
from _cluster import ROOT, Cluster
from _table import Table, report

SHARE_MIN = 0.98
DOCUMENT = ROOT / "docs/compat/redis-suite.md"
TABLES = {"redis": "redis-7.0.15.txt", "redis-py": "redis-py-4.3.4.txt"}
TITLES = {
    "redis": "Redis 7.0.15: its own suite, against an external server",
    "redis-py": "redis-py 4.3.4: its own tests",
}


def say(text):
    print(text, flush=True)


def options(arguments):
    found = {"unit": []}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or name not in ("redis", "redis-py", "unit", "against"):
            sys.exit(__doc__)
        if name == "unit":
            found["unit"].append(value)
        else:
            found[name] = value
    if not TABLES.keys() & found.keys():
        sys.exit(__doc__)
    return found


@contextlib.contextmanager
def server(against):
    """(host, port) of a node of three, or of what runs already; and a look whether all live."""
    if against:
        host, _, port = against.rpartition(":")
        yield (host, int(port)), lambda: None
        return
    # Redis' own suite sets it for its servers, too.
    with Cluster(options=["--enable-debug-command", "local"]) as cluster:
        yield cluster.nodes[0].resp, cluster.expect_alive


def run_suite(name, checkout, wanted, address, alive):
    """(table, {unit: results}, {unit: left out by the suite itself})"""
    table = Table(HERE / TABLES[name])
    results, skipped = {}, {}
    module = {"redis": _redis, "redis-py": _redis_py}[name]
    with module.Suite(checkout) as suite:
        table.check_units(suite.units())
        for unit in [unit for unit in table.units if not wanted or unit in wanted]:
            results[unit], skipped[unit] = module.run_unit(suite, table, address, unit, say)
            alive()
            failed = {test: why for test, why in results[unit].items() if why is not None}
            say(f"{unit}: {len(results[unit]) - len(failed)} of {len(results[unit])}")
            for test, why in failed.items():
                say(f"  not ok {test}: {why}")
    return table, results, skipped


def chapter(name, table, results, skipped):
    out = ["", f"## {TITLES[name]}", ""]
    total, passed = report(out, table, results, skipped)
    out += ["Not counted, by reason:", ""]
    for reason, count in sorted(table.excluded().items()):
        out.append(f"- {count}: {table.reasons[reason]}")
    whole = sorted(table.whole)
    if whole:
        out += ["", "No test is counted of these units:", ""]
        for reason in sorted(set(table.whole.values())):
            units = ", ".join(f"`{unit}`" for unit in whole if table.whole[unit] == reason)
            out += folded(f"- *{table.reasons[reason]}*: {units}")
    failed = [(unit, test) for unit in results for test, why in results[unit].items() if why]
    if failed:
        out += ["", "Counted, and failed:", ""]
        out += [line for unit, test in failed for line in folded(f"- `{unit}`: {test}")]
    return out, total, passed


def folded(text, width=100):
    """A list item in lines of at most so many characters."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = "  " + word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def main():
    found = options(sys.argv[1:])
    out, enough = [], True
    with server(found.get("against")) as (address, alive):
        for name in [name for name in TABLES if name in found]:
            suite = run_suite(name, found[name], found["unit"], address, alive)
            lines, total, passed = chapter(name, *suite)
            out += lines
            enough &= passed >= SHARE_MIN * total
            say(f"{name}: {passed} of {total} counted tests passed")
    if len(TABLES.keys() & found.keys()) == 2 and not found["unit"] and "against" not in found:
        head = (HERE / "redis-suite.head.md").read_text().rstrip("\n").splitlines()
        DOCUMENT.write_text("\n".join([*head, *out]) + "\n")
        say(f"wrote {DOCUMENT.relative_to(ROOT)}")
    sys.exit(0 if enough else 1)


if __name__ == "__main__":
    main()
