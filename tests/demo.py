#!/usr/bin/python3
"""asterias demo: 100,000 words are counted exactly while the leader, or every node, is killed.

    demo.py [TIMES]      so many times with each kind of kill (DEMO_TIMES; once otherwise)
"""
import json
import os
import random
import subprocess
import sys
import tempfile

from _cluster import ASTERIAS
from _tap import Claims, equal, expect

TIMES = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("DEMO_TIMES", "1"))
WORDS = 100_000


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


def count(text, kill):
    done = subprocess.run(
        [ASTERIAS, "demo", text, "--kill", kill, "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    equal(done.returncode, 0, f"exit code with {done.stdout} {done.stderr}")
    result = json.loads(done.stdout)
    equal((result["exact"], result["words"], result["wrong"]), (True, WORDS, 0), "result")
    expect(("kill -9" in done.stderr) == (kill != "none"), done.stderr)
    print(
        f"  {WORDS / result['seconds']:.0f} words/s, longest gap {result['gap_ms']:.0f} ms, "
        f"{result['retries']} asked again, {result['unknown']} of them after UNKNOWN",
        flush=True,
    )
    return result["gap_ms"]


def main():
    claims = Claims()
    gaps = {"leader": [], "all": []}
    with tempfile.TemporaryDirectory(prefix="asterias-test-") as directory:
        text = f"{directory}/text"
        write_text(text)
        for time in range(1, TIMES + 1):
            for kill in gaps:
                with claims.claim(f"demo --kill {kill}, time {time}: the count is exact"):
                    gaps[kill].append(count(text, kill))
    if not claims.failed:
        print(
            "  longest gap, "
            + ", ".join(f"--kill {kill}: {max(found):.0f} ms" for kill, found in gaps.items())
        )
    claims.end()


if __name__ == "__main__":
    main()
