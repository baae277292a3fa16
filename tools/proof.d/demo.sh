#!/usr/bin/env bash
# proof: `asterias demo` counts 100,000 words exactly, 20 times with its leader, 20 with all killed
# evidence: skeleton
# without: *_test.cc *_fuzz.cc */corpus/*
set -euo pipefail
./dev build release
export ASTERIAS="$ROOT/build/release/asterias" ASTERIAS_BUILD="$ROOT/build/release"
/usr/bin/python3 tests/demo.py 20 | tee "$STATE/output"
count="$(grep -c '^ok demo --chaos .* the count is exact$' "$STATE/output")"
echo "figure: $count of 40 counts exact;$(tail -n 1 "$STATE/output")"
