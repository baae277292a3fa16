#!/usr/bin/env bash
# proof: redis-cli, redis-benchmark and python3-redis work unmodified, and no bytes end a process
# evidence: skeleton
# without: *_test.cc *_fuzz.cc */corpus/*
set -euo pipefail
./dev build release
export ASTERIAS="$ROOT/build/release/asterias" ASTERIAS_BUILD="$ROOT/build/release"
/usr/bin/python3 tests/redis_clients.py | tee "$STATE/clients"
/usr/bin/python3 tests/bad_input.py | tee "$STATE/bad_input"
echo "figure: $(grep -c '^ok' "$STATE/clients") claims with clients," \
    "$(grep -c '^ok' "$STATE/bad_input") with bad input, none refuted"
