#!/usr/bin/env bash
# proof: 20 times kill -9 of one, two or all nodes under load: nothing lost, nothing stale
# evidence: skeleton
# without: *_test.cc *_fuzz.cc */corpus/*
set -euo pipefail
./dev build release
export ASTERIAS="$ROOT/build/release/asterias" ASTERIAS_BUILD="$ROOT/build/release"
/usr/bin/python3 tests/kill_nodes.py 20 | tee "$STATE/output"
verdict="$(sed -n 's/^ *pass: //p' "$STATE/output" | tail -n 1)"
[[ -n "$verdict" ]]
echo "figure: 20 kills under load and 4 stopped leaders; $verdict"
