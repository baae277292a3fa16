#!/usr/bin/env bash
# tools/fuzz.sh SECONDS [NAME...]: builds the preset `fuzz` and runs every *_fuzz.cc, or the named,
# for SECONDS of processor time, one after another, FUZZ_JOBS (1) at once. Seeds of x_fuzz.cc come
# from corpus/x/ beside it, what is found stays in build/corpus/x_fuzz/, an input that breaks it in
# build/corpus/x_fuzz-broken/. Exits 1 if any broke. Called by ./dev.
#
# With FUZZ_DONE=DIRECTORY a fuzzer that ran there for so long is not run again while its program,
# without debugging information, has the same bytes: nothing that it depends on has changed.
set -euo pipefail
cd "${ROOT:?run ./dev fuzz}"
seconds="$1"
shift

mapfile -t fuzzers < <(find src sim -name '*_fuzz.cc' 2>/dev/null | sort)
((${#fuzzers[@]})) || { echo "fuzz: there is no *_fuzz.cc in this checkout" >&2; exit 1; }
if (($#)); then
    chosen=()
    for name in "$@"; do
        mapfile -t -O "${#chosen[@]}" chosen < <(printf '%s\n' "${fuzzers[@]}" | grep "/$name\.cc$")
    done
    ((${#chosen[@]} == $#)) || { echo "fuzz: one of '$*' is no fuzzer" >&2; exit 2; }
    fuzzers=("${chosen[@]}")
fi
names=("${fuzzers[@]##*/}")
./dev build fuzz "${names[@]%.cc}"

# What it has run already is in the file $1: "CPU-seconds inputs" a line.
sums() { awk '{ cpu += $1; inputs += $2 } END { printf "%d %d\n", cpu, inputs }' "$1"; }

fuzz_one() {
    local source="$1" name found artifacts seeds log done_file program key cpu inputs slice
    name="$(basename "$source" .cc)"
    found="build/corpus/$name" artifacts="build/corpus/$name-broken" log="build/corpus/$name.log"
    seeds="$(dirname "$source")/corpus/${name%_fuzz}"
    mkdir -p "$found" "$artifacts"
    directories=("$found")
    [[ -d "$seeds" ]] && directories+=("$seeds")
    # A copy: a build meanwhile shall not change what the key speaks of.
    program="build/corpus/$name.program"
    cp "build/fuzz/$name" "$program"
    key="$(llvm-strip-19 -o - "$program" | sha256sum | cut -c1-16)"
    done_file="build/corpus/$name.runs"
    if [[ -n "${FUZZ_DONE:-}" ]]; then
        mkdir -p "$FUZZ_DONE"
        done_file="$FUZZ_DONE/$name-$key"
        touch "$done_file"
    else
        : >"$done_file"
    fi
    # In slices, since libFuzzer counts the time of the clock and not of the processor.
    while read -r cpu inputs < <(sums "$done_file") && ((cpu < seconds)); do
        slice=$((seconds - cpu < 60 ? seconds - cpu : 60))
        if ! { TIMEFORMAT=%U; time "$program" -max_total_time="$slice" -timeout=20 \
            -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$artifacts/" \
            "${directories[@]}" >"$log" 2>&1; } 2>"$log.cpu"; then
            tail -n 30 "$log"
            echo "fuzz: $name: BROKEN, see $log; the input is in $artifacts"
            return 1
        fi
        inputs="$(awk '/stat::number_of_executed_units:/ { print $2 }' "$log")"
        echo "$(tail -n 1 "$log.cpu") ${inputs:-0}" >>"$done_file"
    done
    echo "fuzz: $name: $inputs inputs in $cpu s, none broke it" | tee -a "$output"
}

broken=0 running=0
output="$(mktemp)"
trap 'rm -f "$output"' EXIT
for source in "${fuzzers[@]}"; do
    if ((running == ${FUZZ_JOBS:-1})); then
        wait -n || broken=$((broken + 1))
        running=$((running - 1))
    fi
    fuzz_one "$source" &
    running=$((running + 1))
done
while ((running--)); do
    wait -n || broken=$((broken + 1))
done
inputs="$(awk '/ inputs in / { sum += $3 } END { printf "%d", sum }' "$output")"
echo "fuzz: ${#fuzzers[@]} fuzzers, $seconds s of a processor each, $inputs inputs, $broken broken"
((broken == 0))
