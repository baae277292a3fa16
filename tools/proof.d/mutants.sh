#!/usr/bin/env bash
# proof: every planted bug is caught by the checkers
# evidence: skeleton
set -euo pipefail
./dev sim --mutants | tee "$STATE/output"
echo "figure: $(tail -n 1 "$STATE/output")"
