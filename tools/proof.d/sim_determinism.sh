#!/usr/bin/env bash
# proof: a seed of the simulator is the same run, twice and in another build
# evidence: skeleton
# without: *_test.cc *_fuzz.cc */corpus/* tests src/app
set -euo pipefail
./dev build release
./dev build dev asterias-sim
build/release/asterias-sim --seeds 30 --twice --hash | grep '^seed' >"$STATE/release"
build/dev/asterias-sim --seeds 30 --hash | grep '^seed' >"$STATE/dev"
cmp "$STATE/release" "$STATE/dev"
echo "figure: 30 seeds, the same hash twice in preset release and once in preset dev"
