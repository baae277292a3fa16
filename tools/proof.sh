#!/usr/bin/env bash
# tools/proof.sh [LINE...|list]: the long proofs. Each line of the table is a script in
# tools/proof.d:
#   # proof: the claim, one sentence
#   # evidence: the document that it belongs to, docs/evidence/<name>.md
#   # without: paths (git's, with wildcards) that it does not depend on; may be missing
# It runs with ROOT and STATE (a directory of its own that survives interruption) in its
# environment, ends with `figure: ...` on a line of its own, and exits 0 when the claim held.
#
# Resumable: build/proof/<tree>/<line>.done is written when a line has held, and that line is not
# run again for the same tree and script; a line that failed or was interrupted is. <tree> is the
# last commit that touched anything but docs/, Markdown, proofs and what the line goes without, with
# a digest of what is not committed.
set -euo pipefail
cd "${ROOT:?run ./dev proof}"

say() { printf 'proof: %s\n' "$*"; }

beside=(. ':!docs' ':!*.md' ':!tools/proof.sh' ':!tools/proof.d')
# tree_key LINE
tree_key() {
    local commit changes path paths beside=("${beside[@]}")
    read -ra paths <<<"$(field "$1" without)"
    for path in "${paths[@]}"; do beside+=(":!$path"); done
    commit="$(git log -1 --format=%h --abbrev=12 -- "${beside[@]}")"
    changes="$({
        git diff HEAD -- "${beside[@]}"
        git ls-files -o --exclude-standard -- "${beside[@]}" | while read -r file; do
            echo "$file"
            cat "$file"
        done
    } | sha256sum | cut -c1-8)"
    if [[ "$changes" == "$(sha256sum </dev/null | cut -c1-8)" ]]; then
        echo "$commit"
    else
        echo "$commit+$changes"
    fi
}

script_key() { sha256sum <"tools/proof.d/$1.sh" | cut -c1-16; }
field() { sed -n "s/^# $2: //p" "tools/proof.d/$1.sh" | head -n 1; }

machine() {
    local model memory
    model="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    memory="$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
    echo "$(nproc) cores, ${model:-unknown processor}, $memory, Linux $(uname -r | sed 's/-.*//')"
}

mapfile -t lines < <(for script in tools/proof.d/*.sh; do basename "$script" .sh; done)

if [[ "${1:-}" == list ]]; then
    for line in "${lines[@]}"; do printf '%-16s %s\n' "$line" "$(field "$line" proof)"; done
    exit 0
fi
wanted=("$@")
((${#wanted[@]})) || wanted=("${lines[@]}")
for line in "${wanted[@]}"; do
    [[ -f "tools/proof.d/$line.sh" ]] && continue
    say "there is no line '$line'; ./dev proof list"
    exit 2
done

declare -A tree
for line in "${lines[@]}"; do tree[$line]="$(tree_key "$line")"; done
state_of() { echo "$ROOT/build/proof/${tree[$1]}"; }

# run_line LINE: leaves $state/LINE.result = "held|FAILED <tab> date <tab> seconds <tab> figure".
run_line() {
    local line="$1" start=$SECONDS verdict=held figure state log
    state="$(state_of "$line")" log="$state/$line.log"
    mkdir -p "$state/$line"
    say "$line: $(field "$line" proof)"
    if ! STATE="$state/$line" bash "tools/proof.d/$line.sh" > >(tee "$log") 2>&1; then
        verdict=FAILED
    fi
    wait # for tee
    figure="$(sed -n 's/^figure: //p' "$log" | tail -n 1)"
    if [[ "$verdict" == held && -z "$figure" ]]; then
        verdict=FAILED figure="the line printed no figure"
    fi
    printf '%s\t%s\t%s\t%s\n' "$verdict" "$(date -u +%F)" "$((SECONDS - start))" \
        "${figure:-no figure: $(tail -n 1 "$log")}" >"$state/$line.result"
    [[ "$verdict" == held ]] && script_key "$line" >"$state/$line.done"
    say "$line: $verdict. ${figure:-}"
    [[ "$verdict" == held ]]
}

# write_evidence NAME: the document of one group of lines, from what this tree's runs have left.
write_evidence() {
    local name="$1" line verdict date seconds figure state
    mkdir -p docs/evidence
    {
        echo "# Evidence: $name"
        echo
        echo "Written by \`./dev proof\`; each line can be run again by its name. A tree is the"
        echo "last commit that touched anything that the line depends on; + stands before what was"
        echo "not committed."
        echo
        echo "- Machine: $(machine)"
        echo
        echo "| line | claim | verdict | figure | took | date | tree |"
        echo "|---|---|---|---|---|---|---|"
        for line in "${lines[@]}"; do
            [[ "$(field "$line" evidence)" == "$name" ]] || continue
            verdict="not run" date="" seconds="" figure="" state="$(state_of "$line")"
            if [[ -f "$state/$line.result" ]]; then
                IFS=$'\t' read -r verdict date seconds figure <"$state/$line.result"
            fi
            echo "| \`$line\` | $(field "$line" proof) | $verdict | ${figure//|/,} |" \
                "${seconds:+$seconds s} | $date | \`${tree[$line]}\` |"
        done
    } | sed 's/ *$//' >"docs/evidence/$name.md"
}

failed=0
for line in "${wanted[@]}"; do
    if [[ "$(cat "$(state_of "$line")/$line.done" 2>/dev/null)" == "$(script_key "$line")" ]]; then
        say "$line: held before, for this tree"
    else
        run_line "$line" || failed=$((failed + 1))
    fi
    write_evidence "$(field "$line" evidence)"
done
say "$((${#wanted[@]} - failed)) of ${#wanted[@]} lines held; see docs/evidence/"
((failed == 0))
