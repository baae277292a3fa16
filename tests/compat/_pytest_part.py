"""A plugin of pytest for one file of a foreign suite: runs the tests that count, each for so long
at most, and notes their outcomes. $ASTERIAS_PART is the directory with `skip`, and for `seen`."""
import json
import os
import pathlib
import signal

import pytest

PART = pathlib.Path(os.environ["ASTERIAS_PART"])
SECONDS_MAX = 30


def name_of(item):
    return item.nodeid.partition("::")[2]


class NoEnd(BaseException):
    """No Exception, lest a test catches it."""


def too_long(*_):
    raise NoEnd(f"no end within {SECONDS_MAX} s")


def note(**what):
    with open(PART / "seen", "a", encoding="utf-8") as file:
        print(json.dumps(what), file=file)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    left_out = set((PART / "skip").read_text().splitlines())
    for item in items:
        note(test=name_of(item), outcome="collected")
    keep = [item for item in items if name_of(item) not in left_out]
    config.hook.pytest_deselected(items=[item for item in items if item not in keep])
    items[:] = keep


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS_MAX)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" or report.outcome != "passed":
        error = ""
        if report.outcome == "failed":
            error = f"{call.excinfo.type.__name__}: {call.excinfo.value}"
            error = error.replace("\n", " ")[:300] + f" [line {line_of(item, call)}]"
        note(test=name_of(item), outcome=report.outcome, error=error)


def line_of(item, call):
    """The last line of the test's own file in the traceback."""
    inside = [part.lineno + 1 for part in call.excinfo.traceback if part.path == item.path]
    return inside[-1] if inside else "?"
