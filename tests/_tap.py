"""One `ok` or `not ok` line per claim, as tools/run_tests.py counts them."""
import contextlib
import sys
import time
import traceback


class Failure(Exception):
    """A claim that does not hold, in words."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def equal(found, wanted, what="value"):
    if found != wanted:
        raise Failure(f"{what}: found {shorten(found)}, wanted {shorten(wanted)}")


def shorten(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:280]}... ({len(text)} characters)"


def poll(condition, seconds, what):
    """Calls condition() until it answers something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.02)  # between two looks, not instead of one


class Claims:
    def __init__(self, only=""):
        self.failed = 0
        self.passed = 0
        self.only = only

    @contextlib.contextmanager
    def claim(self, text):
        """The body shows the claim; an exception says why it does not hold."""
        try:
            yield
        except Exception as error:  # whatever a client library throws is a finding
            self.failed += 1
            line = f"{type(error).__name__}: {error}".replace("\n", " | ")
            print(f"not ok {text}: {shorten_text(line)}", flush=True)
            if not isinstance(error, Failure):
                for part in traceback.format_exc().splitlines():
                    print(f"  {part}")
        else:
            self.passed += 1
            print(f"ok {text}", flush=True)

    def run(self, functions, *arguments):
        """Each function is a claim; the first line of its text says which."""
        for function in functions:
            with self.claim(function.__doc__.strip().splitlines()[0]):
                function(*arguments)

    def end(self):
        sys.exit(1 if self.failed or not self.passed else 0)


def shorten_text(text):
    return text if len(text) <= 600 else text[:600] + "..."
