#!/usr/bin/env bash
# mutants_listed.sh ASTERIAS_SIM: every planted bug, in the sources and in sim/world, is in the
# simulator's list (sim/mutants.cc), and every one that is listed is planted.
set -euo pipefail
planted="$(grep -rhoE 'MUTANT\([a-z0-9_]+\)' src sim/world --include='*.cc' --include='*.h' |
    sed -E 's/MUTANT\((.*)\)/\1/' | grep -vx name | sort -u)"
listed="$("$1" --mutants --list | cut -d ' ' -f 1 | sort)"
diff <(echo "$planted") <(echo "$listed") && echo "$(wc -l <<<"$listed") planted bugs, each listed"
