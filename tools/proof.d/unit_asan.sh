#!/usr/bin/env bash
# proof: every unit test holds under AddressSanitizer and UndefinedBehaviorSanitizer
# evidence: skeleton
set -euo pipefail
./dev build asan
ctest --test-dir build/asan -L unit -j 2 --output-on-failure --timeout 1800
count="$(ctest --test-dir build/asan -L unit -N | sed -n 's/^Total Tests: //p')"
((count > 0))
echo "figure: $count unit suites, no finding"
