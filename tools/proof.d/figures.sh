#!/usr/bin/env bash
# proof: the promised figures of a write hold beside etcd, Redis and the floor, in the same run
# evidence: skeleton
# without: *_test.cc *_fuzz.cc */corpus/* tests
# Every row goes to docs/evidence/figures.md, also those that are missed. Alone on the machine only.
set -euo pipefail
./dev bench --json "$STATE/bench.json" | tee "$STATE/output" || true
/usr/bin/python3 - "$STATE/bench.json" docs/evidence/figures.md <<'ROWS'
import json
import subprocess
import sys

# What the program promises of now; the other rows are aims.
PROMISED = [
    "writes/s, 256 clients, against etcd",
    "CPU us per write, 3 nodes, 256 clients (peer: etcd)",
    "writes/s, 50 clients, against Redis 1+2 WAIT 1",
    "writes/s, 256 clients, against Redis 1+2 WAIT 1",
    "INCR/s of one key, 50 clients, 3 nodes (peer: one Redis)",
    "one client, p50 us of a write, against bench/floor",
    "fresh build, minutes",
    "touch one .cc and relink, s",
]
data = json.load(open(sys.argv[1]))
rows = data["rows"]
commit = subprocess.check_output(["git", "log", "-1", "--format=%h"], text=True).strip()
with open(sys.argv[2], "w") as out:
    out.write("# Evidence: figures\n\n")
    out.write("Written by `./dev proof figures`: every row of `./dev bench`.\n\n")
    out.write(f"- Commit: `{commit}`\n- Machine: {data['machine']}\n\n")
    out.write("| what | asterias | peer | ratio | aim | |\n|---|---|---|---|---|---|\n")
    for row in rows:
        out.write("| " + " | ".join(cell.strip() for cell in row) + " |\n")
found = {row[0].strip(): row[5] for row in rows}
broken = [name for name in PROMISED if found.get(name) != "ok"]
aims = [name for name, verdict in found.items() if verdict == "MISSED" and name not in PROMISED]
ok = sum(verdict == "ok" for verdict in found.values())
unknown = [row[0].strip() for row in rows if row[1] == "not measured"]
print(f"figure: {ok} rows hold; promised and missed: {'; '.join(broken) or 'none'};"
      f" aims missed: {'; '.join(aims) or 'none'}; not measured: {'; '.join(unknown) or 'none'}")
sys.exit(bool(broken))
ROWS
