"""The tests of redis-py (a checkout of redis/redis-py, run by pytest) against a running server."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SECONDS_MAX = 1800
DATABASE = 9  # that of the suite's own default


class Suite:
    def __init__(self, checkout):
        self.checkout = pathlib.Path(checkout)

    def __enter__(self):
        self.part = pathlib.Path(tempfile.mkdtemp(prefix="asterias-redis-py-"))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.part, ignore_errors=True)

    def units(self):
        tests = self.checkout / "tests"
        return sorted(str(path.relative_to(tests)) for path in tests.rglob("test_*.py"))

    def run(self, address, unit, left_out):
        """[(test, outcome, why)] in order, every test first with the outcome `collected`; and the
        last words of pytest, which are all there is if it cannot start."""
        (self.part / "skip").write_text("\n".join(left_out))
        (self.part / "seen").write_text("")
        quiet = ("-q", "-p", "no:cacheprovider", "-p", "_pytest_part")
        url = "redis://{}:{}/{}".format(*address, DATABASE)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *quiet, f"tests/{unit}", "--redis-url", url],
            cwd=self.checkout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
            env=dict(
                os.environ,
                ASTERIAS_PART=str(self.part),
                PYTHONPATH=str(HERE),
                PYTHONDONTWRITEBYTECODE="1",
            ),
        )
        seen = [json.loads(line) for line in (self.part / "seen").read_text().splitlines()]
        told = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        found = [(one["test"], one["outcome"], one.get("error")) for one in seen]
        return found, " / ".join(told[-2:])


def run_unit(suite, table, address, unit, _say):
    """As _redis.run_unit, without what concerns a connection: each test has one of its own."""
    counted = table.tests(unit, counted=True)
    seen, last_words = suite.run(address, unit, table.tests(unit, counted=False))
    table.check_tests(unit, [name for name, outcome, _ in seen if outcome == "collected"])
    results = dict.fromkeys(counted, f"not reached: {last_words}"[:300])
    left_out = set()
    for name, outcome, why in seen:
        if outcome == "skipped":
            left_out.add(name)
        elif outcome == "passed":
            results[name] = None
        elif outcome == "failed":
            results[name] = why
    return {name: why for name, why in results.items() if name not in left_out}, len(left_out)
