#!/usr/bin/env bash
# proof: every planted bug is caught by the checkers
# evidence: skeleton
# without: *_test.cc *_fuzz.cc */corpus/* tests src/app
set -euo pipefail
./dev sim --mutants | tee "$STATE/output"
echo "figure: $(tail -n 1 "$STATE/output")"
