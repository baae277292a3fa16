"""The tables of the foreign suites' tests: which count, and why the others do not."""
import collections

COUNTED = "counted"


class Unknown(Exception):
    """A suite and its table do not know the same tests."""


class Table:
    """Lines: `reason R: text`, `whole UNIT R`, `unit UNIT`, and below it `R TEST`."""

    def __init__(self, path):
        self.path = path
        self.reasons = {}  # {reason: text}
        self.whole = {}  # {unit: reason}
        self.units = {}  # {unit: {test: reason or COUNTED}}
        tests = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            word, _, rest = line.partition(" ")
            if word == "unit":
                tests = self.units[rest] = {}
            elif tests is not None:
                if rest in tests or word not in (COUNTED, *self.reasons):
                    raise Unknown(f"{path.name}:{number}: a second time, or no reason: {line}")
                tests[rest] = word
            elif word == "reason":
                name, _, text = rest.partition(" ")
                self.reasons[name] = text
            elif word == "whole":
                name, _, reason = rest.partition(" ")
                self.whole[name] = reason
            else:
                raise Unknown(f"{path.name}:{number}: neither reason nor unit: {line}")

    def tests(self, unit, counted):
        return [n for n, r in self.units[unit].items() if (r == COUNTED) == counted]

    def excluded(self):
        """How many tests are not counted, by reason."""
        return collections.Counter(
            reason
            for tests in self.units.values()
            for reason in tests.values()
            if reason != COUNTED
        )

    def check_units(self, found):
        known = {*self.units, *self.whole}
        if set(found) != known:
            raise Unknown(f"{self.path.name}: other units: {sorted(set(found) ^ known)}")

    def check_tests(self, unit, seen):
        new = [name for name in seen if name not in self.units[unit]]
        if new:
            raise Unknown(f"{self.path.name}: {unit} has tests that are not in it: {new}")


def report(out, table, results, skipped):
    """The table of one suite in docs/compat/redis-suite.md: (counted tests, those that passed).

    results: {unit: {test: None if it passed, else why not}} of the counted ones; skipped: {unit:
    how many tests the suite itself left out}."""
    total = passed = 0
    out += ["| unit | counted | passed | not counted |", "|---|---|---|---|"]
    for unit, found in results.items():
        good = sum(why is None for why in found.values())
        others = len(table.tests(unit, counted=False)) + skipped.get(unit, 0)
        out.append(f"| `{unit}` | {len(found)} | {good} | {others or ''} |")
        total += len(found)
        passed += good
    share = 100 * passed / total if total else 0
    out += [f"| all | {total} | {passed} ({share:.1f} %) | |", ""]
    return total, passed
