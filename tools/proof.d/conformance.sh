#!/usr/bin/env bash
# proof: 10,000 random sequences with crashes leave each engine in a state its contract allows
# evidence: skeleton
set -euo pipefail
./dev build release
for engine in mem rocks; do
    program="build/release/test_engine_$engine"
    [[ -x "$program" ]] || { echo "$program is not there"; exit 1; }
    "$program" --gtest_list_tests | grep -qi conformance ||
        { echo "$program has no test named *Conformance*"; exit 1; }
    CONFORMANCE_SEQUENCES=10000 "$program" '--gtest_filter=*onformance*'
done
echo "figure: 10000 sequences on engine/mem and on engine/rocks, none outside the contract"
