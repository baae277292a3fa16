#!/usr/bin/env bash
# proof: every planted bug that is left to tests makes its test binary fail, which passes without it
# evidence: skeleton
set -euo pipefail
./dev build mutants asterias-sim
build/mutants/asterias-sim --mutants --list | grep ' test_' >"$STATE/planted"
mapfile -t tests < <(awk '{ print $2 }' "$STATE/planted" | sort -u)
./dev build mutants "${tests[@]}"
for test in "${tests[@]}"; do
    timeout -s KILL 600 "build/mutants/$test" --gtest_brief=1
done
missed=0 planted=0
while read -r name test _; do
    planted=$((planted + 1))
    # A hang is a failure, too; some tests take no SIGTERM.
    if MUTANT="$name" timeout -s KILL 60 "build/mutants/$test" --gtest_brief=1 \
        >"$STATE/$name" 2>&1; then
        echo "NOT CAUGHT: $name by $test"
        missed=$((missed + 1))
    else
        by="$(grep -m 1 -oE 'CHECK failed.*|\[  FAILED  \] .*' "$STATE/$name" || echo 'no end')"
        printf '%-38s %-21s %.110s\n' "$name" "$test" "$by"
    fi
done <"$STATE/planted"
echo "figure: $((planted - missed)) of $planted planted bugs fail the tests that they are left to"
((missed == 0))
