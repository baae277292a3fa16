#!/usr/bin/env bash
# proof: the rooms that have threads run their tests without a data race
# evidence: skeleton
set -euo pipefail
./dev build tsan
suites='^(base|runtime/asio|engine/rocks|app)$'
for name in runtime_asio engine_rocks; do
    [[ -x "build/tsan/test_$name" ]] || { echo "build/tsan/test_$name is not there"; exit 1; }
done
ctest --test-dir build/tsan -R "$suites" --output-on-failure --timeout 1800
count="$(ctest --test-dir build/tsan -R "$suites" -N | sed -n 's/^Total Tests: //p')"
echo "figure: $count suites, no race"
