#!/usr/bin/env bash
# proof: no fuzzer breaks its parser within ten minutes each
# evidence: never_lost
set -euo pipefail
./dev fuzz 600 | tee "$STATE/output"
echo "figure: $(tail -n 1 "$STATE/output")"
