#!/usr/bin/env bash
# proof: 300 seeds of the simulated cluster, every fault on, break no checker
# evidence: skeleton
set -euo pipefail
./dev sim --seeds 300 | tee "$STATE/output"
echo "figure: $(tail -n 1 "$STATE/output")"
