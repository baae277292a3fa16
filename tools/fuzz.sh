#!/usr/bin/env bash
# tools/fuzz.sh SECONDS: builds the preset `fuzz` and runs every *_fuzz.cc for SECONDS, one after
# another. Seeds of x_fuzz.cc come from corpus/x/ beside it, what is found stays in
# build/corpus/x_fuzz/, an input that breaks it in build/corpus/x_fuzz-broken/. Exits 1 if any
# broke. Called by ./dev.
set -euo pipefail
cd "${ROOT:?run ./dev fuzz}"
seconds="$1"

mapfile -t fuzzers < <(find src sim -name '*_fuzz.cc' 2>/dev/null | sort)
((${#fuzzers[@]})) || { echo "fuzz: there is no *_fuzz.cc in this checkout" >&2; exit 1; }
./dev build fuzz

broken=0 runs=0
for source in "${fuzzers[@]}"; do
    name="$(basename "$source" .cc)"
    found="build/corpus/$name"
    artifacts="build/corpus/$name-broken"
    seeds="$(dirname "$source")/corpus/${name%_fuzz}"
    mkdir -p "$found" "$artifacts"
    directories=("$found")
    [[ -d "$seeds" ]] && directories+=("$seeds")
    log="build/corpus/$name.log"
    if "build/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$artifacts/" "${directories[@]}" >"$log" 2>&1; then
        count="$(awk '/stat::number_of_executed_units:/ { print $2 }' "$log")"
        runs=$((runs + ${count:-0}))
        echo "fuzz: $name: ${count:-0} inputs, none broke it"
    else
        broken=$((broken + 1))
        tail -n 30 "$log"
        echo "fuzz: $name: BROKEN, see $log; the input is in $artifacts"
    fi
done
echo "fuzz: ${#fuzzers[@]} fuzzers, $seconds s each, $runs inputs, $broken broken"
((broken == 0))
