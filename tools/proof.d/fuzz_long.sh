#!/usr/bin/env bash
# proof: no fuzzer breaks its parser: ten minutes of a processor for what comes from outside
# evidence: never_lost
# without: *_test.cc tests
#
# Commands of clients, frames of peers, journals, snapshots, configuration; two minutes for each
# other. A fuzzer is run again only when its program has changed (tools/fuzz.sh); a run is resumed.
set -euo pipefail
export FUZZ_DONE="$ROOT/build/proof/fuzz"
outside=(parser_fuzz frame_fuzz journal_fuzz snapshot_fuzz configuration_fuzz)
./dev fuzz 600 "${outside[@]}" | tee "$STATE/output"
./dev fuzz 120 | tee -a "$STATE/output"
echo "figure: ${outside[*]}: $(grep -m 1 'fuzzers, ' "$STATE/output"); with all others:" \
    "$(tail -n 1 "$STATE/output")"
