#!/usr/bin/env bash
# proof: the exploration of the consensus core finds the bugs that are planted in it
# evidence: never_lost
# without: *_test.cc *_fuzz.cc */corpus/* tests src/app
set -euo pipefail
./dev build mutants raft-explore
# Planted bug and the setup that reaches it; sim/explore/README.md says which are out of reach.
planted() {
    sed -n 's/^| `\(raft_[a-z_]*\)` | `\([a-z_0-9]*\)` |.*/\1 \2/p' sim/explore/README.md
}
missed=0 count=0
printf '%-34s %-16s %10s %6s  %s\n' "planted bug" setup states depth "what it broke"
while read -r name setup; do
    count=$((count + 1)) code=0
    build/mutants/raft-explore "$setup" --mutant "$name" >"$STATE/$name" 2>&1 || code=$?
    line="$(grep "^$setup: BROKEN" "$STATE/$name" || true)"
    if ((code != 1)) || [[ -z "$line" ]] || grep -q '^not confirmed' "$STATE/$name"; then
        echo "NOT FOUND: $name by $setup (exit $code)"
        missed=$((missed + 1))
        continue
    fi
    printf '%-34s %-16s %10s %6s  %.90s\n' "$name" "$setup" \
        "$(sed -E 's/.* ([0-9]+) states.*/\1/' <<<"$line")" \
        "$(sed -E 's/.*depth ([0-9]+).*/\1/' <<<"$line")" \
        "$(sed -E 's/.*depth [0-9]+: //' <<<"$line")"
done < <(planted)
echo "figure: $((count - missed)) of $count planted bugs found by exploring, each with a" \
    "shortest way there that was lived through again"
((count > 0 && missed == 0))
