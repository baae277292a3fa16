#!/usr/bin/env bash
# proof: every class of byte damaged on one of three nodes is refused by name or answered right
# evidence: never_lost
set -euo pipefail
./dev build release
export ASTERIAS="$ROOT/build/release/asterias" ASTERIAS_BUILD="$ROOT/build/release"
/usr/bin/python3 tests/damage_matrix.py all | tee "$STATE/output"
verdict="$(sed -n 's/^ *pass: //p' "$STATE/output" | tail -n 1)"
[[ -n "$verdict" ]]
echo "figure: $verdict"
