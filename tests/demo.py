#!/usr/bin/python3
"""asterias demo: words are counted exactly while the leader, or every node, is killed; what is
promised, what happens and what was checked is told; and it ends when it is told to.

    demo.py [TIMES]      so many times with each kind of kill (DEMO_TIMES; once otherwise)
"""
import csv
import json
import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

from _cluster import ASTERIAS, HOST
from _resp import Resp
from _tap import Claims, equal, expect, poll

TIMES = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("DEMO_TIMES", "1"))
WORDS = 100_000
DONE, FAILED, USAGE, CHECK_FAILED = 0, 1, 2, 4


def write_text(path):
    """Words as in a language: few often, many seldom; with capitals, marks and umlauts."""
    prng = random.Random(20)
    vocabulary = [
        "".join(
            prng.choice("bdgklmnrst") + prng.choice("aeiouäö") for _ in range(prng.randint(1, 4))
        )
        for _ in range(3000)
    ]
    with open(path, "w", encoding="utf-8") as out:
        for i in range(WORDS):
            word = vocabulary[int(prng.random() ** 3 * len(vocabulary))]
            out.write(
                (word.upper() if word.isascii() and i % 7 == 0 else word)
                + prng.choice((" ", ", ", ".\n"))
            )


def demo(*arguments, timeout=300, env=None):
    return subprocess.run(
        [ASTERIAS, "demo", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(env or {})},
    )


def events_of(output):
    return [json.loads(line) for line in output.splitlines()]


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def exact(done, items):
    """The events, once they say that whole passes of so many items were counted exactly."""
    equal(done.returncode, DONE, f"exit code with {done.stdout[-600:]} {done.stderr}")
    events = events_of(done.stdout)
    result = of_kind(events, "result")[-1]
    equal((result["exact"], result["stopped"], result["wrong"]), (True, False, 0), "result")
    equal(result["words"], items * result["passes"], "words")
    expect(result["words"] >= WORDS, result)
    return events


def count(text, chaos):
    events = exact(demo(text, "--chaos", chaos, "--json"), WORDS)
    killed, started = of_kind(events, "killed"), of_kind(events, "started")
    equal([event["chaos"] for event in killed], [chaos], "what was killed")
    equal(len(killed[0]["nodes"]), 3 if chaos == "all-nodes" else 1, "nodes that were killed")
    equal(started[0]["nodes"], killed[0]["nodes"], "nodes that were started again")
    result = events[-1]
    print(
        f"  {result['words'] / result['seconds']:.0f} words/s, longest gap "
        f"{result['gap_ms']:.0f} ms, {result['retries']} asked again, {result['unknown']} UNKNOWN, "
        f"{result['lost_answers']} lost connections",
        flush=True,
    )
    return result["gap_ms"]


class Running:
    """A demo whose events are read as they come; it is ended with the block."""

    def __init__(self, directory, *arguments):
        self.process = subprocess.Popen(
            [ASTERIAS, "demo", "--json", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": directory},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.process.stdout.close()
        self.process.stderr.close()

    def until(self, kind):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == kind:
                return event
        raise AssertionError(f"it ended without '{kind}': {self.process.stderr.read()}")

    def end(self, with_signal):
        """Its exit code and the events that were left."""
        self.process.send_signal(with_signal)
        rest = events_of(self.process.stdout.read())
        return self.process.wait(60), rest


def gone(pids):
    def state():
        return not any(os.path.exists(f"/proc/{pid}") for pid in pids)

    poll(state, 30, f"nodes {pids} are gone")


def pids_of(ready):
    return [node["pid"] for node in ready["nodes"]]


# ------------------------------------------------------------------------------------------- claims


def every_kind(directory):
    """--chaos all: every kind, in the order of its seed, and values of a CSV column are exact"""
    path = f"{directory}/orders.csv"
    prng = random.Random(3)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "place, or town"])
        for i in range(5000):
            writer.writerow([i, prng.choice(('Bonn', 'Köln, am "Rhein"', "Lyon\nSud", "Kiel"))])
    done = demo(
        "--text", path, "--column", "place, or town", "--chaos", "all", "--seed", 5, "--json"
    )
    events = exact(done, 5000)
    equal(events[0]["different"], 4, "different values")
    plan = of_kind(events, "plan")[0]
    equal((plan["seed"], sorted(plan["kinds"])),
          (5, ["all-nodes", "follower", "leader", "stop"]), "plan")
    made = [event["chaos"] for event in events if event["event"] in ("killed", "stopped")]
    equal(made, plan["kinds"], "what happened")
    equal(len(of_kind(events, "recovered")), 4, "recoveries")


def a_foreign_increment(directory):
    """one increment that is not of the text makes the verdict WRONG, with exit code 4"""
    with Running(directory, "--chaos", "leader") as running:
        ready = running.until("ready")
        address = ready["nodes"][2]["redis"].split(":")
        with Resp((HOST, int(address[1]))) as client:
            client.call("INCR", "demo:and")
        result = running.until("result")
        equal((result["exact"], result["verdict"], result["wrong"]), (False, "WRONG", 3), "result")
        kept = running.until("data")["directory"]
        equal(running.process.wait(60), CHECK_FAILED, "exit code")
        expect(os.path.isdir(kept), "its directory is kept")
        gone(pids_of(ready))


def a_node_that_dies(directory):
    """a node that ends unasked stops the demo, which names it, and does not call it WRONG"""
    with Running(directory, "--chaos", "none") as running:
        ready = running.until("ready")
        os.kill(pids_of(ready)[1], signal.SIGKILL)
        result = running.until("result")
        equal((result["exact"], result["stopped"]), (False, True), "result")
        expect("node 2 ended by signal 9" in result["verdict"], result)
        running.process.stdout.read()
        equal(running.process.wait(60), FAILED, "exit code")
        gone(pids_of(ready))


def interrupted(directory):
    """Ctrl-C, also while the leader is stopped or all are dead, leaves no process or directory"""
    for chaos, when in (("stop", "stopped"), ("all-nodes", "killed")):
        with Running(directory, "--chaos", chaos) as running:
            ready = running.until("ready")
            running.until(when)
            code, rest = running.end(signal.SIGINT)
            equal(code, FAILED, "exit code")
            equal(of_kind(rest, "result")[0]["verdict"], "stopped: interrupted", "verdict")
            gone(pids_of(ready))
            expect(not os.path.exists(ready["data"]), "its directory is still there")


def nobody_reads(directory):
    """a demo whose output nobody reads any more ends as if it had been asked to"""
    with Running(directory, "--chaos", "leader") as running:
        ready = running.until("ready")
        running.process.stdout.close()
        equal(running.process.wait(60), FAILED, "exit code")
        gone(pids_of(ready))
        expect(not os.path.exists(ready["data"]), "its directory is still there")


def killed_itself(directory):
    """a demo that is killed with kill -9 while a node is stopped takes its nodes with it"""
    with Running(directory, "--chaos", "stop") as running:
        ready = running.until("ready")
        running.until("stopped")
        running.end(signal.SIGKILL)
        gone(pids_of(ready))


def rounds(directory):
    """--loop goes on with another cluster, and Ctrl-C after an exact round ends it with 0"""
    with Running(directory, "--chaos", "none", "--loop") as running:
        first = running.until("ready")
        equal(running.until("result")["exact"], True, "first round")
        second = running.until("ready")
        expect(first["data"] != second["data"], "another directory")
        expect(not os.path.exists(first["data"]), "the first one is still there")
        code, rest = running.end(signal.SIGTERM)
        equal((code, rest[-1]), (DONE, {"event": "end", "exact_rounds": 1}), "end")
        expect(not os.path.exists(second["data"]), "the second one is still there")


def told_in_lines(_):
    """without a terminal: the promise, lines, what was checked with its words, no escape codes"""
    done = demo("--chaos", "follower")
    equal(done.returncode, DONE, f"exit code with {done.stdout} {done.stderr}")
    for text in (
        "promised   What was acknowledged",
        "sonnets of William Shakespeare",
        "kill -9    node ",
        ", a follower",
        "recovered  all nodes serve",
        "each of 3 nodes",
        "all equal",
        "'and'",
        "verdict    exact: nothing lost, nothing twice",
    ):
        expect(text in done.stdout, f"no {text!r} in {done.stdout}")
    expect("\x1b" not in done.stdout, "escape codes")


def on_a_terminal(*arguments, env):
    """What the demo writes to a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm", "LC_ALL": "C.UTF-8", **env})
        os.execv(ASTERIAS, [ASTERIAS, "demo", *arguments])
    output = b""
    deadline = time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            output += os.read(terminal, 65536)
    except OSError:  # it has ended
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), output.decode()


def picture(_):
    """on a terminal a picture is redrawn in place, and taken away; NO_COLOR keeps to lines"""
    code, output = on_a_terminal("--chaos", "leader", env={"NO_COLOR": ""})
    equal(code, DONE, output[-600:])
    expect(re.search("\x1b\\[\\d+A\r", output), "the picture is not redrawn")
    for text in ("★", "✗", "leads", "killed    with kill -9", "verdict    exact"):
        expect(text in output, f"no {text!r}")
    expect("\x1b" not in output[output.rindex("\x1b[J") + 3 :], "something behind the picture")
    code, output = on_a_terminal("--chaos", "none", env={"NO_COLOR": "1"})
    equal(code, DONE, output[-600:])
    expect("\x1b" not in output, "escape codes in spite of NO_COLOR")


def what_is_no_text(directory):
    """a file that cannot be counted is refused by name, with what would be right"""
    for name, content, arguments, text in (
        ("empty", b"", [], "is empty"),
        ("marks", b" ,.;\n", [], "holds no words"),
        ("bytes", b"ab\0cd", [], "is no text: there is a zero byte at 2"),
        ("x.csv", b"city,land\nBonn,de\n", [], "name the column to count with --column"),
        ("y.csv", b"city,land\nBonn,de\n", ["--column", "x"], "its first line names: city, land"),
        ("z.csv", b'city\n"Bonn\n', ["--column", 1], "begins at line 2 that is never closed"),
    ):
        path = f"{directory}/{name}"
        with open(path, "wb") as file:
            file.write(content)
        done = demo(path, *arguments, "--json")
        equal(done.returncode, USAGE, f"exit code for {name}: {done.stderr}")
        expect(path in done.stderr and text in done.stderr, done.stderr)
        equal(json.loads(done.stdout)["exit_code"], USAGE, "exit code in the JSON")
    for arguments, text in (
        (["--column", "x"], "--text"),
        (["--chaos", "follower", "--nodes", 1], "one node has no follower"),
        (["--loop", "0"], "a number of rounds from 1"),
        (["--loop", "2", "--data", f"{directory}/kept"], "excludes"),
        (["--seed", "-1"], "takes a number"),
    ):
        done = demo(*arguments)
        equal(done.returncode, USAGE, f"exit code of {arguments}")
        expect(text in done.stderr, f"no {text!r} in {done.stderr!r}")


def main():
    claims = Claims()
    gaps = {"leader": [], "all-nodes": []}
    with tempfile.TemporaryDirectory(prefix="asterias-test-") as directory:
        text = f"{directory}/text"
        write_text(text)
        claims.run(
            [
                what_is_no_text,
                every_kind,
                a_foreign_increment,
                a_node_that_dies,
                interrupted,
                nobody_reads,
                killed_itself,
                rounds,
                told_in_lines,
                picture,
            ],
            directory,
        )
        for turn in range(1, TIMES + 1):
            for chaos, found in gaps.items():
                with claims.claim(f"demo --chaos {chaos}, time {turn}: the count is exact"):
                    found.append(count(text, chaos))
    if not claims.failed:
        print(
            "  longest gap, "
            + ", ".join(f"--chaos {chaos}: {max(found):.0f} ms" for chaos, found in gaps.items())
        )
    claims.end()


if __name__ == "__main__":
    main()
