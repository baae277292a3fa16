#!/usr/bin/env bash
# proof: no fuzzer breaks its parser within ten minutes of a processor each
# evidence: never_lost
#
# A fuzzer is run again only when its program has changed (tools/fuzz.sh); a run is resumed.
set -euo pipefail
FUZZ_DONE="$ROOT/build/proof/fuzz" ./dev fuzz 600 | tee "$STATE/output"
echo "figure: $(tail -n 1 "$STATE/output")"
