#!/usr/bin/env bash
# proof: every class of byte of journal, state and snapshot damaged is refused or answered right
# evidence: never_lost
# without: *_test.cc *_fuzz.cc */corpus/*
set -euo pipefail
./dev build release
export ASTERIAS="$ROOT/build/release/asterias" ASTERIAS_BUILD="$ROOT/build/release"
verdicts=()
for script in damage_matrix damage_snapshot; do
    /usr/bin/python3 "tests/$script.py" all | tee "$STATE/output"
    verdict="$(sed -n 's/^ *pass: //p' "$STATE/output" | tail -n 1)"
    [[ -n "$verdict" ]]
    verdicts+=("${script#damage_}: $verdict.")
done
echo "figure: ${verdicts[*]}"
