#!/usr/bin/env bash
# proof: no fuzzer breaks its parser within two minutes each
# evidence: skeleton
set -euo pipefail
./dev fuzz 120 | tee "$STATE/output"
echo "figure: $(tail -n 1 "$STATE/output")"
