#!/usr/bin/env bash
# proof: the whole suite, real clients included, under AddressSanitizer and UBSan: no finding
# evidence: skeleton
set -euo pipefail
./dev build asan
export ASAN_OPTIONS="detect_leaks=1:log_path=$STATE/report" UBSAN_OPTIONS=print_stacktrace=1
rm -f "$STATE"/report*
/usr/bin/python3 tools/run_tests.py --build build/asan | tee "$STATE/output"
if compgen -G "$STATE/report*" >/dev/null; then
    cat "$STATE"/report*
    exit 1
fi
echo "figure: $(tail -n 1 "$STATE/output"), no report"
