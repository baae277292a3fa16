#!/usr/bin/python3
"""run_tests.py must count what failed as failed, also when a program dies without a report."""
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import run_tests  # noqa: E402

JUNIT = "<testsuite>{}</testsuite>"
CASE = '<testcase name="{}" status="{}">{}</testcase>'
FAILURE = '<failure message="x"/>'
GTEST = """<testsuites><testsuite name="Raft">
<testcase name="Votes" classname="Raft" status="run" result="completed"/>
<testcase name="Commits" classname="Raft" status="run" result="completed">{}</testcase>
<testcase name="Later" classname="Raft" status="run" result="skipped"/>
</testsuite></testsuites>"""


class Count(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.directory.name)
        self.tally = run_tests.Tally()

    def tearDown(self):
        self.directory.cleanup()

    def count(self, *cases):
        junit = self.root / "ctest.xml"
        junit.write_text(JUNIT.format("".join(cases)))
        run_tests.count_ctest(junit, self.root, self.tally)

    def script(self, text):
        path = self.root / "client.py"
        path.write_text(text)
        run_tests.run_script(path, self.root, self.tally)

    def test_plain_entries_count_one_each(self):
        self.count(CASE.format("tidy", "run", ""), CASE.format("rooms", "fail", FAILURE))
        self.assertEqual(self.tally.passed, 1)
        self.assertEqual(self.tally.failures, ["rooms"])

    def test_gtest_binaries_count_case_by_case(self):
        (self.root / "test_core_raft.xml").write_text(GTEST.format(""))
        self.count(CASE.format("core/raft", "run", ""))
        self.assertEqual(self.tally.passed, 2)
        self.assertEqual(self.tally.failures, [])
        self.assertEqual(self.tally.skipped, ["Raft.Later"])

    def test_failed_case_is_counted_once(self):
        (self.root / "test_core_raft.xml").write_text(GTEST.format(FAILURE))
        self.count(CASE.format("core/raft", "fail", FAILURE))
        self.assertEqual(self.tally.failures, ["Raft.Commits"])

    def test_binary_that_dies_before_its_report_failed(self):
        self.count(CASE.format("core/raft", "fail", FAILURE))
        self.assertEqual(self.tally.failures, ["core/raft"])

    def test_binary_that_dies_after_its_report_failed(self):
        (self.root / "test_core_raft.xml").write_text(GTEST.format(""))
        self.count(CASE.format("core/raft", "fail", FAILURE))
        self.assertEqual(len(self.tally.failures), 1)

    def test_binary_that_is_not_there_failed(self):
        self.count(CASE.format("core/raft", "fail", '<failure message="not found"/>'))
        self.assertEqual(self.tally.failures, ["core/raft"])

    def test_script_counts_its_own_lines(self):
        self.script("print('ok ping'); print('not ok get: nil'); print('ok set')")
        self.assertEqual(self.tally.passed, 2)
        self.assertEqual(self.tally.failures, ["client.py: get: nil"])

    def test_silent_script_counts_by_its_exit_code(self):
        self.script("pass")
        self.assertEqual((self.tally.passed, self.tally.failures), (1, []))
        self.script("raise SystemExit(3)")
        self.assertEqual(self.tally.failures, ["client.py (exit code 3)"])

    def test_script_that_says_skip_is_named_and_not_passed(self):
        self.script("print('skip cut links: no namespaces')")
        self.assertEqual((self.tally.passed, self.tally.failures), (0, []))
        self.assertEqual(self.tally.skipped, ["client.py: cut links: no namespaces"])

    def test_record_of_a_run_tells_its_time_and_what_failed(self):
        self.tally.passed = 7
        self.tally.failed("rooms")
        run_tests.record(self.root / "last.json", 61.04, self.tally)
        last = json.loads((self.root / "last.json").read_text())
        self.assertEqual((last["seconds"], last["passed"], last["failed"]), (61.0, 7, 1))
        self.assertTrue(last["commit"] and last["ended"])

    def test_script_that_dies_after_an_ok_failed(self):
        self.script("print('ok ping', flush=True); raise SystemExit(1)")
        self.assertEqual(self.tally.failures, ["client.py (exit code 1)"])


if __name__ == "__main__":
    unittest.main()
