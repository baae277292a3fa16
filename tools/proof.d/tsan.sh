#!/usr/bin/env bash
# proof: no data race, in the rooms that have threads and in three nodes of two shards under load
# evidence: skeleton
set -euo pipefail
./dev build tsan
./dev build release asterias-load
suites='^(base|runtime/epoll|engine/rocks|app)$'
for name in runtime_epoll engine_rocks; do
    [[ -x "build/tsan/test_$name" ]] || { echo "build/tsan/test_$name is not there"; exit 1; }
done
suppressions="suppressions=$ROOT/tools/proof.d/tsan.supp"
TSAN_OPTIONS="$suppressions" \
    ctest --test-dir build/tsan -R "$suites" --output-on-failure --timeout 1800
count="$(ctest --test-dir build/tsan -R "$suites" -N | sed -n 's/^Total Tests: //p')"

# The program itself. Whatever a node reports is a file.
rm -rf "$STATE"/report* "$STATE/data"
export TSAN_OPTIONS="$suppressions log_path=$STATE/report"
build/tsan/asterias dev --nodes 3 --shards 2 --data "$STATE/data" --json >"$STATE/card" &
nodes=$!
trap 'kill "$nodes" 2>/dev/null || true; wait "$nodes" || true; rm -rf "$STATE/data"' EXIT
until [[ -s "$STATE/card" ]]; do
    kill -0 "$nodes"
    sleep 1
done
ports="$(grep -o '"redis":"[^"]*"' "$STATE/card" | cut -d'"' -f4 | paste -sd,)"
operations=0
for mode in set fill get incr-hot; do
    build/release/bench/asterias-load --endpoints "$ports" --mode "$mode" --connections 64 \
        --pipeline 4 --keys 5000 --seconds 20 | tee "$STATE/load"
    count_now="$(sed -n 's/.*"operations": *\([0-9]*\).*/\1/p' "$STATE/load" | head -n 1)"
    ((count_now > 0))
    operations=$((operations + count_now))
done
build/tsan/asterias status --node "$(grep -o '"http":"[^"]*"' "$STATE/card" | head -n 1 |
    cut -d'"' -f4)" >/dev/null
kill -TERM "$nodes"
wait "$nodes" || true
if compgen -G "$STATE/report*" >/dev/null; then
    cat "$STATE"/report*
    exit 1
fi
echo "figure: $count suites and $operations operations on three nodes of two shards, no race"
