#!/usr/bin/env bash
# proof: 300 seeds under all faults: linearizable, in order, atomic, and enough happened
# evidence: skeleton
# without: *_test.cc *_fuzz.cc */corpus/* tests src/app
set -euo pipefail
./dev sim --seeds 300 | tee "$STATE/output"
medians="$(awk '/^  required / { on = 1; next } !NF { on = 0 }
    on { printf "%s%s %s (at least %s)", sep, $1, $2, $3; sep = ", " }' "$STATE/output")"
echo "figure: $(tail -n 1 "$STATE/output"); medians: $medians"
