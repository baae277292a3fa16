#!/usr/bin/env bash
# tools/lint.sh [all]: clang-tidy over the .cc files that differ from main (committed or not), and
# over the .cc files beside changed headers. The checks and their reasons: .clang-tidy.
set -euo pipefail
cd "${ROOT:?run ./dev lint}"

changed() {
    if [[ "${1:-}" == all ]]; then
        git ls-files -- '*.cc'
        return
    fi
    local base
    base="$(git merge-base HEAD origin/main 2>/dev/null ||
        git merge-base HEAD main 2>/dev/null || git rev-parse HEAD)"
    {
        git diff --name-only --diff-filter=d "$base" -- '*.cc' '*.h'
        git ls-files -o --exclude-standard -- '*.cc' '*.h'
    } | while read -r file; do
        case "$file" in
            *.cc) echo "$file" ;;
            *.h) [[ -f "${file%.h}.cc" ]] && echo "${file%.h}.cc" ;;
        esac
    done
}

# Fuzzers and files of no target have no compile command, so clang-tidy would guess.
mapfile -t files < <(changed "$@" | sort -u | while read -r file; do
    grep -qF "/$file\"" build/dev/compile_commands.json && echo "$file"
done)
((${#files[@]})) || { echo "lint: nothing to look at"; exit 0; }
echo "lint: ${#files[@]} files"
printf '%s\n' "${files[@]}" |
    xargs -P "$(nproc)" -n 1 clang-tidy-19 -p build/dev --quiet --use-color=false \
        2> >(grep -Ev '^[0-9]+ warnings? (generated|treated as errors?)' >&2)
echo "lint: clean"
