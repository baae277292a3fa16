#!/usr/bin/python3
"""Runs every test of a build and closes with one line: `N passed, N failed`.

Called by `./dev test`. Three kinds of test are counted:
  - ctest's entries that are GoogleTest binaries count case by case;
  - ctest's other entries (rooms, tidy, headers, ...) count one each;
  - tests/*.py, real clients against the built program, count their `ok ...`, `not ok ...` and
    `skip ...` lines, or one by their exit code when they print none. Names that begin with `_` are
    helpers.
A binary that dies, or a script that fails without saying `not ok`, counts as one failed. Skipped
cases are neither; they are named before the last line.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPT_SECONDS_MAX = 600


class Tally:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skipped = []

    def failed(self, name):
        self.failures.append(name)


def gtest_cases(report, tally):
    """Adds the cases of one GoogleTest report; returns how many of them failed."""
    failed = 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None:
            tally.failed(name)
            failed += 1
        elif case.get("status") == "notrun" or case.get("result") in ("skipped", "suppressed"):
            tally.skipped.append(name)
        else:
            tally.passed += 1
    return failed


def count_ctest(junit, reports, tally):
    for test in ElementTree.parse(junit).getroot().iter("testcase"):
        name, status = test.get("name"), test.get("status")
        report = reports / f"test_{name.replace('/', '_')}.xml"
        ran_well = status == "run"
        if status in ("disabled", "notrun") and test.find("failure") is None:
            tally.skipped.append(name)
        elif report.exists():
            if gtest_cases(report, tally) == 0 and not ran_well:
                tally.failed(f"{name} (its cases passed, the program did not end well)")
        elif ran_well:
            tally.passed += 1
        else:
            tally.failed(name)


def run_ctest(build, only, tally):
    results = build / "test-results"
    shutil.rmtree(results, ignore_errors=True)
    (results / "gtest").mkdir(parents=True)
    junit = results / "ctest.xml"
    command = [
        "ctest",
        "--test-dir",
        str(build),
        "-j",
        "2",
        "--output-on-failure",
        "--timeout",
        "900",
        "--output-junit",
        str(junit),
    ]
    if only:
        command += ["-R", only]
    environment = dict(
        os.environ,
        GTEST_OUTPUT=f"xml:{results / 'gtest'}/",
        ASAN_OPTIONS="detect_leaks=1",
        UBSAN_OPTIONS="print_stacktrace=1",
    )
    subprocess.run(command, env=environment, check=False)
    if junit.exists():
        count_ctest(junit, results / "gtest", tally)
    elif not only:
        tally.failed("ctest (it wrote no report)")


def run_script(path, build, tally):
    """One tests/*.py. Its whole process group ends with it, whatever it has started."""
    print(f"--- {path.name}", flush=True)
    environment = dict(os.environ, ASTERIAS=str(build / "asterias"), ASTERIAS_BUILD=str(build))
    process = subprocess.Popen(
        [sys.executable, str(path)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=SCRIPT_SECONDS_MAX)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += f"not ok {path.name}: still running after {SCRIPT_SECONDS_MAX} s\n"
        code = 1
    else:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    print(output, end="" if output.endswith("\n") else "\n", flush=True)
    good = len(re.findall(r"^ok\b", output, re.M))
    bad = re.findall(r"^not ok\b\s*(.*)$", output, re.M)
    tally.passed += good
    skipped = re.findall(r"^skip\b\s*(.*)$", output, re.M)
    tally.skipped += [f"{path.name}: {line}" for line in skipped]
    for line in bad:
        tally.failed(f"{path.name}: {line}")
    if code != 0 and not bad:
        tally.failed(f"{path.name} (exit code {code})")
    elif code == 0 and not good and not bad and not skipped:
        tally.passed += 1


def record(path, seconds, tally):
    """What the whole suite took, for `./dev bench`."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%h"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    last = {
        "seconds": round(seconds, 1),
        "passed": tally.passed,
        "failed": len(tally.failures),
        "commit": commit or "unknown",
        "ended": time.strftime("%Y-%m-%d %H:%M"),
    }
    path.write_text(json.dumps(last) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="run only tests whose name matches this")
    arguments = parser.parse_args()
    build = arguments.build.resolve()

    tally = Tally()
    begin = time.monotonic()
    run_ctest(build, arguments.only, tally)
    for path in sorted((ROOT / "tests").glob("*.py")):
        if not path.name.startswith("_") and re.search(arguments.only, path.name):
            run_script(path, build, tally)

    print()
    for name in tally.skipped:
        print(f"skipped: {name}")
    for name in tally.failures:
        print(f"failed: {name}")
    if not tally.passed and not tally.failures:
        tally.failed("nothing ran")
        print("failed: nothing ran")
    if not arguments.only:
        record(build / "last-whole-test.json", time.monotonic() - begin, tally)
    print(f"{tally.passed} passed, {len(tally.failures)} failed", flush=True)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
