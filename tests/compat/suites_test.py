#!/usr/bin/python3
"""The suites of others must be counted as they came out: what breaks off, hangs, is not reached or
is not known to the table is never a test that passed."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import _redis  # noqa: E402
import _redis_py  # noqa: E402
from _table import Table, Unknown  # noqa: E402

TABLE = """# words
reason list needs lists
whole unit/list list

unit unit/a
counted first
list second
counted third
counted third #2
"""
RAN = """[ready]: 1
[ok]: first (1 ms)
[ok]: third (12 ms)
[err]: third in tests/unit/a.tcl
LINE
[1/1 done]: unit/a (0 seconds)

                   The End

[err]: first in tests/unit/a.tcl
"""
STACK = """ SET failed
ERR CONFIG SET failed
    while executing
"r config set a b"
    (procedure "r" line 7)"""
NEVER = """[ok]: first (1 ms)
[TIMEOUT]: clients state report follows.
sock1 => (IN PROGRESS) third
"""


class Fake:
    """A suite whose runs are given: the first for the unit, the others for what runs after it."""

    def __init__(self, *runs):
        self.runs = list(runs)
        self.asked = []

    def skip_file(self, names):
        return ("--skipfile", *names)

    def run(self, _address, _unit, *arguments):
        self.asked.append(arguments)
        found = self.runs.pop(0)
        return _redis.parse(found) if isinstance(found, str) else found


class Suites(unittest.TestCase):
    def setUp(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(TABLE)
            file.flush()
            self.table = Table(pathlib.Path(file.name))

    def counted(self, *runs):
        self.suite = Fake(*runs)
        run_unit = _redis.run_unit if isinstance(runs[0], str) else _redis_py.run_unit
        return run_unit(self.suite, self.table, ("h", 1), "unit/a", lambda _: None)

    def failed(self, *runs):
        return {test: why for test, why in self.counted(*runs)[0].items() if why is not None}

    def test_the_second_test_of_a_name_is_another_one(self):
        self.assertEqual(list(self.failed(RAN, "")), ["third #2"])

    def test_what_fails_is_run_again_alone_and_only_that(self):
        alone = "[ok]: third (1 ms)\n[ok]: third (1 ms)\n"
        self.assertEqual(self.failed(RAN, alone), {})
        self.assertEqual(self.suite.asked[1:], [("--only", "third")])

    def test_tests_that_do_not_count_are_skipped(self):
        self.failed(RAN, "")
        self.assertEqual(self.suite.asked[0], ("--skipfile", "second"))

    def test_a_broken_off_test_tells_its_error_and_its_command(self):
        why = self.failed(RAN.replace("LINE", STACK), "")["third #2"]
        self.assertEqual(why, 'ERR CONFIG SET failed ["r config set a b"]')

    def test_an_error_beyond_any_test_fails_what_is_not_reached(self):
        lost = "[ok]: first (1 ms)\n[exception]: Executing test client: no.\n"
        failed = self.failed(lost, "", "")
        self.assertEqual(list(failed), ["third", "third #2"])
        self.assertIn("Executing test client: no.", failed["third"])

    def test_a_test_without_end_fails_and_the_others_go_on(self):
        rest = "[ok]: first (1 ms)\n[skip]: third\n[ok]: third (1 ms)\n"
        self.assertEqual(self.failed(NEVER, rest), {"third": "no end"})
        self.assertEqual(self.suite.asked[1], ("--skipfile", "second", "third"))

    def test_an_unknown_test_is_an_error(self):
        for line in ("[ok]: new (1 ms)", "[skip]: new", "[err]: new in tests/unit/a.tcl"):
            with self.assertRaises(Unknown):
                self.counted(line + "\n")

    def test_tests_that_the_suite_leaves_out_are_counted_as_such(self):
        self.assertEqual(self.counted("[ignore]: more: not here\n" + RAN, "")[1], 1)

    def test_pytest_that_does_not_start_fails_all(self):
        failed = self.failed(([], "KeyError: 'arch_bits'"))
        self.assertEqual(len(failed), 3)
        self.assertIn("arch_bits", failed["first"])

    def test_what_pytest_tells_last_of_a_test_counts(self):
        seen = [("first", "passed", ""), ("third", "passed", ""), ("third", "failed", "teardown")]
        seen.append(("third #2", "skipped", ""))
        results, left_out = self.counted((seen, ""))
        self.assertEqual(results, {"first": None, "third": "teardown"})
        self.assertEqual(left_out, 1)

    def test_other_units_are_an_error(self):
        self.table.check_units(["unit/a", "unit/list"])
        for units in (["unit/a"], ["unit/a", "unit/list", "unit/new"]):
            with self.assertRaises(Unknown):
                self.table.check_units(units)


class Tables(unittest.TestCase):
    def test_the_tables_can_be_read_and_name_their_reasons(self):
        for path in sorted(pathlib.Path(__file__).parent.glob("*.txt")):
            table = Table(path)
            self.assertTrue(table.units)
            self.assertLessEqual({*table.whole.values(), *table.excluded()}, {*table.reasons})


if __name__ == "__main__":
    unittest.main()
