#!/usr/bin/env bash
# proof: no state of a small group, within the bounds of each setup of raft-explore, breaks a rule
# evidence: never_lost
# without: *_test.cc *_fuzz.cc */corpus/* tests src/app
set -euo pipefail
./dev build release raft-explore
explore=build/release/raft-explore
"$explore" --list | awk '{ print $1 }' >"$STATE/setups"
printf '%-16s %12s %13s %6s %8s  %s\n' setup states transitions depth seconds verdict
total=0 count=0 partial=0 broken=0
while read -r setup; do
    start=$SECONDS code=0
    "$explore" "$setup" --audit 200 >"$STATE/$setup" 2>&1 || code=$?
    case "$code" in
        0) verdict="complete" ;;
        3) verdict="nothing broken as far as it went: not all states" partial=$((partial + 1)) ;;
        *) verdict="BROKEN (exit $code): $STATE/$setup" broken=$((broken + 1)) ;;
    esac
    line="$(grep -m 1 "^$setup: .* states" "$STATE/$setup" || true)"
    states="$(sed -nE 's/.* ([0-9]+) states.*/\1/p' <<<"$line")"
    transitions="$(sed -nE 's/.* ([0-9]+) transitions.*/\1/p' <<<"$line")"
    depth="$(sed -nE 's/.*depth ([0-9]+).*/\1/p' <<<"$line")"
    printf '%-16s %12s %13s %6s %8s  %s\n' "$setup" "${states:-?}" "${transitions:-?}" \
        "${depth:-?}" "$((SECONDS - start))" "$verdict"
    total=$((total + ${states:-0})) count=$((count + 1))
done <"$STATE/setups"
echo "figure: $((count - partial - broken)) of $count setups seen whole, $partial in part," \
    "$total states, $broken rules broken"
((broken == 0))
