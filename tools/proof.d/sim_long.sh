#!/usr/bin/env bash
# proof: 20,000 seeds of 60 simulated seconds and more under all faults without a violation
# evidence: never_lost
# without: *_test.cc *_fuzz.cc */corpus/* tests src/app
#
# In parts of 500 seeds, each judged by itself (medians, silent fault sites); a part that has passed
# is not run again.
set -euo pipefail
seeds="${SEEDS:-20000}" part="${PART:-500}"
./dev build release asterias
for ((from = 0; from < seeds; from += part)); do
    done_file="$STATE/part-$from"
    [[ -f "$done_file" ]] && continue
    echo "seeds $from to $((from + part - 1))"
    if ! build/release/asterias sim --from "$from" --seeds "$part" --jobs "${JOBS:-2}" \
        >"$STATE/output"; then
        grep -A 40 -m 3 '^FAILED' "$STATE/output" || tail -n 30 "$STATE/output"
        exit 1
    fi
    tail -n 1 "$STATE/output"
    mv "$STATE/output" "$done_file"
done
# Sums of the parts' last lines, and the lowest median of any part for each required figure.
/usr/bin/python3 - "$STATE" <<'PYTHON'
import pathlib
import re
import sys

total = {"seeds": 0, "operations": 0, "simulated": 0.0, "cpu": 0.0}
lowest = {}
for part in sorted(pathlib.Path(sys.argv[1]).glob("part-*")):
    text = part.read_text()
    seeds, operations, simulated, rate = re.search(
        r"^passed: (\d+) seeds.* (\d+) operations,.* in (\d+) simulated s; (\d+) simulated s per",
        text, re.MULTILINE).groups()
    total["seeds"] += int(seeds)
    total["operations"] += int(operations)
    total["simulated"] += float(simulated)
    total["cpu"] += float(simulated) / float(rate)
    block = text.split("\n  required ", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    for name, median in (line.split()[:2] for line in block):
        lowest[name] = min(float(median), lowest.get(name, float("inf")))
print(f"figure: {total['seeds']} seeds, 0 failed; {total['operations']} operations in "
      f"{total['simulated']:.0f} simulated s, {total['operations'] / total['simulated']:.0f} a "
      f"simulated s; {total['simulated'] / total['cpu']:.0f} simulated s per CPU s beside what "
      "else ran; lowest median of any part: "
      + ", ".join(f"{name} {value:g}" for name, value in sorted(lowest.items())))
PYTHON
