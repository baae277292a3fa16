#!/usr/bin/env bash
# proof: a lost leader costs what the blueprint allows, beside etcd in the same run
# evidence: never_lost
# without: *_test.cc *_fuzz.cc */corpus/* tests
# Needs root, for namespaces, and the machine alone. Every row goes to docs/evidence/failover.md.
set -euo pipefail
./dev bench --rows failover --runs "${FAILOVER_RUNS:-7}" --json "$STATE/bench.json" |
    tee "$STATE/output" || true
/usr/bin/python3 - "$STATE/bench.json" docs/evidence/failover.md <<'ROWS'
import json
import subprocess
import sys

(data,) = (entry["failover"] for entry in json.load(open(sys.argv[1]))["measurements"])
commit = subprocess.check_output(["git", "log", "-1", "--format=%h"], text=True).strip()
runs = len(data["measurements"]["etcd"])
with open(sys.argv[2], "w") as out:
    out.write("# Evidence: failover\n\n")
    out.write("Written by `./dev proof failover`: the longest gap between acknowledged writes,\n")
    out.write(f"in ms, median and worst of {runs} runs (`bench/failover.py` says how).\n\n")
    out.write(f"- Commit: `{commit}`\n- Machine: {data['machine']}\n\n")
    for row in [data["head"], ["---"] * len(data["head"]), *data["rows"]]:
        out.write("| " + " | ".join(cell.strip() for cell in row) + " |\n")
rows = [row for row in data["rows"] if row[-1] != "-"]
missed = [row[0] for row in rows if row[-1] != "ok"]
told = "; ".join(f"{row[0]} {row[1]} ms (worst {row[2]}), etcd {row[3]} ({row[4]})" for row in rows)
print(f"figure: {told}; missed: {', '.join(missed) or 'none'}; medians of {runs} runs")
sys.exit(bool(missed) or runs < 5)
ROWS
